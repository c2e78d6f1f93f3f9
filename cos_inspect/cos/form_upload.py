"""POST Object: the file and the fields inside a ``multipart/form-data`` body.

COS stores, hashes and measures the part named ``file`` alone, and reads no
field that stands behind it (COS documents). The parsing is python-multipart's.
"""

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from cos_inspect.model.exchange import FormField

MAX_FIELDS = 100
MAX_FIELD = 64 * 1024
"""Bytes kept of one field's value."""
MAX_FIELDS_TOTAL = 1024 * 1024
"""Bytes kept of all values together."""
MAX_PARTS = 1000
MAX_BOUNDARY = 256
MAX_PART_HEAD = 16 * 1024
"""Bytes of a part's header lines; a file name may be long."""
_MAX_PART_LINES = 100


def form_boundary(content_type: str | None) -> bytes | None:
    """The boundary that a Content-Type gives; None when it is no form or has none."""
    if not content_type:
        return None
    try:
        media_type, parameters = parse_options_header(
            content_type.encode("utf-8", "surrogateescape")
        )
    except UnicodeError:
        return None
    if media_type != b"multipart/form-data":
        return None
    return parameters.get(b"boundary") or None


def read_disposition(value: bytes) -> tuple[str, str | None]:
    """The name and the file name that the Content-Disposition of a part gives; without a name
    it is empty."""
    parameters = parse_options_header(value)[1]
    filename = parameters.get(b"filename")
    return (
        parameters.get(b"name", b"").decode("utf-8", "replace"),
        None if filename is None else filename.decode("utf-8", "replace"),
    )


class _Part:
    """One part while it passes."""

    __slots__ = ("filename", "name", "value")

    def __init__(self) -> None:
        self.name = ""
        self.filename: str | None = None
        self.value: bytearray | None = None
        """What is kept of it; None when nothing is."""

    def field(self) -> FormField:
        return FormField(self.name, bytes(self.value or b"").decode("utf-8", "replace"))


class FormUploadDecoder:
    """Picks the file's bytes and the fields out of a form as it passes.

    The file is the part named ``file``; where there is none, the first part
    that has a file name. The second may turn out only at the end, so a part
    with a file name is handed out as the file until one named ``file``
    begins: then :attr:`restarts` goes up and the bytes handed out before are
    void. Nothing raises: what is wrong is told in :attr:`problem`, and after
    broken syntax the rest is swallowed.
    """

    def __init__(self, boundary: bytes) -> None:
        self.problem: str | None = None
        """The first thing that is wrong, in a few words."""
        self.fields_cut = False
        """Whether there were more or longer fields than are kept."""
        self.restarts = 0
        self.size = 0
        """Bytes of the file so far."""
        self._file: _Part | None = None
        self._part: _Part | None = None
        self._parts = 0
        self._kept: list[_Part] = []
        self._kept_bytes = 0
        self._fields_before_file = 0
        self._part_after_file = False
        self._in_head = False
        """The header lines of a part are under way."""
        self._header_name = b""
        self._header_value = b""
        self._pieces: list[bytes | memoryview] = []
        self._broken = False
        self._ended = False
        self._offset = 0
        self._head: bytes | None = b""
        self._delimiter = b"--" + boundary
        self._parser: MultipartParser | None = None
        if not boundary:
            self._break("no boundary in Content-Type")
        elif len(boundary) > MAX_BOUNDARY or any(not 0x20 <= byte < 0x7F for byte in boundary):
            self._break("the boundary in Content-Type is not a valid one")
        else:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part_begin,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
                max_header_count=_MAX_PART_LINES,
                max_header_size=MAX_PART_HEAD,
            )
            # It warns of malformed bodies; here they are a result, not a log line.
            self._parser.logger = self._parser.logger.getChild("silent")
            self._parser.logger.disabled = True

    @property
    def complete(self) -> bool:
        """The closing boundary and a file were seen, and the syntax is sound."""
        return self._ended and self._file is not None and not self._broken

    @property
    def fields(self) -> tuple[FormField, ...]:
        """The fields before the file, in order; without a file all of them."""
        parts = self._kept if self._file is None else self._kept[: self._fields_before_file]
        return tuple(part.field() for part in parts)

    @property
    def fields_after_file(self) -> bool:
        """Whether fields stand behind the file, where COS does not read them."""
        if self._file is None or self._file.name == "file":
            return self._part_after_file
        return len(self._kept) > self._fields_before_file + 1

    @property
    def file_name(self) -> str | None:
        """The filename of the part ``file``; None before that part, and where it has none."""
        return self._file.filename if self._file else None

    def feed(self, data: bytes) -> list[bytes | memoryview]:
        """The pieces of the file inside the next bytes of the body, uncopied."""
        if self._parser is None or self._broken:
            return []
        if self._head is not None:
            data = self._check_head(self._head + data)
            if self._broken or self._head is not None:
                return []
        try:
            self._parser.write(data)
        except FormParserError as error:
            if self._in_head:
                # Which of the two is noticed first, and where, depends on how the body was split.
                self._break(
                    f"the header lines of part {self._parts} are too long to be read,"
                    " or not well-formed"
                )
            else:
                # The library reports -1 where it gives no offset.
                at = self._offset + max(getattr(error, "offset", -1), 0)
                self._break(f"not well-formed at byte {at}")
        self._offset += len(data)
        pieces = self._pieces
        self._pieces = []
        return pieces

    def finish(self) -> None:
        """Tell that the body has ended."""
        if self._broken:
            return
        if not self._ended:
            self._break("ends without the closing boundary")
        elif self._file is None:
            self._note("no file part")

    def _check_head(self, head: bytes) -> bytes:
        """Let the parser begin at the first boundary only.

        It would skip other text in front of it or not, depending on how the
        body was split.
        """
        start = 2 if head.startswith(b"\r\n") else 0
        beginning = head[start : start + len(self._delimiter)]
        if len(beginning) == len(self._delimiter) and beginning == self._delimiter:
            self._head = None
            self._offset = start
            return head[start:]
        if self._delimiter.startswith(beginning) or head == b"\r":
            self._head = head
        else:
            self._break("does not begin with the boundary")
        return b""

    def _on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            self._break(f"more than {MAX_PARTS} parts")
            raise FormParserError("stop")
        self._part = _Part()
        self._in_head = True
        self._header_name = b""
        self._header_value = b""

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        part = self._part
        name = self._header_name.lower()
        value = self._header_value
        self._header_name = b""
        self._header_value = b""
        if part is None:
            return
        if name == b"content-disposition":
            part.name, part.filename = read_disposition(value)

    def _on_headers_finished(self) -> None:
        self._in_head = False
        part = self._part
        if part is None:
            return
        if not part.name:
            self._note("a part has no name")
        if self._file is not None and self._file.name == "file":
            if part.name == "file":
                self._note("more than one part named file")
            else:
                self._part_after_file = True
            return
        if part.name == "file":
            if self._file is not None:
                self.restarts += 1
                self.size = 0
                self._pieces = []
            self._begin_file(part)
        elif part.filename is not None and self._file is None:
            self._begin_file(part)
            self._keep(part)
        else:
            self._keep(part)

    def _begin_file(self, part: _Part) -> None:
        self._file = part
        self._fields_before_file = len(self._kept)

    def _keep(self, part: _Part) -> None:
        if len(self._kept) == MAX_FIELDS:
            self.fields_cut = True
            return
        part.value = bytearray()
        self._kept.append(part)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        if part is None:
            return
        if part is self._file:
            self.size += end - start
            whole = start == 0 and end == len(data)
            self._pieces.append(data if whole else memoryview(data)[start:end])
        if part.value is not None:
            room = min(MAX_FIELD - len(part.value), MAX_FIELDS_TOTAL - self._kept_bytes)
            taken = min(room, end - start)
            if taken:
                part.value += data[start : start + taken]
                self._kept_bytes += taken
            if taken < end - start:
                self.fields_cut = True

    def _on_part_end(self) -> None:
        self._part = None

    def _on_end(self) -> None:
        self._ended = True

    def _note(self, problem: str) -> None:
        if self.problem is None:
            self.problem = problem

    def _break(self, problem: str) -> None:
        self._note(problem)
        self._broken = True
        self._part = None

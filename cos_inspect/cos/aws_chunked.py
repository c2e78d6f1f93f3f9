"""The ``aws-chunked`` framing that S3 clients put around an upload.

It is a layer inside the body, below HTTP's own transfer framing::

    <hex size>[;chunk-signature=…] CRLF <data> CRLF
    …
    0[;chunk-signature=…] CRLF
    [<trailer name>:<value> CRLF]…
    CRLF

What is stored, and what ETag and CRC describe, is the data alone. Shapes as
AWS documents them and botocore writes them.
"""

import re

from cos_inspect.model.headers import Headers

MAX_LINE = 4096
"""Longest size line or trailer line, in bytes; a chunk signature needs about 90."""
MAX_TRAILERS = 32

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r]*)?\r\n")
_DECIMAL = re.compile(r"[0-9]{1,19}")

_SIZE, _DATA, _DATA_END, _TRAILER, _END, _BROKEN = range(6)


def is_aws_chunked(headers: Headers) -> bool:
    """Whether a request says that its body has this framing."""
    if (headers.get("x-amz-content-sha256") or "").startswith("STREAMING-"):
        return True
    return any(
        token.strip().lower() == "aws-chunked"
        for value in headers.all("content-encoding")
        for token in value.split(",")
    )


def declared_size(headers: Headers) -> int | None:
    """Bytes of the data alone as x-amz-decoded-content-length gives them."""
    value = (headers.get("x-amz-decoded-content-length") or "").strip()
    return int(value) if _DECIMAL.fullmatch(value) else None


class AwsChunkedDecoder:
    """Takes the framing off as the bytes pass.

    Nothing raises: what is wrong is told in :attr:`problem`, and from there on
    input is swallowed. Holds no more than one line. A body may leave out the
    last CRLF, and trailer lines may end in a bare LF (both are met in clients).
    """

    def __init__(self) -> None:
        self.size = 0
        """Bytes of data so far."""
        self.problem: str | None = None
        """What is wrong, in a few words, with offsets into the framed body."""
        self.trailers: tuple[tuple[str, str], ...] = ()
        """In order; names in lower case."""
        self._state = _SIZE
        self._line = b""
        self._left = 0
        self._offset = 0

    @property
    def complete(self) -> bool:
        """The zero chunk and the end were seen, and nothing was wrong."""
        return self._state == _END

    def feed(self, data: bytes) -> list[bytes | memoryview]:
        """The pieces of payload inside the next bytes of the body, uncopied."""
        if self._state == _DATA and len(data) < self._left:
            self._left -= len(data)
            self._offset += len(data)
            self.size += len(data)
            return [data] if data else []
        pieces: list[bytes | memoryview] = []
        view = memoryview(data)
        at = 0
        while at < len(data):
            if self._state == _DATA:
                piece = view[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self.size += len(piece)
                self._left -= len(piece)
                if self._left == 0:
                    self._state = _DATA_END
            elif self._state == _BROKEN:
                break
            elif self._state == _END:
                self._check_epilogue(data, at)
                break
            else:
                at = self._read_line(data, at)
        self._offset += len(data)
        return pieces

    def finish(self) -> None:
        """Tell that the body has ended."""
        if self._state == _TRAILER and self._line in (b"", b"\r"):
            self._state = _END
        elif self._state == _DATA:
            self._break(f"ends {self._left} bytes before the end of a chunk")
        elif self._state not in (_END, _BROKEN):
            self._break("ends before the last chunk is closed")

    def _read_line(self, data: bytes, at: int) -> int:
        """Take the rest of a line out of ``data``; returns where it ends."""
        # What follows data is an empty line, so it needs no more than two bytes.
        limit = 2 if self._state == _DATA_END else MAX_LINE
        room = limit - len(self._line)
        end = data.find(b"\n", at, at + room) + 1
        if end:
            line = self._line + data[at:end]
            self._line = b""
            self._handle_line(line, self._offset + end - len(line))
            return end
        if len(data) - at >= room:
            problem = "is not CRLF" if self._state == _DATA_END else f"is over {limit} bytes long"
            self._break(f"the line at byte {self._offset + at - len(self._line)} {problem}")
        else:
            self._line += data[at:]
        return len(data)

    def _handle_line(self, line: bytes, start: int) -> None:
        if self._state == _DATA_END:
            if line == b"\r\n":
                self._state = _SIZE
            else:
                self._break(f"the line at byte {start} is not CRLF")
        elif self._state == _SIZE:
            match = _SIZE_LINE.fullmatch(line)
            if match is None:
                self._break(f"no chunk size at byte {start}")
                return
            self._left = int(match[1], 16)
            self._state = _DATA if self._left else _TRAILER
        elif not (text := line.strip()):
            self._state = _END
        elif len(self.trailers) == MAX_TRAILERS:
            self._break(f"more than {MAX_TRAILERS} trailer lines")
        else:
            name, colon, value = text.decode("utf-8", "replace").partition(":")
            if colon:
                self.trailers = (*self.trailers, (name.rstrip().lower(), value.lstrip()))
            else:
                self._break(f"the trailer at byte {start} has no colon")

    def _check_epilogue(self, data: bytes, at: int) -> None:
        # Some signers end trailers with one blank line too many.
        if data[at:].strip(b"\r\n"):
            self._break("bytes follow the last chunk")

    def _break(self, problem: str) -> None:
        self.problem = problem
        self._state = _BROKEN
        self._line = b""

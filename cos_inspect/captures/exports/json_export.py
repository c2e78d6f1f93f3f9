"""JSON lists of exchanges, read one by one as the entries of a HAR are."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from cos_inspect.captures.captured_flow import CapturedFlow, InputRemarks
from cos_inspect.captures.exports.exported_flow import ExportedFlow, LeftOutError
from cos_inspect.captures.har_body import bytes_in
from cos_inspect.captures.har_entries import (
    HarEntries,
    OddEntryError,
    RawEntry,
    blob_of,
    decode,
    entry_id,
)
from cos_inspect.captures.har_values import as_object
from cos_inspect.captures.source import Stream
from cos_inspect.inspection.redaction import fault_text
from cos_inspect.model.headers import MAX_VALUE, Headers
from cos_inspect.recording.message_heads import Fields


class JsonExport:
    """Reads one file; what an entry is, a subclass says."""

    def __init__(self, stream: Stream, hosts: Sequence[str]) -> None:
        self._stream = stream
        self._hosts = hosts
        self._met: Counter[bytes] = Counter()

    def saved(self, remarks: InputRemarks) -> Iterator[CapturedFlow]:
        """:raises CaptureError: where the file is cut or broken, after what came before."""
        for number, raw in enumerate(HarEntries(self._stream).entries(), start=1):
            self._stream.admit(number)
            try:
                entry = as_object(decode(raw), "the entry")
                flow = self.flow_of(entry, raw, self._identity(raw), remarks)
                found = flow.captured(self._hosts, offset=raw.offset, entry=number)
            except LeftOutError as error:
                remarks.facts.leave_out(str(error))
            except Exception as error:
                # Anything may stand in an entry; the next one may be whole again.
                known = isinstance(error, OddEntryError)
                what = str(error) if known else f"it cannot be read ({fault_text(error)})"
                remarks.lose(f"skipped, {what}", raw.offset, number)
            else:
                yield found

    def flow_of(
        self, entry: dict[str, Any], raw: RawEntry, flow_id: str, remarks: InputRemarks
    ) -> ExportedFlow:
        """:raises LeftOutError: for what is no exchange.
        :raises OddEntryError: for what cannot be one.
        """
        raise NotImplementedError

    def _identity(self, raw: RawEntry) -> str:
        self._met[raw.digest] += 1
        return entry_id(raw.digest, self._met[raw.digest])


def encoded(text: str) -> bytes:
    """As it went over the wire; halves of pairs, which nothing can have sent, become U+FFFD."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").encode()


def short_text(value: object, raw: RawEntry) -> str:
    """A text, but none that is too long to be kept, and nothing else.

    :raises OddEntryError: for a long one.
    """
    if not isinstance(value, str):
        return ""
    if blob_of(raw, value) is not None:
        raise OddEntryError("a name or a URL is longer than any")
    return value


def plain_fields(pairs: Iterator[tuple[object, object]], raw: RawEntry) -> Fields:
    """Header fields; numbers and words stand as JSON has them, what is too long is cut."""
    found: list[tuple[bytes, bytes]] = []
    for name, value in pairs:
        if not isinstance(name, str) or not name or value is None:
            continue
        found.append((encoded(name), encoded(_header_value(value, raw))))
    return tuple(found)


def _header_value(value: object, raw: RawEntry) -> str:
    if not isinstance(value, str):
        return json.dumps(value) if isinstance(value, int | float) else ""
    # No header that is too long for memory is read by anyone; the length says so.
    return value if blob_of(raw, value) is None else "x" * (MAX_VALUE + 1)


def held_body(
    raw: RawEntry,
    packed: object,
    text: object,
    headers: Headers,
    *,
    charset: str | None = None,
    size: int | None = None,
) -> "TextBody | None":
    """A body by its base64 or else its text; None where an entry has neither."""
    if isinstance(packed, str) and packed:
        return TextBody(raw, packed, is_base64=True, headers=headers)
    if isinstance(text, str) and text:
        return TextBody(raw, text, is_base64=False, headers=headers, charset=charset, size=size)
    return None


class TextBody:
    """The bytes of a body that stands as text in an entry. Where a charset was taken off and
    nothing tells the way back, ``changed`` is True."""

    def __init__(
        self,
        raw: RawEntry,
        text: str,
        *,
        is_base64: bool,
        headers: Headers,
        charset: str | None = None,
        size: int | None = None,
    ) -> None:
        """``size``: how many bytes there should be."""
        self._raw = raw
        self._text = text
        self._is_base64 = is_base64
        self._headers = headers
        self._holder: dict[str, Any] = {}
        if charset is not None:
            self._holder["mimeType"] = f"text/plain; charset={charset}"
        self._size = size
        self.changed = False
        if not is_base64:
            self.changed = self._bytes()[1] or "\N{REPLACEMENT CHARACTER}" in text

    def chunks(self) -> Iterable[bytes]:
        """:raises ValueError: for what is no base64."""
        found, _ = self._bytes()
        if found is None:
            raise ValueError("this is no base64")
        return found

    def _bytes(self) -> tuple[Iterable[bytes] | None, bool]:
        return bytes_in(
            self._raw, self._text, self._is_base64, self._headers, self._holder, self._size
        )

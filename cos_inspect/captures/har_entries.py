"""Finds the entries of a HAR one by one, without reading the file into memory.

Only brackets and quotes are looked at; each entry is then decoded by itself,
so that one odd entry costs nothing but itself, and a file that is cut gives
what came before. A string too large for memory stays where it is.
"""

import json
import re
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any
from uuid import UUID

import msgspec

from cos_inspect.captures.blob import LARGE, Blob, BlobWriter
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.source import Stream

_AHEAD = 1024 * 1024
_LARGEST_ENTRY = 32 * LARGE
"""Bytes that an entry may hold besides its long strings."""
_LARGEST_HEAD = 64 * LARGE
"""Bytes that may stand before the first entry."""
_MOST_PARTS = 1_000_000
"""Objects and lists of one entry: each takes time, also to be passed over."""
_MOST_BLOBS = 64
"""Long strings of one entry; of use are two."""
_LONGEST_NUMBER = 40
_BLOB = "\0blob:"
_BRACKET = re.compile(rb'(?:[^"{}\[\]]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+([{}\[\]"])', re.DOTALL)
"""The next bracket that stands in no string, or the quote of a string without end."""
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]"]', re.DOTALL)
_STRING_END = re.compile(rb'(?:[^"\\]++|\\.)*+"', re.DOTALL)
_FIRST_HALF = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}")
"""Of a pair that stands for one character beyond the first plane."""
_NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Halves of pairs that stand for no byte either."""
_CREATOR = re.compile(rb'"creator"\s*:\s*\{[^{}]*?"name"\s*:\s*"([^"]*)"')
_FILLING = re.compile(rb"[ \t\r\n,]*+")
_OPENING = b"{["
_BLANK = b" \t\r\n\xef\xbb\xbf"
"""Between two documents; the last is a mark that texts of Windows begin with."""


class OddEntryError(ValueError):
    """An entry that cannot be an exchange, and why."""


class RawEntry(msgspec.Struct, frozen=True):
    """One entry of a HAR as JSON text, before it is read."""

    offset: int
    data: bytes
    """Empty where it is too large."""
    blobs: list[Blob]
    digest: bytes
    """Of its bytes as they stand in the file: equal for equal entries, whichever of their strings
    were too large where they stood."""


class HarEntries:
    """The entries of ``log.entries``, also where the log stands bare, or several in a row."""

    def __init__(self, stream: Stream, *, creator: str | None = None) -> None:
        self._stream = stream
        self._buffer = b""
        self._base = stream.offset
        self._inside = stream.offset > 0
        self.creator = creator
        """The program that wrote the file, where it says so before the entries."""

    def entries(self, end: int | None = None) -> Iterator[RawEntry]:
        """:raises CaptureError: where the file is cut, or is not JSON."""
        at = 0 if self._inside else self._to_entries()
        while end is None or self._base + at < end:
            at = self._skip_to(at, b"{]")
            if end is not None and self._base + at >= end:
                return
            if at < 0:
                raise self._cut("the file ends before its list of entries does", self._end)
            if self._buffer[at] == 0x5D:  # ]
                at = self._to_next(at + 1)
                if at < 0:
                    return
                at = self._to_entries(at)
                continue
            entry, at = self._entry(at)
            yield entry

    @property
    def _end(self) -> int:
        return self._base + len(self._buffer)

    def _cut(self, what: str, offset: int) -> CaptureError:
        return CaptureError(self._stream.name, what, offset)

    def _more(self, keep: int) -> bool:
        """Reads on, forgetting what lies before ``keep``; what is appended to a file meanwhile
        does not count."""
        size = max(_AHEAD, len(self._buffer) - keep)
        if self._stream.size is not None:
            size = max(0, min(size, self._stream.size - self._stream.offset))
        data = self._stream.read(size)
        self._base += keep
        self._buffer = self._buffer[keep:] + data
        return bool(data)

    def _to_next(self, at: int) -> int:
        """Where the next document begins, in a file that several were joined in; -1 where none
        does. Within one, nothing opens right behind what closed."""
        closed = True
        while True:
            found = _TOKEN.search(self._buffer, at)
            token = found[0] if found else b'"'
            begin = found.start() if found else len(self._buffer)
            closed = closed and not self._buffer[at:begin].strip(_BLANK)
            if found is None or token == b'"':
                if len(self._buffer) - begin > _LARGEST_ENTRY or not self._more(begin):
                    return -1
                at = 0
                continue
            if closed and token in _OPENING:
                return begin
            closed = token in (b"}", b"]")
            at = found.end()

    def _to_entries(self, at: int = 0) -> int:
        """Where in the buffer the list of entries begins, of the document that begins there."""
        depth = 0
        begun = self._base + at
        start = at
        last = b""
        while True:
            found = _TOKEN.search(self._buffer, at)
            token = found[0] if found else b'"'
            if found is None or token == b'"':
                begin = found.start() if found else len(self._buffer)
                if len(self._buffer) - begin > _LARGEST_ENTRY or not self._more(begin):
                    raise self._cut("this JSON holds no list of entries", self._end)
                at = start = 0
                continue
            at = found.end()
            if token == b"[" and (last == b'"entries"' or depth == 0):
                head = _CREATOR.search(self._buffer, start, at)
                if head is not None:
                    self.creator = head[1].decode("utf-8", "replace")
                return at
            if token[0] == 0x22:
                last = token
                continue
            depth += 1 if token in _OPENING else -1
            last = b""
            if self._base + at - begun > _LARGEST_HEAD:
                raise self._cut("this JSON holds no list of entries", self._end)

    def _skip_to(self, at: int, wanted: bytes) -> int:
        """The next of the wanted characters; -1 when the file ends first."""
        while True:
            found = _FILLING.match(self._buffer, at)
            place = found.end() if found else at
            if place < len(self._buffer):
                if self._buffer[place] in wanted:
                    return place
                what = "the list of entries is broken"
                raise CaptureError(self._stream.name, what, self._base + place, loses=True)
            if not self._more(len(self._buffer)):
                return -1
            at = 0

    def _entry(self, begin: int) -> tuple[RawEntry, int]:
        """The entry at ``begin``, and where it ends."""
        entry = _Entry(self._base + begin)
        depth, at = 0, begin
        while True:
            found = _BRACKET.match(self._buffer, at)
            if found is not None and found[1] != b'"':
                at = found.end()
                if found[1] in _OPENING:
                    depth += 1
                    entry.parts += 1
                    if entry.parts > _MOST_PARTS:
                        what = f"an entry holds more than {_MOST_PARTS} objects and lists"
                        raise CaptureError(self._stream.name, what, entry.offset, loses=True)
                    continue
                depth -= 1
                if depth == 0:
                    entry.take(self._buffer[begin:at])
                    return entry.raw(), at
                continue
            # All strings end before, or nothing but one that does not.
            at = len(self._buffer) if found is None else found.end() - 1
            if len(self._buffer) - at > LARGE:
                entry.take(self._buffer[begin:at])
                begin = at = self._long_string(at + 1, entry)
                continue
            if entry.size + at - begin > _LARGEST_ENTRY:
                entry.take(self._buffer[begin:at])
                begin = at
            at -= begin
            if not self._more(begin):
                raise self._ends_inside(entry)
            begin = 0

    def _long_string(self, at: int, entry: "_Entry") -> int:
        """Takes a string whose content begins at ``at``; where it ends in the buffer."""
        writer = BlobWriter(self._stream, self._base + at, keeps=entry.admits_blob)
        entry.met(b'"')
        while True:
            found = _STRING_END.match(self._buffer, at)
            if found is not None:
                writer.write(entry.met(self._buffer[at : found.end() - 1]))
                entry.take_blob(writer.blob())
                return found.end()
            # A backslash and what it escapes stay together.
            stop = max(at, _whole_escapes(self._buffer))
            writer.write(entry.met(self._buffer[at:stop]))
            if not self._more(stop):
                raise self._ends_inside(entry)
            at = 0

    def _ends_inside(self, entry: "_Entry") -> CaptureError:
        what = "the file ends inside the entry that begins"
        return CaptureError(self._stream.name, what, entry.offset, loses=True)


class _Entry:
    """An entry while it is met. One that is too large is met to its end, and not kept."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.size = 0
        """Bytes so far, long strings left out."""
        self.parts = 0
        """Objects and lists so far."""
        self._data: list[bytes] = []
        self._blobs: list[Blob] = []
        self._digest = blake2b(digest_size=16)

    @property
    def _fits(self) -> bool:
        return self.size <= _LARGEST_ENTRY

    @property
    def admits_blob(self) -> bool:
        return self._fits and len(self._blobs) < _MOST_BLOBS

    def met(self, data: bytes) -> bytes:
        """Notes bytes of the file, and gives them back."""
        self._digest.update(data)
        return data

    def take(self, data: bytes) -> None:
        """Takes bytes of the file."""
        self._keep(self.met(data))

    def _keep(self, data: bytes) -> None:
        self.size += len(data)
        if self._fits:
            self._data.append(data)
        else:
            self._data.clear()

    def take_blob(self, blob: Blob) -> None:
        if not self.admits_blob:
            self.size = _LARGEST_ENTRY + 1
        self.met(b'"')
        self._keep(f'"\\u0000blob:{len(self._blobs)}"'.encode())
        if self._fits:
            self._blobs.append(blob)

    def raw(self) -> RawEntry:
        data = b"".join(self._data) if self._fits else b""
        return RawEntry(self.offset, data, self._blobs, self._digest.digest())


def entry_id(digest: bytes, occurrence: int) -> str:
    """The same entry in two files has the same id; twice in one file, it has two."""
    if occurrence > 1:
        digest = blake2b(digest + str(occurrence).encode(), digest_size=16).digest()
    return str(UUID(bytes=digest))


def decode(entry: RawEntry) -> Any:
    """The entry as plain values. Strings too large stand as what ``blob_of`` knows.

    :raises ValueError: for what is no JSON, or too large.
    """
    if not entry.data:
        raise OddEntryError("it is too large")
    try:
        return msgspec.json.decode(entry.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Lone surrogates, control characters, NaN, endless numbers, bytes that are no UTF-8.
        text = entry.data.decode("utf-8", "surrogateescape")
        try:
            return json.loads(text, strict=False, parse_int=_integer)
        except RecursionError as error:
            raise OddEntryError("it is nested too deeply") from error


def _integer(digits: str) -> int | None:
    """None for what is longer than any number that a HAR has."""
    return int(digits) if len(digits) <= _LONGEST_NUMBER else None


def blob_of(entry: RawEntry, text: str) -> Blob | None:
    """What a string of the entry stands for, when it was too large."""
    if not text.startswith(_BLOB):
        return None
    number = text.removeprefix(_BLOB)
    known = number.isascii() and number.isdigit() and len(number) < _LONGEST_NUMBER
    return entry.blobs[int(number)] if known and int(number) < len(entry.blobs) else None


def unescaped(blob: Blob) -> Iterator[bytes]:
    """The value of a JSON string in UTF-8, piece by piece.

    :raises ValueError: for an escape that is none.
    """
    rest = b""
    for piece in blob.chunks():
        chunk = rest + piece
        rest = b""
        if b"\\" in chunk[-12:]:
            # An escape, or one half of a pair, may go on in the next piece.
            window = max(0, len(chunk) - 12)
            cut = _whole_escapes(chunk[: chunk.index(b"\\", window) + 1])
            if _FIRST_HALF.match(chunk, cut - 6) and _whole_escapes(chunk[: cut - 5]) == cut - 6:
                cut -= 6
            chunk, rest = chunk[:cut], chunk[cut:]
        if b"\\" in chunk:
            chunk = _plain(chunk)
        yield chunk
    if rest:
        yield _plain(rest)


def _whole_escapes(data: bytes) -> int:
    """How much of it does not end with a backslash that escapes what follows."""
    run = len(data) - len(data.rstrip(b"\\"))
    return len(data) - run % 2


def _plain(chunk: bytes) -> bytes:
    # Latin-1 lets bytes of UTF-8 pass that a piece may have cut apart.
    parts: list[bytes] = []
    at = 0
    for found in re.finditer(rb"(?:\\u[0-9a-fA-F]{4}|\\.)++", chunk):
        parts.append(chunk[at : found.start()])
        text = _NO_BYTE.sub("\ufffd", json.loads(b'"' + found[0] + b'"'))
        parts.append(text.encode("utf-8", "surrogateescape"))
        at = found.end()
    parts.append(chunk[at:])
    return b"".join(parts)

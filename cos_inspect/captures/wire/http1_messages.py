"""Heads of HTTP/1 messages, and where their bodies end (RFC 9112)."""

import re
from collections.abc import Callable
from typing import NamedTuple, Protocol

from cos_inspect.captures.wire.events import SEQUENCE_MASK, Segment
from cos_inspect.recording.message_heads import (
    DEFAULT_PORTS,
    LONGEST_NUMBER,
    AnswerHead,
    Fields,
    RequestHead,
    parse_authority,
)

_LARGEST_HEAD = 256 * 1024
_HEAD_END = re.compile(rb"\n\r?\n")
_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}) (\S{1,262144}) (HTTP/1\.[0-9])")
_STATUS_LINE = re.compile(rb"(HTTP/1\.[0-9]) ([1-9][0-9]{2})(?: ([^\r\n]*))?")
_ABSOLUTE = re.compile(rb"(https?)://([^/?#]+)(.*)", re.IGNORECASE | re.DOTALL)
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")
_LONGEST_LINE = 16 * 1024
_BODILESS = (204, 304)


class PartialHead:
    """Bytes of a head that is not whole yet, and where it begins."""

    __slots__ = ("acknowledged", "data", "is_whole", "position", "time")

    def __init__(self) -> None:
        self.data = bytearray()
        self.position = 0
        self.acknowledged = -1
        self.time = 0.0
        self.is_whole = False
        """It ended in the segment that was added last."""

    def add(self, segment: Segment, at: int) -> int:
        """Takes what is of the head from a segment; where in it the rest begins, or -1 where
        the head is longer than any."""
        data = segment.data
        if not self.data:
            while data[at : at + 1] in (b"\r", b"\n"):
                at += 1
            self.position = (segment.position + at) & SEQUENCE_MASK
            self.acknowledged = segment.acknowledged
            self.time = segment.time
        before = len(self.data)
        self.data += data[at:]
        found = _HEAD_END.search(self.data, max(0, before - 2))
        if found is None:
            self.is_whole = False
            return -1 if len(self.data) > _LARGEST_HEAD else len(data)
        self.is_whole = True
        rest = len(self.data) - found.end()
        del self.data[found.start() :]
        return len(data) - rest

    def taken(self) -> bytes:
        """The head's bytes, which are forgotten then."""
        data = bytes(self.data)
        self.data.clear()
        return data


class ReadRequest(NamedTuple):
    """A request's head, read."""

    head: RequestHead
    framing: "Framing | None"
    """None where no body follows."""


def begins_request(data: bytes) -> bool:
    """Whether what lies there begins with a request line of HTTP/1."""
    line = data[:_LONGEST_LINE].split(b"\n", 1)[0].rstrip(b"\r")
    return _REQUEST_LINE.fullmatch(line) is not None


def begins_answer(data: bytes) -> bool:
    """Whether what lies there begins as an answer does that is not interim."""
    return data.startswith(b"HTTP/1.") and data[9:10] not in (b"", b"1")


def read_request_head(data: bytes, scheme: str, server: tuple[str, int]) -> ReadRequest | None:
    """None for what is none. ``server``: address and port, for a request that names no host."""
    lines = data.split(b"\n")
    found = _REQUEST_LINE.fullmatch(lines[0].rstrip(b"\r"))
    fields = _fields(lines[1:])
    if found is None or fields is None:
        return None
    method, target, version = found.groups()
    host, port = server
    authority = b""
    absolute = _ABSOLUTE.fullmatch(target)
    if method == b"CONNECT":
        authority, target = target, b""
    elif absolute is not None:
        # As proxies are asked.
        scheme = absolute[1].decode().lower()
        authority, target = absolute[2], absolute[3] or b"/"
        if not target.startswith(b"/"):
            target = b"/" + target
        host, named = parse_authority(authority.decode("utf-8", "replace"))
        port = named or DEFAULT_PORTS[scheme]
    head = RequestHead(fields, method, scheme.encode(), authority, host, port, target, version)
    framing = _framing(fields, of_answer=False)
    return None if framing is _BROKEN else ReadRequest(head, framing)


def read_answer_head(data: bytes) -> AnswerHead | None:
    """Status line and fields of an answer (RFC 9112, 4); None where they are none."""
    lines = data.split(b"\n")
    found = _STATUS_LINE.fullmatch(lines[0].rstrip(b"\r"))
    fields = _fields(lines[1:])
    if found is None or fields is None:
        return None
    return AnswerHead(fields, int(found[2]), found[3] or b"", found[1])


def answer_framing(head: AnswerHead, method: bytes) -> "Framing | None":
    """How the body ends behind the head of an answer to a request of this ``method`` (RFC 9112,
    6.3); None where none follows."""
    if method == b"HEAD" or head.status in _BODILESS or head.status < 200:
        return None
    framing = _framing(head.fields, of_answer=True)
    # What cannot be read says nothing: all that comes is the body.
    return UntilClose() if framing is _BROKEN else framing


def _fields(lines: list[bytes]) -> Fields | None:
    """As mitmproxy reads them (``net/http/http1/read.py``)."""
    fields: list[tuple[bytes, bytes]] = []
    for raw in lines:
        line = raw.removesuffix(b"\r")
        if not line:
            continue
        if line[:1] in (b" ", b"\t"):
            if not fields:
                return None
            name, value = fields[-1]
            fields[-1] = name, value + b"\r\n " + line.strip()
            continue
        name, colon, value = line.partition(b":")
        if not colon or not name:
            return None
        fields.append((name, value.strip()))
    return tuple(fields)


class Framing(Protocol):
    """Where a body ends."""

    done: bool
    """All of it came."""
    ends_with_stream: bool
    """The end of the stream is its end."""

    def take(self, data: bytes, body: Callable[[bytes], object]) -> int:
        """Hands the body's bytes on; how many of the given were its own or its framing's. -1
        where the framing is broken."""

    def hole(self, length: int | None) -> bool:
        """Some bytes are missing. False where nobody can know what they were."""


class KnownLength:
    """Content-Length."""

    ends_with_stream = False

    def __init__(self, length: int) -> None:
        self._remaining = length
        self.done = not length

    def take(self, data: bytes, body: Callable[[bytes], object]) -> int:
        """As in ``Framing``."""
        size = len(data)
        if size > self._remaining:
            size = self._remaining
            data = data[:size]
        if size:
            body(data)
        self._remaining -= size
        self.done = not self._remaining
        return size

    def hole(self, length: int | None) -> bool:
        """As in ``Framing``."""
        if length is None or length > self._remaining:
            return False
        self._remaining -= length
        self.done = not self._remaining
        return True


class UntilClose:
    """An answer that says nothing of its length."""

    done = False
    ends_with_stream = True

    def take(self, data: bytes, body: Callable[[bytes], object]) -> int:
        """As in ``Framing``."""
        body(data)
        return len(data)

    def hole(self, length: int | None) -> bool:  # noqa: ARG002
        """As in ``Framing``."""
        return True


class Chunked:
    """``Transfer-Encoding: chunked``."""

    ends_with_stream = False

    def __init__(self) -> None:
        self.done = False
        self._line = b""
        self._remaining = 0
        """Of a chunk's bytes."""
        self._expects = "size"
        """``size``, ``data``, ``end`` (the line end behind a chunk) or ``trailer``."""

    def take(self, data: bytes, body: Callable[[bytes], object]) -> int:
        """As in ``Framing``."""
        at = 0
        while at < len(data) and not self.done:
            if self._expects == "data":
                size = min(self._remaining, len(data) - at)
                body(data[at : at + size])
                at += size
                self._remaining -= size
                if not self._remaining:
                    self._expects = "end"
                continue
            newline = data.find(b"\n", at)
            stop = len(data) if newline < 0 else newline
            self._line += data[at:stop]
            if len(self._line) > _LONGEST_LINE:
                return -1
            if newline < 0:
                return len(data)
            at = newline + 1
            line, self._line = self._line.removesuffix(b"\r"), b""
            if not self._read_line(line):
                return -1
        return at

    def _read_line(self, line: bytes) -> bool:
        if self._expects == "end":
            self._expects = "size"
            return not line
        if self._expects == "trailer":
            self.done = not line
            return True
        found = _SIZE_LINE.fullmatch(line)
        if found is None:
            return False
        self._remaining = int(found[1], 16)
        self._expects = "data" if self._remaining else "trailer"
        return True

    def hole(self, length: int | None) -> bool:
        """As in ``Framing``: only inside of one chunk."""
        if length is None or self._expects != "data" or length > self._remaining:
            return False
        self._remaining -= length
        if not self._remaining:
            self._expects = "end"
        return True


_BROKEN = UntilClose()


def _framing(fields: Fields, *, of_answer: bool) -> Framing | None:
    """RFC 9112, 6.3; ``_BROKEN`` where it cannot be read."""
    codings: list[bytes] = []
    lengths: set[bytes] = set()
    for name, value in fields:
        known = name.lower()
        if known == b"transfer-encoding":
            codings += [each.strip().lower() for each in value.split(b",")]
        elif known == b"content-length":
            lengths |= {each.strip() for each in value.split(b",")}
    codings = [each for each in codings if each and each != b"identity"]
    if codings:
        if codings[-1] == b"chunked":
            return Chunked()
        return UntilClose() if of_answer else _BROKEN
    if not lengths:
        return UntilClose() if of_answer else None
    value = lengths.pop()
    if lengths or not value.isdigit() or len(value) > LONGEST_NUMBER:
        return _BROKEN
    length = int(value)
    return KnownLength(length) if length else None

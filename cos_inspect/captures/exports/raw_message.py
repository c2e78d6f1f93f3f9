"""The head of a message that is kept as it went over the wire (RFC 9112)."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from cos_inspect.recording.message_heads import Fields

LARGEST_HEAD = 1024 * 1024
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_LINE = re.compile(rb"\r?\n")
_STATUS = re.compile(rb"(HTTP/[0-9.]{1,5})[ \t]+([0-9]{3})(?:[ \t]+(.*))?", re.DOTALL)
_INTERIM = re.compile(rb"HTTP/1\.[01] 1(?!01)[0-9]{2}[^0-9]")
_ABORTED = re.compile(rb"HTTP/[0-9.]{1,5}[ \t]+aborted(?:[ \t]+\(([0-9]{3})\))?")


class RawMessage(NamedTuple):
    """A message's head, and where its body begins."""

    line: bytes
    """The first line."""
    fields: Fields
    body: int
    """Bytes before the body."""


class RawMessageError(ValueError):
    """What stands there is no message, in words."""


class StatusLine(NamedTuple):
    """The first line of an answer."""

    http_version: bytes
    status: int | None
    """None where there is none: Whistle writes ``aborted`` in its place."""
    reason: bytes


def read_message(chunks: Iterable[bytes]) -> RawMessage | None:
    """The head at the beginning of a member; None where it is empty. Interim answers (100, 103)
    before the answer are passed over.

    :raises RawMessageError: where all of them do not end within the first MiB.
    """
    held = bytearray()
    begin = searched = 0
    for data in chunks:
        held += data
        while True:
            found = _HEAD_END.search(held, max(begin, searched - 3))
            if found is None:
                break
            head = bytes(held[begin : found.start()])
            if _INTERIM.match(head) is None:
                return _read_head(head, found.end())
            begin = searched = found.end()
        searched = len(held)
        if len(held) > LARGEST_HEAD:
            raise RawMessageError("a message whose head has no end")
    rest = bytes(held[begin:])
    if not rest.strip():
        return None
    # Some programs leave the empty line out where no body follows.
    return _read_head(rest.rstrip(b"\r\n"), len(held))


def _read_head(head: bytes, body: int) -> RawMessage:
    line, *lines = _LINE.split(head.lstrip(b"\r\n\xef\xbb\xbf"))
    fields: list[tuple[bytes, bytes]] = []
    for each in lines:
        if each[:1] in (b" ", b"\t") and fields:
            name, value = fields[-1]
            fields[-1] = name, value + b" " + each.strip()
            continue
        name, colon, value = each.partition(b":")
        if colon and name.strip():
            fields.append((name.strip(), value.strip()))
    return RawMessage(line, tuple(fields), body)


def request_line(line: bytes) -> tuple[bytes, bytes, bytes]:
    """Method, target and version.

    :raises RawMessageError: for what is no request.
    """
    method, space, rest = line.partition(b" ")
    target, last_space, version = rest.rpartition(b" ")
    if last_space and version.upper().startswith(b"HTTP/"):
        return method, target.strip(), version.upper()
    if not space or not method.isalpha() or not rest.strip():
        raise RawMessageError("a request whose first line is none")
    return method, rest.strip(), b"HTTP/1.1"


def status_line(line: bytes) -> StatusLine:
    """:raises RawMessageError: for what is no answer."""
    found = _STATUS.fullmatch(line)
    if found is not None:
        return StatusLine(found[1], int(found[2]), found[3] or b"")
    aborted = _ABORTED.match(line)
    if aborted is not None:
        return StatusLine(b"HTTP/1.1", int(aborted[1]) if aborted[1] else None, b"aborted")
    raise RawMessageError("an answer whose first line is none")


def behind(chunks: Iterable[bytes], begin: int) -> Iterator[bytes]:
    """What stands behind the first ``begin`` bytes."""
    for data in chunks:
        if begin >= len(data):
            begin -= len(data)
            continue
        yield data[begin:] if begin else data
        begin = 0

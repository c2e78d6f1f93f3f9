"""What the proxy and the process beside it say to each other: frames with a length before them."""

from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec

from cos_inspect.exchange import Exchange, Headers
from cos_inspect.proxy.kept import Kept
from cos_inspect.report.model import FlowReport

_LENGTH_BYTES = 8


class Begin(msgspec.Struct, frozen=True, tag=True):
    state: bytes
    """Settings and session, pickled."""


class Seen(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=True):
    """A flow of COS that was read as it passed."""

    exchange: Exchange
    marks: tuple[tuple[int, int], ...] = ()


class Flows(msgspec.Struct, frozen=True, tag=True):
    flows: list[Seen | Kept]
    width: int | None
    colour: bool
    """How the terminal looks now."""


class Finish(msgspec.Struct, frozen=True, tag=True):
    """Asks for the last answer."""


class Answer(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    flows: int = 0
    """How many were judged since the answer before."""
    lines: list[tuple[int, str, str]] = []
    """Log level; plain text; text for the terminal."""
    revised: list[FlowReport] = []
    """Of flows that were judged before the process began."""
    verdicts: dict[str, int] = {}
    rules: dict[str, int] = {}
    """What the process has counted so far."""
    state: bytes | None = None
    """With the last answer: the desk's state, pickled."""
    is_lost: bool = False
    """The process ended too early."""


Request = Begin | Flows | Finish


def _plain(value: Any) -> Any:
    if isinstance(value, Headers):
        return value.fields
    raise NotImplementedError(type(value))


def _whole(kind: type, value: Any) -> Any:
    if kind is Headers:
        return Headers((name, text) for name, text in value)
    raise NotImplementedError(kind)


_encoder = msgspec.msgpack.Encoder(enc_hook=_plain)
_requests = msgspec.msgpack.Decoder(Request, dec_hook=_whole)
_answers = msgspec.msgpack.Decoder(Answer)


def frame(message: Request | Answer) -> bytes:
    """A message as it goes through a pipe."""
    data = _encoder.encode(message)
    return len(data).to_bytes(_LENGTH_BYTES, "little") + data


def requests(file: BinaryIO) -> Iterator[Request]:
    """Until the file ends, or inside a message."""
    for data in _frames(file):
        yield _requests.decode(data)


def answers(file: BinaryIO) -> Iterator[Answer]:
    for data in _frames(file):
        yield _answers.decode(data)


def _frames(file: BinaryIO) -> Iterator[bytes]:
    while len(head := file.read(_LENGTH_BYTES)) == _LENGTH_BYTES:
        size = int.from_bytes(head, "little")
        data = file.read(size)
        if len(data) < size:
            return
        yield data

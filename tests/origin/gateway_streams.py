"""Requests and answers on streams, whichever protocol they belong to."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field

from tests.origin.message import Fields


@dataclass
class Request:
    """A whole request, as a stream brought it."""

    fields: Fields
    """With the pseudo-header fields in front."""
    body: bytearray = field(default_factory=bytearray)

    def get(self, name: str) -> str:
        return next((value for key, value in self.fields if key == name), "")


@dataclass(frozen=True)
class Head:
    """The first part of an answer; what follows is its body, in pieces."""

    status: int
    fields: Fields


class BrokenOffError(Exception):
    """The origin ended the connection before the answer was whole."""


@dataclass
class Streams:
    """What the gateway's servers share."""

    forward: Callable[[Request], AsyncIterator[Head | bytes]]
    protocols: list[str] = field(default_factory=list)
    """Of every request that came, in order: ``HTTP/2`` or ``HTTP/3``."""
    faults: list[BaseException] = field(default_factory=list)
    """Mistakes in these servers; there must be none."""
    cancels: bool = False
    """What is broken off is cancelled, over HTTP/2; else it is an internal error."""


class Serving:
    """The streams of one connection that are being answered."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def begin(self, number: int, protocol: str, work: Coroutine[None, None, None]) -> None:
        self._streams.protocols.append(protocol)
        task = asyncio.ensure_future(work)
        self._tasks[number] = task
        task.add_done_callback(lambda task: self._done(number, task))

    def _done(self, number: int, task: "asyncio.Future[None]") -> None:
        del self._tasks[number]
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._streams.faults.append(fault)

    def cancel(self, number: int) -> None:
        """The client has reset it."""
        if number in self._tasks:
            self._tasks[number].cancel()

    def cancel_all(self) -> None:
        for number in tuple(self._tasks):
            self.cancel(number)

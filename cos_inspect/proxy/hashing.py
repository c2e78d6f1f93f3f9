"""Hashing beside the event loop, where a core is free for it.

MD5 costs more than all that mitmproxy does with a large body, and lets other
threads run while it works. So chunks are gathered in buffers and handed to a few
threads; each body stays with one of them, which keeps its chunks in order. What
waits is bounded: beyond that, whoever hands over more waits as well, and with it
the sender. Buffers are used again: fresh memory costs more than the copying.
"""

import os
import queue
import threading
import weakref
from typing import Protocol

GATHERED = 1024 * 1024
"""Bytes handed over at a time: fewer hand-overs, still little memory."""
_MOST_WAITING = 16 * 1024 * 1024
"""Bytes of all bodies that may wait to be hashed."""
_MOST_THREADS = 4
_MOST_SPARE = 4
"""Buffers that are kept for the next bodies."""
_MANY_LANES = 16
_SMALL = 128 * 1024


class Fed(Protocol):
    """What meets the bytes."""

    def feed(self, data: memoryview) -> None: ...


def spare_cores() -> int:
    """Cores beside the one that the event loop uses."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) - 1
    return (os.cpu_count() or 1) - 1


class Lane:
    """One body's way to a hashing thread. ``put`` and ``drain`` belong to one thread."""

    __slots__ = (
        "__weakref__",
        "_buffer",
        "_fed",
        "_filled",
        "_hashing",
        "_queue",
        "fault",
        "waiting",
    )

    def __init__(self, hashing: "Hashing", jobs: "queue.SimpleQueue[_Job]", fed: Fed) -> None:
        self._hashing = hashing
        self._queue = jobs
        self._fed = fed
        self._buffer: memoryview | None = None
        self._filled = 0
        self.waiting = 0
        """Bytes handed over and not yet hashed."""
        self.fault: Exception | None = None
        """What went wrong while hashing; nothing is hashed from then on."""

    def put(self, data: bytes) -> None:
        buffer, filled = self._buffer, self._filled
        if buffer is None:
            buffer = self._buffer = self._hashing.buffer()
        end = filled + len(data)
        if end < len(buffer):
            buffer[filled:end] = data
            self._filled = end
        else:
            room = len(buffer) - filled
            buffer[filled:] = data[:room]
            self._filled = len(buffer)
            self._hand_over()
            if len(data) > room:
                self.put(data[room:])

    def drain(self) -> None:
        """Returns when all that was put has been hashed."""
        if self._filled:
            self._hand_over()
        self._hashing.wait_for(self)

    def _hand_over(self) -> None:
        buffer, size = self._buffer, self._filled
        self._buffer, self._filled = None, 0
        if buffer is not None:
            self._hashing.take(self, size)
            self._queue.put((self, buffer, size))

    def work(self, buffer: memoryview, size: int) -> None:
        """Runs on the hashing thread."""
        try:
            if self.fault is None:
                self._fed.feed(buffer[:size])
        except Exception as fault:
            self.fault = fault
        finally:
            self._hashing.done(self, buffer, size)


_Job = tuple[Lane, memoryview, int]


class Hashing:
    """The threads, made when the first body needs them."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._queues: list[queue.SimpleQueue[_Job]] = []
        self._next = 0
        self._changed = threading.Condition()
        self._waiting = 0
        self._lanes: weakref.WeakSet[Lane] = weakref.WeakSet()
        self._spare: list[memoryview] = []

    def lane(self, fed: Fed) -> Lane:
        if not self._queues:
            for number in range(self._threads):
                jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
                self._queues.append(jobs)
                threading.Thread(
                    target=_run, args=(jobs,), name=f"cos-inspect-hashing-{number}", daemon=True
                ).start()
        self._next = (self._next + 1) % len(self._queues)
        lane = Lane(self, self._queues[self._next], fed)
        self._lanes.add(lane)
        return lane

    def buffer(self) -> memoryview:
        """To gather chunks in; a small one where many bodies are under way."""
        if len(self._lanes) > _MANY_LANES:
            return memoryview(bytearray(_SMALL))
        with self._changed:
            if self._spare:
                return self._spare.pop()
        return memoryview(bytearray(GATHERED))

    def take(self, lane: Lane, size: int) -> None:
        """Counts bytes as waiting; waits first while there are too many."""
        with self._changed:
            while self._waiting >= _MOST_WAITING:
                self._changed.wait()
            self._waiting += size
            lane.waiting += size

    def done(self, lane: Lane, buffer: memoryview, size: int) -> None:
        with self._changed:
            if len(buffer) == GATHERED and len(self._spare) < _MOST_SPARE:
                self._spare.append(buffer)
            self._waiting -= size
            lane.waiting -= size
            self._changed.notify_all()

    def wait_for(self, lane: Lane) -> None:
        with self._changed:
            while lane.waiting:
                self._changed.wait()


def _run(jobs: "queue.SimpleQueue[_Job]") -> None:
    while True:
        lane, buffer, size = jobs.get()
        lane.work(buffer, size)


_spare = spare_cores()
HASHING: Hashing | None = Hashing(min(_spare, _MOST_THREADS)) if _spare > 0 else None
"""None where the event loop's core is the only one: handing over would gain nothing."""

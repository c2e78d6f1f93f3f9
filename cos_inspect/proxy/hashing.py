"""Hashing beside the event loop, where a core is free for it.

MD5 costs more than all that mitmproxy does with a large body, and lets other
threads run while it works. So chunks are gathered and handed to a few threads;
each body stays with one of them, which keeps its chunks in order. What waits
is bounded: beyond that, whoever hands over more waits as well, and with it the
sender.
"""

import os
import queue
import threading
from typing import Protocol

GATHERED = 1024 * 1024
"""Bytes handed over at a time: fewer hand-overs, still little memory."""
_MOST_WAITING = 16 * 1024 * 1024
"""Bytes of all bodies that may wait to be hashed."""
_MOST_THREADS = 4


class Fed(Protocol):
    """What meets the bytes."""

    def feed(self, data: bytes) -> None: ...


def spare_cores() -> int:
    """Cores beside the one that the event loop uses."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) - 1
    return (os.cpu_count() or 1) - 1


class Lane:
    """One body's way to a hashing thread. ``put`` and ``drain`` belong to one thread."""

    __slots__ = ("_chunks", "_fed", "_gathered", "_hashing", "_queue", "fault", "waiting")

    def __init__(self, hashing: "Hashing", jobs: "queue.SimpleQueue[_Job]", fed: Fed) -> None:
        self._hashing = hashing
        self._queue = jobs
        self._fed = fed
        self._chunks: list[bytes] = []
        self._gathered = 0
        self.waiting = 0
        """Bytes handed over and not yet hashed."""
        self.fault: Exception | None = None
        """What went wrong while hashing; nothing is hashed from then on."""

    def put(self, data: bytes) -> None:
        self._chunks.append(data)
        self._gathered += len(data)
        if self._gathered >= GATHERED:
            self._hand_over()

    def drain(self) -> None:
        """Returns when all that was put has been hashed."""
        if self._gathered:
            self._hand_over()
        self._hashing.wait_for(self)

    def _hand_over(self) -> None:
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks = []
        self._gathered = 0
        self._hashing.take(self, len(data))
        self._queue.put((self, data))

    def work(self, data: bytes) -> None:
        """Runs on the hashing thread."""
        try:
            if self.fault is None:
                self._fed.feed(data)
        except Exception as fault:
            self.fault = fault
        finally:
            self._hashing.done(self, len(data))


_Job = tuple[Lane, bytes]


class Hashing:
    """The threads, made when the first body needs them."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._queues: list[queue.SimpleQueue[_Job]] = []
        self._next = 0
        self._changed = threading.Condition()
        self._waiting = 0

    def lane(self, fed: Fed) -> Lane:
        if not self._queues:
            for number in range(self._threads):
                jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
                self._queues.append(jobs)
                threading.Thread(
                    target=_run, args=(jobs,), name=f"cos-inspect-hashing-{number}", daemon=True
                ).start()
        self._next = (self._next + 1) % len(self._queues)
        return Lane(self, self._queues[self._next], fed)

    def take(self, lane: Lane, size: int) -> None:
        """Counts bytes as waiting; waits first while there are too many."""
        with self._changed:
            while self._waiting >= _MOST_WAITING:
                self._changed.wait()
            self._waiting += size
            lane.waiting += size

    def done(self, lane: Lane, size: int) -> None:
        with self._changed:
            self._waiting -= size
            lane.waiting -= size
            self._changed.notify_all()

    def wait_for(self, lane: Lane) -> None:
        with self._changed:
            while lane.waiting:
                self._changed.wait()


def _run(jobs: "queue.SimpleQueue[_Job]") -> None:
    while True:
        lane, data = jobs.get()
        lane.work(data)


_spare = spare_cores()
HASHING: Hashing | None = Hashing(min(_spare, _MOST_THREADS)) if _spare > 0 else None
"""None where the event loop's core is the only one: handing over would gain nothing."""

"""Hashing beside the event loop, where a core is free for it.

MD5 costs more than all that mitmproxy does with a large body, and lets other
threads run while it works. So chunks are gathered in buffers and handed to a few
threads; each body stays with one of them, which keeps its chunks in order. What
waits is bounded: beyond that, whoever hands over more waits as well, and with it
the sender. Buffers are used again: fresh memory costs more than the copying.

Whoever waits is the event loop, so it waits only while the thread gets on. Where
the thread has ended, or hashes nothing for some seconds, the event loop hashes by
itself what nobody has begun; a body that is stuck inside a thread is given up.
"""

import collections
import logging
import os
import queue
import threading
import time
import weakref
from collections.abc import Callable
from typing import Protocol

logger = logging.getLogger(__name__)

GATHERED = 1024 * 1024
"""Bytes handed over at a time: fewer hand-overs, still little memory."""
_STEP = 64 * 1024
"""Bytes hashed at a time where that takes long, so that it can be seen to get on."""
_MOST_WAITING = 16 * 1024 * 1024
"""Bytes of all bodies that may wait to be hashed."""
_MOST_THREADS = 4
_MOST_SPARE = 4
"""Buffers that are kept for the next bodies."""
_MANY_BODIES = 16
_SMALL = 128 * 1024
_TICK = 0.1
"""Seconds between looks at a thread that somebody waits for."""
_PATIENCE = 50
"""Looks in a row at which nothing was hashed. On a machine that is slow or stopped, whoever
waits is woken as seldom as the thread is, so these are no less than some seconds of both."""
_RETRY_SECONDS = 10.0
"""Until a thread is tried again, after one could not be started."""


class ByteSink(Protocol):
    """What meets the bytes."""

    def feed(self, data: memoryview) -> None:
        """Take the next bytes; they are overwritten afterwards."""

    @property
    def is_slow(self) -> bool:
        """Whether a buffer may take long, and is better fed in steps."""


class StalledError(Exception):
    """A thread has begun with a piece of a body, and does not get on."""


def spare_cores() -> int:
    """Cores beside the one that the event loop uses."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) - 1
    return (os.cpu_count() or 1) - 1


class HashingQueue:
    """One body's way to a hashing thread. ``put`` and ``drain`` belong to one thread, the
    event loop's."""

    __slots__ = (
        "__weakref__",
        "_buffer",
        "_fed",
        "_filled",
        "_hashing",
        "_helper",
        "fault",
        "is_taken_over",
        "jobs",
    )

    def __init__(self, hashing: "Hashing", helper: "_Helper", fed: ByteSink) -> None:
        self._hashing = hashing
        self._helper = helper
        self._fed = fed
        self._buffer: memoryview | None = None
        self._filled = 0
        self.jobs: collections.deque[tuple[memoryview, int]] = collections.deque()
        """Buffers, and how much of each is filled, that nobody has begun to hash."""
        self.is_taken_over = False
        """The event loop hashes by itself, as the thread does not."""
        self.fault: BaseException | None = None
        """What went wrong while hashing; nothing is hashed from then on."""

    @property
    def waiting(self) -> int:
        """Bytes handed over that nobody has begun to hash."""
        return sum(size for _, size in self.jobs)

    def put(self, data: bytes) -> None:
        """The next bytes of the body, on the event loop. They are copied; never raises."""
        if self.fault is not None:
            return
        if self.is_taken_over:
            self._work(memoryview(data))
            return
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
        """Returns when all that was put has been hashed, or cannot be; then there is a
        ``fault``."""
        if self._filled:
            self._hand_over()
        if not self.is_taken_over and not self._helper.wait_for(self):
            self._go_on_here()

    def _hand_over(self) -> None:
        buffer, size = self._buffer, self._filled
        self._buffer, self._filled = None, 0
        if buffer is not None and not self._helper.take(self, buffer, size):
            self._go_on_here()
            self._work(buffer[:size])

    def _go_on_here(self) -> None:
        while self.jobs:
            buffer, size = self.jobs.popleft()
            self._work(buffer[:size])

    def work(self, buffer: memoryview, size: int, step: Callable[[], None]) -> None:
        """Runs on the hashing thread, which calls ``step`` where it gets on inside a buffer."""
        length = _STEP if self._fed.is_slow else size
        for at in range(0, size, length):
            if at:
                step()
            self._work(buffer[at : min(size, at + length)])
        self._hashing.keep(buffer)

    def _work(self, data: memoryview) -> None:
        if self.fault is not None:
            return
        try:
            self._fed.feed(data)
        except Exception as fault:
            self.fault = fault


class _Helper:
    """A thread, and the queues of the bodies that it hashes."""

    def __init__(self, number: int, most_waiting: int) -> None:
        self._most_waiting = most_waiting
        self._queues: queue.SimpleQueue[HashingQueue] = queue.SimpleQueue()
        """Once for each job."""
        self._changed = threading.Condition()
        self._waiting = 0
        """Bytes handed over and not yet hashed."""
        self._progress = 0
        self._busy_with: HashingQueue | None = None
        self._is_stuck = False
        self._thread = threading.Thread(
            target=self._run, name=f"cos-inspect-hashing-{number}", daemon=True
        )

    def start(self) -> None:
        """RuntimeError or MemoryError when the system gives no more threads."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def is_of_use(self) -> bool:
        return self.is_alive and not self._is_stuck

    def take(self, body: HashingQueue, buffer: memoryview, size: int) -> bool:
        """Takes a job, and waits first while there are too many; False when it does not get
        on with those: then it has nothing more to do with the body."""
        if not self._lock(body):
            return False
        try:
            if not self._wait(lambda: self._waiting < self._most_waiting):
                self._leave(body)
                return False
            self._waiting += size
            body.jobs.append((buffer, size))
        finally:
            self._changed.release()
        self._queues.put(body)
        return True

    def wait_for(self, body: HashingQueue) -> bool:
        """Returns when the body's jobs are done; False as above."""
        if not self._lock(body):
            return False
        try:
            if self._wait(lambda: not body.jobs and self._busy_with is not body):
                return True
            self._leave(body)
            return False
        finally:
            self._changed.release()

    def _lock(self, body: HashingQueue) -> bool:
        """Enters ``_changed``. False when it is not to be had, and nobody knows what has become
        of the body."""
        looks = 1 if self._is_stuck else _PATIENCE
        if any(self._changed.acquire(timeout=_TICK) for _ in range(looks)):
            return True
        self._note_stuck()
        body.fault = StalledError("a thread that hashes keeps its lock")
        body.is_taken_over = True
        return False

    def _wait(self, is_over: Callable[[], bool]) -> bool:
        before, looks = self._progress, 0
        while not is_over():
            if not self.is_of_use:
                return False
            notified = self._changed.wait(_TICK)
            looks = 0 if notified or self._progress != before else looks + 1
            before = self._progress
            if looks == _PATIENCE:
                self._note_stuck()
        return True

    def _note_stuck(self) -> None:
        if not self._is_stuck:
            self._is_stuck = True
            logger.warning("a thread that hashes the bodies of COS flows does not get on")

    def _leave(self, body: HashingQueue) -> None:
        """Nobody can go on where it has stopped in the middle."""
        self._waiting -= body.waiting
        body.is_taken_over = True
        if self._busy_with is body:
            body.fault = StalledError("a thread that hashes does not get on")

    def _run(self) -> None:
        while True:
            body = self._queues.get()
            with self._changed:
                if body.is_taken_over or not body.jobs:
                    continue
                # In this order: should the thread end here, what it took is not hashed.
                self._busy_with = body
                buffer, size = body.jobs.popleft()
            try:
                body.work(buffer, size, self._step)
            except BaseException as fault:
                # The thread goes on with other bodies.
                body.fault = fault
            with self._changed:
                self._busy_with = None
                self._waiting -= size
                self._step()
            del body, buffer

    def _step(self) -> None:
        with self._changed:
            self._progress += 1
            self._is_stuck = False
            self._changed.notify_all()


class Hashing:
    """The threads, made when bodies need them."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._helpers: list[_Helper] = []
        self._next = 0
        self._retry_at = 0.0
        self._queues: weakref.WeakSet[HashingQueue] = weakref.WeakSet()
        self._spare: collections.deque[memoryview] = collections.deque(maxlen=_MOST_SPARE)

    def queue_for(self, fed: ByteSink) -> HashingQueue | None:
        """None when there is no thread that could help."""
        helper = self._free_helper()
        if helper is None:
            return None
        body = HashingQueue(self, helper, fed)
        self._queues.add(body)
        return body

    def _free_helper(self) -> _Helper | None:
        self._helpers = [helper for helper in self._helpers if helper.is_alive]
        if len(self._helpers) < self._threads:
            self._start()
        of_use = [helper for helper in self._helpers if helper.is_of_use]
        if not of_use:
            return None
        self._next = (self._next + 1) % len(of_use)
        return of_use[self._next]

    def _start(self) -> None:
        """One more thread, if the system gives one."""
        now = time.monotonic()
        if now < self._retry_at:
            return
        helper = _Helper(len(self._helpers), max(_MOST_WAITING // self._threads, 4 * GATHERED))
        try:
            helper.start()
        except (RuntimeError, MemoryError) as error:
            self._retry_at = now + _RETRY_SECONDS
            logger.warning("no thread to hash COS bodies in: %s", error)
        else:
            self._helpers.append(helper)

    def buffer(self) -> memoryview:
        """To gather chunks in; a small one where many bodies are under way."""
        if len(self._queues) > _MANY_BODIES:
            return memoryview(bytearray(_SMALL))
        try:
            return self._spare.pop()
        except IndexError:
            return memoryview(bytearray(GATHERED))

    def keep(self, buffer: memoryview) -> None:
        """Takes a buffer back that nobody needs any more."""
        if len(buffer) == GATHERED:
            self._spare.append(buffer)


_spare = spare_cores()
HASHING: Hashing | None = Hashing(min(_spare, _MOST_THREADS)) if _spare > 0 else None
"""None where the event loop's core is the only one: handing over would gain nothing."""

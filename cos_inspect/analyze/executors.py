"""Where the tasks of an analysis are done: in this process, in several of this machine, or on
a cluster. They see the same small interface, and give the same answers.

A task is a function of a module, with arguments that other processes can unpickle. It may run
twice, and its files are named by what it was given.
"""

import multiprocessing
import sys
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import SpawnContext
from multiprocessing.sharedctypes import Synchronized
from types import TracebackType
from typing import Any, Protocol, Self

import msgspec

_TICK_SECONDS = 0.2
Tick = Callable[[int | None], None]
"""Called now and then while a task is waited for, with the bytes that all tasks together have
read, where that is known."""


class ExecutorError(Exception):
    """Nobody can do the work; the text is a whole line."""


class TaskLostError(Exception):
    """Whoever did the task was ended each time; the text says so in a few words."""


class Executor(Protocol):
    """``with … as executor:``; whatever is under way is given up at the end."""

    width: int
    """How many tasks are done side by side."""
    smallest_shard: int | None
    """Bytes below which captures are not divided; None: as usual."""
    is_near: bool
    """Tasks reach the files of this machine, and what they return is not sent far."""

    def __enter__(self) -> Self:
        """Itself."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Gives up what is under way."""

    def submit(self, task: Callable[..., Any], *arguments: Any) -> Any:
        """Has a task done, now or when it is gathered."""

    def gather(self, submitted: Any, tick: Tick | None = None) -> Any:
        """What came of it; what it raised.

        :raises TaskLostError: when whoever does it is ended, again and again.
        :raises ExecutorError: when there is nobody to do it.
        """


class InProcess:
    """Does each task when it is gathered."""

    width = 1
    smallest_shard: int | None = None
    is_near = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_what: object) -> None:
        return None

    def submit(self, task: Callable[..., Any], *arguments: Any) -> Any:
        """See ``Executor``."""
        return task, arguments

    def gather(self, submitted: Any, tick: Tick | None = None) -> Any:
        """Does it, and what it raises."""
        task, arguments = submitted
        _progress.here = tick
        try:
            return task(*arguments)
        finally:
            _progress.here = None


class _Progress:
    """How many bytes the tasks of this process, or all of a pool together, have read. It is
    shown, and decides nothing."""

    def __init__(self) -> None:
        self.here: Tick | None = None
        self.together: Synchronized[int] | None = None
        self.total = 0

    def count(self, size: int) -> None:
        if self.together is not None:
            with self.together.get_lock():
                self.together.value += size
        elif self.here is not None:
            self.total += size
            self.here(self.total)


_progress = _Progress()
count_bytes = _progress.count
"""To be called by tasks that read captures."""


def _start(counter: "Synchronized[int]") -> None:
    _progress.together = counter


class _Submitted(msgspec.Struct):
    task: Callable[..., Any]
    arguments: tuple[Any, ...]
    future: Future[Any] | None
    """None where the pool is broken."""


class ProcessPool:
    """Several processes of this machine."""

    smallest_shard: int | None = None
    is_near = True

    def __init__(self, jobs: int) -> None:
        self.width = jobs
        context: SpawnContext = multiprocessing.get_context("spawn")
        self._counter = context.Value("Q", 0)
        self._pool = ProcessPoolExecutor(
            jobs, mp_context=context, initializer=_start, initargs=(self._counter,)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_what: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def submit(self, task: Callable[..., Any], *arguments: Any) -> Any:
        """See ``Executor``."""
        try:
            future = self._pool.submit(task, *arguments)
        except BrokenProcessPool:
            return _Submitted(task, arguments, None)
        return _Submitted(task, arguments, future)

    def gather(self, submitted: Any, tick: Tick | None = None) -> Any:
        """Also of a task where a process was ended (for want of memory, say): then the others
        lose theirs too, and each is done again in a process of its own."""
        assert isinstance(submitted, _Submitted)
        future = submitted.future
        if future is not None:
            while tick is not None and not wait([future], _TICK_SECONDS).done:
                tick(int(self._counter.value))
            try:
                return future.result()
            except BrokenProcessPool:
                pass
        context: SpawnContext = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as alone:
            try:
                return alone.submit(submitted.task, *submitted.arguments).result()
            except BrokenProcessPool:
                raise TaskLostError(
                    "the process that read it was ended (was there no memory left?)"
                ) from None


def processors() -> int:
    """How many this process may use; at least 1."""
    if sys.version_info >= (3, 13):
        import os  # noqa: PLC0415

        return os.process_cpu_count() or 1
    return multiprocessing.cpu_count()

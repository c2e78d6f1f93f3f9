"""Work on shards in several processes, or in this one when there is one job."""

import multiprocessing
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import SpawnContext
from multiprocessing.sharedctypes import Synchronized
from types import TracebackType
from typing import Self

from cos_inspect.analyze.joining import CountedFlows, Joined, Marks, Partition, join
from cos_inspect.analyze.reading import ShardRead, ShardReader, marks_of
from cos_inspect.analyze.shards import Shard
from cos_inspect.analyze.writing import Chunk, WrittenChunk, write_chunk
from cos_inspect.settings.analysis_settings import AnalysisSettings

_TICK_SECONDS = 0.2
_AHEAD = 4
"""Chunks for each process that may be written before their turn comes."""

_read_bytes: "Synchronized[int] | None" = None


def _start(counter: "Synchronized[int]") -> None:
    global _read_bytes  # noqa: PLW0603 - a process of the pool has no other place for it
    _read_bytes = counter


def _count(size: int) -> None:
    if _read_bytes is not None:
        with _read_bytes.get_lock():
            _read_bytes.value += size


def _read(shard: Shard, settings: AnalysisSettings, folder: str, partitions: int) -> ShardRead:
    return ShardReader(shard, settings, folder, partitions).read(_count)


class Workers:
    """``with Workers(settings, most) as workers:``; results come in the order of the tasks."""

    def __init__(self, settings: AnalysisSettings, most: int) -> None:
        self._settings = settings
        self._pool: ProcessPoolExecutor | None = None
        self.jobs = max(1, min(settings.jobs, most))
        if self.jobs > 1:
            context: SpawnContext = multiprocessing.get_context("spawn")
            self._counter = context.Value("Q", 0)
            self._pool = ProcessPoolExecutor(
                self.jobs, mp_context=context, initializer=_start, initargs=(self._counter,)
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def read(
        self,
        shards: Sequence[Shard],
        folder: str,
        partitions: int,
        at: Callable[[int], None],
    ) -> list[ShardRead]:
        """First looks. ``at`` is told how many bytes were read so far."""
        settings = self._settings
        if self._pool is None:
            here = 0

            def count(size: int) -> None:
                nonlocal here
                here += size
                at(here)

            return [
                ShardReader(shard, settings, folder, partitions).read(count) for shard in shards
            ]
        calls = [(shard, settings, folder, partitions) for shard in shards]
        futures = [self._task(_read, call) for call in calls]
        left = {future for future in futures if future is not None}
        while left:
            _, left = wait(left, _TICK_SECONDS, FIRST_COMPLETED)
            at(int(self._counter.value))
        reads: list[ShardRead] = []
        for future, call in zip(futures, calls, strict=True):
            try:
                reads.append(self._result(future, _read, call))
            except BrokenProcessPool:
                why = "the process that read it was ended (was there no memory left?)"
                reads.append(ShardReader(*call).give_up(why))
        return reads

    def join(
        self, partitions: Sequence[Partition], counted: CountedFlows, marks: Marks
    ) -> list[Joined]:
        """What the flows say together."""
        return self._map(join, [(each, counted, self._settings, marks) for each in partitions])

    def marks_of(
        self, shards: Sequence[Shard], wanted: Sequence[dict[int, list[int]]]
    ) -> list[dict[int, tuple[tuple[int, int], ...]]]:
        """CRC-64s of answers' bodies up to the offsets wanted, by index, of each shard."""
        return self._map(
            marks_of,
            [(shard, self._settings, each) for shard, each in zip(shards, wanted, strict=True)],
        )

    def _map[R](self, task: Callable[..., R], calls: Sequence[tuple[object, ...]]) -> list[R]:
        if self._pool is None or len(calls) < 2:
            return [task(*call) for call in calls]
        futures = [self._task(task, call) for call in calls]
        return [
            self._result(future, task, call) for future, call in zip(futures, calls, strict=True)
        ]

    def _task[R](self, task: Callable[..., R], call: Sequence[object]) -> Future[R] | None:
        """None where there is no pool, or none any more."""
        if self._pool is None:
            return None
        try:
            return self._pool.submit(task, *call)
        except BrokenProcessPool:
            return None

    def _result[R](
        self, future: Future[R] | None, task: Callable[..., R], call: Sequence[object]
    ) -> R:
        """Of a task also where a process was ended (for want of memory, say): then the others
        lose theirs too, and each is done again in a process of its own.

        :raises BrokenProcessPool: when that one is ended as well.
        """
        if future is not None:
            try:
                return future.result()
            except BrokenProcessPool:
                pass
        context: SpawnContext = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as alone:
            return alone.submit(task, *call).result()

    def write(self, chunks: Iterator[Chunk]) -> Iterator[WrittenChunk]:
        """Writes the reports of all chunks; what came of each, in their order."""
        settings = self._settings
        if self._pool is None:
            for chunk in chunks:
                yield write_chunk(chunk, settings)
            return
        waiting: deque[tuple[Future[WrittenChunk] | None, Chunk]] = deque()

        def next_one() -> WrittenChunk:
            future, chunk = waiting.popleft()
            return self._result(future, write_chunk, (chunk, settings))

        for chunk in chunks:
            waiting.append((self._task(write_chunk, (chunk, settings)), chunk))
            if len(waiting) >= self.jobs * _AHEAD:
                yield next_one()
        while waiting:
            yield next_one()


def processors() -> int:
    """How many this process may use; at least 1."""
    if sys.version_info >= (3, 13):
        import os  # noqa: PLC0415

        return os.process_cpu_count() or 1
    return multiprocessing.cpu_count()

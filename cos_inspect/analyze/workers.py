"""The steps of an analysis as tasks, and what their results say in the order of the tasks.

What grows with the traffic lies in files of the spool; tasks return where, and how much.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from cos_inspect.analyze.counting import (
    CountedFlows,
    FlowsCounted,
    count_partition,
    count_said_once,
    first_on_connections,
)
from cos_inspect.analyze.executors import Executor, TaskLostError, count_bytes
from cos_inspect.analyze.joining import Joined, Marks, Partition, join
from cos_inspect.analyze.reading import ShardReader, marks_of
from cos_inspect.analyze.shards import Shard
from cos_inspect.analyze.spooled import ShardRead
from cos_inspect.analyze.writing import Chunk, WrittenChunk, lost_chunk, write_chunk
from cos_inspect.captures.places import join as below
from cos_inspect.captures.places import read, size_of, write
from cos_inspect.inspection.said_once import SaidOnce
from cos_inspect.model.plain_text import packed
from cos_inspect.settings.analysis_settings import AnalysisSettings

_AHEAD = 4
"""Chunks for each process that may be written before their turn comes."""


def _read(shard: Shard, settings: AnalysisSettings, folder: str, partitions: int) -> ShardRead:
    return ShardReader(shard, settings, folder, partitions).read(count_bytes)


def _first(paths: list[str], counted: str) -> dict[int, bytes]:
    return first_on_connections(paths, _counted(counted))


def _said_once(shard: ShardRead, counted: str) -> dict[str, SaidOnce]:
    return count_said_once([shard], _counted(counted))


def _join(partition: Partition, counted: str, settings: AnalysisSettings, marks: Marks) -> Joined:
    return join(partition, _counted(counted), settings, marks)


@lru_cache(maxsize=2)
def _counted(path: str) -> CountedFlows:
    return msgspec.msgpack.decode(read(path), type=CountedFlows)


class Workers:
    """What an executor is to do. Losses are added to ``errors``, a line each."""

    def __init__(
        self, settings: AnalysisSettings, executor: Executor, folder: str, errors: list[str]
    ) -> None:
        self._settings = settings
        self._executor = executor
        self._folder = folder
        self._errors = errors

    def read(
        self, shards: list[Shard], partitions: int, at: Callable[[int], None]
    ) -> list[ShardRead]:
        """First looks. ``at`` is told how many bytes were read so far. Of a shard that nobody can
        read each part is read alone: these become further shards."""
        whole = 0

        def tick(size: int | None) -> None:
            at(whole if size is None else size)

        calls = [(shard, self._settings, self._folder, partitions) for shard in shards]
        submitted = [self._executor.submit(_read, *call) for call in calls]
        reads: list[ShardRead] = []
        for each, call in zip(submitted, calls, strict=True):
            try:
                reads.append(self._executor.gather(each, tick))
            except TaskLostError as error:
                if len(call[0].parts) > 1:
                    alone = [
                        (Shard(number=len(shards) + number, parts=[part]), *call[1:])
                        for number, part in enumerate(call[0].parts)
                    ]
                    shards += [shard for shard, *_ in alone]
                    reads += [self._read_alone(*one) for one in alone]
                else:
                    reads.append(ShardReader(*call).give_up(str(error)))
            whole += sum(_size(part.path, part.begin, part.end) for part in call[0].parts)
        return reads

    def _read_alone(self, *call: Any) -> ShardRead:
        try:
            read: ShardRead = self._executor.gather(self._executor.submit(_read, *call))
        except TaskLostError as error:
            return ShardReader(*call).give_up(str(error))
        return read

    def count(self, reads: Sequence[ShardRead]) -> tuple[CountedFlows, str]:
        """Which flows count, and the file that says so."""
        counted = CountedFlows.none(reads)
        groups = by_partition(read.identities for read in reads)
        for found in self._map(count_partition, [(paths,) for paths in groups], FlowsCounted):
            counted = counted.with_dropped(found)
        path = self._keep("counted-flows", counted)
        groups = by_partition(read.connections for read in reads)
        later = self._map(_first, [(paths, path) for paths in groups], dict)
        for bits in later:
            counted = counted.with_not_first(bits)
        return counted, path

    def said_once(self, reads: Sequence[ShardRead], counted: str) -> dict[str, SaidOnce]:
        """What is said once for many flows, by ``said_once_name``."""
        all_of_them: dict[str, SaidOnce] = {}
        calls = [(read, counted) for read in reads if read.said_once]
        for found in self._map(_said_once, calls, dict):
            for name, once in found.items():
                known = all_of_them.get(name)
                all_of_them[name] = once if known is None else known.merged(once)
        return all_of_them

    def join(self, partitions: Sequence[Partition], counted: str, marks: Marks) -> list[Joined]:
        """What the flows say together."""
        calls = [(each, counted, self._settings, marks) for each in partitions]
        return self._map(_join, calls, Joined)

    def marks_of(
        self, shards: Sequence[Shard], wanted: Sequence[dict[int, list[int]]]
    ) -> list[dict[int, tuple[tuple[int, int], ...]]]:
        """CRC-64s of answers' bodies up to the offsets wanted, by index, of each shard."""
        calls = [(shard, self._settings, each) for shard, each in zip(shards, wanted, strict=True)]
        return self._map(marks_of, calls, dict)

    def _map(
        self, task: Callable[..., Any], calls: Sequence[tuple[Any, ...]], nothing: type[Any]
    ) -> list[Any]:
        """``nothing`` makes what stands for a task that is lost."""
        submitted = [self._executor.submit(task, *call) for call in calls]
        results: list[Any] = []
        for each in submitted:
            try:
                results.append(self._executor.gather(each))
            except TaskLostError as error:
                line = f"what some flows say together cannot be told ({error})"
                if line not in self._errors:
                    self._errors.append(line)
                results.append(nothing())
        return results

    def _keep(self, name: str, value: object) -> str:
        path = below(self._folder, name)
        write(path, packed(value))
        return path

    def write(self, chunks: Iterator[Chunk]) -> Iterator[WrittenChunk]:
        """Writes the reports of all chunks; what came of each, in their order."""
        settings = self._settings
        waiting: deque[tuple[Any, Chunk]] = deque()

        def next_one() -> WrittenChunk:
            submitted, chunk = waiting.popleft()
            try:
                written: WrittenChunk = self._executor.gather(submitted)
            except TaskLostError as error:
                written = lost_chunk(chunk, str(error))
            return written

        ahead = 1 if self._executor.width == 1 else self._executor.width * _AHEAD
        for chunk in chunks:
            waiting.append((self._executor.submit(write_chunk, chunk, settings), chunk))
            if len(waiting) >= ahead:
                yield next_one()
        while waiting:
            yield next_one()


def by_partition(files: Iterator[dict[int, str]] | Any) -> list[list[str]]:
    """The files of each partition, of all shards."""
    found: dict[int, list[str]] = {}
    for by_number in files:
        for number, path in by_number.items():
            found.setdefault(number, []).append(path)
    return [found[number] for number in sorted(found)]


def _size(path: str, begin: int, end: int | None) -> int:
    return max(0, (size_of(path) if end is None else end) - begin)

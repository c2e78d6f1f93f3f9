"""Cuts inputs into parts that can be read side by side, and puts small ones together."""

from collections.abc import Iterator, Sequence

import msgspec

from cos_inspect.captures.capture_format import CapturePart
from cos_inspect.captures.formats import format_of, unpacked_size
from cos_inspect.captures.inputs import Input
from cos_inspect.captures.places import size_of
from cos_inspect.captures.source import Stream

_SMALLEST = 4 * 1024 * 1024
_LARGEST = 64 * 1024 * 1024
_PER_JOB = 4
"""Parts for each process, so that none waits long for the last one."""
_PARTITION = 64 * 1024 * 1024
"""Bytes of captures whose observations are joined at a time."""
_MOST_PARTITIONS = 512


class Shard(msgspec.Struct, frozen=True, kw_only=True):
    """What one process reads in one go; many small captures together."""

    number: int
    parts: list[CapturePart]


def parts_of(given: Input, step: int, key_logs: tuple[str, ...] = ()) -> Iterator[CapturePart]:
    """The parts of one input, each about ``step`` bytes long.

    :param key_logs: files with the secrets that it may have been encrypted with.
    :raises CaptureError: for what cannot be read at all.
    """
    part = CapturePart(
        path=given.path,
        name=given.name,
        format=format_of(given.path, given.name),
        key_logs=key_logs,
    )
    stream = Stream(given.path)
    try:
        if part.format.cut is None or not stream.seekable or size_of(given.path) < 2 * step:
            yield part
        else:
            yield from part.format.cut(part, stream, step)
    finally:
        stream.close()


def shards_of(parts: Sequence[CapturePart], step: int) -> list[Shard]:
    """Parts in order, in shards of about ``step`` bytes."""
    shards: list[Shard] = []
    size = step
    for part in parts:
        if size >= step:
            shards.append(Shard(number=len(shards), parts=[]))
            size = 0
        shards[-1].parts.append(part)
        end = size_of(part.path) if part.end is None else part.end
        size += max(0, end - part.begin)
    return shards


def step_of(paths: Sequence[str], jobs: int, smallest: int | None = None) -> int:
    """How many bytes a part should have, for so many processes."""
    total = sum(map(size_of, paths))
    wanted = _LARGEST if jobs == 1 else total // (jobs * _PER_JOB)
    return max(smallest or _SMALLEST, min(wanted, _LARGEST))


def partitions_for(paths: Sequence[str], least: int = 1) -> int:
    """In how many files observations are sorted, so that those of one fit into memory."""
    total = sum(unpacked_size(path, size_of(path)) for path in paths)
    return max(1, min(_MOST_PARTITIONS, max(least, -(-total // _PARTITION))))

"""Cuts inputs into pieces that can be read side by side."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.har import digest_of
from cos_inspect.captures.har_entries import HarEntries
from cos_inspect.captures.inputs import Input
from cos_inspect.captures.source import Format, Progress, Stream, format_of
from cos_inspect.captures.tnetstring import boundaries

_SMALLEST = 4 * 1024 * 1024
_LARGEST = 64 * 1024 * 1024
_PER_JOB = 4
"""Pieces for each process, so that none waits long for the last one."""
_PARTITION = 64 * 1024 * 1024
"""Bytes of captures whose observations are joined at a time."""
_MOST_PARTITIONS = 512
_PLAIN = (".mitm", ".har", ".flow", ".flows", ".json")


class Shard(msgspec.Struct, frozen=True, kw_only=True):
    """What one process reads in one go; many small captures together."""

    number: int
    pieces: list["Piece"]


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A file, or a run of whole flows or entries of it."""

    path: str
    name: str
    """As messages call the file."""
    format: Format
    begin: int = 0
    end: int | None = None
    first_entry: int = 1
    creator: str | None = None
    repeats: dict[int, int] | None = None
    """Of a part of a HAR: which occurrence an entry is, by its number, from the second on."""


def size_of(path: str) -> int:
    """Bytes on the disk; 0 where nobody knows."""
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def pieces_of(given: Input, step: int) -> Iterator[Piece]:
    """The pieces of one input, each about ``step`` bytes long.

    :raises CaptureError: for what cannot be read at all.
    """
    path, name = given.path, given.name
    kind = format_of(path, name)
    size = size_of(path)
    stream = Stream(path)
    try:
        if not stream.seekable or size < 2 * step:
            yield Piece(path=path, name=name, format=kind)
            return
        if kind == "mitm":
            begin = 0
            for end in boundaries(stream, step):
                yield Piece(path=path, name=name, format=kind, begin=begin, end=end)
                begin = end
            yield Piece(path=path, name=name, format=kind, begin=begin, end=stream.size)
        else:
            yield from _har_pieces(given, stream, step)
    finally:
        stream.close()


def _har_pieces(given: Input, stream: Stream, step: int) -> Iterator[Piece]:
    reader = HarEntries(stream)
    begin: int | None = None
    first = 1
    met: Counter[bytes] = Counter()
    repeats: dict[int, int] = {}
    try:
        for number, entry in enumerate(reader.entries(), start=1):
            if begin is None:
                begin = entry.offset
            elif entry.offset - begin >= step:
                yield Piece(
                    path=given.path,
                    name=given.name,
                    format="har",
                    begin=begin,
                    end=entry.offset,
                    first_entry=first,
                    creator=reader.creator,
                    repeats=repeats,
                )
                begin, first, repeats = entry.offset, number, {}
            digest = digest_of(entry)
            met[digest] += 1
            if met[digest] > 1:
                repeats[number] = met[digest]
    except CaptureError:
        # Whoever reads the last piece will meet it again, and tell.
        pass
    yield Piece(
        path=given.path,
        name=given.name,
        format="har",
        begin=begin or 0,
        first_entry=first,
        creator=reader.creator,
        repeats=repeats,
    )


def shards_of(pieces: Sequence[Piece], step: int) -> list[Shard]:
    """Pieces in order, in shards of about ``step`` bytes."""
    shards: list[Shard] = []
    size = step
    for piece in pieces:
        if size >= step:
            shards.append(Shard(number=len(shards), pieces=[]))
            size = 0
        shards[-1].pieces.append(piece)
        end = size_of(piece.path) if piece.end is None else piece.end
        size += max(0, end - piece.begin)
    return shards


def step_of(paths: Sequence[str], jobs: int) -> int:
    """How many bytes a piece should have, for so many processes."""
    total = sum(map(size_of, paths))
    wanted = _LARGEST if jobs == 1 else total // (jobs * _PER_JOB)
    return max(_SMALLEST, min(wanted, _LARGEST))


def partitions_for(paths: Sequence[str]) -> int:
    """In how many files observations are sorted, so that those of one fit into memory."""
    # Of compressed files nobody knows how long they are; ten times is usual.
    total = sum(size_of(path) * (1 if path.endswith(_PLAIN) else 10) for path in paths)
    return max(1, min(_MOST_PARTITIONS, -(-total // _PARTITION)))


def open_piece(piece: Piece, progress: Progress | None) -> Stream:
    """:raises CaptureError: when it cannot be opened."""
    return Stream(piece.path, progress, piece.begin, piece.name)

"""Cuts inputs into pieces that can be read side by side."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.har_entries import HarEntries
from cos_inspect.captures.source import STDIN, Format, Progress, Stream, format_of
from cos_inspect.captures.tnetstring import boundaries

_SMALLEST = 4 * 1024 * 1024
_PER_JOB = 4
"""Pieces for each process, so that none waits long for the last one."""


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A file, or a run of whole flows or entries of it."""

    path: str
    format: Format | None
    """None: to be found while it is read."""
    begin: int = 0
    end: int | None = None
    first_entry: int = 1
    creator: str | None = None


def size_of(path: str) -> int:
    """Bytes on the disk; 0 where nobody knows."""
    try:
        return 0 if path == STDIN else Path(path).stat().st_size
    except OSError:
        return 0


def pieces_of(path: str, step: int) -> Iterator[Piece]:
    """The pieces of one input, each about ``step`` bytes long.

    :raises CaptureError: for what cannot be read at all.
    """
    if path == STDIN:
        yield Piece(path=path, format=None)
        return
    kind = format_of(path)
    size = size_of(path)
    stream = Stream(path)
    try:
        if not stream.seekable or size < 2 * step:
            yield Piece(path=path, format=kind)
            return
        if kind == "mitm":
            begin = 0
            for end in boundaries(stream, step):
                yield Piece(path=path, format=kind, begin=begin, end=end)
                begin = end
            yield Piece(path=path, format=kind, begin=begin)
        else:
            yield from _har_pieces(path, stream, step)
    finally:
        stream.close()


def _har_pieces(path: str, stream: Stream, step: int) -> Iterator[Piece]:
    reader = HarEntries(stream)
    begin: int | None = None
    first = 1
    try:
        for number, entry in enumerate(reader.entries(), start=1):
            if begin is None:
                begin = entry.offset
            elif entry.offset - begin >= step:
                yield Piece(
                    path=path,
                    format="har",
                    begin=begin,
                    end=entry.offset,
                    first_entry=first,
                    creator=reader.creator,
                )
                begin, first = entry.offset, number
    except CaptureError:
        # Whoever reads the last piece will meet it again, and tell.
        pass
    yield Piece(
        path=path, format="har", begin=begin or 0, first_entry=first, creator=reader.creator
    )


def step_of(paths: Sequence[str], jobs: int) -> int:
    """How long a piece should be, for so many processes."""
    if jobs == 1:
        return 1 << 62
    return max(_SMALLEST, sum(map(size_of, paths)) // (jobs * _PER_JOB))


def open_piece(piece: Piece, progress: Progress | None) -> Stream:
    """:raises CaptureError: when it cannot be opened."""
    return Stream(piece.path, progress, piece.begin)

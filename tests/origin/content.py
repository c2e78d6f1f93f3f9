"""Bytes of objects that need not lie in one piece, or in memory at all."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Protocol

PIECE = 1 << 20
"""Longest piece that ``read`` hands out, in bytes."""

Buffer = bytes | memoryview


class Content(Protocol):
    @property
    def size(self) -> int: ...

    def read(self, start: int, stop: int) -> Iterator[Buffer]:
        """The bytes from ``start`` up to ``stop``, in pieces of at most ``PIECE``."""
        ...


class Held:
    """Bytes kept in memory, in the pieces in which they came."""

    def __init__(self, pieces: Sequence[bytes] = ()) -> None:
        self._pieces = [piece for piece in pieces if piece]
        self._ends = list(accumulate(len(piece) for piece in self._pieces))

    @property
    def size(self) -> int:
        return self._ends[-1] if self._ends else 0

    def read(self, start: int, stop: int) -> Iterator[Buffer]:
        index = bisect_right(self._ends, start)
        while start < stop and index < len(self._pieces):
            piece = memoryview(self._pieces[index])
            begin = self._ends[index] - len(piece)
            end = min(stop, self._ends[index])
            for offset in range(start, end, PIECE):
                yield piece[offset - begin : min(end, offset + PIECE) - begin]
            start = end
            index += 1


class Repeated:
    """A pattern over and over up to ``size`` bytes; costs no memory to speak of."""

    def __init__(self, pattern: bytes, size: int) -> None:
        if not pattern and size:
            raise ValueError("an empty pattern cannot fill an object")
        self.pattern = pattern
        self._size = size
        times = max(1, PIECE // len(pattern)) if pattern else 0
        self._block = memoryview(pattern * times)

    @property
    def size(self) -> int:
        return self._size

    def read(self, start: int, stop: int) -> Iterator[Buffer]:
        stop = min(stop, self._size)
        length = len(self._block)
        while start < stop:
            begin = start % length
            end = min(length, begin + stop - start, begin + PIECE)
            yield self._block[begin:end]
            start += end - begin


class Discarded:
    """An upload whose bytes were hashed and thrown away: it cannot be read."""

    def __init__(self, size: int) -> None:
        self._size = size

    @property
    def size(self) -> int:
        return self._size

    def read(self, start: int, stop: int) -> Iterator[Buffer]:
        raise LookupError("the bytes of this object were discarded (discard_uploads_above)")


class Joined:
    """Several contents behind each other (the parts of a multipart upload)."""

    def __init__(self, contents: Sequence[Content]) -> None:
        self._contents = [content for content in contents if content.size]
        self._ends = list(accumulate(content.size for content in self._contents))

    @property
    def size(self) -> int:
        return self._ends[-1] if self._ends else 0

    def read(self, start: int, stop: int) -> Iterator[Buffer]:
        index = bisect_right(self._ends, start)
        while start < stop and index < len(self._contents):
            content = self._contents[index]
            begin = self._ends[index] - content.size
            end = min(stop, self._ends[index])
            yield from content.read(start - begin, end - begin)
            start = end
            index += 1


class Slice:
    """A stretch of another content."""

    def __init__(self, content: Content, start: int, stop: int) -> None:
        self._content = content
        self._start = start
        self._size = max(0, stop - start)

    @property
    def size(self) -> int:
        return self._size

    def read(self, start: int, stop: int) -> Iterator[Buffer]:
        stop = min(stop, self._size)
        return self._content.read(self._start + start, self._start + stop)


class Flipped:
    """Another content with one byte inverted; a negative offset counts from the end."""

    def __init__(self, content: Content, offset: int) -> None:
        self._content = content
        self._offset = offset if offset >= 0 else content.size + offset

    @property
    def size(self) -> int:
        return self._content.size

    def read(self, start: int, stop: int) -> Iterator[Buffer]:
        for piece in self._content.read(start, stop):
            place = self._offset - start
            start += len(piece)
            if 0 <= place < len(piece):
                changed = bytearray(piece)
                changed[place] ^= 0xFF
                yield bytes(changed)
            else:
                yield piece


EMPTY = Held()


def whole(content: Content) -> bytes:
    """All bytes at once."""
    return b"".join(content.read(0, content.size))

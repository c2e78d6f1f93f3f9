"""Pieces of an object, and whether they join to the whole of it.

A piece is known by its CRC-64 alone, so pieces can be joined where one ends
at the byte at which another begins. Where two overlap, the later one must have
been taken apart at the other's end as it passed (``marks``); else the overlap
cannot be resolved and nothing is said.
"""

import bisect
from collections.abc import Iterator, Sequence

import msgspec

from cos_inspect.digests import combine_crc64
from cos_inspect.transfers.account import DigestComparison, Fact, compared, skipped
from cos_inspect.transfers.limits import JudgingBudget
from cos_inspect.transfers.observation import Observation

_MOST_EDGES = 64


class FetchedRange(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """Bytes ``first`` up to ``end`` (exclusive), as far as they came."""

    first: int
    end: int
    crc64: int | None = None
    partial: bool = False
    """Fetched by a range; else the beginning of a whole GET that broke off."""
    from_end: bool = False
    """Asked for as the last bytes of the object."""
    marks: tuple[tuple[int, int], ...] = ()
    """Offsets inside the piece, rising, and the CRC-64 of the piece up to each."""

    def edges(self) -> Iterator[tuple[int, int, int]]:
        """First byte, end and CRC-64 of the whole piece and of what its marks part it into."""
        if self.crc64 is None or self.end <= self.first:
            return
        yield self.first, self.end, self.crc64
        length = self.end - self.first
        at, before = 0, 0
        for offset, crc64 in (*self.marks, (length, self.crc64)):
            if at < offset <= length and offset - at < length:
                # Joining is linear, so the tail's CRC is what the head does not explain.
                tail = crc64 ^ combine_crc64(before, 0, offset - at)
                yield self.first + at, self.first + offset, tail
            at, before = offset, crc64


class Coverage(msgspec.Struct, frozen=True):
    """A version whose pieces make the whole of it."""

    check: DigestComparison
    closer: str
    """The flow with which it became whole."""
    closed: float
    """When that was, in seconds since the epoch."""
    size: int
    """Bytes of the object."""
    flows: frozenset[str]
    """Those whose pieces were joined."""


class ContiguousPrefix:
    """How far the pieces of a version reach from its first byte; kept beside the facts so
    that each new piece costs the same."""

    __slots__ = ("_effort", "edges", "ends", "first", "judged", "partial", "pieces", "reach")

    def __init__(self) -> None:
        self.reach = {0}
        self.ends: dict[int, list[int]] = {}
        self.edges: list[int] = []
        """Where pieces begin or end, rising."""
        self.pieces = 0
        self.judged = False
        self._effort = JudgingBudget()
        self.partial = False
        self.first: FetchedRange | None = None

    def add(self, piece: FetchedRange) -> None:
        """Takes one more piece. What it costs does not grow with the pieces before it."""
        self.pieces += 1 + len(piece.marks)
        for edge in (piece.first, piece.end):
            at = bisect.bisect_left(self.edges, edge)
            if self.edges[at : at + 1] != [edge]:
                self.edges.insert(at, edge)
        self.partial = self.partial or piece.partial
        if self.first is None or (piece.started, piece.flow_id) < (
            self.first.started,
            self.first.flow_id,
        ):
            self.first = piece
        for first, end, _ in piece.edges():
            self.ends.setdefault(first, []).append(end)
            pending = [end] if first in self.reach else []
            while pending:
                at = pending.pop()
                if at not in self.reach:
                    self.reach.add(at)
                    pending.extend(self.ends.get(at, ()))

    def is_due(self, total: int) -> bool:
        """Whether the pieces should be joined, for the first time or again."""
        if total not in self.reach:
            return False
        return self._effort.allows(self.pieces, self.pieces) or not self.judged

    def edges_between(self, first: int, end: int) -> list[int]:
        """Where pieces begin or end between two bytes; of very many those nearest to the two,
        where pieces are joined."""
        low = bisect.bisect_right(self.edges, first)
        high = bisect.bisect_left(self.edges, end)
        if high - low <= 2 * _MOST_EDGES:
            return self.edges[low:high]
        return self.edges[low : low + _MOST_EDGES] + self.edges[high - _MOST_EDGES : high]


def cover(pieces: list[FetchedRange], total: int, crc64: int | None) -> Coverage | None:
    """Joins pieces from the first byte to the last; of several that fit in one place the
    latest is taken. None when they leave a gap, or overlap in a way that cannot be resolved."""
    by_end: dict[int, list[tuple[float, str, int, int]]] = {}
    of: dict[str, FetchedRange] = {}
    for piece in pieces:
        of[piece.flow_id] = piece
        for first, end, crc in piece.edges():
            by_end.setdefault(end, []).append((*piece.order, first, crc))
    reached: dict[int, tuple[int, int, str]] = {}
    for end in sorted(by_end):
        for _, flow_id, first, crc in sorted(by_end[end], reverse=True):
            if first == 0:
                reached[end] = (crc, 0, flow_id)
            elif first in reached:
                reached[end] = (combine_crc64(reached[first][0], crc, end - first), first, flow_id)
            else:
                continue
            break
    if total not in reached or total == 0:
        return None
    used: list[FetchedRange] = []
    at = total
    while at > 0:
        _, before, flow_id = reached[at]
        used.append(of[flow_id])
        at = before
    closer = max(used, key=lambda piece: piece.order)
    joined = reached[total][0]
    check = skipped("no-header") if crc64 is None else compared(crc64, joined)
    return Coverage(
        check, closer.flow_id, closer.ended, total, frozenset(piece.flow_id for piece in used)
    )


def answers_whole(seen: Observation) -> bool:
    """Whether the answer is that of a whole object: to a plain GET, or to one for a range that is
    all of it."""
    return seen.status == 200 or (seen.status == 206 and seen.total is not None)


def fetched_range_of(
    seen: Observation, marks: Sequence[tuple[int, int]] = ()
) -> FetchedRange | None:
    """The piece of an object in one answer; None when it is no piece."""
    if not seen.describes_object or seen.operation != "GetObject" or not seen.answer_size:
        return None
    if seen.span is None and not seen.answer_cut:
        return None
    if seen.span is None and not answers_whole(seen):
        return None
    first, last = seen.span or (0, (seen.total or seen.answer_size) - 1)
    if seen.answer_size > last - first + 1:
        return None
    return FetchedRange(
        flow_id=seen.flow_id,
        started=seen.started,
        ended=seen.ended,
        first=first,
        end=first + seen.answer_size,
        crc64=seen.answer_crc64,
        partial=seen.span is not None,
        from_end=seen.from_end,
        marks=tuple(mark for mark in marks if 0 < mark[0] < seen.answer_size),
    )

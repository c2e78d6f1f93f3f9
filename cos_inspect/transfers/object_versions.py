"""Versions of an object, as the answers to reads tell them apart, and when pieces of each came."""

import bisect
from collections.abc import Iterable, Mapping
from itertools import accumulate

import msgspec

from cos_inspect.transfers.fetched_ranges import FetchedRange
from cos_inspect.transfers.observation import Observation

GAP = 60.0
"""Seconds of silence after which a range of another version is another download, not a
change in the middle of one."""


class VersionHead(msgspec.Struct, frozen=True, omit_defaults=True):
    """What another answer, such as that to a HEAD, told of a version."""

    when: float
    """The end of that exchange, in seconds since the epoch."""
    total: int | None = None
    """Bytes of the object."""
    crc64: int | None = None
    appendable: bool = False
    """It was made by AppendObject, one of the answers said."""


class Version(msgspec.Struct, kw_only=True, omit_defaults=True, dict=True):
    """One version of the object, told apart by everything its answers say of it. ``total`` is its
    size in bytes; ``pieces`` are by flow."""

    etag: str | None = None
    crc64: int | None = None
    version_id: str | None = None
    total: int | None = None
    appendable: bool = False
    pieces: dict[str, FetchedRange] = {}

    def __post_init__(self) -> None:
        self._times: _Times | None = None

    def differs(self, other: "Version") -> bool:
        """What one of the two answers leaves out is no difference."""
        return any(
            a is not None and b is not None and a != b
            for a, b in (
                (self.etag, other.etag),
                (self.crc64, other.crc64),
                (self.version_id, other.version_id),
            )
        )

    def add(self, piece: FetchedRange) -> None:
        """Takes one more piece of the object, or the same again with more known of it."""
        self.pieces[piece.flow_id] = piece
        self._times = None

    @property
    def times(self) -> "_Times":
        """When its pieces came; made anew after each."""
        if self._times is None:
            self._times = _Times(self.pieces.values())
        return self._times


class _Times:
    """When the pieces of a version came, and which bytes they hold together."""

    def __init__(self, pieces: Iterable[FetchedRange]) -> None:
        self._sorted = sorted(pieces, key=lambda piece: (piece.started, piece.flow_id))
        self._latest = list(accumulate((piece.ended for piece in self._sorted), max))
        self.first = self._sorted[0]
        self.ended = self._latest[-1]
        self._begins: list[int] = []
        self._ends: list[int] = []
        for piece in sorted(self._sorted, key=lambda piece: piece.first):
            if self._ends and piece.first <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], piece.end)
            else:
                self._begins.append(piece.first)
                self._ends.append(piece.end)

    def last_before(self, moment: float) -> FetchedRange | None:
        """The piece that began last before this moment and did not end long before it."""
        at = bisect.bisect_left(self._sorted, moment, key=lambda piece: piece.started)
        while at and self._latest[at - 1] + GAP >= moment:
            at -= 1
            if self._sorted[at].ended + GAP >= moment:
                return self._sorted[at]
        return None

    def are_whole(self, total: int) -> bool:
        """Whether no byte is missing."""
        return self._begins[0] == 0 and self._ends[0] >= total

    def have(self, byte: int) -> bool:
        at = bisect.bisect_right(self._begins, byte)
        return at > 0 and byte < self._ends[at - 1]


Heads = Mapping[str, VersionHead]
"""What is known of an object's versions, by ETag."""


def total_of(version: Version, heads: Heads) -> int | None:
    """The object's size in bytes."""
    if version.total is not None:
        return version.total
    head = heads.get(version.etag or "")
    return head.total if head else None


def better_head(known: VersionHead | None, head: VersionHead) -> VersionHead:
    """Of two answers that told of one version the newest with a CRC-64; the bytes of one ETag
    do not change."""
    if known is None:
        return head
    better = max(known, head, key=_rank)
    appendable = known.appendable or head.appendable
    return msgspec.structs.replace(better, appendable=appendable)


def _rank(head: VersionHead) -> tuple[bool, float, int, int]:
    return head.crc64 is not None, head.when, head.total or -1, head.crc64 or -1


def version_name(seen: Observation) -> str:
    """What tells one version of an object from another: ETag, CRC-64 and version id as answered."""
    return f"{seen.etag or ''}\n{seen.header_crc64}\n{seen.version_id or ''}"

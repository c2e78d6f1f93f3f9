"""Ranged downloads: the pieces of one object version that one client fetched."""

from collections.abc import Iterator, Sequence
from hashlib import blake2b

import msgspec

from cos_inspect.transfers.account import Account, busy_seconds
from cos_inspect.transfers.fetched_ranges import (
    ContiguousPrefix,
    Coverage,
    FetchedRange,
    cover,
    fetched_range_of,
)
from cos_inspect.transfers.limits import JudgingBudget, Limits
from cos_inspect.transfers.object_versions import GAP, Heads, Version, total_of, version_name
from cos_inspect.transfers.observation import Observation


class VersionChange(msgspec.Struct, frozen=True, kw_only=True):
    """A range that brought another version than the ranges before it."""

    flow_id: str
    before: str
    """The flow that brought the other version."""
    etag: tuple[str | None, str | None]
    crc64: tuple[int | None, int | None]
    version_id: tuple[str | None, str | None]


class RangedDownload(msgspec.Struct, kw_only=True, dict=True):
    """One client's reading of one object."""

    id: str
    bucket: str | None
    key: str | None
    versions: dict[str, Version] = {}
    facts: int = 0
    left_out: int = 0

    def __post_init__(self) -> None:
        self.fronts: dict[str, ContiguousPrefix] = {}
        self.coverages: dict[str, Coverage] = {}
        self.changes: dict[str, VersionChange] = {}
        """By version."""
        self._effort = JudgingBudget()
        for name, version in self.versions.items():
            front = self.fronts[name] = ContiguousPrefix()
            for piece in version.pieces.values():
                front.add(piece)

    def add(
        self,
        seen: Observation,
        marks: Sequence[tuple[int, int]],
        limits: Limits,
        heads: Heads | None,
    ) -> set[str]:
        """Takes one answer in; the flows of which something else is to be said now. Where
        ``heads`` is None nothing is judged, ``settle`` does it later."""
        piece = fetched_range_of(seen, marks)
        name = version_name(seen)
        if piece is None:
            return set()
        known = self.versions.get(name)
        if self.facts >= limits.parts or (known is None and len(self.versions) >= limits.versions):
            self.left_out += 1
            return set()
        if known is None:
            known = Version(
                etag=seen.etag,
                crc64=seen.header_crc64,
                version_id=seen.version_id,
            )
        known.appendable = known.appendable or seen.appendable
        if seen.total is not None:
            # Answers that call the same version differently long are told apart by none.
            known.total = seen.total if known.total is None else max(known.total, seen.total)
        return self._add_piece(name, known, piece, heads)

    def settle(self, heads: Heads) -> set[str]:
        """Judges anew what was put off to save time."""
        touched: set[str] = set()
        for name in self.versions:
            touched |= self._judge(name, heads, finally_=True)
        return touched | self._find_changes()

    def reads(self, etag: str) -> bool:
        """Whether a piece of this version was fetched."""
        return any(version.etag == etag for version in self.versions.values())

    def learn(self, etag: str, heads: Heads) -> set[str]:
        """Takes in that more is known of a version; as ``add``."""
        touched: set[str] = set()
        for name, version in self.versions.items():
            if version.etag == etag:
                touched |= self._judge(name, heads, finally_=False)
        return touched

    def _add_piece(
        self, name: str, version: Version, piece: FetchedRange, heads: Heads | None
    ) -> set[str]:
        known = version.pieces.get(piece.flow_id)
        if known is not None and known.order >= piece.order:
            return set()
        self.versions[name] = version
        version.add(piece)
        self.facts += known is None
        front = self.fronts.get(name)
        if front is None:
            front = self.fronts[name] = ContiguousPrefix()
        was_partial = front.partial
        front.add(piece)
        if heads is None:
            return set()
        touched = self._judge(name, heads, finally_=False)
        if front.partial and not was_partial:
            # What broke off before is now seen to be the beginning of a ranged download.
            touched |= version.pieces.keys()
        if (
            len(self.versions) > 1
            and self._may_change(front, piece)
            and self._effort.allows(self.facts, self.facts)
        ):
            touched |= self._find_changes()
        return touched

    def _may_change(self, front: ContiguousPrefix, piece: FetchedRange) -> bool:
        return front.first is piece or any(
            other.first is not None and other.first.started >= piece.started
            for other in self.fronts.values()
            if other is not front
        )

    def _judge(self, name: str, heads: Heads, *, finally_: bool) -> set[str]:
        version, front = self.versions[name], self.fronts[name]
        total = total_of(version, heads)
        if total is None or not front.partial:
            return set()
        if not (total in front.reach if finally_ else front.is_due(total)):
            return set()
        front.judged = True
        head = heads.get(version.etag or "")
        crc64 = version.crc64 if version.crc64 is not None else head.crc64 if head else None
        found = cover(list(version.pieces.values()), total, crc64)
        before = self.coverages.get(name)
        if found is None or found == before:
            return set()
        self.coverages[name] = found
        return {found.closer, before.closer} if before else {found.closer}

    def _find_changes(self) -> set[str]:
        before = self.changes
        self.changes = dict(self._changes())
        return {
            change.flow_id
            for name in before.keys() | self.changes.keys()
            if before.get(name) != self.changes.get(name)
            for change in (before.get(name), self.changes.get(name))
            if change is not None
        }

    def _changes(self) -> Iterator[tuple[str, VersionChange]]:
        """The versions with which another one was replaced, by when they were first met."""
        names = sorted(
            self.versions,
            key=lambda name: (self.versions[name].times.first.begin, name),
        )
        recent: list[str] = []
        for name in names:
            version = self.versions[name]
            begin = version.times.first.started
            recent = [old for old in recent if self.versions[old].times.ended + GAP >= begin]
            change = self._change_of(version, recent)
            if change is not None:
                yield name, change
            recent.append(name)

    def _change_of(self, version: Version, others: list[str]) -> VersionChange | None:
        piece = version.times.first
        latest: tuple[float, str, str] | None = None
        for name in others:
            other = self.versions[name]
            if not version.differs(other) or (version.appendable and other.appendable):
                continue
            before = other.times.last_before(piece.started)
            if before is not None and not self._was_over(name, piece):
                key = (before.started, before.flow_id, name)
                latest = max(latest, key) if latest else key
        if latest is None:
            return None
        other = self.versions[latest[2]]
        return VersionChange(
            flow_id=piece.flow_id,
            before=latest[1],
            etag=(other.etag, version.etag),
            crc64=(other.crc64, version.crc64),
            version_id=(other.version_id, version.version_id),
        )

    def _was_over(self, name: str, piece: FetchedRange) -> bool:
        """Whether the download of a version had ended, or was begun anew, with ``piece``."""
        coverage = self.coverages.get(name)
        if coverage is not None and coverage.closed <= piece.started:
            return True
        times = self.versions[name].times
        if times.ended > piece.started:
            return False
        # A download that goes on does not ask again for what it has.
        return piece.first == 0 or piece.from_end or times.have(piece.first)

    def overlaps(self, heads: Heads) -> Iterator[tuple[str, list[int]]]:
        """Pieces of versions that are there as a whole but can be joined only where pieces
        overlap: their flows, and the offsets in each at which another piece begins or ends.
        A CRC-64 of the piece up to there lets them be joined."""
        for name, version in self.versions.items():
            if not self.overlaps_unresolved(name, heads):
                continue
            front = self.fronts[name]
            for piece in version.pieces.values():
                edges = front.edges_between(piece.first, piece.end)
                if edges:
                    yield piece.flow_id, [at - piece.first for at in edges]

    def overlaps_unresolved(self, name: str, heads: Heads) -> bool:
        """Whether all bytes of a version came, but in pieces that share some and were not noted
        apart as they passed."""
        version, front = self.versions[name], self.fronts[name]
        total = total_of(version, heads)
        if not total or not front.partial or total in front.reach:
            return False
        return version.times.are_whole(total)

    def is_ranged(self, name: str) -> bool:
        """Whether a range of a version was fetched; whole GETs alone are no such download."""
        return self.fronts[name].partial

    def boundaries(self, name: str, first: int, end: int) -> list[int]:
        """Where pieces of a version begin or end between two bytes."""
        front = self.fronts.get(name)
        return front.edges_between(first, end) if front else []


def accounts_of(reading: RangedDownload, heads: Heads) -> Iterator[tuple[str, Account]]:
    """One for each version of which a range was fetched, with the version's name."""
    for name, version in reading.versions.items():
        if not reading.fronts[name].partial:
            continue
        pieces = sorted(
            version.pieces.values(), key=lambda piece: (piece.started, piece.flow_id)
        )  # fmt: skip
        coverage = reading.coverages.get(name)
        spans = [(float(piece.first), float(piece.end)) for piece in pieces]
        fetched = sum(piece.end - piece.first for piece in pieces)
        total = total_of(version, heads)
        yield (
            name,
            Account(
                kind="ranged-download",
                id=transfer_id(reading, name),
                bucket=reading.bucket,
                key=reading.key,
                state=_state(coverage),
                size=total,
                parts=len(pieces),
                started=pieces[0].started,
                ended=max(piece.ended for piece in pieces),
                active=busy_seconds((piece.started, piece.ended) for piece in pieces),
                tries=len(pieces),
                bytes_sent_twice=fetched - int(busy_seconds(spans)),
                flows=tuple(piece.flow_id for piece in pieces),
                # What broke off or came wrong was fetched again, where all is there.
                replaced=frozenset(version.pieces if coverage else ()),
                left_out=reading.left_out,
            ),
        )


def transfer_id(reading: RangedDownload, name: str) -> str:
    """The id of a ranged download in reports; the same in every run."""
    return f"{reading.id}-{blake2b(name.encode(), digest_size=4).hexdigest()}"


def _state(coverage: Coverage | None) -> str:
    if coverage is None:
        return "partial"
    if coverage.check.reason is not None:
        return "covered"
    return "complete" if coverage.check.same else "mismatch"

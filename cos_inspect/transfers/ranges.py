"""Ranged downloads: the pieces of one object version that one client fetched."""

from collections.abc import Iterator, Sequence
from hashlib import blake2b

import msgspec

from cos_inspect.transfers.account import Account, busy_seconds
from cos_inspect.transfers.observation import Observation
from cos_inspect.transfers.pieces import Coverage, Front, Piece, cover, piece_of

GAP = 60.0
"""Seconds of silence after which a range of another version is another download, not a
change in the middle of one."""
_MOST_VERSIONS = 16


class Head(msgspec.Struct, frozen=True, omit_defaults=True):
    """What another answer, such as that to a HEAD, told of a version."""

    when: float
    total: int | None = None
    crc64: int | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A range that brought another version than the ranges before it."""

    flow_id: str
    before: str
    """The flow that brought the other version."""
    etag: tuple[str | None, str | None]
    crc64: tuple[int | None, int | None]
    version_id: tuple[str | None, str | None]


class Version(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One version of the object, told apart by everything its answers say of it."""

    etag: str | None = None
    crc64: int | None = None
    version_id: str | None = None
    total: int | None = None
    appendable: bool = False
    pieces: dict[str, Piece] = {}

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

    @property
    def first(self) -> Piece:
        return min(self.pieces.values(), key=lambda piece: (piece.started, piece.flow_id))


class Reading(msgspec.Struct, kw_only=True, dict=True):
    """One client's reading of one object."""

    id: str
    bucket: str | None
    key: str | None
    versions: dict[str, Version] = {}
    heads: dict[str, Head] = {}
    """By ETag."""
    facts: int = 0
    last: float = 0.0
    left_out: int = 0

    def __post_init__(self) -> None:
        self.fronts: dict[str, Front] = {}
        self.coverages: dict[str, Coverage] = {}
        self.changes: dict[str, Change] = {}
        """By version."""
        for name, version in self.versions.items():
            front = self.fronts[name] = Front()
            for piece in version.pieces.values():
                front.add(piece)
        for name in self.versions:
            self._judge(name, finally_=True)

    def add(self, seen: Observation, marks: Sequence[tuple[int, int]], most: int) -> set[str]:
        """Takes one answer in; the flows of which something else is to be said now."""
        self.last = max(self.last, seen.ended)
        piece = piece_of(seen, marks)
        name = version_name(seen)
        if piece is None:
            return set()
        known = self.versions.get(name)
        if self.facts >= most or (known is None and len(self.versions) >= _MOST_VERSIONS):
            self.left_out += 1
            return set()
        if known is None:
            known = Version(
                etag=seen.etag,
                crc64=seen.header_crc64,
                version_id=seen.version_id,
                total=seen.total,
                appendable=seen.appendable,
            )
        elif known.total is None:
            known.total = seen.total
        return self._add_piece(name, known, piece)

    def join(self, other: "Reading") -> set[str]:
        touched: set[str] = set()
        for etag, head in other.heads.items():
            touched |= self.learn(etag, head)
        for name, version in other.versions.items():
            known = self.versions.get(name)
            if known is None:
                known = msgspec.structs.replace(version, pieces={})
            elif known.total is None:
                known.total = version.total
            for piece in version.pieces.values():
                touched |= self._add_piece(name, known, piece)
        self.last = max(self.last, other.last)
        self.left_out = max(self.left_out, other.left_out)
        return touched | self.settle()

    def settle(self) -> set[str]:
        """Judges anew what was put off to save time."""
        touched: set[str] = set()
        for name in self.versions:
            touched |= self._judge(name, finally_=True)
        return touched | self._find_changes()

    def learn(self, etag: str, head: Head) -> set[str]:
        """Takes in what another answer told of a version; as ``add``."""
        known = self.heads.get(etag)
        if known is None and len(self.heads) >= _MOST_VERSIONS:
            return set()
        if known is not None and _rank(head) <= _rank(known):
            return set()
        self.heads[etag] = head
        touched: set[str] = set()
        for name, version in self.versions.items():
            if version.etag == etag:
                touched |= self._judge(name, finally_=False)
        return touched

    def _add_piece(self, name: str, version: Version, piece: Piece) -> set[str]:
        if piece.flow_id in version.pieces:
            return set()
        self.versions[name] = version
        version.pieces[piece.flow_id] = piece
        self.facts += 1
        front = self.fronts.get(name)
        if front is None:
            front = self.fronts[name] = Front()
        front.add(piece)
        touched = self._judge(name, finally_=False)
        if len(self.versions) > 1 and self._may_change(front, piece):
            touched |= self._find_changes()
        return touched

    def _may_change(self, front: Front, piece: Piece) -> bool:
        return front.first is piece or any(
            other.first is not None and other.first.started >= piece.started
            for other in self.fronts.values()
            if other is not front
        )

    def total_of(self, version: Version) -> int | None:
        if version.total is not None:
            return version.total
        head = self.heads.get(version.etag or "")
        return head.total if head else None

    def _judge(self, name: str, *, finally_: bool) -> set[str]:
        version, front = self.versions[name], self.fronts[name]
        total = self.total_of(version)
        if total is None or not front.partial:
            return set()
        if not (total in front.reach if finally_ else front.is_due(total)):
            return set()
        front.judgements += 1
        front.judged = front.bytes
        head = self.heads.get(version.etag or "")
        crc64 = version.crc64 if version.crc64 is not None else head.crc64 if head else None
        found = cover(list(version.pieces.values()), total, crc64)
        before = self.coverages.get(name)
        if found is None or found == before:
            return set()
        self.coverages[name] = found
        return {found.closer, before.closer} if before else {found.closer}

    def _find_changes(self) -> set[str]:
        touched: set[str] = set()
        for name in self.versions:
            before, change = self.changes.get(name), self._change_of(name)
            if before == change:
                continue
            if before is not None:
                touched.add(before.flow_id)
                del self.changes[name]
            if change is not None:
                touched.add(change.flow_id)
                self.changes[name] = change
        return touched

    def _change_of(self, name: str) -> Change | None:
        version = self.versions[name]
        piece = self.fronts[name].first
        if piece is None:
            return None
        latest: tuple[float, str, str] | None = None
        for other_name, other in self.versions.items():
            if other_name == name or not version.differs(other):
                continue
            if version.appendable and other.appendable:
                continue
            if self._was_over(other_name, piece):
                continue
            for before in other.pieces.values():
                if before.started < piece.started <= before.ended + GAP:
                    key = (before.started, before.flow_id, other_name)
                    latest = max(latest, key) if latest else key
        if latest is None:
            return None
        other = self.versions[latest[2]]
        return Change(
            flow_id=piece.flow_id,
            before=latest[1],
            etag=(other.etag, version.etag),
            crc64=(other.crc64, version.crc64),
            version_id=(other.version_id, version.version_id),
        )

    def _was_over(self, name: str, piece: Piece) -> bool:
        """Whether the download of a version had ended, or was begun anew, with ``piece``."""
        coverage = self.coverages.get(name)
        if coverage is not None and coverage.closed <= piece.started:
            return True
        pieces = self.versions[name].pieces.values()
        if any(before.ended > piece.started for before in pieces):
            return False
        # A download that goes on does not ask again for what it has.
        return (
            piece.first == 0
            or piece.from_end
            or any(before.first <= piece.first < before.end for before in pieces)
        )

    def is_ranged(self, name: str) -> bool:
        """Whether a range of a version was fetched; whole GETs alone are no such download."""
        return self.fronts[name].partial

    def boundaries(self, name: str, first: int, end: int) -> list[int]:
        """Where pieces of a version begin or end between two bytes."""
        version = self.versions.get(name)
        if version is None:
            return []
        edges = {at for piece in version.pieces.values() for at in (piece.first, piece.end)}
        return sorted(at for at in edges if first < at < end)


def _rank(head: Head) -> tuple[bool, float, int, int]:
    """The newest answer with a CRC-64 counts; the bytes of one ETag do not change."""
    return head.crc64 is not None, head.when, head.total or -1, head.crc64 or -1


def version_name(seen: Observation) -> str:
    return f"{seen.etag or ''}\n{seen.header_crc64}\n{seen.version_id or ''}"


def accounts_of(reading: Reading, *, closed_early: bool = False) -> Iterator[tuple[str, Account]]:
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
        total = reading.total_of(version)
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
                counting=coverage.flows if coverage else frozenset(version.pieces),
                closed_early=closed_early,
                left_out=reading.left_out,
            ),
        )


def transfer_id(reading: Reading, name: str) -> str:
    return f"{reading.id}-{blake2b(name.encode(), digest_size=4).hexdigest()}"


def _state(coverage: Coverage | None) -> str:
    if coverage is None:
        return "partial"
    if coverage.check.reason is not None:
        return "covered"
    return "complete" if coverage.check.same else "mismatch"

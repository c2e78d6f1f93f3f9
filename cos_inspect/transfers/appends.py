"""Appends: the chain of positions, and the CRC-64 of what the pieces make together."""

import bisect
from collections.abc import Iterator

import msgspec

from cos_inspect.digests import combine_crc64
from cos_inspect.transfers.account import (
    Account,
    DigestComparison,
    Fact,
    busy_seconds,
    compared,
    keep,
    skipped,
)
from cos_inspect.transfers.limits import JudgingBudget, Limits
from cos_inspect.transfers.observation import Observation


class Append(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """One AppendObject."""

    stored: bool = False
    """COS said so."""
    position: int | None = None
    """As asked for: bytes from the object's beginning."""
    size: int | None = None
    """Bytes of the piece; None where they were not seen whole."""
    sent: int = 0
    """Bytes of the body that passed."""
    crc64: int | None = None
    """Of the piece."""
    told: int | None = None
    """CRC-64 of the whole object after it, as COS told."""
    next_position: int | None = None
    """As COS told (``x-cos-next-append-position``)."""
    etag: str | None = None
    """An id of COS's own, no MD5."""


class KnownLength(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A HEAD or GET told the object's length and CRC-64: where the next append begins, and
    what it is appended to."""

    size: int
    crc64: int
    moment: float
    """When it was first told."""


class AppendVerdict(msgspec.Struct, frozen=True):
    """What is said of one append that succeeded."""

    crc64: DigestComparison
    next_position: tuple[int, int] | None = None
    """What COS told and what follows from position and size, where they differ."""


class AppendHistory(msgspec.Struct, kw_only=True, dict=True):
    """All appends to one key. A successful append at position 0 begins the object anew."""

    id: str
    bucket: str | None
    key: str | None
    appends: dict[str, Append] = {}
    readings: dict[str, KnownLength] = {}
    """By size and CRC-64: what is read again and again is one fact."""
    facts: int = 0
    left_out: int = 0

    def __post_init__(self) -> None:
        self.whole: dict[str, int | None] = {}
        """CRC-64 of the object after each stored append, by flow id; None: unknown."""
        self.end: Append | None = None
        self.told: dict[int, list[tuple[float, int]]] = {}
        """The two CRC-64s that were read first, and when, by the object's size."""
        self.etags: dict[str, float] = {}
        """When the first append that was answered with an ETag was over."""
        self._stored: list[Append] = []
        """Those that were judged, in the order in which they began."""
        self._effort = JudgingBudget()
        for reading in self.readings.values():
            self._index(reading)
        for append in self.appends.values():
            self._note_etag(append)
        self.settle()

    def add(self, seen: Observation, limits: Limits, *, judge: bool) -> set[str]:
        """The flows of which something else is to be said now. Where not to ``judge``,
        ``settle`` does it later."""
        if self.facts >= limits.parts:
            self.left_out += 1
            return set()
        append = _append(seen)
        is_new = append.flow_id not in self.appends
        if not keep(self.appends, append):
            return set()
        self._note_etag(append)
        self.facts += is_new
        touched = {append.flow_id}
        if not append.stored or not judge:
            return touched
        if not is_new:
            return self.settle() | touched
        at = bisect.bisect_left(self._stored, append.begin, key=lambda one: one.begin)
        self._stored.insert(at, append)
        self.end = self._stored[-1]
        return self._judge_from(at) | touched

    def learn(
        self, size: int, crc64: int, moment: float, limits: Limits, *, judge: bool
    ) -> set[str]:
        """Takes in what a HEAD or GET told of the object; as ``add``."""
        reading = KnownLength(size=size, crc64=crc64, moment=moment)
        name = f"{size}/{crc64}"
        known = self.readings.get(name)
        if known is not None and known.moment <= moment:
            return set()
        if known is None and self.facts >= limits.parts:
            self.left_out += 1
            return set()
        self.facts += known is None
        self.readings[name] = reading
        self._index(reading)
        # It bears on later appends alone, and mostly there is none yet.
        if not judge or self.end is None or self.end.started < moment:
            return set()
        return self.settle() if self._effort.allows(len(self._stored), self.facts) else set()

    def _index(self, reading: KnownLength) -> None:
        told = [one for one in self.told.get(reading.size, ()) if one[1] != reading.crc64]
        self.told[reading.size] = sorted([*told, (reading.moment, reading.crc64)])[:2]

    def _note_etag(self, append: Append) -> None:
        if append.stored and append.etag is not None:
            known = self.etags.get(append.etag, append.ended)
            self.etags[append.etag] = min(known, append.ended)

    def settle(self) -> set[str]:
        """Judges all appends anew; the flows of which something else is to be said now."""
        before = self.whole
        self.whole = {}
        self._stored = sorted(
            (append for append in self.appends.values() if append.stored),
            key=lambda append: append.begin,
        )
        self.end = None
        for append in self._stored:
            self.whole[append.flow_id] = self._after(append, self.end)
            self.end = append
        return {name for name, crc64 in self.whole.items() if before.get(name) != crc64}

    def _judge_from(self, at: int) -> set[str]:
        """Judges an append, and those behind it as long as that changes anything."""
        touched = set()
        for place in range(at, len(self._stored)):
            append = self._stored[place]
            crc64 = self._after(append, self._stored[place - 1] if place else None)
            if place > at and crc64 == self.whole.get(append.flow_id):
                break
            if place > at and not self._effort.allows(1, self.facts):
                break
            self.whole[append.flow_id] = crc64
            touched.add(append.flow_id)
        return touched

    def _after(self, append: Append, before: Append | None) -> int | None:
        if append.crc64 is None or append.size is None:
            return None
        if append.position == 0:
            return append.crc64
        crc64 = self._appended_before(append, before)
        if crc64 is None:
            crc64 = self._read_before(append)
        return None if crc64 is None else combine_crc64(crc64, append.crc64, append.size)

    def _appended_before(self, append: Append, before: Append | None) -> int | None:
        if before is None or before.position is None or before.size is None:
            return None
        fits = before.position + before.size == append.position
        return self.whole.get(before.flow_id) if fits else None

    def _read_before(self, append: Append) -> int | None:
        """CRC-64 of the object of that length, where it was read and was always the same."""
        if append.position is None:
            return None
        read = self.told.get(append.position, ())
        told = [crc64 for moment, crc64 in read if moment <= append.started]
        return told[0] if len(told) == 1 else None

    def appended_as(self, etag: str, moment: float) -> bool:
        """Whether an append that was over by then was answered with this ETag."""
        ended = self.etags.get(etag)
        return ended is not None and ended <= moment


def judge_append(log: AppendHistory, flow_id: str) -> AppendVerdict | None:
    """None for an append that was not stored."""
    append = log.appends.get(flow_id)
    if append is None or not append.stored:
        return None
    wrong: tuple[int, int] | None = None
    if (
        append.position is not None
        and append.size is not None
        and append.next_position is not None
        and append.next_position != append.position + append.size
    ):
        wrong = (append.next_position, append.position + append.size)
    whole = log.whole.get(flow_id)
    if append.told is None:
        return AppendVerdict(skipped("no-header"), wrong)
    if whole is None:
        return AppendVerdict(skipped("unseen-parts", append.told), wrong)
    return AppendVerdict(compared(append.told, whole), wrong)


def account_of(log: AppendHistory) -> Account:
    """The sum of all appends to one key."""
    every = sorted(log.appends.values(), key=lambda append: append.begin)
    stored = [append for append in every if append.stored]
    end = log.end
    size = None
    if end is not None and end.position is not None and end.size is not None:
        size = end.position + end.size
    return Account(
        kind="append",
        id=log.id,
        bucket=log.bucket,
        key=log.key,
        state="appended" if stored else "refused",
        size=size,
        parts=len(stored),
        started=every[0].started if every else 0.0,
        ended=max((append.ended for append in every), default=0.0),
        active=busy_seconds((append.started, append.ended) for append in every),
        tries=len(every),
        bytes_sent_twice=sum(append.sent for append in every if not append.stored),
        flows=tuple(append.flow_id for append in every),
        replaced=frozenset(_replaced(every)),
        left_out=log.left_out,
    )


def _replaced(appends: list[Append]) -> Iterator[str]:
    """What was not stored, but was by a later try: at the same position, or the same piece at
    the position that COS wanted; ``appends`` in the order in which they began."""
    positions: set[int | None] = set()
    pieces: set[int | None] = set()
    for append in reversed(appends):
        if append.stored:
            positions.add(append.position)
            pieces.add(append.crc64)
        elif append.position in positions or append.crc64 in pieces - {None}:
            yield append.flow_id


def _append(seen: Observation) -> Append:
    return Append(
        flow_id=seen.flow_id,
        started=seen.started,
        ended=seen.ended,
        stored=seen.succeeded,
        position=seen.append_position,
        size=seen.size,
        sent=seen.sent_size or 0,
        crc64=seen.crc64,
        told=seen.header_crc64,
        next_position=seen.next_position,
        etag=seen.etag,
    )

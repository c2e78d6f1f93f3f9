"""Appends: the chain of positions, and the CRC-64 of what the pieces make together."""

import msgspec

from cos_inspect.digests import combine_crc64
from cos_inspect.transfers.account import Account, Comparison, Fact, busy_seconds, compared, skipped
from cos_inspect.transfers.observation import Observation


class Append(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """One AppendObject."""

    stored: bool = False
    position: int | None = None
    size: int | None = None
    sent: int = 0
    crc64: int | None = None
    """Of the piece."""
    told: int | None = None
    """CRC-64 of the whole object after it, as COS told."""
    next_position: int | None = None


class AppendVerdict(msgspec.Struct, frozen=True):
    crc64: Comparison
    next_position: tuple[int, int] | None = None
    """What COS told and what follows from position and size, where they differ."""


class Log(msgspec.Struct, kw_only=True, dict=True):
    """All appends to one key. A successful append at position 0 begins the object anew."""

    id: str
    bucket: str | None
    key: str | None
    appends: dict[str, Append] = {}
    facts: int = 0
    last: float = 0.0
    left_out: int = 0

    def __post_init__(self) -> None:
        self.whole: dict[str, int | None] = {}
        """CRC-64 of the object after each stored append, by flow id; None: unknown."""
        self.end: Append | None = None
        self._renew()

    def add(self, seen: Observation, most: int) -> set[str]:
        """The flows of which something else is to be said now."""
        if self.facts >= most:
            self.left_out += 1
            return set()
        append = _append(seen)
        if append.flow_id in self.appends:
            return set()
        return self._keep(append)

    def join(self, other: "Log") -> set[str]:
        self.last = max(self.last, other.last)
        self.left_out = max(self.left_out, other.left_out)
        new = {name: each for name, each in other.appends.items() if name not in self.appends}
        self.appends.update(new)
        self.facts = len(self.appends)
        return self._renew() | new.keys()

    def _keep(self, append: Append) -> set[str]:
        self.appends[append.flow_id] = append
        self.facts += 1
        self.last = max(self.last, append.ended)
        if not append.stored:
            return {append.flow_id}
        if self.end is None or _moment(append) > _moment(self.end):
            self.whole[append.flow_id] = self._after(append, self.end)
            self.end = append
            return {append.flow_id}
        return self._renew() | {append.flow_id}

    def _renew(self) -> set[str]:
        before = self.whole
        self.whole, self.end = {}, None
        for append in sorted(self.appends.values(), key=_moment):
            if append.stored:
                self.whole[append.flow_id] = self._after(append, self.end)
                self.end = append
        return {name for name, crc64 in self.whole.items() if before.get(name) != crc64}

    def _after(self, append: Append, before: Append | None) -> int | None:
        if append.crc64 is None or append.size is None:
            return None
        if append.position == 0:
            return append.crc64
        if before is None or before.position is None or before.size is None:
            return None
        crc64 = self.whole.get(before.flow_id)
        if crc64 is None or before.position + before.size != append.position:
            return None
        return combine_crc64(crc64, append.crc64, append.size)


def _moment(append: Append) -> tuple[float, str]:
    return append.started, append.flow_id


def judge_append(log: Log, flow_id: str) -> AppendVerdict | None:
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


def account_of(log: Log, *, closed_early: bool = False) -> Account:
    every = sorted(log.appends.values(), key=_moment)
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
        counting=frozenset(append.flow_id for append in stored),
        closed_early=closed_early,
        left_out=log.left_out,
    )


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
    )

"""What a history tells about one transfer: comparisons, and the sum of its flows."""

from collections.abc import Iterable
from typing import Literal

import msgspec

TransferKind = Literal[
    "multipart-upload", "ranged-download", "append", "copy", "write-then-read", "retry"
]
Reason = Literal[
    "no-header",
    "failed-request",
    "incomplete",
    "unseen-parts",
    "not-captured",
    "malformed",
    "not-inspected",
    "callback",
    "copy",
]


class Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a history keeps of one exchange: its flow, and when it began and ended, in seconds
    since the epoch."""

    flow_id: str
    started: float
    ended: float

    @property
    def order(self) -> tuple[float, str]:
        """A total order in time, by the end."""
        return self.ended, self.flow_id

    @property
    def begin(self) -> tuple[float, str]:
        """The same by the beginning."""
        return self.started, self.flow_id


def keep[F: Fact](facts: dict[str, F], fact: F) -> bool:
    """Puts a fact in; of two that were learned of one flow the later one counts, whichever
    comes first. Whether anything changed."""
    known = facts.get(fact.flow_id)
    if known is not None and (known.ended, known.started) >= (fact.ended, fact.started):
        return False
    facts[fact.flow_id] = fact
    return True


def newest[F: Fact](facts: dict[str, F], most: int) -> dict[str, F]:
    """The same facts, without the oldest ones where they are half as many again as ``most``:
    to drop them one by one would mean a look at all of them for each."""
    if len(facts) - most <= most // 2:
        return facts
    kept = sorted(facts.values(), key=lambda fact: fact.order)[-most:]
    return {fact.flow_id: fact for fact in kept}


class DigestComparison(msgspec.Struct, frozen=True):
    """A check over several exchanges: made (``reason`` is None), or not.

    ``expected`` is what COS told, ``actual`` what the parts make: a CRC-64 as a decimal number, an
    ETag, or words about either.
    """

    expected: str | None
    actual: str | None
    same: bool = False
    reason: Reason | None = None


def skipped(reason: Reason, expected: int | str | None = None) -> DigestComparison:
    """A comparison that was not made, because of ``reason``."""
    return DigestComparison(None if expected is None else str(expected), None, reason=reason)


def compared(expected: int | str, actual: int | str) -> DigestComparison:
    """A comparison that was made, with its outcome."""
    return DigestComparison(str(expected), str(actual), expected == actual)


class PartRow(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a transfer as it counts in the end.

    ``size`` is in bytes, ``md5`` in lower-case hex, ``crc64ecma`` a decimal number; ``etag`` is
    what COS answered, ``host`` who took the part, ``flow`` the id of its flow.
    """

    number: int
    size: int | None
    md5: str | None
    crc64ecma: str | None
    etag: str | None
    tries: int
    seconds: float
    host: str
    flow: str


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The sum of one transfer. Times are seconds since the epoch, sizes are bytes; what is None is
    not known."""

    kind: TransferKind
    id: str
    bucket: str | None
    key: str | None
    state: str
    size: int | None
    parts: int
    started: float
    ended: float
    active: float
    """Seconds in which at least one of its exchanges was under way."""
    tries: int
    """Exchanges that carried a piece of it."""
    bytes_sent_twice: int
    """Beyond what was needed: of pieces that came more than once, or were not stored."""
    flows: tuple[str, ...]
    """In the order in which they began."""
    replaced: frozenset[str] = frozenset()
    """Those among ``flows`` that no longer count: others took their place."""
    table: tuple[PartRow, ...] = ()
    """Of an upload in parts, by number."""
    left_out: int = 0
    """Flows that were not kept, to bound memory."""


def busy_seconds(spans: Iterable[tuple[float, float]]) -> float:
    """How long at least one of the spans (start, end) lasted."""
    total = 0.0
    reached = float("-inf")
    for start, end in sorted(spans):
        if end > reached:
            total += end - max(start, reached)
            reached = end
    return total

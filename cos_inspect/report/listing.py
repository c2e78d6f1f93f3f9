"""Which flows are listed one by one, where there are too many for all of them.

Listed are the first flows of each kind of finding, and of each operation that came through, to
compare with; then the worst: errors before warnings before notices before what is fine, of
equal ones the earliest. It does not matter in which order flows come, and what was left out once
would be left out of any more flows, too: the list can be shortened at any time.
"""

from collections.abc import Iterable

import msgspec

from cos_inspect.model.flow_report import FlowReport, Verdict

MOST_LISTED = 20_000
"""Flows that are listed. A browser shows their pages within two seconds or so."""
SHORTENED_AT = 30_000
"""Flows are listed up to here before the list is shortened."""
FIRST_OF_EACH = 40
"""Flows of one kind that are listed in any case."""
NEWEST = 1000
"""Flows that are listed while traffic goes on, since they are the newest."""

_BADNESS = {"error": 0, "warning": 2, "notice": 4, "ok": 6}
_LAST = "~"
"""Sorts behind every time."""

Order = tuple[int, str, str, int]
"""Badness, time, flow id and number of a flow: what is less is listed first."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """What decides whether a flow is listed. The members are those of a row of the pages."""

    n: int
    verdict: Verdict
    op: str
    flow: str
    started: str | None = None
    worst: str | None = None
    healed: bool = False

    @classmethod
    def of(cls, report: FlowReport) -> "Entry":
        """What a choice of flows looks at, out of a report that has its number."""
        worst = max(report.findings, key=lambda one: one.severity.rank, default=None)
        return cls(
            n=report.sequence,
            verdict=report.verdict,
            op=report.cos.operation,
            flow=report.flow_id,
            started=report.started,
            worst=worst.rule if worst else None,
            healed=report.is_healed,
        )

    @property
    def kind(self) -> tuple[str, str, bool]:
        """Flows of one kind go wrong in the same way, or are of one operation."""
        return self.verdict, self.worst or self.op, self.healed

    @property
    def order(self) -> Order:
        """The smaller one is chosen first: by the verdict, then by the time it began, the id and
        the number."""
        return _BADNESS[self.verdict] + self.healed, self.started or _LAST, self.flow, self.n


class Floor(msgspec.Struct, frozen=True):
    """Below it no flow is listed: for those who make reports ready, to spare the work."""

    last: Order
    kinds: dict[tuple[str, str, bool], Order]
    """The last flow of each kind that is full."""

    def rules_out(self, entry: Entry) -> bool:
        """Whether a flow will not be listed, whatever else comes."""
        order = entry.order
        if order <= self.last:
            return False
        last_of_kind = self.kinds.get(entry.kind)
        return last_of_kind is not None and order > last_of_kind


class Choice(msgspec.Struct, frozen=True):
    """What is to be listed."""

    numbers: frozenset[int]
    floor: Floor | None
    """None while all are listed."""


def choose(entries: Iterable[Entry], most: int = MOST_LISTED, newest: int = 0) -> Choice:
    """``most`` of the flows, and besides these the ``newest`` by number."""
    ranked = sorted(((entry.order, entry) for entry in entries), key=lambda one: one[0])
    if len(ranked) <= most:
        return Choice(frozenset(entry.n for _, entry in ranked), None)
    of_kind: dict[tuple[str, str, bool], int] = {}
    full: dict[tuple[str, str, bool], Order] = {}
    first: set[int] = set()
    others: list[tuple[Order, int]] = []
    for order, entry in ranked:
        kind = entry.kind
        count = of_kind.get(kind, 0)
        if count == FIRST_OF_EACH or len(first) == most:
            others.append((order, entry.n))
            continue
        of_kind[kind] = count + 1
        first.add(entry.n)
        if count + 1 == FIRST_OF_EACH:
            full[kind] = order
    room = most - len(first)
    last = others[room - 1][0] if room else (-1, "", "", 0)
    first.update(number for _, number in others[:room])
    if newest:
        first.update(sorted(entry.n for _, entry in ranked)[-newest:])
    return Choice(frozenset(first), Floor(last, full))

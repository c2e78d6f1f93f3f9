"""What a run adds to the overview, and the overview with it added: lists and names are bounded."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from cos_inspect.model.capture_summary import CaptureSummary
from cos_inspect.model.devices import ConnectionFailureSummary, DeviceTally, with_connections
from cos_inspect.model.flow_report import (
    VERDICT_RANKS,
    FlowReport,
    Verdict,
)
from cos_inspect.model.moments import microseconds_of
from cos_inspect.model.report_facts import host_of
from cos_inspect.model.statistics import Statistics
from cos_inspect.model.summary import (
    REST,
    Counts,
    Lost,
    RunSummary,
    SessionSummary,
    Summary,
    TransferSummary,
    count_name,
)
from cos_inspect.model.time_line import TimeLine

_MOST_CONNECTIONS = 1000
_MOST_FLOWS = 20
"""The latest flows that are named with a connection's trouble."""
_MOST_RUNS = 1000
_MOST_OTHER_HOSTS = 100
_MOST_CAPTURES = 1000
MOST_LISTED = 10_000
"""Transfers, and chains of retries, in the summary."""
MOST_ROWS = 50_000
"""Parts in all tables of the summary together."""
MOST_NAMED = 500_000
"""Flows in all its lists."""


class SessionCounts(msgspec.Struct, frozen=True):
    """What is counted of the transfers of a run; it goes to the summary as what changed."""

    left_out: int = 0
    retries_left_out: int = 0
    forgotten: int = 0
    went_wrong: dict[str, int] = {}
    """Transfers by verdict."""

    @classmethod
    def of(cls, session: SessionSummary) -> "SessionCounts":
        """The counts of one session."""
        wrong = {name: count for name, count in session.verdicts.items() if name != "ok"}
        return cls(session.left_out, session.retries_left_out, session.forgotten, wrong)

    def __add__(self, other: "SessionCounts") -> "SessionCounts":
        return self._with(other, 1)

    def __sub__(self, other: "SessionCounts") -> "SessionCounts":
        return self._with(other, -1)

    def _with(self, other: "SessionCounts", sign: int) -> "SessionCounts":
        wrong = dict(self.went_wrong)
        for name, count in other.went_wrong.items():
            count_name(wrong, name, sign * count)
        return SessionCounts(
            self.left_out + sign * other.left_out,
            self.retries_left_out + sign * other.retries_left_out,
            self.forgotten + sign * other.forgotten,
            wrong,
        )

    def __bool__(self) -> bool:
        return self != SessionCounts()


class Unlisted(msgspec.Struct, frozen=True):
    """How many of what a run that goes on says the summary had no room for. The run says it
    again, so that it is counted once."""

    transfers: int = 0
    retries: int = 0


class CountedFlow(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What a flow counts as: a revision of its report may count as something else."""

    verdict: Verdict
    rules: frozenset[str]
    worst: str | None
    """The rule of its worst finding."""
    is_healed: bool
    """A failed try after which another one came through."""
    at: int | None
    """The second since the epoch in which it began."""

    @classmethod
    def of(cls, report: FlowReport) -> "CountedFlow":
        """What a report says."""
        findings, began = report.findings, microseconds_of(report.started)
        at = None if began is None else began // 1_000_000
        if not findings:
            return cls(report.verdict, _NO_RULES, None, report.is_healed, at)
        worst = max(findings, key=lambda finding: finding.severity.rank).rule
        rules = frozenset([finding.rule for finding in findings])
        return cls(report.verdict, rules, worst, report.is_healed, at)


_NO_RULES: frozenset[str] = frozenset()
_NONE = "none"


class SummaryDelta:
    """Counts flows as they come; what was counted is handed on as a delta. ``unlisted``: of the
    last session that was told, where this one takes its place."""

    def __init__(self, unlisted: Unlisted | None = None) -> None:
        self.unlisted = unlisted or Unlisted()
        self.unlisted_now = self.unlisted
        """The same once it is told."""
        self.counts = Counts()
        self.statistics = Statistics()
        self.time_line = TimeLine()
        self.devices = DeviceTally()
        self.run: RunSummary | None = None
        """Whose these are; its counts do not matter."""
        self.others = 0
        self.other_hosts: dict[str, int] = {}
        self.connections: list[ConnectionFailureSummary] = []
        self.captures: list[CaptureSummary] = []
        self.sessions: list[SessionSummary] = []
        """What the run's flows say together; each replaces what the run said before of the
        same transfers."""
        self.session_counts = SessionCounts()
        """What the counts of these sessions have changed since they were told last."""
        self.lost = Lost()

    def __bool__(self) -> bool:
        counts = self.counts
        return bool(
            counts.flows
            or counts.verdict
            or counts.rule
            or counts.healed
            or counts.error_rule
            or counts.warning_rule
            or self.others
            or self.devices
            or self.connections
            or self.captures
            or self.sessions
            or self.session_counts
            or self.lost.count
        )

    def replace(self, before: CountedFlow, now: CountedFlow) -> None:
        """Counts a flow anew whose report was revised."""
        self._count(before, -1)
        self._count(now, 1)

    def add(self, report: FlowReport, counted: CountedFlow | None = None) -> None:
        """Counts a report; ``counted`` is what ``CountedFlow.of`` gives."""
        counts = self.counts
        counts.flows += 1
        self._count(counted or CountedFlow.of(report), 1)
        cos, response = report.cos, report.response
        count_name(counts.operation, cos.operation)
        host = host_of(report)
        count_name(counts.host, host)
        self.statistics.add(report, host)
        self.devices.add_flow(report)
        count_name(counts.client, cos.client.name if cos.client else "unknown")
        count_name(counts.region, cos.region or _NONE)
        count_name(counts.status, str(response.status) if response else _NONE)

    def _count(self, flow: CountedFlow, number: int) -> None:
        counts, verdict = self.counts, flow.verdict
        count_name(counts.verdict, verdict, number)
        self.time_line.add(flow.at, verdict, number)
        if flow.worst is None:
            return
        for rule in flow.rules:
            count_name(counts.rule, rule, number)
        if flow.is_healed:
            count_name(counts.healed, verdict, number)
        elif verdict == "error":
            count_name(counts.error_rule, flow.worst, number)
        elif verdict == "warning":
            count_name(counts.warning_rule, flow.worst, number)

    def add_connection(self, trouble: ConnectionFailureSummary) -> None:
        """Adds to what is known of this host, client and failure; a negative count takes back."""
        _add_trouble(self.connections, trouble)


def count_host(hosts: dict[str, int], host: str, number: int = 1) -> None:
    """Counts a host that is not COS; of many the first ones are counted by name."""
    if host in hosts or len(hosts) < _MOST_OTHER_HOSTS:
        hosts[host] = hosts.get(host, 0) + number


def _add_trouble(known: list[ConnectionFailureSummary], added: ConnectionFailureSummary) -> None:
    index = _index_of(known, added)
    if index is None and len(known) >= _MOST_CONNECTIONS:
        added = msgspec.structs.replace(added, host=REST, client=None, detail=None, flows=[])
        index = _index_of(known, added)
    if index is None:
        known.append(added)
        return
    old = known[index]
    taken_back = added.count < 0
    known[index] = msgspec.structs.replace(
        added,
        count=old.count + added.count,
        findings=[] if taken_back else added.findings or old.findings,
        detail=added.detail or old.detail,
        flows=[*old.flows, *added.flows][-_MOST_FLOWS:],
    )


def _index_of(
    known: list[ConnectionFailureSummary], wanted: ConnectionFailureSummary
) -> int | None:
    key = (wanted.host, wanted.client, wanted.failed, wanted.run)
    for index, item in enumerate(known):
        if (item.host, item.client, item.failed, item.run) == key:
            return index
    return None


def _replace_session(summary: Summary, session: SessionSummary, run: int | None) -> SessionSummary:
    """Puts what a run says now in the place of what it said before; other runs' stay. What was
    put there."""
    told: dict[tuple[str, str], set[str]] = {}
    for item in session.transfers:
        told.setdefault((item.kind, item.id), set()).update(item.flows)
    put = SessionSummary(
        transfers=_of_run(session.transfers, run),
        retries=_of_run(session.retries, run),
        read_back=_of_run(session.read_back, run),
    )
    summary.transfers = [
        item for item in summary.transfers if item.run != run or not _is_told_anew(item, told)
    ] + put.transfers
    tried = {flow for chain in session.retries for flow in chain.flows}
    summary.retries = [
        chain for chain in summary.retries if chain.run != run or tried.isdisjoint(chain.flows)
    ] + put.retries
    written = {item.write for item in session.read_back}
    summary.read_back = [
        item for item in summary.read_back if item.run != run or item.write not in written
    ] + put.read_back
    return put


def _of_run[T: msgspec.Struct](items: list[T], run: int | None) -> list[T]:
    if run is None:
        return items
    return [msgspec.structs.replace(item, run=run) for item in items]


def _add_sessions(summary: Summary, tally: SummaryDelta, run: int | None) -> None:
    """Bounds the lists, however many runs have added to them; what goes is counted."""
    if not tally.sessions:
        return
    # Another file may have taken the place of the one in which they were counted.
    summary.left_out = max(0, summary.left_out - tally.unlisted.transfers)
    summary.retries_left_out = max(0, summary.retries_left_out - tally.unlisted.retries)
    last = SessionSummary()
    for session in tally.sessions:
        last = _replace_session(summary, session, run)
    summary.transfers, dropped = _worst(summary.transfers, lambda item: VERDICT_RANKS[item.verdict])
    summary.retries, dropped_retries = _worst(summary.retries, lambda item: not item.succeeded)
    summary.read_back, _ = _worst(summary.read_back, lambda item: not item.same)
    summary.transfers = without_long_tables(summary.transfers)
    summary.left_out += len(dropped)
    summary.retries_left_out += len(dropped_retries)
    tally.unlisted_now = Unlisted(_of(last.transfers, dropped), _of(last.retries, dropped_retries))


def _worst[T](items: list[T], badness: Callable[[T], int]) -> tuple[list[T], list[T]]:
    """As many as are listed, in their order, and the others: of the same badness the oldest."""
    if len(items) <= MOST_LISTED:
        return items, []
    ranked = sorted(range(len(items)), key=lambda index: (badness(items[index]), index))
    out = set(ranked[: len(items) - MOST_LISTED])
    kept = [item for index, item in enumerate(items) if index not in out]
    return kept, [items[index] for index in sorted(out)]


def _of[T](items: Iterable[T], among: Iterable[T]) -> int:
    ids = set(map(id, items))
    return sum(id(item) in ids for item in among)


def without_long_tables(transfers: list[TransferSummary]) -> list[TransferSummary]:
    """The tables of parts, and lists of flows, of the last transfers are left out once there
    are too many."""
    rows = flows = 0
    found = []
    for transfer in transfers:
        rows += len(transfer.part_table)
        flows += len(transfer.flows)
        if rows > MOST_ROWS or flows > MOST_NAMED:
            transfer = msgspec.structs.replace(  # noqa: PLW2901
                transfer,
                part_table=transfer.part_table if rows <= MOST_ROWS else [],
                flows=transfer.flows if flows <= MOST_NAMED else [],
            )
        found.append(transfer)
    return found


def _is_told_anew(item: TransferSummary, told: dict[tuple[str, str], set[str]]) -> bool:
    """Another run may have seen a transfer of the same id, but not the same flows."""
    flows = told.get((item.kind, item.id))
    if flows is None:
        return False
    return not flows or not item.flows or not flows.isdisjoint(item.flows)


_BY_FLOW = (
    *("verdict", "rule", "operation", "host", "client"),
    *("region", "status", "healed", "error_rule", "warning_rule"),
)
"""Counts that each flow adds to."""


def merged(before: Summary | None, tally: SummaryDelta) -> Summary:
    """The summary on disk with a run's tally added."""
    summary = before or Summary()
    run = tally.run.id if tally.run is not None else None
    summary.others += tally.others
    for host, number in tally.other_hosts.items():
        count_host(summary.other_hosts, host, number)
    summary.lost.merge(tally.lost)
    summary.captures = [*summary.captures, *_of_run(tally.captures, run)][-_MOST_CAPTURES:]
    summary.counts.flows += tally.counts.flows
    for name in _BY_FLOW:
        into: dict[str, int] = getattr(summary.counts, name)
        added: dict[str, Any] = getattr(tally.counts, name)
        for key, number in added.items():
            count_name(into, key, number)
    _add_sessions(summary, tally, run)
    counts = tally.session_counts
    summary.left_out += counts.left_out
    summary.retries_left_out += counts.retries_left_out
    summary.forgotten += counts.forgotten
    for verdict, number in counts.went_wrong.items():
        count_name(summary.counts.transfers, verdict, number)
    for trouble in _of_run(tally.connections, run):
        _add_trouble(summary.connections, trouble)
    summary.connections = [trouble for trouble in summary.connections if trouble.count > 0]
    summary.counts.connections = verdicts_of(summary.connections)
    if tally.statistics:
        statistics = Statistics()
        statistics.merge(summary.statistics)
        statistics.merge(tally.statistics.raw().values())
        summary.statistics = statistics.rows()
    summary.time_line.merge(tally.time_line)
    devices = tally.devices.added_to(summary.devices, run)
    summary.devices = with_connections(devices, summary.connections)
    if tally.run is not None:
        _add_run(summary, tally, tally.run)
    for name in Counts.__struct_fields__:
        counted = getattr(summary.counts, name)
        if isinstance(counted, dict):
            # Rules come out of sets, whose order is another one in each process.
            setattr(summary.counts, name, dict(sorted(counted.items())))
    summary.lost.reasons = dict(sorted(summary.lost.reasons.items()))
    return summary


def _add_run(summary: Summary, tally: SummaryDelta, told: RunSummary) -> None:
    runs = {run.id: run for run in summary.runs}
    run = runs.get(told.id, told)
    verdict, transfers = dict(run.verdict), dict(run.transfers)
    for into, added in (
        (verdict, tally.counts.verdict),
        (transfers, tally.session_counts.went_wrong),
    ):
        for name, number in added.items():
            count_name(into, name, number)
    runs[told.id] = msgspec.structs.replace(
        run,
        name=told.name,
        started=told.started,
        ended=told.ended,
        masked=run.masked and told.masked,
        flows=run.flows + tally.counts.flows,
        others=run.others + tally.others,
        lost=run.lost + tally.lost.count,
        verdict=verdict,
        transfers=transfers,
        connections=verdicts_of(each for each in summary.connections if each.run == told.id),
    )
    summary.runs = [runs[number] for number in sorted(runs)][-_MOST_RUNS:]


def verdicts_of(connections: Iterable[ConnectionFailureSummary]) -> dict[str, int]:
    """How many connections by the worst that was found; without findings they may be fine."""
    found: dict[str, int] = {}
    for trouble in connections:
        if trouble.findings:
            worst = max((each.severity for each in trouble.findings), key=lambda each: each.rank)
            count_name(found, worst.value, trouble.count)
    return found

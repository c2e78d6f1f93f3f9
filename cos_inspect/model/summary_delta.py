"""What a run has counted since it was asked last, on its way to the summary."""

import msgspec

from cos_inspect.model.capture_summary import CaptureSummary
from cos_inspect.model.devices import ConnectionFailureSummary, DeviceTally
from cos_inspect.model.flow_report import (
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
    count_name,
)
from cos_inspect.model.time_line import TimeLine

_MOST_CONNECTIONS = 1000
_MOST_FLOWS = 20
"""The latest flows that are named with a connection's trouble."""
_MOST_OTHER_HOSTS = 100


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
        """What a flow counts as while its report says what it says now."""
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
        add_failure(self.connections, trouble)


def count_host(hosts: dict[str, int], host: str, number: int = 1) -> None:
    """Counts a host that is not COS; of many the first ones are counted by name."""
    if host in hosts or len(hosts) < _MOST_OTHER_HOSTS:
        hosts[host] = hosts.get(host, 0) + number


def add_failure(known: list[ConnectionFailureSummary], added: ConnectionFailureSummary) -> None:
    """Adds connections that failed, or takes them back, to the row of their host, client, failure
    and run; of many rows the further ones become one."""
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

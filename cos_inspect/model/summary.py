"""The overview of all flows in a report directory."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec

from cos_inspect.model.devices import DeviceSummary, DeviceTally, with_connections
from cos_inspect.model.flow_report import (
    VERDICT_RANKS,
    Check,
    Finding,
    FlowReport,
    Severity,
    Unmasked,
    Verdict,
)
from cos_inspect.model.statistics import Statistics, StatisticsRow

_MOST_NAMES = 1000
"""Different hosts or clients counted by name; further ones are counted together."""
_REST = "(others)"
_MOST_CONNECTIONS = 1000
_MOST_FLOWS = 20
"""The latest flows that are named with a connection's trouble."""
_MOST_RUNS = 1000
_MOST_OTHER_HOSTS = 100
MOST_LISTED = 10_000
"""Transfers, and chains of retries, in the summary."""
MOST_ROWS = 50_000
"""Parts in all tables of the summary together."""
MOST_NAMED = 500_000
"""Flows in all its lists."""


class Counts(msgspec.Struct, kw_only=True):
    """How many flows, by several properties."""

    flows: int = 0
    """Of COS, each once."""
    verdict: dict[str, int] = msgspec.field(default_factory=dict)
    """Flows by verdict."""
    rule: dict[str, int] = msgspec.field(default_factory=dict)
    """Flows by rule: each counts once for a rule."""
    operation: dict[str, int] = msgspec.field(default_factory=dict)
    """Flows by operation."""
    host: dict[str, int] = msgspec.field(default_factory=dict)
    """Flows by host; what is beyond 1,000 names counts as ``(others)``."""
    client: dict[str, int] = msgspec.field(default_factory=dict)
    """The same by client, as User-Agent tells."""
    transfers: dict[str, int] = msgspec.field(default_factory=dict)
    """Those that went wrong, by verdict; also of those that are not listed."""
    connections: dict[str, int] = msgspec.field(default_factory=dict)
    """The same of connections."""


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One run into the report directory: a proxy from its start to its end, or an analysis."""

    id: int
    """From 1; flows, transfers, retries and connections name it as ``run``."""
    name: str
    """The tool, or the label that was given to an analysis."""
    started: str | None
    """Of a proxy when it began, of an analysis when the first of its flows did; ISO 8601 in UTC."""
    ended: str | None = None
    """Null while it goes on. Of an analysis, when the last of its flows ended."""
    flows: int = 0
    others: int = 0
    lost: int = 0
    verdict: dict[str, int] = {}
    """Flows by verdict."""
    transfers: dict[str, int] = {}
    """Those that went wrong, by verdict."""
    connections: dict[str, int] = {}
    """The same of connections."""
    masked: bool = True
    """False where secrets stand in its reports, for they were not masked at some time in it."""


class PartSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One part as it counts in the end: its last stored upload."""

    number: int
    """From 1."""
    size: int | None
    md5: Unmasked | None
    crc64ecma: Unmasked | None
    etag: str | None
    """As COS answered."""
    tries: int
    """How often it was sent."""
    duration_ms: float
    """Of the try that counts."""
    host: str
    """Where that went."""
    flow: Unmasked
    """Its flow."""


class TransferSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One transfer that several flows belong to, and how it ended; sizes in bytes."""

    kind: Unmasked
    """``multipart-upload``, ``ranged-download`` or ``append``."""
    id: str
    """Of a multipart upload its UploadId."""
    bucket: Unmasked | None
    key: str | None
    state: Unmasked
    """How it stands, or ended: ``completed``, ``aborted``, ``abandoned``, ``open``, …"""
    size: int | None
    """Bytes of the object; null where not all of them are known."""
    parts: int
    """Parts, ranges or pieces that count."""
    duration_ms: float | None
    """From the first exchange's begin to the last one's end."""
    verdict: Verdict
    """The worst of its state, its checks, its findings, and those of its flows that no later try
    replaced."""
    findings: list[Finding]
    """Its own, and those of its flows that count for it."""
    flows: list[Unmasked]
    """In the order in which they began; empty where the summary has too many."""
    checks: list[Check] = []
    """Over all of its parts together."""
    bytes_sent_twice: int = 0
    """Bytes of tries that do not count."""
    throughput: float | None = None
    """Bytes of the object per second in which an exchange was under way."""
    tries: int = 0
    """Exchanges that carried bytes."""
    part_table: list[PartSummary] = []
    """Empty where the summary has too many."""
    notice: str | None = None
    """What is worth a word and is no finding."""
    run: int | None = None
    """The ``id`` of the run that tells it."""

    def __post_init__(self) -> None:
        # None is ok of which a check fails, whoever made it.
        if self.verdict != "error" and any(each.status == "mismatch" for each in self.checks):
            msgspec.structs.force_setattr(self, "verdict", Severity.ERROR.value)

    @classmethod
    def judged(cls, *, at_least: Severity | None = None, **members: Any) -> "TransferSummary":
        """With the verdict that follows from its state (``at_least``), checks and findings."""
        severities = [finding.severity for finding in members["findings"]]
        if at_least is not None:
            severities.append(at_least)
        worst = max(severities, key=lambda severity: severity.rank, default=None)
        return cls(verdict=worst.value if worst else "ok", **members)


class RetryChain(msgspec.Struct, frozen=True, kw_only=True):
    """One request and its retries."""

    id: str = ""
    operation: Unmasked | None = None
    """What was tried."""
    bucket: Unmasked | None = None
    key: str | None = None
    flows: list[Unmasked]
    """The tries, in order."""
    causes: list[str]
    """Why each of them failed."""
    hosts: list[str] = []
    """More than one when the SDK switched."""
    time_lost_ms: float = 0.0
    """From the first try's begin to the last one's."""
    succeeded: bool = False
    """Whether the last one came through."""
    clock_corrected: bool = False
    """A try was refused for its signing time, and the SDK corrected its clock."""
    run: int | None = None
    """The ``id`` of the run that tells it."""


class ReadBackSummary(msgspec.Struct, frozen=True, kw_only=True):
    """An object that was written and then read."""

    bucket: Unmasked | None
    key: str | None
    write: Unmasked
    """The flow that wrote it."""
    reads: list[Unmasked]
    """Flows that read it since."""
    same: bool
    """Whether they got what was written."""
    run: int | None = None
    """The ``id`` of the run that tells it."""


class SessionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What several exchanges say together."""

    transfers: list[TransferSummary] = []
    retries: list[RetryChain] = []
    read_back: list[ReadBackSummary] = []
    left_out: int = 0
    """Transfers that are not listed, to bound the size."""
    retries_left_out: int = 0
    """Chains of retries that are not listed."""
    forgotten: int = 0
    """Exchanges of live traffic, and objects, of which memory held no more when others came,
    so that nobody can tell what they say together."""
    verdicts: dict[str, int] = {}
    """Of all transfers, also of those that are not listed."""


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
            _count(wrong, name, sign * count)
        return SessionCounts(
            self.left_out + sign * other.left_out,
            self.retries_left_out + sign * other.retries_left_out,
            self.forgotten + sign * other.forgotten,
            wrong,
        )

    def __bool__(self) -> bool:
        return self != SessionCounts()


class ConnectionFailureSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What failed between a client and a host before there was an exchange to judge."""

    host: str | None
    """That was asked for, as far as it is known."""
    client: str | None
    """The client's address."""
    failed: Unmasked
    """``client-…`` on the client's side, ``upstream-…`` on the server's."""
    count: int
    """Connections; on its way to the summary, how many more, or how many less."""
    findings: list[Finding]
    """Empty where it may be harmless, and where a flow has the finding."""
    detail: str | None = None
    """The text of mitmproxy."""
    fix: str | None = None
    """What to do about it."""
    flows: list[Unmasked] = []
    """The flows that failed by it."""
    run: int | None = None
    """The ``id`` of the run that tells it."""


class Lost(msgspec.Struct, kw_only=True):
    """Flows of COS without a report: it could not be made, or could not be written."""

    count: int = 0
    """How many."""
    reasons: dict[str, int] = msgspec.field(default_factory=dict)
    """How many of them for each reason, in a few plain words such as ``disk full``."""

    def add(self, reason: str, count: int = 1) -> None:
        """Counts ``count`` more of one reason."""
        if count:
            self.count += count
            _count(self.reasons, reason, count)

    def merge(self, other: "Lost") -> None:
        """Counts all that another has."""
        for reason, count in other.reasons.items():
            self.add(reason, count)

    def since(self, earlier: "Lost") -> "Lost":
        """What came to it after ``earlier``."""
        lost = Lost()
        for reason, count in self.reasons.items():
            lost.add(reason, count - earlier.reasons.get(reason, 0))
        return lost


class Summary(msgspec.Struct, kw_only=True):
    """What ``summary.json`` holds."""

    schema: Literal["cos-inspect/summary/1"] = "cos-inspect/summary/1"
    counts: Counts = msgspec.field(default_factory=Counts)
    """Of all flows, transfers and connections, also of those that are not listed."""
    transfers: list[TransferSummary] = msgspec.field(default_factory=list)
    """The worst 10,000, in the order in which they began; `left_out` counts the others."""
    retries: list[RetryChain] = msgspec.field(default_factory=list)
    """Chains of tries of one request: the worst 10,000."""
    read_back: list[ReadBackSummary] = msgspec.field(default_factory=list)
    """Objects that were written and then read."""
    connections: list[ConnectionFailureSummary] = msgspec.field(default_factory=list)
    """What failed before there was an exchange."""
    runs: list[RunSummary] = msgspec.field(default_factory=list)
    """The newest 1000 runs into this directory, by id."""
    devices: list[DeviceSummary] = msgspec.field(default_factory=list)
    """Who was connected, by client address."""
    statistics: list[StatisticsRow] = msgspec.field(default_factory=list)
    """Times and throughput by operation and host, of all runs."""
    others: int = 0
    """Flows that were not COS traffic."""
    other_hosts: dict[str, int] = msgspec.field(default_factory=dict)
    """Who was asked in these, the first 100 by name."""
    lost: Lost = msgspec.field(default_factory=Lost)
    """Flows of COS without a report."""
    left_out: int = 0
    """Transfers that the list does not hold: it has the worst."""
    retries_left_out: int = 0
    """The same of chains of retries."""
    forgotten: int = 0
    """Exchanges of live traffic that memory held no more when others came: what they say
    together is not known."""


class Unlisted(msgspec.Struct, frozen=True):
    """How many of what a run that goes on says the summary had no room for. The run says it
    again, so that it is counted once."""

    transfers: int = 0
    retries: int = 0


class SummaryDelta:
    """Counts flows as they come; what was counted is handed on as a delta. ``unlisted``: of the
    last session that was told, where this one takes its place."""

    def __init__(self, unlisted: Unlisted | None = None) -> None:
        self.unlisted = unlisted or Unlisted()
        self.unlisted_now = self.unlisted
        """The same once it is told."""
        self.counts = Counts()
        self.statistics = Statistics()
        self.devices = DeviceTally()
        self.run: RunSummary | None = None
        """Whose these are; its counts do not matter."""
        self.others = 0
        self.other_hosts: dict[str, int] = {}
        self.connections: list[ConnectionFailureSummary] = []
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
            or self.others
            or self.devices
            or self.connections
            or self.sessions
            or self.session_counts
            or self.lost.count
        )

    def replace(
        self, verdict: str, rules: Iterable[str], new_verdict: str, new_rules: Iterable[str]
    ) -> None:
        """Counts a flow anew whose report was revised."""
        _count(self.counts.verdict, verdict, -1)
        _count(self.counts.verdict, new_verdict)
        for rule in rules:
            _count(self.counts.rule, rule, -1)
        for rule in new_rules:
            _count(self.counts.rule, rule)

    def add(self, report: FlowReport) -> None:
        """Counts a report."""
        counts = self.counts
        counts.flows += 1
        _count(counts.verdict, report.verdict)
        for rule in {finding.rule for finding in report.findings}:
            _count(counts.rule, rule)
        _count(counts.operation, report.cos.operation)
        host = _host_of(report)
        _count(counts.host, host)
        self.statistics.add(report, host)
        self.devices.add_flow(report)
        _count(counts.client, report.cos.client.name if report.cos.client else "unknown")

    def add_other(self, host: str | None) -> None:
        """Names who was asked in a flow that was not COS traffic."""
        if host:
            count_host(self.other_hosts, host)

    def add_connection(self, trouble: ConnectionFailureSummary) -> None:
        """Adds to what is known of this host, client and failure; a negative count takes back."""
        _add_trouble(self.connections, trouble)


def count_host(hosts: dict[str, int], host: str, number: int = 1) -> None:
    """Counts a host that is not COS; of many the first ones are counted by name."""
    if host in hosts or len(hosts) < _MOST_OTHER_HOSTS:
        hosts[host] = hosts.get(host, 0) + number


def _host_of(report: FlowReport) -> str:
    return report.request.url.partition("://")[2].partition("/")[0]


def _count(names: dict[str, int], name: str, number: int = 1) -> None:
    if name not in names and len(names) >= _MOST_NAMES:
        name = _REST
    names[name] = names.get(name, 0) + number
    if not names[name]:
        del names[name]


def _add_trouble(known: list[ConnectionFailureSummary], added: ConnectionFailureSummary) -> None:
    index = _index_of(known, added)
    if index is None and len(known) >= _MOST_CONNECTIONS:
        added = msgspec.structs.replace(added, host=_REST, client=None, detail=None, flows=[])
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


def merged(before: Summary | None, tally: SummaryDelta) -> Summary:
    """The summary on disk with a run's tally added."""
    summary = before or Summary()
    run = tally.run.id if tally.run is not None else None
    summary.others += tally.others
    for host, number in tally.other_hosts.items():
        count_host(summary.other_hosts, host, number)
    summary.lost.merge(tally.lost)
    summary.counts.flows += tally.counts.flows
    for name in ("verdict", "rule", "operation", "host", "client"):
        into: dict[str, int] = getattr(summary.counts, name)
        added: dict[str, Any] = getattr(tally.counts, name)
        for key, number in added.items():
            _count(into, key, number)
    _add_sessions(summary, tally, run)
    counts = tally.session_counts
    summary.left_out += counts.left_out
    summary.retries_left_out += counts.retries_left_out
    summary.forgotten += counts.forgotten
    for verdict, number in counts.went_wrong.items():
        _count(summary.counts.transfers, verdict, number)
    for trouble in _of_run(tally.connections, run):
        _add_trouble(summary.connections, trouble)
    summary.connections = [trouble for trouble in summary.connections if trouble.count > 0]
    summary.counts.connections = verdicts_of(summary.connections)
    if tally.statistics:
        statistics = Statistics()
        statistics.merge(summary.statistics)
        statistics.merge(tally.statistics.raw().values())
        summary.statistics = statistics.rows()
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
            _count(into, name, number)
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
            _count(found, worst.value, trouble.count)
    return found

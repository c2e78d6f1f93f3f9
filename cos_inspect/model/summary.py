"""The overview of all flows in a report directory."""

from typing import Any, Literal

import msgspec

from cos_inspect.model.capture_summary import CaptureSummary
from cos_inspect.model.devices import ConnectionFailureSummary, DeviceSummary
from cos_inspect.model.flow_report import (
    Check,
    Finding,
    Severity,
    Unmasked,
    Verdict,
)
from cos_inspect.model.statistics import StatisticsRow
from cos_inspect.model.time_line import TimeLine

_MOST_NAMES = 1000
"""Different hosts or clients counted by name; further ones are counted together."""
REST = "(others)"


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
    region: dict[str, int] = msgspec.field(default_factory=dict)
    """The same by region; ``none`` where the host names none."""
    status: dict[str, int] = msgspec.field(default_factory=dict)
    """Flows by the status of the answer; ``none`` where there was no answer."""
    healed: dict[str, int] = msgspec.field(default_factory=dict)
    """Failed tries after which another one came through, by verdict."""
    error_rule: dict[str, int] = msgspec.field(default_factory=dict)
    """The other flows that are errors, each by the rule of its worst finding."""
    warning_rule: dict[str, int] = msgspec.field(default_factory=dict)
    """The same of warnings."""
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
    """The tries, in order; of more than 100 the last."""
    tries: int = 0
    """How many there were."""
    causes: list[str]
    """Why each of them failed; of more than 100 the last."""
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
    """Flows that read it since, the first 100."""
    count: int = 0
    """How many did."""
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


class Lost(msgspec.Struct, kw_only=True):
    """Flows of COS without a report, or whose report is missing in a format that was asked for:
    it could not be made, or could not be written. Each counts once, however many formats lack
    it."""

    count: int = 0
    """How many."""
    reasons: dict[str, int] = msgspec.field(default_factory=dict)
    """How many of them for each reason, in a few plain words such as ``disk full``."""

    def add(self, reason: str, count: int = 1) -> None:
        """Counts ``count`` more of one reason."""
        if count:
            self.count += count
            count_name(self.reasons, reason, count)

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
    time_line: TimeLine = msgspec.field(default_factory=TimeLine)
    """How many flows of each verdict began when, of all runs."""
    others: int = 0
    """Flows that were not COS traffic."""
    other_hosts: dict[str, int] = msgspec.field(default_factory=dict)
    """Who was asked in these, the first 100 by name."""
    captures: list[CaptureSummary] = msgspec.field(default_factory=list)
    """The newest 1000 captures that were read, and what is not in the reports of each."""
    lost: Lost = msgspec.field(default_factory=Lost)
    """Flows of COS without a report, or whose report is missing in one of the formats."""
    left_out: int = 0
    """Transfers that the list does not hold: it has the worst."""
    retries_left_out: int = 0
    """The same of chains of retries."""
    forgotten: int = 0
    """Exchanges of live traffic that memory held no more when others came: what they say
    together is not known."""


def count_name(names: dict[str, int], name: str, number: int = 1) -> None:
    """Adds to a count by name, and drops what counts nothing; further names than are counted
    count together."""
    if name not in names and len(names) >= _MOST_NAMES:
        name = REST
    names[name] = names.get(name, 0) + number
    if not names[name]:
        del names[name]

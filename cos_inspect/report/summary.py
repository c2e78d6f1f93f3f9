"""The overview of all flows in a report directory."""

from typing import Any, Literal

import msgspec

from cos_inspect.report.model import Finding, FlowReport, Verdict

_MOST_NAMES = 1000
"""Different hosts or clients counted by name; further ones are counted together."""
_REST = "(others)"


class Counts(msgspec.Struct, kw_only=True):
    flows: int = 0
    verdict: dict[str, int] = msgspec.field(default_factory=dict)
    rule: dict[str, int] = msgspec.field(default_factory=dict)
    operation: dict[str, int] = msgspec.field(default_factory=dict)
    host: dict[str, int] = msgspec.field(default_factory=dict)
    client: dict[str, int] = msgspec.field(default_factory=dict)


class TransferSummary(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    id: str
    bucket: str | None
    key: str | None
    state: str
    size: int | None
    parts: int
    duration_ms: float | None
    verdict: Verdict
    findings: list[Finding]
    flows: list[str]


class RetryChain(msgspec.Struct, frozen=True, kw_only=True):
    flows: list[str]
    causes: list[str]


class ConnectionTrouble(msgspec.Struct, frozen=True, kw_only=True):
    host: str | None
    client: str | None
    failed: str
    count: int
    findings: list[Finding]


class Summary(msgspec.Struct, kw_only=True):
    schema: Literal["cos-inspect/summary/1"] = "cos-inspect/summary/1"
    counts: Counts = msgspec.field(default_factory=Counts)
    transfers: list[TransferSummary] = msgspec.field(default_factory=list)
    retries: list[RetryChain] = msgspec.field(default_factory=list)
    connections: list[ConnectionTrouble] = msgspec.field(default_factory=list)
    others: int = 0
    """Flows that were not COS traffic."""


class Tally:
    """Counts flows as they come; what was counted is handed on as a delta."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.others = 0

    def __bool__(self) -> bool:
        return bool(self.counts.flows or self.others)

    def add(self, report: FlowReport) -> None:
        counts = self.counts
        counts.flows += 1
        _count(counts.verdict, report.verdict)
        for rule in {finding.rule for finding in report.findings}:
            _count(counts.rule, rule)
        _count(counts.operation, report.cos.operation)
        _count(counts.host, _host_of(report))
        _count(counts.client, report.cos.client.name if report.cos.client else "unknown")


def _host_of(report: FlowReport) -> str:
    return report.request.url.partition("://")[2].partition("/")[0]


def _count(names: dict[str, int], name: str, number: int = 1) -> None:
    if name not in names and len(names) >= _MOST_NAMES:
        name = _REST
    names[name] = names.get(name, 0) + number


def merged(before: Summary | None, tally: Tally) -> Summary:
    """The summary on disk with a run's tally added."""
    summary = before or Summary()
    summary.others += tally.others
    summary.counts.flows += tally.counts.flows
    for name in ("verdict", "rule", "operation", "host", "client"):
        into: dict[str, int] = getattr(summary.counts, name)
        added: dict[str, Any] = getattr(tally.counts, name)
        for key, number in added.items():
            _count(into, key, number)
    return summary

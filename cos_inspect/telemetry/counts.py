"""What of a report is counted in metrics, and can be taken back when the report is revised."""

import math
from collections import Counter

import msgspec

from cos_inspect.model.devices import ConnectionFailureSummary
from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.plain_text import whole
from cos_inspect.telemetry.facts import host_and_port
from cos_inspect.telemetry.signals import (
    BODY_IO,
    CHECKS,
    CONNECTIONS,
    DURATION,
    FINDINGS,
    FLOWS,
    NONE,
    OTHER,
    WAIT,
    Metric,
)

MOST_HOSTS = 100
MOST_REGIONS = 100

Values = tuple[str, ...]
"""Of a metric's attributes, in their order."""


class FlowCounts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Values of the attributes under which a flow was counted."""

    flow: Values
    findings: tuple[Values, ...]
    checks: tuple[Values, ...]


class Names:
    """The first names that come, as many as it may; others are ``other``."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def of(self, name: str | None) -> str:
        """What a name is called in metrics."""
        if not name:
            return NONE
        if name not in self._known:
            if len(self._known) >= self._most:
                return OTHER
            self._known.add(name)
        return whole(name)


class Tally:
    """Adds up what reports say. ``changes`` are those since somebody took them: how much more, or
    less, by metric and the values of its attributes; ``durations`` are single values in seconds."""

    def __init__(self) -> None:
        self._hosts = Names(MOST_HOSTS)
        self._regions = Names(MOST_REGIONS)
        self.changes: Counter[tuple[str, Values]] = Counter()
        self.durations: list[tuple[Metric, float, Values]] = []

    def add(self, report: FlowReport) -> FlowCounts:
        """Counts a flow that was not counted yet; what is to be given to ``revise``."""
        counts = self._counts_of(report)
        self._apply(counts, 1)
        operation, _, status, region, host = counts.flow
        timing = report.timing
        for metric, value in ((DURATION, timing.total_ms), (WAIT, timing.wait_ms)):
            if value is not None and 0 <= value < math.inf:
                self.durations.append((metric, value / 1000, (operation, status, region)))
        response = report.response
        sizes = (
            ("transmit", report.request.body.size),
            ("receive", response.body.size if response is not None else None),
        )
        for direction, size in sizes:
            if size:
                self.changes[BODY_IO.name, (direction, operation, region, host)] += size
        return counts

    def revise(self, before: FlowCounts, report: FlowReport) -> FlowCounts:
        """Counts what a revised report says in the place of what it said before. Times and bytes
        of a flow do not change."""
        counts = self._counts_of(report)
        if counts != before:
            self._apply(before, -1)
            self._apply(counts, 1)
        return counts

    def add_connection(self, trouble: ConnectionFailureSummary) -> None:
        """Counts connections that failed, or takes them back."""
        host = self._hosts.of((trouble.host or "").lower())
        self.changes[CONNECTIONS.name, (trouble.failed, host)] += trouble.count

    def take(self) -> dict[tuple[str, Values], int]:
        """The changes since the last call."""
        taken, self.changes = self.changes, Counter()
        return {name: value for name, value in taken.items() if value}

    def _apply(self, counts: FlowCounts, sign: int) -> None:
        changes = self.changes
        changes[FLOWS.name, counts.flow] += sign
        for values in counts.findings:
            changes[FINDINGS.name, values] += sign
        for values in counts.checks:
            changes[CHECKS.name, values] += sign

    def _counts_of(self, report: FlowReport) -> FlowCounts:
        operation = report.cos.operation
        host, _ = host_and_port(report.request.url)
        return FlowCounts(
            flow=(
                operation,
                report.verdict,
                status_class(report),
                self._regions.of(report.cos.region),
                self._hosts.of(host),
            ),
            findings=tuple((each.rule, each.severity.value, operation) for each in report.findings),
            checks=tuple((each.check, each.status, each.reason or NONE) for each in report.checks),
        )


def status_class(report: FlowReport) -> str:
    """``2xx``, or ``none`` where no answer came."""
    if report.response is None:
        return NONE
    hundreds = report.response.status // 100
    return f"{hundreds}xx" if 1 <= hundreds <= 5 else OTHER

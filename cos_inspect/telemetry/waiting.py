"""Spans and log records that wait to be sent: bounded, and revised where they wait.

What waits is reports: what becomes of them is made when it can be sent, so that it costs nothing
while the collector is gone.
"""

import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Sequence

import msgspec

from cos_inspect.model.devices import ConnectionFailureSummary
from cos_inspect.model.flow_report import Finding, FlowReport
from cos_inspect.report.report_queue import name_of, weight_of

SPANS = "spans"
LOGS = "log records"
REPORTS = "reports"
"""What can be dropped: the last are of those that nothing was counted of."""

MANY_SPANS = 512
"""So many do not wait for what other flows say of them."""
_MOST_SPANS = 2048
_MOST_LOGS = 2048
_HEAVIEST = 32 * 1024 * 1024
"""Bytes of reports, about."""
_CONNECTION = 4096
"""The same of a connection."""


class WaitingLogs(msgspec.Struct, frozen=True):
    """Findings of a flow, or of a connection that had none."""

    about: FlowReport | ConnectionFailureSummary
    findings: Sequence[Finding]
    weight: int


class Waiting:
    """Any thread may call it."""

    def __init__(
        self, *, spans: int = _MOST_SPANS, logs: int = _MOST_LOGS, heaviest: int = _HEAVIEST
    ) -> None:
        self._most_spans = spans
        self._most_logs = logs
        self._heaviest = heaviest
        self._spans: OrderedDict[str, FlowReport] = OrderedDict()
        self._logs: deque[WaitingLogs] = deque()
        self._records = 0
        self._weight = 0
        self._dropped: Counter[str] = Counter()
        self._taken: Counter[str] = Counter()
        """What is under way."""
        self._lock = threading.Lock()
        self.many = threading.Event()
        """Set when many spans wait; who sends them clears it."""

    def add_span(self, report: FlowReport) -> None:
        """Takes a flow's span; drops it where there is no room."""
        weight = weight_of(report)
        with self._lock:
            if len(self._spans) >= self._most_spans or self._weight + weight > self._heaviest:
                self._dropped[SPANS] += 1
                return
            self._spans[name_of(report)] = report
            self._weight += weight
            if len(self._spans) == MANY_SPANS:
                self.many.set()

    def revise_span(self, report: FlowReport) -> None:
        """A revised report in the place of the one that waits. A span that was sent stays what
        it is: a collector would take a second one for another flow."""
        name = name_of(report)
        with self._lock:
            before = self._spans.get(name)
            if before is not None:
                self._spans[name] = report
                self._weight += weight_of(report) - weight_of(before)

    def add_logs(
        self, about: FlowReport | ConnectionFailureSummary, findings: Sequence[Finding]
    ) -> None:
        """Takes what was found; drops it where there is no room."""
        weight = weight_of(about) if isinstance(about, FlowReport) else _CONNECTION
        with self._lock:
            if self._records >= self._most_logs or self._weight + weight > self._heaviest:
                self._dropped[LOGS] += len(findings)
                return
            self._logs.append(WaitingLogs(about, findings, weight))
            self._records += len(findings)
            self._weight += weight

    def drop(self, what: str, count: int = 1) -> None:
        """Counts what could not be taken or sent."""
        with self._lock:
            self._dropped[what] += count

    def dropped(self) -> Counter[str]:
        """All that was dropped so far."""
        with self._lock:
            return Counter(self._dropped)

    def left(self) -> Counter[str]:
        """What waits, or is under way."""
        with self._lock:
            return Counter({SPANS: len(self._spans), LOGS: self._records}) + self._taken

    def settle(self, what: str, *, dropped: bool = False) -> None:
        """What was taken is sent, or dropped."""
        with self._lock:
            count = self._taken.pop(what, 0)
            if dropped:
                self._dropped[what] += count

    def take_spans(self, most: int) -> list[FlowReport]:
        """The oldest ones; who takes them settles them, or puts them back."""
        with self._lock:
            found = [self._spans.popitem(last=False)[1] for _ in range(min(most, len(self._spans)))]
            self._weight -= sum(map(weight_of, found))
            self._taken[SPANS] = len(found)
        return found

    def put_spans_back(self, reports: Sequence[FlowReport]) -> None:
        """In front of those that came meanwhile."""
        with self._lock:
            self._taken.pop(SPANS, None)
            for report in reversed(reports):
                name = name_of(report)
                self._spans[name] = report
                self._spans.move_to_end(name, last=False)
                self._weight += weight_of(report)

    def take_logs(self, most: int) -> list[WaitingLogs]:
        """The same of what was found: at least one flow's, and about so many records."""
        found: list[WaitingLogs] = []
        with self._lock:
            while self._logs and most > 0:
                one = self._logs.popleft()
                found.append(one)
                most -= len(one.findings)
                self._records -= len(one.findings)
                self._weight -= one.weight
            self._taken[LOGS] = sum(len(one.findings) for one in found)
        return found

    def put_logs_back(self, logs: Sequence[WaitingLogs]) -> None:
        """In front of those that came meanwhile."""
        with self._lock:
            self._taken.pop(LOGS, None)
            for one in reversed(logs):
                self._logs.appendleft(one)
                self._records += len(one.findings)
                self._weight += one.weight

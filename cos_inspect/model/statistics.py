"""How long requests took and how fast bodies went, per operation and host.

Values are counted in buckets, each 5 % wider than the one before: memory is bounded, counts of
several runs, captures and processes can be added in any order, and a percentile is off by 2.5 %
at most.
"""

import math
from collections.abc import Iterable, Mapping

import msgspec

from cos_inspect.model.flow_report import FlowReport

GROWTH = 1.05
"""A value of ``GROWTH**n`` lies on the upper end of bucket ``n``."""

_LOG = math.log(GROWTH)
_SMALLEST = 0.001
_REST = "(others)"


class Distribution(msgspec.Struct, kw_only=True):
    """Some values: their number, their ends, and how they are spread."""

    count: int = 0
    min: float | None = None
    max: float | None = None
    p5: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    buckets: dict[int, int] = msgspec.field(default_factory=dict)
    """How many values are in each bucket. Bucket ``n`` has those up to ``1.05**n``."""

    def add(self, value: float) -> None:
        """Counts one value, in the unit of the others."""
        self.count += 1
        self.min = value if self.min is None else min(self.min, value)
        self.max = value if self.max is None else max(self.max, value)
        number = math.ceil(math.log(max(value, _SMALLEST)) / _LOG)
        self.buckets[number] = self.buckets.get(number, 0) + 1

    def merge(self, other: "Distribution") -> None:
        """Adds the values of another one; the percentiles are left to ``settle``."""
        self.count += other.count
        ends = [each for each in (self.min, other.min) if each is not None]
        self.min = min(ends, default=None)
        self.max = max((each for each in (self.max, other.max) if each is not None), default=None)
        for number, count in other.buckets.items():
            self.buckets[number] = self.buckets.get(number, 0) + count

    def settle(self) -> None:
        """Computes the percentiles of all values so far."""
        self.buckets = dict(sorted(self.buckets.items()))
        self.p5, self.p50, self.p95, self.p99 = map(self._percentile, (5, 50, 95, 99))

    def _percentile(self, percent: int) -> float | None:
        if self.min is None or self.max is None:
            return None
        rank = -(-self.count * percent // 100)
        for number, count in self.buckets.items():
            rank -= count
            if rank <= 0:
                middle: float = GROWTH ** (number - 0.5)
                return round(min(max(middle, self.min), self.max), 3)
        return self.max


class StatisticsRow(msgspec.Struct, kw_only=True):
    """The flows of one operation on one host."""

    operation: str
    host: str
    count: int = 0
    errors: int = 0
    """Without an answer, with a status from 400 on, or with an error in a success."""
    error_rate: float = 0.0
    """``errors`` of ``count``, from 0 to 1."""
    body_bytes: int = 0
    """Of all bodies, both ways."""
    wait_ms: Distribution = msgspec.field(default_factory=Distribution)
    """From the end of the request to the begin of the answer."""
    total_ms: Distribution = msgspec.field(default_factory=Distribution)
    throughput: Distribution = msgspec.field(default_factory=Distribution)
    """Bytes per second of bodies of 64 KiB and more."""

    def merge(self, other: "StatisticsRow") -> None:
        """Adds the flows of another one; what is computed of them is left to ``settle``."""
        self.count += other.count
        self.errors += other.errors
        self.body_bytes += other.body_bytes
        self.wait_ms.merge(other.wait_ms)
        self.total_ms.merge(other.total_ms)
        self.throughput.merge(other.throughput)

    def settle(self) -> None:
        """Computes rates and percentiles of what was counted."""
        self.error_rate = round(self.errors / self.count, 6) if self.count else 0.0
        for each in (self.wait_ms, self.total_ms, self.throughput):
            each.settle()


class Statistics:
    """Rows by operation and host, at most ``most`` by name: the rest is counted together. A body
    shorter than ``least_body`` bytes says nothing of the throughput."""

    def __init__(self, most: int = 300, least_body: int = 64 * 1024) -> None:
        self._most = most
        self._least_body = least_body
        self._rows: dict[tuple[str, str], StatisticsRow] = {}

    def __bool__(self) -> bool:
        return bool(self._rows)

    def add(self, report: FlowReport, host: str) -> None:
        """Counts a flow for its operation and ``host``, but one that the proxy itself answered or
        ended, which says nothing of COS."""
        response, who = report.response, report.broke_off
        if (response is not None and response.by == "proxy") or (
            who is not None and who.by == "proxy"
        ):
            return
        if any(check.reason == "proxy-stopped" for check in report.checks):
            return
        row = self._row(report.cos.operation, host)
        row.count += 1
        row.errors += response is None or response.status >= 400 or report.error is not None
        timing = report.timing
        if timing.wait_ms is not None:
            row.wait_ms.add(timing.wait_ms)
        if timing.total_ms is not None:
            row.total_ms.add(timing.total_ms)
        bodies = [(report.request.body.size, timing.request_ms)]
        if response is not None:
            bodies.append((response.body.size, timing.response_ms))
        for size, took in bodies:
            if size is None:
                continue
            row.body_bytes += size
            if size >= self._least_body and took:
                row.throughput.add(round(size / took * 1000, 1))

    def merge(self, rows: Iterable[StatisticsRow]) -> None:
        """Adds rows, as another one has them."""
        for row in rows:
            self._row(row.operation, row.host).merge(row)

    def _row(self, operation: str, host: str) -> StatisticsRow:
        row = self._rows.get((operation, host))
        if row is None:
            if len(self._rows) >= self._most:
                operation = host = _REST
            row = self._rows.setdefault(
                (operation, host), StatisticsRow(operation=operation, host=host)
            )
        return row

    def rows(self) -> list[StatisticsRow]:
        """In the order of their names, with percentiles."""
        found = [self._rows[name] for name in sorted(self._rows)]
        for row in found:
            row.settle()
        return found

    def raw(self) -> Mapping[tuple[str, str], StatisticsRow]:
        """Without percentiles, to be merged."""
        return self._rows

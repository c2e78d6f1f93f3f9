"""What is sent when, and what becomes of it where it is not taken."""

import threading
import time
from collections.abc import Sequence

import pytest

from cos_inspect.model.flow_report import FlowReport
from cos_inspect.telemetry.counts import Values
from cos_inspect.telemetry.records import LogFacts, SpanFacts
from cos_inspect.telemetry.sending import NotSentError, Sender
from cos_inspect.telemetry.signals import DROPPED, FLOWS
from cos_inspect.telemetry.trouble import Trouble
from cos_inspect.telemetry.waiting import LOGS, REPORTS, SPANS, Waiting
from tests.report.build import finding, flow_report

FLOW = ("PutObject", "ok", "2xx", "ap-guangzhou", "host")


class Taken:
    """A collector that fails as it is told to."""

    def __init__(self) -> None:
        self.most_seconds: float | None = None
        self.failures: list[NotSentError] = []
        self.recorded: list[tuple[str, float, Values]] = []
        self.sent: list[str] = []

    def record(self, metric: str, value: float, values: Values) -> None:
        self.recorded.append((metric, value, values))

    def _take(self, *what: str) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.sent += what

    def send_metrics(self) -> None:
        self._take("metrics")

    def send_spans(self, spans: Sequence[SpanFacts]) -> None:
        self._take(*(str(each.attributes["cos.flow_id"]) for each in spans))

    def send_logs(self, records: Sequence[LogFacts]) -> None:
        self._take(*(str(each.attributes["cos.rule"]) for each in records))


class Bench:
    def __init__(self, *signals: str) -> None:
        self.waiting = Waiting()
        self.collector = Taken()
        self.changes: dict[tuple[str, Values], int] = {}
        self.sender = Sender(
            self.collector,
            signals,
            self.waiting,
            Trouble("http://collector", self.waiting),
            changes=lambda: self.changes,
            metric_seconds=3600,
        )

    def finish(self) -> list[str]:
        """What the end of a run sends."""
        counted = threading.Event()
        counted.set()
        self.sender.closing.set()
        self.sender.run(counted)
        return self.collector.sent


def _flows(count: int) -> list[FlowReport]:
    return [flow_report(flow_id=str(number)) for number in range(count)]


def test_the_end_sends_all_there_is() -> None:
    bench = Bench("metrics", "logs", "traces")
    bench.changes[FLOWS.name, FLOW] = 3
    bench.waiting.drop(REPORTS, 2)
    flows = _flows(200)
    for each in flows:
        bench.waiting.add_span(each)
    bench.waiting.add_logs(flows[0], [finding("a"), finding("b")])
    assert bench.finish() == ["metrics", "a", "b", *(each.flow_id for each in flows)]
    assert bench.collector.recorded == [
        (FLOWS.name, 3, FLOW),
        (DROPPED.name, 2, ("metrics",)),
    ]


def test_what_may_be_sent_again_waits() -> None:
    bench = Bench("logs", "traces")
    bench.waiting.add_logs(flow_report(), [finding()])
    for each in _flows(3):
        bench.waiting.add_span(each)
    bench.collector.failures = [NotSentError("it answers 503", again=True)] * 2
    assert bench.finish() == []
    assert bench.waiting.left() == {SPANS: 3, LOGS: 1}
    assert not bench.waiting.dropped()


def test_what_must_not_be_sent_again_is_dropped() -> None:
    bench = Bench("logs", "traces")
    bench.waiting.add_logs(flow_report(), [finding(), finding("b")])
    for each in _flows(70):
        bench.waiting.add_span(each)
    bench.collector.failures = [NotSentError("it answers 400", again=False)] * 2
    bench.finish()
    assert bench.waiting.dropped() == {SPANS: 64, LOGS: 2}
    assert bench.waiting.left() == {SPANS: 6}


def test_after_a_failure_it_waits_before_it_tries_again() -> None:
    bench = Bench("logs")
    bench.waiting.add_logs(flow_report(), [finding()])
    (signal,) = bench.sender._signals
    bench.collector.failures = [NotSentError("x", again=True, after=100)]
    began = time.monotonic()
    bench.sender._turn()
    assert signal.not_before >= began + 100
    bench.sender._turn()
    assert bench.collector.sent == []
    signal.not_before = 0
    bench.sender._turn()
    assert bench.collector.sent == ["etag-mismatch"]


@pytest.mark.parametrize(("failures", "longest"), [(2, 2), (12, 30)])
def test_pauses_grow_up_to_a_bound(failures: int, longest: float) -> None:
    bench = Bench("logs")
    bench.waiting.add_logs(flow_report(), [finding()])
    (signal,) = bench.sender._signals
    pauses = []
    for _ in range(failures):
        signal.not_before = 0
        bench.collector.failures = [NotSentError("x", again=True)]
        pauses.append(signal.pause)
        bench.sender._turn()
    assert pauses == sorted(pauses)
    assert max(pauses) == longest


def test_spans_wait_for_what_others_say_of_them() -> None:
    bench = Bench("traces")
    bench.waiting.add_span(flow_report(flow_id="a"))
    bench.sender._turn()
    assert bench.collector.sent == []
    for each in _flows(600):
        bench.waiting.add_span(each)
    bench.sender._turn()
    assert len(bench.collector.sent) == 601


def test_a_fault_of_ours_ends_nothing() -> None:
    bench = Bench("metrics", "logs")
    bench.waiting.add_logs(flow_report(), [finding()])
    bench.changes[FLOWS.name, FLOW] = 1
    bench.collector.record = None  # type: ignore[assignment, method-assign]
    assert bench.finish() == ["etag-mismatch"]

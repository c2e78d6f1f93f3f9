"""Reports that are handed over are counted and sent by threads; who hands them over waits for
nothing."""

import logging
import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from cos_inspect.model.devices import ConnectionFailureSummary
from cos_inspect.model.flow_report import FlowReport, Severity
from cos_inspect.telemetry import telemetry
from cos_inspect.telemetry.sending import Sender
from cos_inspect.telemetry.telemetry import Telemetry
from tests.conditions import wait_until
from tests.report.build import finding, flow_report
from tests.telemetry.build import changed
from tests.telemetry.collector import Collector, plain

ALL = ("metrics", "logs", "traces")


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    # A busy machine is no reason to give up.
    monkeypatch.setattr(telemetry, "CLOSE_SECONDS", 60.0)
    monkeypatch.setattr(telemetry, "MOST_CLOSE_SECONDS", 60.0)
    with Collector() as made:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.endpoint)
        yield made


def _bad(name: str) -> FlowReport:
    return flow_report(flow_id=name, findings=[finding()])


def test_what_is_handed_over_is_sent_at_the_end(collector: Collector) -> None:
    given = Telemetry(ALL)
    for number in range(300):
        given.put(_bad(str(number)), is_new=True)
    given.close()
    assert collector.totals("cos.flows", "cos.verdict") == {("error",): 300}
    assert len(collector.spans) == len(collector.logs) == 300


def test_a_revised_report_takes_the_place_of_the_one_before(collector: Collector) -> None:
    given = Telemetry(ALL)
    bad = _bad("a")
    given.put(bad, is_new=True)
    given.put(changed(bad, verdict="ok", findings=[]), is_new=False)
    given.put(changed(bad, findings=[*bad.findings, finding("retried")]), is_new=False)
    given.close()
    assert collector.totals("cos.flows", "cos.verdict") == {("error",): 1}
    assert collector.totals("cos.findings", "cos.rule") == {("etag-mismatch",): 1, ("retried",): 1}
    (span,) = collector.spans
    assert plain(span.attributes)["cos.rules"] == ["etag-mismatch", "retried"]


def test_a_revision_of_what_was_never_counted_is_passed_over(collector: Collector) -> None:
    given = Telemetry(ALL)
    given.put(_bad("a"), is_new=False)
    given.put(_bad("b"), is_new=True)
    given.close()
    assert collector.totals("cos.flows", "cos.verdict") == {("error",): 1}
    assert len(collector.spans) == len(collector.logs) == 1


def test_connections_without_a_flow(collector: Collector) -> None:
    refused = finding("tls-untrusted", Severity.ERROR, "connection")
    failed = ConnectionFailureSummary(
        host="Host.example",
        client="10.0.0.5",
        failed="client-refused-certificate",
        count=2,
        findings=[refused],
    )
    given = Telemetry(ALL)
    given.put_connection(failed)
    given.put_connection(msgspec.structs.replace(failed, count=1))
    given.put_connection(msgspec.structs.replace(failed, count=-2, findings=[]))
    given.close()
    assert collector.totals("cos.connections.failed", "cos.connection.failure") == {
        ("client-refused-certificate",): 1
    }
    assert len(collector.logs) == 2
    for record in collector.logs:
        said = plain(record.attributes)
        assert (said["cos.rule"], said["client.address"]) == ("tls-untrusted", "10.0.0.5")
        assert not record.trace_id


def test_findings_are_sent_while_the_run_goes_on(collector: Collector) -> None:
    given = Telemetry(["logs"])
    given.put(_bad("a"), is_new=True)
    collector.wait_until(lambda each: each.tried > 0)
    given.close()
    assert len(collector.logs) == 1


def test_a_collector_that_comes_back_gets_what_waited(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "cos_inspect")
    collector.status = 503
    given = Telemetry(["logs"])
    given.put(_bad("a"), is_new=True)
    collector.wait_until(lambda each: each.tried > 1)
    collector.status = 200
    given.close()
    assert len(collector.logs) == 1
    began, ended = caplog.messages
    assert "logs cannot be sent" in began
    assert ended == f"COS telemetry is sent to {collector.endpoint} again: nothing was lost"


def test_a_collector_that_gets_on_is_waited_for(collector: Collector) -> None:
    collector.pause = 0.05
    given = Telemetry(["traces"])
    for number in range(1000):
        given.put(flow_report(flow_id=str(number)), is_new=True)
    given.close()
    assert len(collector.spans) == 1000


def test_a_collector_that_hangs_holds_nobody_up(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(telemetry, "CLOSE_SECONDS", 0.2)
    collector.hangs = True
    given = Telemetry(ALL)
    given.put(_bad("a"), is_new=True)
    collector.wait_until(lambda each: each.tried > 0)
    given.close()
    assert "lost: " in caplog.messages[-1]
    collector.let_go.set()


def test_reports_beyond_the_bound_are_counted_as_dropped(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "_MOST_HANDED", 3)
    may_connect = threading.Event()

    def connect(*arguments: Any) -> Any:
        may_connect.wait()
        return telemetry._by_otlp(*arguments)

    given = Telemetry(["metrics"], connect=connect)
    for number in range(5):
        given.put(_bad(str(number)), is_new=True)
    may_connect.set()
    given.close()
    assert collector.totals("cos.flows", "cos.verdict") == {("error",): 3}
    assert collector.totals("cos.telemetry.dropped", "cos.signal") == {("metrics",): 2}


def test_one_report_that_cannot_be_counted_costs_itself_alone(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Telemetry(ALL)
    given.put(changed(_bad("a"), checks=None), is_new=True)
    given.put(_bad("b"), is_new=True)
    given.close()
    assert collector.totals("cos.flows", "cos.verdict") == {("error",): 1}
    assert collector.totals("cos.telemetry.dropped", "cos.signal") == {("metrics",): 1}


def test_what_cannot_be_made_is_told_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    def connect(*_: Any) -> Any:
        raise ValueError("a token")

    given = Telemetry(ALL, connect=connect)
    given.put(_bad("a"), is_new=True)
    given.close()
    given.put(_bad("b"), is_new=True)
    (line,) = caplog.messages
    assert line == (
        "COS telemetry is not sent: OpenTelemetry's exporters cannot be made (ValueError)"
    )


def test_no_thread_can_be_started(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    given = Telemetry(["metrics"])
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", _refuse)
        given.put(_bad("a"), is_new=True)
    monkeypatch.setattr(given, "_start_again_at", 0.0)
    given.put(_bad("b"), is_new=True)
    given.close()
    assert collector.totals("cos.flows", "cos.verdict") == {("error",): 2}


def _refuse(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


ENDS = [SystemExit, KeyboardInterrupt, MemoryError]


@pytest.mark.parametrize("end", ENDS)
def test_what_would_end_the_threads_does_not(
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    end: type[BaseException],
) -> None:
    have_sent, turn, ends = Telemetry._have_sent, Sender._turn, [end(), end()]

    def ends_counting(self: Telemetry, sender: Sender) -> None:
        have_sent(self, sender)
        if len(ends) == 2:
            raise ends.pop()

    def ends_sending(self: Sender) -> bool:
        if len(ends) == 1:
            raise ends.pop()
        return turn(self)

    monkeypatch.setattr(Telemetry, "_have_sent", ends_counting)
    monkeypatch.setattr(Sender, "_turn", ends_sending)
    given = Telemetry(ALL)
    given.put(_bad("a"), is_new=True)
    wait_until(lambda: not ends)
    given.put(_bad("b"), is_new=True)
    given.close()
    assert len(caplog.messages) == 2
    assert collector.totals("cos.flows", "cos.verdict") == {("error",): 2}
    assert len(collector.spans) == len(collector.logs) == 2


@pytest.mark.parametrize("end", ENDS)
def test_what_ends_counting_costs_one_report(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, end: type[BaseException]
) -> None:
    count = Telemetry._count

    def failing(self: Telemetry, *arguments: Any, is_new: bool) -> None:
        if arguments[1].flow_id == "3":
            raise end
        count(self, *arguments, is_new=is_new)

    monkeypatch.setattr(Telemetry, "_count", failing)
    given = Telemetry(ALL)
    for number in range(9):
        given.put(_bad(str(number)), is_new=True)
    given.close()
    assert collector.totals("cos.flows", "cos.verdict") == {("error",): 8}
    assert collector.totals("cos.telemetry.dropped", "cos.signal") == {("metrics",): 1}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_another_thread_goes_on_where_counting_has_ended(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, ends = Telemetry._count_all, [SystemExit()]

    def ending(self: Telemetry, *arguments: Any) -> None:
        if ends:
            raise ends.pop()
        count(self, *arguments)

    monkeypatch.setattr(Telemetry, "_count_all", ending)
    given = Telemetry(ALL)
    given.put(_bad("a"), is_new=True)
    wait_until(lambda: not ends)
    given.close()
    assert collector.totals("cos.flows", "cos.verdict") == {("error",): 1}
    assert len(collector.spans) == len(collector.logs) == 1


def test_no_thread_for_sending_can_be_started(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def failing(thread: threading.Thread) -> None:
        if thread.name.endswith("-sender"):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", failing)
    given = Telemetry(ALL)
    given.put(_bad("a"), is_new=True)
    given.close()
    assert collector.totals("cos.flows", "cos.verdict") == {("error",): 1}
    assert len(collector.spans) == len(collector.logs) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_sending_ends_in_the_middle(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    run, ends = Sender.run, [SystemExit()]

    def ending(self: Sender, counted: threading.Event) -> None:
        if ends:
            raise ends.pop()
        run(self, counted)

    monkeypatch.setattr(Sender, "run", ending)
    given = Telemetry(ALL)
    given.put(_bad("a"), is_new=True)
    given.close()
    assert collector.totals("cos.flows", "cos.verdict") == {("error",): 1}
    assert len(collector.spans) == len(collector.logs) == 1


def test_what_no_thread_was_there_for_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(threading.Thread, "start", _refuse)
    given = Telemetry(["logs"])
    for number in range(5):
        given.put(_bad(str(number)), is_new=True)
    given.close()
    (line,) = caplog.messages
    assert line.endswith("before the end: lost: 5 reports")


def test_nobody_waits_for_a_lock(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(telemetry, "_MOST_HANDED", 3)
    monkeypatch.setattr(threading.Thread, "start", _refuse)
    given = Telemetry(["metrics"])
    with given._waiting._lock, given._lock, given._trouble._lock:
        for number in range(9):
            given.put(_bad(str(number)), is_new=True)
    given.close()
    (line,) = caplog.messages
    assert line.endswith("before the end: lost: 9 reports")


def test_it_can_be_switched_off(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "cos_inspect")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    given = Telemetry(ALL)
    given.put(_bad("a"), is_new=True)
    given.close()
    assert not collector.tried
    assert caplog.messages == ["COS telemetry is not sent: OTEL_SDK_DISABLED is true"]


def test_without_reports_nothing_is_started(collector: Collector) -> None:
    given = Telemetry(ALL)
    given.close()
    assert given._thread is None
    assert not collector.tried

"""What stands on the wire, and what is said of a collector that does not take it."""

import logging
import socket
import threading
from collections.abc import Iterator

import pytest

from cos_inspect import __version__
from cos_inspect.inspection.redaction import Redactor
from cos_inspect.telemetry import otlp, telemetry
from cos_inspect.telemetry.counts import Tally
from cos_inspect.telemetry.otlp import Otlp
from cos_inspect.telemetry.records import log_records, span_of
from cos_inspect.telemetry.sending import NotSentError
from tests.report.build import finding, flow_report
from tests.telemetry.build import asking
from tests.telemetry.collector import Collector, plain

ALL = ("metrics", "logs", "traces")
TOKEN = "tokentokentokentoken"
REPORT = flow_report(findings=[finding()])
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Collector() as made:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.endpoint)
        yield made


def test_a_span_on_the_wire(collector: Collector) -> None:
    url = "https://h.example/a.txt?partNumber=2&uploadId=77"
    Otlp(ALL, str).send_spans(
        [span_of(asking(url, {"traceparent": f"00-{TRACE}-{PARENT}-01"})), span_of(asking(url))]
    )
    traced, plain_one = collector.spans
    assert traced.name == "PUT PutObject"
    assert (traced.trace_id.hex(), traced.parent_span_id.hex()) == (TRACE, PARENT)
    (link,) = traced.links
    assert link.trace_id == plain_one.trace_id
    assert not plain_one.links
    assert not plain_one.parent_span_id
    assert plain_one.start_time_unix_nano == 1795341600123000000
    assert plain_one.end_time_unix_nano == plain_one.start_time_unix_nano + 1_000_000
    assert plain(plain_one.attributes)["cos.part_number"] == 2


def test_a_log_record_on_the_wire(collector: Collector) -> None:
    Otlp(ALL, str).send_logs(list(log_records(REPORT, REPORT.findings)))
    (record,) = collector.logs
    assert record.body.string_value == "t: d"
    assert (record.severity_number, record.severity_text) == (17, "error")
    assert record.event_name == "cos.finding"
    assert record.trace_id
    assert plain(record.attributes)["cos.rule"] == "etag-mismatch"


def test_metrics_on_the_wire(collector: Collector) -> None:
    way, tally = Otlp(ALL, str), Tally()
    for _ in range(2):
        tally.add(REPORT)
    for (name, values), value in tally.take().items():
        way.record(name, value, values)
    for metric, seconds, values in tally.durations:
        way.record(metric.name, seconds, values)
    way.send_metrics()
    assert collector.totals("cos.flows", "cos.verdict") == {("error",): 2}
    assert collector.totals("cos.body.io", "network.io.direction") == {
        ("transmit",): 6,
        ("receive",): 6,
    }
    ((attributes, (count, total)),) = collector.points("cos.flow.duration")
    assert attributes["cos.status_class"] == "2xx"
    assert (count, total) == (2, pytest.approx(0.002))
    metrics = collector.metrics
    assert metrics["cos.flow.duration"].unit == "s"
    assert not metrics["cos.flows"].sum.is_monotonic
    assert metrics["cos.body.io"].sum.is_monotonic


def test_nothing_is_sent_of_a_signal_that_is_not_wanted(collector: Collector) -> None:
    way = Otlp(["logs"], str)
    way.send_spans([span_of(REPORT)])
    way.record("cos.flows", 1, ())
    way.send_metrics()
    assert not collector.tried


def test_the_environment_says_who_sends(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = f"service.instance.id=rack-3,note=x-cos-security-token%3D{TOKEN}"
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", said)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "lab")
    Otlp(ALL, Redactor().text).send_spans([span_of(REPORT)])
    (resource,) = collector.resources
    assert resource["service.name"] == "lab"
    assert resource["service.instance.id"] == "rack-3"
    assert resource["service.version"] == __version__
    assert TOKEN.encode() not in b"".join(collector.payloads)


def test_headers_and_compression_are_those_of_the_environment(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization=Bearer%20{TOKEN}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    Otlp(ALL, str).send_spans([span_of(REPORT)])
    (headers,) = collector.received_headers
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["Content-Encoding"] == "gzip"
    assert len(collector.spans) == 1


@pytest.mark.parametrize(
    ("status", "again"), [(500, False), (401, False), (302, False), (503, True), (429, True)]
)
def test_one_request_a_try(collector: Collector, *, status: int, again: bool) -> None:
    collector.status, collector.headers = status, {"Retry-After": "7", "Location": "/elsewhere"}
    way = Otlp(ALL, str)
    tries = (
        lambda: way.send_spans([span_of(REPORT)]),
        lambda: way.send_logs(list(log_records(REPORT, REPORT.findings))),
    )
    for number, send in enumerate(tries, 1):
        with pytest.raises(NotSentError, match=f"^it answers {status}$") as failed:
            send()
        assert (failed.value.again, failed.value.after) == (again, 7)
        assert collector.tried == number
    way.record("cos.telemetry.dropped", 1, ("logs",))
    with pytest.raises(NotSentError):
        way.send_metrics()
    assert collector.tried == 3
    collector.status = 200
    way.send_metrics()
    assert collector.totals("cos.telemetry.dropped", "cos.signal") == {("logs",): 1}


def test_nobody_listens(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        endpoint = f"http://user:{TOKEN}@127.0.0.1:{bound.getsockname()[1]}/{TOKEN}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        way = Otlp(ALL, str)
        with pytest.raises(NotSentError, match=r"^Connection refused$") as failed:
            way.send_spans([span_of(REPORT)])
    assert failed.value.again


def test_it_does_not_answer(collector: Collector) -> None:
    collector.hangs = True
    way = Otlp(ALL, str)
    way.most_seconds = 0.2
    with pytest.raises(NotSentError, match=r"^it does not answer in time$") as failed:
        way.send_spans([span_of(REPORT)])
    assert failed.value.again


def test_a_certificate_that_is_not_trusted(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = collector.endpoint.replace("http:", "https:")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    with pytest.raises(NotSentError, match="TLS"):
        Otlp(ALL, str).send_spans([span_of(REPORT)])


def test_other_packages_log_nothing_in_our_threads(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"broken header {TOKEN}")
    assert otlp.THREADS == telemetry.THREAD
    collector.status = 401
    failed = []

    def send() -> None:
        way = Otlp(ALL, str)
        with pytest.raises(NotSentError) as raised:
            way.send_spans([span_of(REPORT)])
        failed.append(str(raised.value))

    # The first one loads what has no filter yet; its filter is that of all later ones.
    Otlp(ALL, str)
    caplog.clear()
    thread = threading.Thread(target=send, name=f"{telemetry.THREAD}-sender")
    thread.start()
    thread.join()
    assert failed == ["it answers 401"]
    assert not caplog.records
    logging.getLogger("urllib3.connectionpool").warning("of somebody else")
    assert caplog.messages == ["of somebody else"]

"""What a real proxy sends to a collector of OpenTelemetry says what its reports say."""

import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import requests
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.end_to_end.harness import ADDON, BUCKET, HOST, Report
from tests.end_to_end.lab import CRC, Lab, mitmdump
from tests.origin.damage import Damage, key
from tests.origin.effects import error, set_header
from tests.origin.server import Origin
from tests.proxy.inspected import cos_flow
from tests.proxy.test_run import capture
from tests.telemetry.collector import Collector, plain

pytestmark = pytest.mark.end_to_end

ALL = ("--set=cos_otel=metrics", "--set=cos_otel=logs", "--set=cos_otel=traces")
PART = 1024 * 1024
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


def _traffic(lab: Lab) -> None:
    """Clean and damaged, by the SDK and by hand."""
    client = lab.client()
    for at in range(3):
        client.put_object(Bucket=BUCKET, Key=f"otel/{at}.txt", Body=b"x" * (10 + at))
        client.get_object(Bucket=BUCKET, Key=f"otel/{at}.txt")["Body"].get_raw_stream().read()
    begun = client.create_multipart_upload(Bucket=BUCKET, Key="otel/parts.bin")["UploadId"]
    parts = []
    for number in (1, 2):
        answer = client.upload_part(
            Bucket=BUCKET,
            Key="otel/parts.bin",
            Body=bytes([number]) * PART,
            PartNumber=number,
            UploadId=begun,
        )
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    client.complete_multipart_upload(
        Bucket=BUCKET, Key="otel/parts.bin", UploadId=begun, MultipartUpload={"Part": parts}
    )
    lab.damage("otel/damaged.txt", set_header(CRC, "1"))
    lab.send("PUT", "otel/damaged.txt", data=b"damaged")
    lab.damage("otel/busy.txt", error("SlowDown"))
    lab.send("PUT", "otel/busy.txt", data=b"busy")
    lab.send("GET", "otel/missing.txt")
    lab.send("GET", "otel/0.txt", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})


def _distrust(lab: Lab) -> None:
    """A client to which the proxy's CA is unknown."""
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"https://{HOST}/", proxies=lab.proxies, verify=True, timeout=30)


def _status_class(report: Report) -> str:
    return f"{report['response']['status'] // 100}xx" if report["response"] else "none"


def _nonzero(counts: Counter[Any]) -> Counter[Any]:
    return Counter({key: count for key, count in counts.items() if count})


def _compare(collector: Collector, reports: list[Report]) -> None:
    """Metrics, log records and spans with all reports of the proxies that sent them."""
    assert collector.totals(
        "cos.flows", "cos.operation", "cos.verdict", "cos.status_class"
    ) == Counter(
        (each["cos"]["operation"], each["verdict"], _status_class(each)) for each in reports
    )
    assert collector.totals("cos.findings", "cos.rule", "cos.severity") == Counter(
        (found["rule"], found["severity"]) for each in reports for found in each["findings"]
    )
    assert collector.totals(
        "cos.checks", "cos.check", "cos.check.status", "cos.check.reason"
    ) == Counter(
        (check["check"], check["status"], check["reason"] or "none")
        for each in reports
        for check in each["checks"]
    )
    sent = sum(each["request"]["body"]["size"] or 0 for each in reports)
    received = sum(each["response"]["body"]["size"] or 0 for each in reports if each["response"])
    assert collector.totals("cos.body.io", "network.io.direction") == _nonzero(
        Counter({("transmit",): sent, ("receive",): received})
    )
    for name, member in (("cos.flow.duration", "total_ms"), ("cos.flow.wait.duration", "wait_ms")):
        times = [each["timing"][member] for each in reports if each["timing"][member] is not None]
        points = [value for _, value in collector.points(name)]
        assert sum(count for count, _ in points) == len(times)
        assert sum(total for _, total in points) == pytest.approx(sum(times) / 1000)
    assert not collector.points("cos.telemetry.dropped")
    by_flow = {each["flow_id"]: each for each in reports}
    logged: Counter[tuple[str, str, str]] = Counter()
    for record in collector.logs:
        said = plain(record.attributes)
        if "cos.connection.failure" in said:
            continue
        report = by_flow[said["cos.flow_id"]]
        logged[said["cos.flow_id"], said["cos.rule"], said["cos.severity"]] += 1
        (found,) = [each for each in report["findings"] if each["rule"] == said["cos.rule"]][:1]
        assert found["title"] in record.body.string_value
        assert report["ticket"] is None or report["ticket"] in record.body.string_value
        assert said.get("cos.ticket") == report["ticket"]
        assert said.get("cos.request_id") == report["ids"]["request_id"]
        number = {"notice": 10, "warning": 13, "error": 17}[said["cos.severity"]]
        assert (record.severity_number, record.severity_text) == (number, said["cos.severity"])
    assert logged == Counter(
        (each["flow_id"], found["rule"], found["severity"])
        for each in reports
        for found in each["findings"]
    )
    spans = {plain(span.attributes)["cos.flow_id"]: span for span in collector.spans}
    assert len(collector.spans) == len(spans) == len(reports)
    for report in reports:
        _compare_span(spans[report["flow_id"]], report)


def _compare_span(span: Span, report: Report) -> None:
    said = plain(span.attributes)
    assert span.kind == Span.SpanKind.SPAN_KIND_CLIENT
    assert said["cos.operation"] == report["cos"]["operation"]
    assert said["cos.verdict"] == report["verdict"]
    assert said["cos.bucket"] == report["cos"]["bucket"]
    assert said.get("cos.key") == report["cos"]["key"]
    assert said.get("cos.request_id") == report["ids"]["request_id"]
    assert said["http.request.method"] == report["request"]["method"]
    assert said["url.full"] == report["request"]["url"]
    assert said["server.address"] == HOST
    assert said["http.request.body.size"] == report["request"]["body"]["size"]
    status = report["response"]["status"]
    assert said["http.response.status_code"] == status
    assert said.get("error.type") == (str(status) if status >= 400 else said.get("error.type"))
    failed = status >= 400 or report["verdict"] == "error"
    assert (span.status.code == Status.STATUS_CODE_ERROR) == failed
    assert said.get("cos.rules", []) == [each["rule"] for each in report["findings"]]
    took = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6
    assert took == pytest.approx(report["timing"]["total_ms"], abs=0.001)


def test_all_signals_say_what_the_reports_say(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=lab")
        with Lab(origin, tmp_path, *ALL) as lab:
            _traffic(lab)
            monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
            _distrust(lab)
            # Not at the end alone.
            collector.wait_until(lambda each: len(each.logs) == 4)
        assert lab.status == 0
        _compare(collector, lab.reports)
        (failed,) = lab.summary["connections"]
        assert failed["findings"][0]["rule"] == "tls-untrusted"
        assert collector.totals("cos.connections.failed", "cos.connection.failure") == {
            (failed["failed"],): failed["count"]
        }
        for resource in collector.resources:
            assert resource["service.name"] == "cos-inspect"
            assert resource["deployment.environment.name"] == "lab"
        spans = [(span, plain(span.attributes)) for span in collector.spans]
        upload = [(span, said) for span, said in spans if said.get("cos.key") == "otel/parts.bin"]
        assert len(upload) == 4
        assert len({span.trace_id for span, _ in upload}) == 1
        assert len({said["cos.upload_id"] for _, said in upload}) == 1
        assert sorted(said.get("cos.part_number", 0) for _, said in upload) == [0, 0, 1, 2]
        (traced,) = [span for span, _ in spans if span.trace_id.hex() == TRACE]
        assert traced.parent_span_id.hex() == PARENT


def test_parts_from_two_proxies_meet_in_one_trace(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        with (
            Lab(origin, tmp_path / "a", *ALL) as first,
            Lab(origin, tmp_path / "b", *ALL) as second,
        ):
            begun = first.client().create_multipart_upload(Bucket=BUCKET, Key="two.bin")["UploadId"]
            for number, lab in ((1, first), (2, second)):
                lab.client().upload_part(
                    Bucket=BUCKET,
                    Key="two.bin",
                    Body=bytes([number]) * PART,
                    PartNumber=number,
                    UploadId=begun,
                )
            traced = lab.send(
                "PUT",
                "two.bin",
                query=f"?partNumber=3&uploadId={begun}",
                headers={"traceparent": f"00-{TRACE}-{PARENT}-01"},
                data=b"3",
            )
            assert traced.status_code == 200
        spans = {plain(span.attributes).get("cos.part_number", 0): span for span in collector.spans}
        assert len(collector.spans) == len(spans) == 4
        assert len({spans[number].trace_id for number in (0, 1, 2)}) == 1
        assert spans[3].trace_id.hex() == TRACE
        (link,) = spans[3].links
        assert link.trace_id == spans[1].trace_id
        assert len({each["service.instance.id"] for each in collector.resources}) == 2
        sent = [_header(lab, report) for lab in (first, second) for report in lab.reports]
        assert [each for each in sent if each] == [f"00-{TRACE}-{PARENT}-01"]


def _header(lab: Lab, report: Report) -> str | None:
    found = [each for each in report["request"]["headers"] if each["name"] == "traceparent"]
    return found[0]["value"] if found else None


def test_a_revised_report_is_counted_once(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed try, which is known to be one when the next comes through."""
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        with Lab(origin, tmp_path, *ALL) as lab:
            origin.damage(Damage(error("SlowDown"), when=key("again.txt"), times=1))
            for status in (503, 200):
                assert lab.send("PUT", "again.txt", data=b"again").status_code == status
            # Each is known alone before the other one is.
            origin.put_object(BUCKET, "ranged.bin", bytes(range(256)) * 8)
            for first in (0, 1024):
                span = {"Range": f"bytes={first}-{first + 1023}"}
                assert lab.send("GET", "ranged.bin", headers=span).status_code == 206
                collector.wait_until(lambda each: each.tried > 0)
        reports = lab.reports
        assert any(each["transfer"] for each in reports)
        _compare(collector, reports)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_saved_capture_is_sent_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_there: bool
) -> None:
    """Without reports; a collector that is gone neither fails the run nor holds it up."""
    path = capture(tmp_path, *(cos_flow() for _ in range(3)))
    with socket.socket() as bound, Collector() as collector:
        bound.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{bound.getsockname()[1]}"
        endpoint = collector.endpoint if is_there else gone
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        done = mitmdump("-nr", str(path), f"--scripts={ADDON}", "--set=cos_report_dir=", *ALL)
        assert done.returncode == 0, done.stdout
        assert len(collector.spans) == (3 if is_there else 0)
        told = [line for line in done.stdout.splitlines() if "COS telemetry" in line]
        if is_there:
            assert not told
            assert sum(collector.totals("cos.flows", "cos.operation").values()) == 3
        else:
            began, ended = told
            assert f"metrics cannot be sent to {gone}: Connection refused;" in began
            assert "3 spans" in ended


@pytest.mark.parametrize("is_silent", [True, False])
def test_a_collector_that_takes_nothing_harms_nothing(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_silent: bool
) -> None:
    token = "tokentokentokentoken"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization=Bearer%20{token}")
    with Collector() as collector:
        address = f"127.0.0.1:{collector.port}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://me:{token}@{address}")
        collector.hangs, collector.status = is_silent, 500
        with Lab(origin, tmp_path, *ALL) as lab:
            _traffic(lab)
            lab.stop()
            assert lab.status == 0
            assert len(lab.reports) == 14
            lines = [line for line in lab.output.splitlines() if "COS telemetry" in line]
            assert lines[-1].endswith("before the end: lost: 3 log records, 14 spans")
            assert len(lines) <= 2
            assert all(f"to http://{address}" in line for line in lines)
            assert token not in lab.output
        assert collector.tried


def test_without_the_extra_one_line_says_what_is_missing(tmp_path: Path) -> None:
    path = capture(tmp_path, cos_flow())
    code = (
        "import sys; sys.modules['opentelemetry'] = None;"
        " from mitmproxy.tools.main import mitmdump; mitmdump(sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, "-nr", str(path), f"--scripts={ADDON}"]
    command.append(f"--set=cos_report_dir={tmp_path / 'reports'}")
    # Where it is not asked for, it is not even imported.
    for settings, status in ((["--set=cos_otel=logs"], 1), ([], 0)):
        done = subprocess.run(
            [*command, *settings], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == status
        lines = [line for line in done.stdout.splitlines() if "cos_otel" in line]
        said = (
            "cos_otel: needs the package opentelemetry-sdk:"
            " pip install 'cos-inspect[otel]' brings it"
        )
        assert len(lines) == status
        assert not lines or lines[0].endswith(said)

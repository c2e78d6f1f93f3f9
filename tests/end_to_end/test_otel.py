"""What a real proxy sends to a collector of OpenTelemetry says what its reports say."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.end_to_end.harness import BUCKET, HOST, Report
from tests.end_to_end.lab import CRC, Lab
from tests.origin.effects import error, set_header
from tests.origin.server import Origin
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
            # Not at the end alone.
            collector.wait_until(lambda each: len(each.logs) == 3)
        assert lab.status == 0
        _compare(collector, lab.reports)
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

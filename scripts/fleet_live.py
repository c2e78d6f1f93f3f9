"""Two live proxies that send to one collector, and an upload whose parts go through both."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.end_to_end.harness import BUCKET
from tests.end_to_end.lab import CRC, Lab
from tests.origin.effects import set_header
from tests.origin.server import Origin
from tests.telemetry.collector import Collector, plain

_SIGNALS = [f"--set=cos_otel={name}" for name in ("metrics", "logs", "traces")]
_PART = 1024 * 1024
_UPLOAD = "fleet/of-both.bin"
_DAMAGED = "fleet/damaged.bin"


class Live(NamedTuple):
    """What the collector had in the end, and what is not as in the reports."""

    flows: int
    findings: int
    spans: int
    logs: int
    traces_of_upload: int
    spans_of_upload: int
    odd: list[str]


def run_live(folder: Path) -> Live:
    """Traffic of real clients through two real proxies."""
    with Collector() as collector, Origin() as origin:
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.endpoint
        try:
            with (
                Lab(origin, folder / "one", *_SIGNALS) as one,
                Lab(origin, folder / "two", *_SIGNALS) as two,
            ):
                _traffic(one, two)
        finally:
            del os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"]
        # Both have ended, and have sent what was left.
        reports = [*one.reports, *two.reports]
        spans = [(span, plain(span.attributes)) for span in collector.spans]
        upload = [span for span, said in spans if said.get("cos.key") == _UPLOAD]
        return Live(
            flows=len(reports),
            findings=sum(len(each["findings"]) for each in reports),
            spans=len(spans),
            logs=len(collector.logs),
            traces_of_upload=len({span.trace_id for span in upload}),
            spans_of_upload=len(upload),
            odd=list(_odd(collector, reports)),
        )


def _traffic(one: Lab, two: Lab) -> None:
    first, second = one.client(), two.client()
    for client, name in ((first, "one"), (second, "two")):
        client.put_object(Bucket=BUCKET, Key=f"fleet/{name}.txt", Body=b"clean")
    upload = first.create_multipart_upload(Bucket=BUCKET, Key=_UPLOAD)["UploadId"]
    parts = []
    for number, client in enumerate((first, second), start=1):
        answer = client.upload_part(
            Bucket=BUCKET,
            Key=_UPLOAD,
            Body=bytes([number]) * _PART,
            PartNumber=number,
            UploadId=upload,
        )
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    second.complete_multipart_upload(
        Bucket=BUCKET, Key=_UPLOAD, UploadId=upload, MultipartUpload={"Part": parts}
    )
    one.damage(_DAMAGED, set_header(CRC, "1"))
    for lab in (one, two):
        lab.send("PUT", _DAMAGED, data=b"damaged")
        lab.send("GET", "fleet/missing.txt")


def _odd(collector: Collector, reports: list[dict[str, object]]) -> Iterator[str]:
    expected: Counter[tuple[str, str]] = Counter()
    verdicts: Counter[str] = Counter()
    for report in reports:
        verdicts[str(report["verdict"])] += 1
        findings = report["findings"]
        assert isinstance(findings, list)
        expected.update((str(report["flow_id"]), str(found["rule"])) for found in findings)
    logged = Counter(
        (said["cos.flow_id"], said["cos.rule"])
        for said in (plain(record.attributes) for record in collector.logs)
    )
    if logged != expected:
        yield f"log records {dict(logged - expected)} too many, {dict(expected - logged)} too few"
    told = Counter(str(plain(span.attributes)["cos.flow_id"]) for span in collector.spans)
    if told != Counter(str(report["flow_id"]) for report in reports):
        yield "spans are not those of the flows"
    counted = _flows_by_verdict(collector)
    if counted != verdicts:
        yield f"metrics count {dict(counted)}, the reports are {dict(verdicts)}"


def _flows_by_verdict(collector: Collector) -> Counter[str]:
    """Each proxy counts for itself: of each the last message."""
    last: dict[str, Counter[str]] = {}
    for message in collector._of("/v1/metrics"):  # noqa: SLF001 - of the tests, as this is
        for resource in message.resource_metrics:
            proxy = plain(resource.resource.attributes)["service.instance.id"]
            counted: Counter[str] = Counter()
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == "cos.flows":
                        for point in metric.sum.data_points:
                            counted[plain(point.attributes)["cos.verdict"]] += point.as_int
            last[proxy] = counted
    return sum(last.values(), Counter())

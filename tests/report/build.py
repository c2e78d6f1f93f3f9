"""Small reports for tests."""

import msgspec

from cos_inspect.model.flow_report import (
    BodyReport,
    ClientReport,
    CosReport,
    EncryptionReport,
    ErrorReport,
    Finding,
    FlowReport,
    Group,
    HeaderReport,
    IdsReport,
    RequestReport,
    ResponseReport,
    Severity,
    TimingReport,
    TransferReport,
)
from cos_inspect.model.summary import TransferSummary
from cos_inspect.report.report_format import FormatInput, FormatWriter, Rendered, ReportFormat


def finding(
    rule: str = "etag-mismatch",
    severity: Severity = Severity.ERROR,
    group: Group = "integrity",
) -> Finding:
    return Finding(
        rule=rule, group=group, severity=severity, title="t", detail="d", fix="f", evidence={}
    )


def error_report(
    code: str | None, said: str | None = None, meant: str | None = None
) -> ErrorReport:
    """``said`` stands wherever COS says something, ``meant`` wherever we do."""
    return ErrorReport(
        code=code,
        message=said,
        resource=said,
        request_id=said,
        trace_id=said,
        meaning=meant,
        cause=meant,
        fix=meant,
    )


def flow_report(
    *,
    operation: str = "PutObject",
    key: str | None = "a.txt",
    status: int | None = 200,
    sequence: int = 0,
    flow_id: str = "3f2a9c1b-0000-4000-8000-000000000000",
    findings: list[Finding] | None = None,
    client: str | None = "cos-python-sdk-v5",
    host: str = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com",
    started: str = "2026-11-22T10:00:00.123Z",
) -> FlowReport:
    body = BodyReport(size=3, md5=None, crc64ecma=None, complete=True, encoding=None)
    headers = [HeaderReport("Host", host, "http", "", ())]
    return FlowReport(
        flow_id=flow_id,
        sequence=sequence,
        verdict="error" if findings else "ok",
        started=started,
        timing=TimingReport(
            total_ms=1.0,
            connect_ms=None,
            tls_ms=None,
            request_ms=0.1,
            wait_ms=0.5,
            response_ms=0.4,
        ),
        cos=CosReport(
            operation=operation,
            level="object",
            bucket="examplebucket-1250000000",
            appid="1250000000",
            region="ap-guangzhou",
            key=key,
            endpoint="default",
            client=ClientReport(name=client, version="1.9.44", platform=None) if client else None,
        ),
        request=RequestReport(
            method="PUT",
            url=f"https://{host}/{key}",
            http_version="HTTP/1.1",
            headers=headers,
            body=body,
        ),
        response=None
        if status is None
        else ResponseReport(
            status=status, reason="OK", http_version="HTTP/1.1", headers=[], body=body
        ),
        ids=IdsReport(request_id=None, request_id_time=None, trace_id=None),
        encryption=EncryptionReport(mode="none"),
        error=None,
        checks=[],
        findings=findings or [],
    )


def healed_try(sequence: int = 1) -> FlowReport:
    """A failed try after which another one came through."""
    report = flow_report(sequence=sequence, status=503, findings=[finding("error-response")])
    place = TransferReport(kind="retry", id="r", position=1, attempt=1, healed=True)
    return msgspec.structs.replace(report, transfer=place)


def put[Content](
    format_: ReportFormat[Content],
    writer: FormatWriter[Content],
    *reports: FlowReport,
    is_new: bool = True,
) -> None:
    """Puts reports into a format, as both writers of reports do."""
    rendered = [
        Rendered(
            report.sequence,
            format_.render(FormatInput(report, msgspec.json.encode(report), writer.settings)),
        )
        for report in reports
    ]
    (writer.add if is_new else writer.revise)(rendered)


def transfer_summary(name: str, state: str) -> TransferSummary:
    return TransferSummary(
        kind="multipart-upload",
        id=name,
        bucket=None,
        key=None,
        state=state,
        size=None,
        parts=1,
        duration_ms=None,
        verdict="ok",
        findings=[],
        flows=[],
    )

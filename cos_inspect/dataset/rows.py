"""Rows of single flows. What is masked in a report is masked in its rows: they are made of it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec

from cos_inspect.dataset.schemas import CheckRow, ConnectionRow, FindingRow, FlowRow
from cos_inspect.dataset.transfer_rows import (
    once,
)
from cos_inspect.model.flow_report import BodyReport, FlowReport
from cos_inspect.model.moments import microseconds_of
from cos_inspect.model.plain_text import encoded
from cos_inspect.model.report_facts import (
    address_and_port,
    host_of,
    request_header,
    upload_of,
)

UNKNOWN_DAY = "unknown"
_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
_NO_BODY = BodyReport(size=None, md5=None, crc64ecma=None, complete=False, encoding=None)
_MOST_PARTS = 10_000


class FlowRows(msgspec.Struct, frozen=True, array_like=True):
    """All rows of one flow."""

    flow: FlowRow
    findings: list[FindingRow]
    checks: list[CheckRow]
    connections: list[ConnectionRow]

    @property
    def ended(self) -> int | None:
        """In microseconds since 1970."""
        flow = self.flow
        if flow.started is None:
            return None
        return flow.started + round((flow.total_ms or 0.0) * 1000)


def day_of(moment: int | None) -> str:
    """The day in UTC of microseconds since 1970; of an unknown moment ``unknown``."""
    if moment is None:
        return UNKNOWN_DAY
    try:
        return (_BEGIN + timedelta(microseconds=moment)).date().isoformat()
    except OverflowError:
        return UNKNOWN_DAY


def rows_of(report: FlowReport, capture: str) -> FlowRows:
    """The rows of a report that is final, and masked where it is to be."""
    flow = _flow(report, capture)
    findings = [
        FindingRow(
            capture=capture,
            flow_id=report.flow_id,
            sequence=report.sequence,
            started=flow.started,
            number=number,
            rule=finding.rule,
            group=finding.group,
            severity=finding.severity.value,
            title=finding.title,
            detail=finding.detail,
            fix=finding.fix,
            evidence=_json(finding.evidence),
            healed=report.is_healed,
            ticket=report.ticket,
        )
        for number, finding in enumerate(report.findings, 1)
    ]
    checks = [
        CheckRow(
            capture=capture,
            flow_id=report.flow_id,
            sequence=report.sequence,
            started=flow.started,
            check=check.check,
            body=check.body,
            status=check.status,
            reason=check.reason,
            expected=check.expected,
            actual=check.actual,
        )
        for check in report.checks
    ]
    return FlowRows(flow, findings, checks, list(_connections(report, flow)))


def _json(evidence: dict[str, Any]) -> str:
    return encoded(cast(Any, evidence)).decode()


def _flow(report: FlowReport, capture: str) -> FlowRow:
    cos, request, response = report.cos, report.request, report.response
    timing, error, client = report.timing, report.error, report.cos.client
    connection, transfer = report.connection, report.transfer
    sent = request.body
    got = response.body if response is not None else _NO_BODY
    statuses = [check.status for check in report.checks]
    upload_id, part_number = upload_of(report)
    if part_number is not None and part_number > _MOST_PARTS:
        part_number = None
    return FlowRow(
        capture=capture,
        flow_id=report.flow_id,
        sequence=report.sequence,
        verdict=report.verdict,
        started=microseconds_of(report.started),
        operation=cos.operation,
        level=cos.level,
        bucket=cos.bucket,
        appid=cos.appid,
        region=cos.region,
        key=cos.key,
        endpoint=cos.endpoint,
        client_name=client.name if client else None,
        client_version=client.version if client else None,
        client_platform=client.platform if client else None,
        client_wrapper=client.wrapper if client else None,
        user_agent=request_header(report, "user-agent"),
        device=report.device,
        labels=report.labels or {},
        method=request.method,
        url=request.url,
        host=host_of(report),
        http_version=request.http_version,
        status=response.status if response else None,
        answered_by=response.by if response else None,
        error_code=error.code if error else None,
        error_message=error.message if error else None,
        request_id=report.ids.request_id,
        trace_id=report.ids.trace_id,
        upload_id=upload_id,
        part_number=part_number,
        transfer_kind=transfer.kind if transfer else None,
        transfer_id=transfer.id if transfer else None,
        position=transfer.position if transfer else None,
        attempt=transfer.attempt if transfer else None,
        healed=report.is_healed,
        request_size=sent.size,
        request_md5=sent.md5,
        request_crc64ecma=sent.crc64ecma,
        request_complete=sent.complete,
        request_encoding=sent.encoding,
        response_size=got.size,
        response_md5=got.md5,
        response_crc64ecma=got.crc64ecma,
        response_complete=got.complete if response is not None else None,
        response_encoding=got.encoding,
        total_ms=timing.total_ms,
        connect_ms=timing.connect_ms,
        tls_ms=timing.tls_ms,
        request_ms=timing.request_ms,
        wait_ms=timing.wait_ms,
        response_ms=timing.response_ms,
        client=connection.client if connection else None,
        client_address=address_and_port(connection.client)[0] if connection else None,
        server=connection.server if connection else None,
        sni=connection.sni if connection else None,
        tls=connection.tls if connection else None,
        by_address=connection.by_address if connection else None,
        clock_seconds=connection.clock_seconds if connection else None,
        encryption=report.encryption.mode,
        broke_off_by=report.broke_off.by if report.broke_off else None,
        rules=once(finding.rule for finding in report.findings),
        checks_matched=statuses.count("match"),
        checks_mismatched=statuses.count("mismatch"),
        checks_skipped=statuses.count("skipped"),
        ticket=report.ticket,
    )


def _connections(report: FlowReport, flow: FlowRow) -> Iterator[ConnectionRow]:
    broke_off = report.broke_off
    finding = next((each for each in report.findings if each.group == "connection"), None)
    if broke_off is None and finding is None:
        return
    yield ConnectionRow(
        capture=flow.capture,
        flow_id=flow.flow_id,
        sequence=flow.sequence,
        started=flow.started,
        host=flow.host,
        client=flow.client,
        device=flow.device,
        server=flow.server,
        sni=flow.sni,
        tls=flow.tls,
        failed=flow.broke_off_by,
        option=broke_off.option if broke_off else None,
        after_ms=broke_off.after_ms if broke_off else None,
        waited_ms=broke_off.waited_ms if broke_off else None,
        said=broke_off.said if broke_off else None,
        rule=finding.rule if finding else None,
        severity=finding.severity.value if finding else None,
        detail=finding.detail if finding else None,
        fix=finding.fix if finding else None,
    )

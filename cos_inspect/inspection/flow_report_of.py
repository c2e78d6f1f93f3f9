"""The report of one exchange, as it stands before secrets are masked."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.cos.headers import AnnotatedHeader, beyond
from cos_inspect.model.exchange import Body, Change, Connection, Exchange, Resigned
from cos_inspect.model.flow_report import (
    BodyReport,
    BrokeOffReport,
    ChangeReport,
    Check,
    ClientReport,
    ConnectionReport,
    CosReport,
    EncryptionReport,
    ErrorReport,
    Finding,
    FlowReport,
    HeaderReport,
    IdsReport,
    PayloadReport,
    RequestReport,
    ResignedReport,
    ResponseReport,
    TimingReport,
    Verdict,
)
from cos_inspect.model.headers import Headers
from cos_inspect.model.masks import is_masked
from cos_inspect.model.moments import utc_text
from cos_inspect.rules.clock_skew import device_clock


def verdict_of(findings: Sequence[Finding]) -> Verdict:
    """The highest severity among the findings."""
    if not findings:
        return "ok"
    return max((finding.severity for finding in findings), key=lambda s: s.rank).value


def flow_report_of(cos: CosExchange, checks: list[Check], findings: list[Finding]) -> FlowReport:
    """What is told of an exchange, but for its ticket and its transfer."""
    exchange = cos.exchange
    request, response = exchange.request, exchange.response
    return FlowReport(
        flow_id=exchange.flow_id,
        verdict=verdict_of(findings),
        started=utc_text(exchange.timing.request_start),
        timing=timing_report(exchange),
        cos=CosReport(
            operation=cos.operation.name,
            level=cos.operation.level,
            bucket=cos.endpoint.bucket,
            appid=cos.endpoint.appid,
            region=cos.endpoint.region,
            key=cos.key,
            endpoint=cos.endpoint.kind,
            client=ClientReport(
                name=cos.client.name,
                version=cos.client.version,
                platform=cos.client.platform,
                wrapper=cos.client.wrapper,
            )
            if cos.client
            else None,
        ),
        request=RequestReport(
            method=request.method,
            url=request.url,
            http_version=request.http_version,
            headers=_headers(request.headers, cos.request_headers),
            body=body_report(request.body, request.headers),
            changes=[_change(change) for change in request.changes],
            resigned=_resigned(request.resigned),
        ),
        response=ResponseReport(
            status=response.status,
            reason=response.reason,
            http_version=response.http_version,
            headers=_headers(response.headers, cos.response_headers),
            body=body_report(response.body, response.headers),
            by=response.by,
            option=response.option,
        )
        if response
        else None,
        connection=connection_report(exchange, device_clock(cos, findings)),
        ids=ids_report(cos),
        encryption=_encryption(cos),
        error=_error(cos),
        broke_off=_broke_off(exchange),
        checks=checks,
        findings=findings,
    )


def _between(start: float | None, end: float | None) -> float | None:
    if start is None or end is None:
        return None
    return round(max(0.0, end - start) * 1000, 3)


def timing_report(exchange: Exchange) -> TimingReport:
    """How long its steps took."""
    timing = exchange.timing
    return TimingReport(
        total_ms=_between(timing.request_start, timing.end),
        connect_ms=timing.connect_ms,
        tls_ms=timing.tls_ms,
        request_ms=_between(timing.request_start, timing.request_end),
        wait_ms=_between(timing.request_end, timing.response_start),
        response_ms=_between(timing.response_start, timing.response_end),
    )


def _resigned(resigned: Resigned | None) -> ResignedReport | None:
    if resigned is None:
        return None
    return ResignedReport(
        secret_id=resigned.secret_id,
        token_removed=resigned.token_removed,
        at=utc_text(resigned.at),
    )


def _change(change: Change) -> ChangeReport:
    return ChangeReport(
        part=change.part,
        name=change.name,
        client=change.client,
        sent=change.sent,
        by=change.by,
    )


def connection_report(exchange: Exchange, clock_seconds: int | None) -> ConnectionReport | None:
    """Who was connected; ``clock_seconds``: as ``device_clock`` tells."""
    known = exchange.connection
    if known is None:
        known = Connection(client=exchange.client_address, server=exchange.server_address)
    return ConnectionReport(
        client=known.client,
        server=known.server,
        sni=known.sni,
        tls=known.tls,
        by_address=known.by_address,
        clock_seconds=clock_seconds,
    )


def _broke_off(exchange: Exchange) -> BrokeOffReport | None:
    who, timing = exchange.broke_off, exchange.timing
    if who is None:
        return None
    waited = timing.request_end is not None and exchange.response is None
    return BrokeOffReport(
        by=who.by,
        option=who.option,
        after_ms=_between(timing.request_start, timing.failed),
        waited_ms=_between(timing.request_end, timing.failed) if waited else None,
        said=exchange.error,
    )


def _headers(headers: Headers, annotated: tuple[AnnotatedHeader, ...]) -> list[HeaderReport]:
    described = []
    for header in annotated:
        fact = header.fact
        notes = header.issues + header.remarks if header.remarks else header.issues
        value = header.value
        # A saved flow may have masks already.
        was_masked = "[masked:" in value and is_masked(value)
        described.append(
            HeaderReport(header.name, value, fact.category, fact.meaning, notes, was_masked)
        )
    if headers.beyond:
        # Their values are left out: a secret could stand in them.
        described += [HeaderReport(name, "", "other", "", notes) for name, notes in beyond(headers)]
    return described


def body_report(body: Body, headers: Headers) -> BodyReport:
    """What is told of a body; ``headers`` are those of its message."""
    payload = body.payload
    return BodyReport(
        size=body.size,
        md5=body.md5,
        crc64ecma=None if body.crc64 is None else str(body.crc64),
        complete=body.complete,
        encoding=headers.get("content-encoding"),
        payload=msgspec.UNSET
        if payload is None
        else PayloadReport(
            kind=payload.kind.value,
            size=payload.size,
            md5=payload.md5,
            crc64ecma=None if payload.crc64 is None else str(payload.crc64),
            complete=payload.complete,
            problem=payload.problem,
        ),
    )


def ids_report(cos: CosExchange) -> IdsReport:
    """The ids by which support finds it."""
    read = cos.request_id_read
    time = None
    if read is not None and read.time is not None:
        time = f"{datetime.fromtimestamp(read.time, UTC).isoformat()[:-6]}Z"
    return IdsReport(request_id=cos.request_id, request_id_time=time, trace_id=cos.trace_id)


def _encryption(cos: CosExchange) -> EncryptionReport:
    """What a success confirms; of a failure, what was asked for."""
    shown = cos.confirmed if cos.succeeded or cos.confirmed.mode != "none" else cos.asked
    return EncryptionReport(
        mode=shown.mode,
        algorithm=shown.algorithm,
        kms_key_id=shown.kms_key_id,
        customer_key_md5=shown.customer_key_md5,
    )


def _error(cos: CosExchange) -> ErrorReport | None:
    if cos.error is None and not cos.failed:
        return None
    error = cos.error
    explanation = cos.explanation
    return ErrorReport(
        code=error.code if error else None,
        message=error.message if error else None,
        resource=error.resource if error else None,
        request_id=error.request_id if error else None,
        trace_id=error.trace_id if error else None,
        meaning=explanation.meaning if explanation else None,
        cause=explanation.cause if explanation else None,
        fix=explanation.fix if explanation else None,
    )

"""From an exchange to its report: the one function that live traffic and captures share."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from cos_inspect.cos.cos_exchange import CosExchange, Recognised, read_exchange
from cos_inspect.cos.headers import AnnotatedHeader, beyond
from cos_inspect.cos.secret_names import is_secret
from cos_inspect.inspection.plain_success import masked_at_once
from cos_inspect.inspection.redaction import Redactor
from cos_inspect.inspection.second_look import Revision, revised
from cos_inspect.inspection.ticket import ticket_line
from cos_inspect.model.exchange import (
    Body,
    Change,
    Connection,
    Exchange,
    Headers,
    Resigned,
    utc_text,
)
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
from cos_inspect.rules.checks import run_checks
from cos_inspect.rules.clock_skew import device_clock
from cos_inspect.rules.multipart import multipart_part_invalid
from cos_inspect.rules.pace import slow_alone
from cos_inspect.rules.precondition import preconditions_of
from cos_inspect.rules.registry import PENDING_RULES, finders
from cos_inspect.rules.rule import PendingFinding
from cos_inspect.transfers.observation import Observation
from cos_inspect.transfers.observe import observe

_NO_KEYS: Mapping[str, str] = {}


class FirstLook(msgspec.Struct, frozen=True):
    """What one exchange of COS traffic shows alone, and what it tells of everything that
    several exchanges say together."""

    cos: CosExchange
    report: FlowReport
    """Free of secrets when ``redact`` was asked for."""
    seen: Observation
    pending: tuple[PendingFinding, ...] = ()


def first_look(
    exchange: Exchange,
    *,
    recognised: Recognised | None = None,
    hosts: Sequence[str] = (),
    ignore: frozenset[str] = frozenset(),
    redact: bool = True,
    keys: Mapping[str, str] = _NO_KEYS,
) -> FirstLook | None:
    """Reads, checks and judges one finished exchange; None when it is not COS traffic.

    ``recognised`` is what the request's head said, where it was read before; ``hosts`` are
    shell-style patterns of further COS hosts, ``ignore`` rule ids to leave out, ``keys``
    SecretKeys by SecretId to recompute signatures with (they are not kept).
    """
    cos = read_exchange(exchange, hosts, recognised=recognised, keys=keys)
    if cos is None:
        return None
    checks = run_checks(cos)
    seen = observe(cos)
    findings: list[Finding] = []
    pending: tuple[PendingFinding, ...] = ()
    # What the proxy answered or ended itself says nothing of COS.
    if not seen.stopped and not exchange.ended_by_proxy:
        occasions = preconditions_of(cos, checks)
        for find in finders(occasions, ignore):
            findings += find(cos, checks)
        of_transfer = (*multipart_part_invalid(seen), *slow_alone(seen))
        findings += [finding for finding in of_transfer if finding.rule not in ignore]
        if occasions.trouble and occasions.signature:
            pending = tuple(
                each
                for rule, find in PENDING_RULES
                if rule.id not in ignore
                for each in find(cos, checks)
            )
    report = _report(cos, checks, findings)
    ticket = None if exchange.stopped or exchange.ended_by_proxy else ticket_line(report)
    if ticket is not None:
        report = msgspec.structs.replace(report, ticket=ticket)
    if not redact:
        return FirstLook(cos, report, seen, pending)
    secrets = _secrets_beside(cos, keys)
    masked = None if secrets or pending else masked_at_once(report)
    if masked is not None:
        return FirstLook(cos, masked, seen)
    redactor = Redactor(secrets)
    report = redactor.report(report)
    if pending:
        pending = tuple([redactor.struct(each) for each in pending])
    echoes = redactor.echoes
    if echoes:
        seen = msgspec.structs.replace(seen, echoes=echoes)
    return FirstLook(cos, report, seen, pending)


def redactor_of(cos: CosExchange, keys: Mapping[str, str]) -> Redactor:
    """Knows the secrets of an exchange, to mask them in other texts about it."""
    redactor = Redactor(_secrets_beside(cos, keys))
    request, response = cos.request, cos.response
    redactor.learn_head(request.url, request.headers)
    for change in request.changes:
        for value in filter(None, (change.client, change.sent)):
            if change.name is None:
                redactor.learn_head(value, ())
            else:
                redactor.learn_head("", [(change.name, value)])
    if response is not None:
        redactor.learn_head("", response.headers)
    return redactor


def _secrets_beside(cos: CosExchange, keys: Mapping[str, str]) -> tuple[str, ...]:
    """Secrets of an exchange that do not stand in its report: those of a form, and the
    SecretKeys that are at hand."""
    values = tuple(keys.values())
    if cos.form is not None:
        values += tuple([value for name, value in cos.form if value and is_secret(name)])
    return values


def revise(alone: FlowReport, revision: Revision) -> FlowReport:
    """The report that an exchange alone gives, with what a second look says of it."""
    checks, findings = revised(alone.checks, alone.findings, revision)
    report = msgspec.structs.replace(
        alone,
        checks=checks,
        findings=findings,
        transfer=revision.transfer,
        verdict=verdict_of(findings),
    )
    if findings == alone.findings:
        return report
    # One that has none, since the proxy ended it, is none the wiser.
    told = ticket_line(report) if alone.ticket is not None or revision.findings else None
    return msgspec.structs.replace(report, ticket=told)


def verdict_of(findings: Sequence[Finding]) -> Verdict:
    """The highest severity among the findings."""
    if not findings:
        return "ok"
    return max((finding.severity for finding in findings), key=lambda s: s.rank).value


def _report(cos: CosExchange, checks: list[Check], findings: list[Finding]) -> FlowReport:
    exchange = cos.exchange
    request, response = exchange.request, exchange.response
    return FlowReport(
        flow_id=exchange.flow_id,
        verdict=verdict_of(findings),
        started=utc_text(exchange.timing.request_start),
        timing=_timing(exchange),
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
            body=_body(request.body, request.headers),
            changes=[_change(change) for change in request.changes],
            resigned=_resigned(request.resigned),
        ),
        response=ResponseReport(
            status=response.status,
            reason=response.reason,
            http_version=response.http_version,
            headers=_headers(response.headers, cos.response_headers),
            body=_body(response.body, response.headers),
            by=response.by,
            option=response.option,
        )
        if response
        else None,
        connection=_connection(exchange, device_clock(cos, findings)),
        ids=_ids(cos),
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


def _timing(exchange: Exchange) -> TimingReport:
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


def _connection(exchange: Exchange, clock_seconds: int | None) -> ConnectionReport | None:
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
        described.append(
            HeaderReport(header.name, header.value, fact.category, fact.meaning, notes)
        )
    if len(headers) > len(annotated):
        # Their values are left out: a secret could stand in them.
        described += [HeaderReport(name, "", "other", "", notes) for name, notes in beyond(headers)]
    return described


def _body(body: Body, headers: Headers) -> BodyReport:
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


def _ids(cos: CosExchange) -> IdsReport:
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

"""Log records of findings, and spans of flows, as OTLP has them, without its packages."""

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from cos_inspect.model.devices import ConnectionFailureSummary
from cos_inspect.model.flow_report import Finding, FlowReport, Severity
from cos_inspect.model.plain_text import whole
from cos_inspect.model.report_facts import address_and_port, request_header
from cos_inspect.telemetry.facts import (
    Attributes,
    SpanId,
    Value,
    attributes_of,
    facts_of,
)

SEVERITY_NUMBERS = {Severity.NOTICE: 10, Severity.WARNING: 13, Severity.ERROR: 17}
"""INFO2, WARN and ERROR: OpenTelemetry gives syslog's Notice the first."""


class LogFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A log record."""

    body: str
    severity: Severity
    attributes: Attributes
    span: SpanId | None
    """Of the flow, whether spans are sent or not."""
    at: int | None
    """Nanoseconds since 1970."""


class SpanFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A CLIENT span."""

    name: str
    attributes: Attributes
    span: SpanId
    parent: SpanId | None
    links: tuple[SpanId, ...]
    begins: int | None
    """Nanoseconds since 1970."""
    ends: int | None
    is_error: bool


def new_findings(before: Sequence[Sequence[str]], after: Sequence[Finding]) -> list[Finding]:
    """Those that a report says and the one before it did not; ``before`` has the rule and the
    severity of each of its findings in front."""
    said = Counter((rule, severity) for rule, severity, *_ in before)
    found = []
    for each in after:
        name = each.rule, each.severity.value
        if said[name] > 0:
            said[name] -= 1
        else:
            found.append(each)
    return found


def log_records(report: FlowReport, findings: Sequence[Finding]) -> Iterator[LogFacts]:
    """One for each of these findings of a flow."""
    facts = facts_of(report)
    for finding in findings:
        text = f"{finding.title}: {finding.detail}" if finding.detail else finding.title
        own: dict[str, Value | None] = {
            "cos.rule": finding.rule,
            "cos.rule.group": finding.group,
            "cos.severity": finding.severity.value,
            "cos.fix": finding.fix or None,
            "cos.ticket": report.ticket,
        }
        yield LogFacts(
            body=whole(f"{text}\n{report.ticket}" if report.ticket else text),
            severity=finding.severity,
            attributes=attributes_of(own) | facts.attributes,
            span=facts.span,
            at=facts.ends,
        )


def connection_records(
    trouble: ConnectionFailureSummary, findings: Sequence[Finding]
) -> Iterator[LogFacts]:
    """One for each of these findings of a connection that had no flow."""
    for finding in findings:
        told: dict[str, Value | None] = {
            "cos.rule": finding.rule,
            "cos.rule.group": finding.group,
            "cos.severity": finding.severity.value,
            "cos.fix": finding.fix or None,
            "cos.connection.failure": trouble.failed,
            "server.address": trouble.host,
            "client.address": trouble.client,
        }
        yield LogFacts(
            body=whole(f"{finding.title}: {finding.detail}"),
            severity=finding.severity,
            attributes=attributes_of(told),
            span=None,
            at=None,
        )


def span_of(report: FlowReport) -> SpanFacts:
    """The span of a flow, by the conventions for HTTP."""
    facts = facts_of(report)
    request, response, connection = report.request, report.response, report.connection
    method = facts.attributes["http.request.method"]
    peer, peer_port = address_and_port(connection.server if connection is not None else None)
    transfer = report.transfer
    error = error_type(report)
    own: dict[str, Value | None] = {
        "cos.verdict": report.verdict,
        "cos.rules": tuple(dict.fromkeys(each.rule for each in report.findings)) or None,
        "http.request.method_original": request.method if method == "_OTHER" else None,
        "http.request.body.size": request.body.size,
        "http.response.body.size": response.body.size if response is not None else None,
        "http.request.resend_count": transfer.attempt - 1
        if transfer is not None and transfer.attempt and transfer.attempt > 1
        else None,
        "error.type": error,
        "user_agent.original": request_header(report, "user-agent"),
        "network.protocol.name": "http",
        "network.protocol.version": _version(request.http_version),
        "network.peer.address": peer,
        "network.peer.port": peer_port,
        "tls.protocol.version": _tls_version(connection.tls if connection is not None else None),
    }
    links: tuple[SpanId, ...] = ()
    if facts.parent is not None and facts.upload_trace is not None:
        links = (facts.upload_trace,)
    return SpanFacts(
        name=f"{'HTTP' if method == '_OTHER' else method} {report.cos.operation}",
        attributes=facts.attributes | attributes_of(own),
        span=facts.span,
        parent=facts.parent,
        links=links,
        begins=facts.begins,
        ends=facts.ends,
        is_error=error is not None,
    )


def error_type(report: FlowReport) -> str | None:
    """Why a flow counts as failed, out of a bounded set; None where it does not."""
    response = report.response
    if response is not None and response.status >= 400:
        return str(response.status)
    if response is not None and report.error is not None and report.error.code:
        return report.error.code
    worst = max(report.findings, key=lambda each: each.severity.rank, default=None)
    if worst is not None and (response is None or worst.severity is Severity.ERROR):
        return worst.rule
    return None


def _version(text: str) -> str:
    """``1.1``, ``2`` or ``3``, as the conventions write it."""
    version = text.removeprefix("HTTP/")
    return version.removesuffix(".0") if version in ("2.0", "3.0") else version


def _tls_version(text: str | None) -> str | None:
    """``1.3`` of ``TLSv1.3``."""
    return text.removeprefix("TLSv") if text and text.startswith("TLSv") else None

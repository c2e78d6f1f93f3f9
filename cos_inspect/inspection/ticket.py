"""The line that COS support asks for when a request failed."""

from urllib.parse import quote

from cos_inspect.model.flow_report import FlowReport, Severity


def ticket_line(report: FlowReport) -> str | None:
    """One line, ready to copy; None for a flow that did not fail. A body that was damaged under
    a status of success is a failure.

    It holds names, ids, codes and digests: no URL, no header, no message, so no secret.
    """
    response = report.response
    damage = _damage(report)
    if response is not None and response.status < 400 and report.error is None and not damage:
        return None
    cos, ids = report.cos, report.ids
    client = cos.client
    parts = (
        ("request id", ids.request_id or "none"),
        ("trace id", ids.trace_id or "none"),
        ("time", report.started or "unknown"),
        ("method", f"{report.request.method} ({cos.operation})"),
        ("bucket", cos.bucket),
        ("region", cos.region),
        ("key", cos.key),
        ("status", str(response.status) if response else "no response"),
        ("code", report.error.code if report.error else None),
        ("damage", damage),
        ("client", client.title if client else None),
    )
    return "; ".join(f"{name}: {_one_line(value)}" for name, value in parts if value)


def _damage(report: FlowReport) -> str | None:
    """The rules that say so, and the digests that differ."""
    rules = [
        finding.rule
        for finding in report.findings
        if finding.group == "integrity" and finding.severity is Severity.ERROR
    ]
    if not rules:
        return None
    digests = [
        f"{check.check} of the {check.body} is {check.actual}, not {check.expected}"
        for check in report.checks
        if check.status == "mismatch" and check.check != "signature"
    ]
    return ", ".join(dict.fromkeys([*rules, *digests]))


def _one_line(text: str) -> str:
    """Line ends and other signs that do not print become percent escapes."""
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() else quote(sign, safe="", errors="replace") for sign in text
    )

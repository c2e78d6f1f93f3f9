"""The line that COS support asks for when a request failed."""

from urllib.parse import quote

from cos_inspect.model.flow_report import FlowReport


def ticket_line(report: FlowReport) -> str | None:
    """One line, ready to copy; None for a flow that did not fail.

    It holds names, ids and codes: no URL, no header, no message, so no secret.
    """
    response = report.response
    if response is not None and response.status < 400 and report.error is None:
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
        ("client", client.title if client else None),
    )
    return "; ".join(f"{name}: {_one_line(value)}" for name, value in parts if value)


def _one_line(text: str) -> str:
    """Line ends and other signs that do not print become percent escapes."""
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() else quote(sign, safe="", errors="replace") for sign in text
    )

"""A line per COS flow for the terminal and the event logs of mitmweb and the console."""

from cos_inspect.report.model import FlowReport


def size_text(size: int | None) -> str:
    if size is None:
        return "?"
    if size < 1024:
        return f"{size} B"
    value = float(size)
    for unit in ("KiB", "MiB", "GiB"):
        value /= 1024
        if value < 1024:
            return f"{value:.1f} {unit}"
    return f"{value / 1024:.1f} TiB"


def moved_bytes(report: FlowReport) -> int | None:
    """The size of the body that the flow was about."""
    request = report.request.body
    inner = request.payload.size if request.payload else None
    sent = inner if inner is not None else request.size
    got = report.response.body.size if report.response else 0
    if sent is None or got is None:
        return sent or got
    return max(sent, got)


def place_of(report: FlowReport) -> str:
    cos = report.cos
    if cos.bucket is None:
        return report.request.url.partition("://")[2].partition("?")[0]
    return f"{cos.bucket}/{cos.key}" if cos.key is not None else cos.bucket


def flow_line(report: FlowReport) -> str:
    """Time, operation, bucket and key, status, size, verdict; then a line per finding."""
    status = str(report.response.status) if report.response else "---"
    clock = report.started[11:19]
    line = (
        f"{clock} COS {report.cos.operation} {place_of(report)} {status}"
        f" {size_text(moved_bytes(report))} {report.verdict}"
    )
    return "\n".join(
        [_one_line(line)]
        + [
            _one_line(f"    {finding.severity.value}: {finding.rule}: {finding.detail}")
            for finding in report.findings
        ]
    )


def _one_line(text: str) -> str:
    """Control characters of keys and messages do not reach the terminal."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)

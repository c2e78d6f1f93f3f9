"""A flow's report as Markdown, to paste into a ticket.

Everything from the wire stands in code spans, or is escaped: it can start no
link, image, mention or HTML, and end no table cell.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from cos_inspect.model.flow_report import (
    BodyReport,
    ChangeReport,
    Check,
    Finding,
    FlowReport,
    HeaderReport,
    Severity,
)
from cos_inspect.model.plain_text import escaped
from cos_inspect.report.by_proxy import by_proxy
from cos_inspect.report.directory import flow_file_stem
from cos_inspect.report.flow_files import FlowFile, FlowFilesWriter
from cos_inspect.report.report_format import FormatInput, ReportFormat

_SIGNS = {"ok": "✅", "notice": "🔵", "warning": "⚠️", "error": "❌"}
_STATUS = {"match": "match", "mismatch": "**mismatch**", "skipped": "skipped"}
_SPECIAL = re.compile(r"([\\`*_\[\]<>&|~@#!$])|(?<=\w)(://)|(?i:(www)\.)")
_FENCES = re.compile(r"`+")
_MOST = 2000
"""Characters of one value."""


def to_markdown(report: FlowReport) -> str:
    """GitHub's Markdown; the findings come first."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: FlowReport) -> Iterator[str]:
    cos, response = report.cos, report.response
    answer = "no answer" if response is None else str(response.status)
    verdict = f"{report.verdict}, healed by a later try" if report.is_healed else report.verdict
    yield f"## {_SIGNS[report.verdict]} {text(cos.operation)} {answer}: {verdict}"
    yield ""
    if cos.key is not None:
        yield f"{code(cos.key)} in {code(cos.bucket or 'an unknown bucket')}"
        yield ""
    if report.is_healed:
        yield "A later try of this request came through. What is said here is of a failed one."
        yield ""
    for finding in _by_severity(report.findings):
        yield from _finding(finding)
    if not report.findings:
        yield "Nothing was found."
        yield ""
    if report.error is not None:
        yield from _error(report)
    if report.ticket:
        yield "### For support"
        yield ""
        yield from _block(report.ticket)
    yield from _table("Ids", ("id", "value"), _ids(report))
    yield from _table(
        "Checks",
        ("check", "body", "status", "expected", "actual"),
        (_check(check) for check in report.checks),
    )
    yield from _table(
        "Changed by this proxy",
        ("what", "from the client", "as sent", "by"),
        (_change(change) for change in report.request.changes),
    )
    yield from _table("Bodies", ("body", "bytes", "MD5", "CRC-64", "complete"), _bodies(report))
    yield from _headers("Request headers", report.request.headers)
    if response is not None:
        yield from _headers("Response headers", response.headers)


def _by_severity(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: -finding.severity.rank)


def _finding(finding: Finding) -> Iterator[str]:
    sign = _SIGNS[Severity(finding.severity).value]
    yield f"- {sign} **{text(finding.title)}** ({code(finding.rule)}): {text(finding.detail)}"
    if finding.fix:
        yield f"  - What to do: {text(finding.fix)}"
    for name, value in finding.evidence.items():
        if value is not None:
            yield f"  - {text(name)}: {_evidence(value)}"
    yield ""


def _evidence(value: Any) -> str:
    match value:
        case dict():
            return ", ".join(f"{text(str(name))} {_evidence(item)}" for name, item in value.items())
        case list() | tuple():
            return ", ".join(_evidence(item) for item in value)
        case _:
            return code(str(value))


def _error(report: FlowReport) -> Iterator[str]:
    error = report.error
    if error is None:
        return
    yield "### Error"
    yield ""
    said = ((code(error.code) if error.code else ""), text(error.message or ""))
    yield " ".join(part for part in said if part) or "COS gave no code."
    yield ""
    for name, words in (("Means", error.meaning), ("Likely", error.cause), ("Fix", error.fix)):
        if words:
            yield f"- {name}: {text(words)}"
    yield ""


def _ids(report: FlowReport) -> Iterator[tuple[str, ...]]:
    cos, ids, response = report.cos, report.ids, report.response
    client = cos.client
    for name, value in (
        ("request id", ids.request_id),
        ("trace id", ids.trace_id),
        ("started", report.started),
        ("request", f"{report.request.method} {report.request.url}"),
        ("answer", f"{response.status} {response.reason}".strip() if response else None),
        ("answered by", _by_proxy(report)),
        ("bucket", cos.bucket),
        ("region", cos.region),
        ("key", cos.key),
        ("client", client.title if client else None),
        ("encryption", None if report.encryption.mode == "none" else report.encryption.mode),
        ("flow", report.flow_id),
    ):
        if value is not None:
            yield name, code(value)


def _check(check: Check) -> tuple[str, ...]:
    status = _STATUS[check.status]
    if check.reason is not None:
        status += f" ({check.reason})"
    expected = "" if check.expected is None else code(check.expected)
    actual = "" if check.actual is None else code(check.actual)
    return code(check.check), check.body, status, expected, actual


def _by_proxy(report: FlowReport) -> str | None:
    """The option of the proxy that answered, or ended it."""
    told = by_proxy(report)
    if told is None:
        return None
    who = f"{told.by}: {told.why}" if told.why else told.by
    return (
        f"this proxy ({who})" if told.did == "answered" else f"nobody: this proxy ended it ({who})"
    )


def _change(change: ChangeReport) -> tuple[str, ...]:
    what = f"{change.part} {code(change.name)}" if change.name else change.part
    values = ["none" if value is None else code(value) for value in (change.client, change.sent)]
    return what, *values, code(change.by)


def _bodies(report: FlowReport) -> Iterator[tuple[str, ...]]:
    yield _body("request", report.request.body)
    if report.response is not None:
        yield _body("response", report.response.body)


def _body(side: str, body: BodyReport) -> tuple[str, ...]:
    size = "unknown" if body.size is None else str(body.size)
    md5 = code(body.md5) if body.md5 else ""
    crc64 = code(body.crc64ecma) if body.crc64ecma else ""
    return side, size, md5, crc64, "yes" if body.complete else "**no**"


def _headers(title: str, headers: Sequence[HeaderReport]) -> Iterator[str]:
    yield "<details>"
    yield f"<summary>{title}: {len(headers)}</summary>"
    yield ""
    yield "| name | value | meaning |"
    yield "| --- | --- | --- |"
    for header in headers:
        words = [text(header.meaning), *(f"**{text(issue)}**" for issue in header.issues)]
        meaning = " ".join(word for word in words if word)
        yield f"| {code(header.name)} | {code(header.value)} | {meaning} |"
    yield ""
    yield "</details>"
    yield ""


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    cells = [f"| {' | '.join(row)} |" for row in rows]
    if cells:
        yield f"### {title}"
        yield ""
        yield f"| {' | '.join(columns)} |"
        yield f"|{' --- |' * len(columns)}"
        yield from cells
        yield ""


def _block(value: str) -> Iterator[str]:
    shown = _visible(value, _MOST)
    fence = _fence(shown, 3)
    yield from (fence, shown, fence, "")


def code(value: str) -> str:
    """Code spans that show exactly ``value``, on one line. Bars stand between the spans:
    inside of one, readers of tables disagree about what escapes them."""
    shown = _visible(value, _MOST)
    if not shown.strip():
        return "(blank)" if shown else "(empty)"
    return "\\|".join(_span(piece) for piece in shown.split("|"))


def _span(shown: str) -> str:
    if not shown.strip():
        return shown
    fence = _fence(shown, 1)
    blank = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{blank}{shown}{blank}{fence}"


def text(value: str) -> str:
    """Words that may hold parts from the wire, with no markup in them."""
    return _SPECIAL.sub(_escaped, _visible(value, _MOST))


def _escaped(found: re.Match[str]) -> str:
    sign, scheme, host = found.groups()
    if sign:
        return "&lt;" if sign == "<" else "&amp;" if sign == "&" else f"\\{sign}"
    return "\\://" if scheme else f"{host}\\."


def _visible(value: str, most: int) -> str:
    if len(value) > most:
        value = f"{value[:most]}… ({len(value)} characters)"
    return escaped(value)


def _fence(value: str, least: int) -> str:
    longest = max((len(run) for run in _FENCES.findall(value)), default=0)
    return "`" * max(least, longest + 1)


def _render(given: FormatInput) -> FlowFile:
    content = to_markdown(given.report).encode("utf-8", "replace")
    return FlowFile(f"{flow_file_stem(given.report)}.md", content)


MARKDOWN = ReportFormat(
    name="markdown", render=_render, writer=FlowFilesWriter, content=FlowFile, is_by_flow=True
)

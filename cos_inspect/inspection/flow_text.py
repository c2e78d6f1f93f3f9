"""A flow's report as text for people, in the way that YAML is read."""

import textwrap
from collections.abc import Iterator
from functools import cache

from cos_inspect.cos.tables import rows
from cos_inspect.model.flow_report import BodyReport, Check, Finding, FlowReport, Severity
from cos_inspect.report.terminal import place_of
from cos_inspect.report.terminal_text import one_line, size_text
from cos_inspect.rules.registry import RULES
from cos_inspect.rules.rule import Rule

_WIDTH = 70
"""Columns; in a window of 1280 mitmweb shows as many beside its list, and wraps nothing."""
_RESULTS = {"match": "match", "mismatch": "MISMATCH", "skipped": "skipped"}


def flow_text(report: FlowReport) -> str:
    """What was found, what it was, what was compared; without the body."""
    return "\n\n".join(part for part in _parts(report) if part)


def _parts(report: FlowReport) -> Iterator[str]:
    status = f"{report.response.status}" if report.response else "no answer"
    yield f"COS {report.verdict}: {report.cos.operation} {status}"
    for finding in sorted(report.findings, key=lambda item: -Severity(item.severity).rank):
        # What an error code means stands with the error.
        told = report.error is not None and finding.group == "error"
        yield _finding(finding, "" if told else _cause(finding))
    if report.error is not None:
        error = report.error
        said = " ".join(word for word in (error.code, error.message) if word)
        yield _titled(
            "error of COS",
            [
                ("said", said),
                ("means", error.meaning or ""),
                ("likely", error.cause or ""),
                ("fix", error.fix or ""),
            ],
        )
    yield _block([row for row in _facts(report) if row[1]])
    if report.checks:
        lines = (line for check in report.checks for line in _check(check))
        yield "\n".join(["checks:", *(f"  {line}" for line in lines)])
    if report.ticket:
        yield f"for a support ticket:\n  {report.ticket}"


def _facts(report: FlowReport) -> list[tuple[str, str]]:
    cos, encryption, ids = report.cos, report.encryption, report.ids
    client = cos.client
    of_encryption = ", ".join(
        word
        for word in (
            encryption.mode,
            encryption.algorithm,
            encryption.kms_key_id,
            encryption.customer_key_md5 and f"key MD5 {encryption.customer_key_md5}",
        )
        if word
    )
    time = f"  ({ids.request_id_time})" if ids.request_id_time else ""
    transfer = report.transfer
    return [
        ("object" if cos.key is not None else "place", place_of(report)),
        ("region", f"{cos.region or 'unknown'}, {cos.endpoint} endpoint"),
        ("client", client.title if client else ""),
        ("encryption", of_encryption),
        ("request id", f"{ids.request_id}{time}" if ids.request_id else "none"),
        ("trace id", ids.trace_id or "none"),
        ("sent", _body(report.request.body)),
        ("received", _body(report.response.body) if report.response else ""),
        ("transfer", f"{transfer.kind} {transfer.id}" if transfer else ""),
        ("started", report.started or "unknown"),
    ]


def _body(body: BodyReport) -> str:
    parts = [size_text(body.size) if body.size is not None else "not captured"]
    if not body.complete and body.size is not None:
        parts[0] += " (not whole)"
    if body.md5:
        parts.append(f"MD5 {body.md5}")
    if body.crc64ecma:
        parts.append(f"CRC-64 {body.crc64ecma}")
    return ", ".join(parts)


def _finding(finding: Finding, cause: str) -> str:
    return _titled(
        f"{Severity(finding.severity).value}: {finding.rule}",
        [
            ("title", finding.title),
            ("detail", finding.detail),
            ("cause", cause),
            ("fix", finding.fix),
        ],
    )


def _check(check: Check) -> Iterator[str]:
    """One line, and for what was compared the words for it below."""
    name = f"{_RESULTS[check.status]:8}  {check.check} of the {check.body}"
    if check.status == "skipped":
        yield f"{name}: {check.reason}"
        return
    if check.status == "match":
        yield f"{name}: {one_line(check.actual or check.expected or 'agrees')}"
    else:
        yield f"{name}:"
        yield f"{'':10}expected {one_line(str(check.expected))}"
        yield f"{'':10}seen     {one_line(str(check.actual))}"
    yield from _wrapped("", _words()[check.check], 10)


def _cause(finding: Finding) -> str:
    """What is usually behind it; nothing where the finding has words of its own, for more is
    known then, and the usual cause may be ruled out."""
    rule = _rules().get(finding.rule)
    if rule is None or (finding.title, finding.fix) != (rule.title, rule.fix):
        return ""
    return rule.cause


@cache
def _rules() -> dict[str, Rule]:
    return {rule.id: rule for rule in RULES}


@cache
def _words() -> dict[str, str]:
    """Of each check, what it compares with what."""
    return {row["check"]: f"({row['compares']}, with {row['with']})" for row in rows("checks")}


def _titled(title: str, pairs: list[tuple[str, str]]) -> str:
    lines = _block([pair for pair in pairs if pair[1]]).splitlines()
    return "\n".join([f"{title}:", *(f"  {line}" for line in lines)])


def _block(pairs: list[tuple[str, str]]) -> str:
    """Names, and beside them their values, wrapped between words only."""
    indent = max((len(name) for name, _ in pairs), default=0) + 3
    return "\n".join(line for name, value in pairs for line in _wrapped(f"{name}:", value, indent))


def _wrapped(name: str, value: str, indent: int) -> list[str]:
    return textwrap.wrap(
        one_line(value),
        _WIDTH,
        initial_indent=f"{name:{indent}}",
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )

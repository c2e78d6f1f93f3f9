"""JUnit XML for CI systems: a suite per flow, a test case per check and per finding.

A finding that a check made stands in the check's test case. Findings below the
severity that counts, and known ones, do not fail: they are told as output or
as skipped.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from xml.sax.saxutils import escape, quoteattr

from cos_inspect.model.devices import ConnectionFailureSummary
from cos_inspect.model.flow_report import Check, Finding, FlowReport, Severity
from cos_inspect.model.plain_text import escaped
from cos_inspect.model.report_facts import host_of
from cos_inspect.model.summary import Lost, TransferSummary
from cos_inspect.report.baseline import entry_of, entry_of_transfer
from cos_inspect.report.report_format import NO_SETTINGS, FormatSettings

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def flow_suite(report: FlowReport, settings: FormatSettings = NO_SETTINGS) -> bytes:
    """The ``<testsuite>`` of one flow. A finding stands in the test case of its check, as
    ``settings`` say, else in one of its own."""
    cos = report.cos
    place = cos.bucket or host_of(report)
    name = f"{report.sequence:06d} {cos.operation} {place}"
    if cos.key is not None:
        name += f"/{cos.key}"
    if report.is_healed:
        name += " (a later try came through)"
    total_ms = report.timing.total_ms
    return _suite(
        name,
        f"cos.{cos.operation}",
        report.checks,
        report.findings,
        started=report.started,
        seconds=0.0 if total_ms is None else total_ms / 1000,
        properties=(
            ("flow", report.flow_id),
            ("request-id", report.ids.request_id or ""),
            ("verdict", report.verdict),
            *((("healed", "by a later try"),) if report.is_healed else ()),
        ),
        settings=settings,
        is_known=lambda finding: settings.baseline.knows(entry_of(report, finding)),
    )


def transfer_suite(transfer: TransferSummary, settings: FormatSettings = NO_SETTINGS) -> bytes:
    """The ``<testsuite>`` of what several flows say together. One that failed as a whole, as its
    state says, fails also without a finding of its own."""
    findings = transfer.findings
    is_told = any(finding.severity.value == transfer.verdict for finding in findings)
    if transfer.verdict != "ok" and not is_told:
        findings = [*findings, _of_state(transfer, Severity(transfer.verdict))]
    return _suite(
        f"{transfer.kind} {transfer.bucket}/{transfer.key} {transfer.id}",
        f"cos.{transfer.kind}",
        transfer.checks,
        findings,
        started=None,
        seconds=(transfer.duration_ms or 0.0) / 1000,
        properties=(("state", transfer.state), ("verdict", transfer.verdict)),
        settings=settings,
        is_known=lambda finding: settings.baseline.knows(entry_of_transfer(transfer, finding)),
    )


def left_out_suite(transfers: int, failing: int) -> bytes:
    """The ``<testsuite>`` of transfers that have none of their own, since the list holds the
    worst alone; ``failing``: how many of them, or findings of theirs, count as failures."""
    said = f"{transfers} transfers are not listed, {failing} of them are as bad as what fails"
    failure = f'<failure type="left-out" message={_attribute(said)}/>' if failing else ""
    case = _case("cos.left-out", "transfers beyond the list", failure)
    return (
        f'  <testsuite name="transfers that are not listed" tests="1" failures="{bool(failing):d}"'
        f' errors="0" skipped="0" time="0.000">\n    {case}\n  </testsuite>\n'
    ).encode()


def unlisted_suite(flows: int, failing: int) -> bytes:
    """The ``<testsuite>`` of flows that have none of their own, since there are too many;
    ``failing``: how many of them fail."""
    said = f"{flows} flows are not listed, {failing} of them fail"
    failure = f'<failure type="unlisted" message={_attribute(said)}/>' if failing else ""
    case = _case("cos.unlisted", said, failure)
    return (
        f'  <testsuite name="flows that are not listed" tests="1" failures="{bool(failing):d}"'
        f' errors="0" skipped="0" time="0.000">\n    {case}\n  </testsuite>\n'
    ).encode()


def connection_suite(
    trouble: ConnectionFailureSummary, settings: FormatSettings = NO_SETTINGS
) -> bytes:
    """The ``<testsuite>`` of connections of one client to one host that came to nothing."""
    return _suite(
        f"connection {trouble.client or 'unknown'} to {trouble.host or 'unknown host'}",
        "cos.connection",
        [],
        trouble.findings,
        started=None,
        seconds=0.0,
        properties=(("failed", trouble.failed), ("count", str(trouble.count))),
        settings=settings,
        is_known=lambda _: False,
    )


def lost_suite(lost: Lost) -> bytes:
    """The ``<testsuite>`` of flows without a report: an error for each reason, for nobody
    knows what the reports would have said."""
    cases = []
    for reason, count in sorted(lost.reasons.items()):
        said = f"{count} {'report' if count == 1 else 'reports'} lost: {reason}"
        cases.append(_case("cos.lost", reason, f'<error type="lost" message={_attribute(said)}/>'))
    body = "".join(f"    {case}\n" for case in cases)
    return (
        f'  <testsuite name="lost reports" tests="{len(cases)}" failures="0"'
        f' errors="{len(cases)}" skipped="0" time="0.000">\n{body}  </testsuite>\n'
    ).encode()


def _suite(
    name: str,
    class_name: str,
    checks: Sequence[Check],
    findings: Sequence[Finding],
    *,
    started: str | None,
    seconds: float,
    properties: Sequence[tuple[str, str]],
    settings: FormatSettings,
    is_known: Callable[[Finding], bool],
) -> bytes:
    cases: list[str] = []
    counts = {"failure": 0, "skipped": 0}
    left = list(findings)

    def outcome(finding: Finding) -> str:
        if is_known(finding):
            counts["skipped"] += 1
            return f"<skipped message={_attribute(f'known: {finding.rule}')}/>"
        text = f"{escaped(finding.detail)}\n{escaped(finding.fix)}"
        if finding.severity.rank < settings.fails_from.rank:
            return f"<system-out>{_text(f'{finding.severity.value}: {text}')}</system-out>"
        counts["failure"] += 1
        return (
            f"<failure type={_attribute(finding.rule)} message={_attribute(finding.title)}>"
            f"{_text(text)}</failure>"
        )

    for check in checks:
        inner = ""
        if check.status == "skipped":
            counts["skipped"] += 1
            inner = f"<skipped message={_attribute(check.reason or '')}/>"
        elif check.status == "mismatch":
            found = _take(left, check, settings)
            if found is None:
                inner = (
                    f"<system-out>{_text(f'{check.expected} is not {check.actual}')}</system-out>"
                )
            else:
                inner = outcome(found)
        cases.append(_case(class_name, f"{check.check} ({check.body})", inner))
    cases += [
        _case(class_name, f"{number}{finding.rule}", outcome(finding))
        for number, finding in _numbered(left)
    ]
    stamp = f" timestamp={_attribute(started.rstrip('Z'))}" if started else ""
    listed = "".join(
        f"<property name={_attribute(key)} value={_attribute(value)}/>" for key, value in properties
    )
    body = "".join(f"    {case}\n" for case in cases)
    return (
        f'  <testsuite name={_attribute(name)} tests="{len(cases)}"'
        f' failures="{counts["failure"]}" errors="0" skipped="{counts["skipped"]}"'
        f' time="{seconds:.3f}"{stamp}>\n'
        f"    <properties>{listed}</properties>\n{body}  </testsuite>\n"
    ).encode()


def _of_state(transfer: TransferSummary, severity: Severity) -> Finding:
    return Finding(
        rule="state",
        group="transfer",
        severity=severity,
        title=f"The transfer ended as {transfer.state}",
        detail=f"{transfer.kind} {transfer.bucket}/{transfer.key}: {transfer.state}",
        fix="Its flows say what went wrong.",
    )


def _take(left: list[Finding], check: Check, settings: FormatSettings) -> Finding | None:
    """The finding that says what this check found, taken out of the list."""
    for finding in left:
        side = finding.evidence.get("body", check.body)
        if check.check in settings.rule_checks.get(finding.rule, ()) and side == check.body:
            left.remove(finding)
            return finding
    return None


def _numbered(findings: Sequence[Finding]) -> Iterator[tuple[str, Finding]]:
    """Test cases of one suite have different names."""
    seen: dict[str, int] = {}
    for finding in findings:
        seen[finding.rule] = seen.get(finding.rule, 0) + 1
        again = seen[finding.rule]
        yield ("" if again == 1 else f"{again}. "), finding


def _case(class_name: str, name: str, inner: str) -> str:
    start = f"<testcase classname={_attribute(class_name)} name={_attribute(name)}"
    return f"{start}>{inner}</testcase>" if inner else f"{start}/>"


def _attribute(text: str) -> str:
    return quoteattr(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", escaped(text)))


def _text(text: str) -> str:
    """Its line ends are ours."""
    lines = (escaped(line) for line in text.split("\n"))
    return escape(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", "\n".join(lines)))

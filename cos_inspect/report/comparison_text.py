"""A comparison of two flows as lines of text, for terminals and mitmproxy's commands."""

from cos_inspect.model.flow_report import FlowReport
from cos_inspect.report.compare import Comparison, ReportDifference, failed, title_of
from cos_inspect.report.terminal import place_of
from cos_inspect.report.terminal_text import one_line, table


def comparison_text(first: FlowReport, second: FlowReport, comparison: Comparison) -> list[str]:
    """The one difference that matters most first; what is expected to differ, and what is the
    same, last and short."""
    lines = [one_line(comparison.headline), ""]
    lines += table([("", *_outcome(first)), ("", *_outcome(second))]).splitlines()
    mattering = [each for each in comparison.differences if each.matters]
    if mattering:
        lines += ["", "what differs and matters:"]
        for each in mattering:
            lines += [f"  {_title(each)}: {one_line(each.why)}"]
            lines += [f"    {_number(first)}: {one_line(each.first)}"]
            lines += [f"    {_number(second)}: {one_line(each.second)}"]
    others = [_title(each) for each in comparison.differences if not each.matters]
    if others:
        lines += ["", f"expected to differ, or without effect: {'; '.join(others)}"]
    if comparison.same:
        lines += ["", "the same in both:", *(f"  {one_line(text)}" for text in comparison.same)]
    return lines


def _number(report: FlowReport) -> str:
    return f"#{report.sequence}" if report.sequence else report.flow_id[:8]


def _title(each: ReportDifference) -> str:
    return one_line(f"{title_of(each.kind)} {each.name}".rstrip())


def _outcome(report: FlowReport) -> tuple[str, ...]:
    status = str(report.response.status) if report.response else "no answer"
    code = report.error.code if report.error is not None and report.error.code else ""
    return (
        _number(report),
        "failed" if failed(report) else "worked",
        report.started or "unknown time",
        report.cos.operation,
        f"{status} {code}".rstrip(),
        place_of(report),
    )

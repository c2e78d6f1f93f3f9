"""Annotations and the step's summary: a line for each rule, whatever stands in it."""

from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.model.flow_report import Finding, Severity
from cos_inspect.model.summary import Lost
from cos_inspect.report.github import Groups, annotations, step_summary
from tests.report.build import finding, flow_report


def groups(*findings: Finding) -> Groups:
    made = Groups()
    for number, each in enumerate(findings, 1):
        made.add_flow(flow_report(sequence=number), [each])
    return made


def test_one_annotation_stands_for_all_flows_that_break_a_rule() -> None:
    made = groups(
        finding("clock-skew", Severity.WARNING),
        finding("crc64-mismatch"),
        finding("crc64-mismatch"),
    )
    first, second = annotations(made.worst_first(), Lost())
    assert first.startswith("::error title=crc64-mismatch%3A t::d (2 times)%0Aflow 2, PutObject ")
    assert second.startswith("::warning title=clock-skew%3A t::d%0A")


def test_lost_reports_are_an_error() -> None:
    lost = Lost(count=2, reasons={"disk full": 2})
    assert list(annotations([], lost)) == [
        "::error title=COS reports are lost::2 reports: 2 disk full"
    ]


def test_no_more_than_github_shows() -> None:
    made = groups(*[finding(f"rule-{number}") for number in range(30)])
    assert len(list(annotations(made.worst_first(), Lost()))) == 10
    assert step_summary("COS summary", made.worst_first()).count("| error |") == 30


def test_merged_groups_add_up() -> None:
    made = groups(finding("a"))
    made.merge(groups(finding("a"), finding("b")))
    assert [(each.rule, each.count) for each in made.worst_first()] == [("a", 2), ("b", 1)]


@given(st.text())
def test_nothing_from_the_wire_begins_a_line_or_a_command(text: str) -> None:
    wild = finding("a")
    wild = Finding(
        rule=wild.rule,
        group=wild.group,
        severity=wild.severity,
        title=text,
        detail=text,
        fix=text,
    )
    made = Groups()
    made.add(wild, text)
    (line,) = annotations(made.worst_first(), Lost())
    assert len(line.splitlines()) == 1
    rows = step_summary("closing", made.worst_first()).splitlines()
    assert sum(row.startswith("| error") for row in rows) == 1
    assert len(rows) == 9

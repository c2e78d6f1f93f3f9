"""What the exit status and the last lines say of an analysis."""

from collections import Counter
from pathlib import Path

import pytest

from cos_inspect.analyze.outcome import Outcome, closing_text, reports_of, why_not
from cos_inspect.model.flow_report import Severity
from cos_inspect.model.summary import SessionSummary
from cos_inspect.settings.analysis_settings import AnalysisSettings

FAILS = AnalysisSettings(fail_on=Severity.ERROR)


def outcome() -> Outcome:
    return Outcome(
        verdicts=Counter(),
        rules=Counter(),
        others=0,
        session=SessionSummary(),
        found=Counter(),
        failing=0,
        known=0,
        errors=[],
    )


def test_nothing_fails_where_nothing_was_found() -> None:
    assert why_not(outcome(), FAILS, require_cos=False) is None
    assert why_not(outcome(), FAILS, require_cos=True) == (
        "--require-cos: none of 0 flows is COS traffic"
    )


def test_findings_and_lost_reports_fail() -> None:
    found = outcome()
    found.failing, found.failing_rules = 1, Counter({"clock-skew": 1})
    found.lost.add("cannot be inspected", 2)
    why = "--fail-on error: 1 finding (clock-skew), 2 lost reports"
    assert why_not(found, FAILS, require_cos=False) == why
    assert closing_text(found, FAILS).endswith(f"\n    exit 1     {why}")
    found.failing = 0
    assert why_not(found, FAILS, require_cos=False) == "--fail-on error: 2 lost reports"
    assert why_not(found, AnalysisSettings(), require_cos=False) is None


@pytest.mark.parametrize(
    ("directory", "formats", "opened"),
    [
        (None, ("html",), None),
        (Path("a"), ("json", "html"), "a/index.html"),
        (Path("a"), ("json",), "a"),
    ],
)
def test_what_to_open(directory: Path | None, formats: tuple[str, ...], opened: str | None) -> None:
    assert reports_of(AnalysisSettings(report_dir=directory, formats=formats)) == opened

"""A row of the table is all that a format needs: live and in an analysis."""

from pathlib import Path

import pytest

from cos_inspect.analyze.run import analyze
from cos_inspect.model.summary import Lost
from cos_inspect.report import formats
from cos_inspect.report.report_format import (
    FormatSettings,
)
from cos_inspect.report.writer import ReportWriter
from cos_inspect.rules.registry import CHECKS_OF_RULES
from cos_inspect.settings.analysis_settings import AnalysisSettings
from tests.analyze.runs import bad, good
from tests.conditions import wait_until
from tests.report.build import finding, flow_report
from tests.report.toy_formats import BY_FLOW, CLOSED, TOY, toys
from tests.saved.hars import har


@pytest.fixture(autouse=True)
def _toys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "REPORT_FORMATS", (*formats.REPORT_FORMATS, TOY, BY_FLOW))
    CLOSED.clear()


def test_live_reports_are_put_into_a_new_format(tmp_path: Path) -> None:
    writer = ReportWriter(tmp_path, ["toy", "toys"], FormatSettings(rule_checks=CHECKS_OF_RULES))
    writer.submit(flow_report(flow_id="1"))
    writer.submit(flow_report(flow_id="2"))
    summary = tmp_path / "toy-summary.txt"
    wait_until(lambda: summary.exists() and summary.read_text() == "2")
    writer.revise(flow_report(flow_id="1", findings=[finding()]))
    writer.close()
    assert (tmp_path / "toy.txt").read_text().splitlines() == [
        "add 1 PutObject ok",
        "add 2 PutObject ok",
        "revise 1 PutObject error",
        "end, lost 0",
    ]
    assert summary.read_text() == "2"
    assert toys(tmp_path) == {"1.toy": "error", "2.toy": "ok"}
    assert writer.lost == Lost()
    assert len(CLOSED) == 1


def test_an_analysis_puts_reports_into_a_new_format(tmp_path: Path) -> None:
    capture = tmp_path / "a.har"
    capture.write_bytes(har([good(0), bad(1)]))
    settings = AnalysisSettings(report_dir=tmp_path / "reports", formats=("toy", "toys"))
    outcome = analyze([str(capture)], settings, print, print)
    assert not outcome.errors
    folder = tmp_path / "reports"
    assert (folder / "toy.txt").read_text().splitlines() == [
        "add 1 GetObject ok",
        "add 2 GetObject error",
        "end, lost 0",
    ]
    assert (folder / "toy-summary.txt").read_text() == "2"
    assert toys(folder) == {"1.toy": "ok", "2.toy": "error"}
    assert len(CLOSED) == 1

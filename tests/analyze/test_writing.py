"""Reports are written one by one: what cannot be made costs itself alone."""

import re
from pathlib import Path
from typing import Any

import pytest

from cos_inspect.analyze import writing
from cos_inspect.model.flow_report import FlowReport
from tests.analyze.runs import Run


def test_a_report_that_cannot_be_made_costs_itself_alone(
    two: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(report: FlowReport, **_more: Any) -> str:
        if report.verdict == "error":
            raise ValueError("a fault of ours")
        return "line"

    monkeypatch.setattr(writing, "flow_line", odd)
    run = Run(tmp_path, *two, status=2)
    assert [report["verdict"] for report in run.reports] == ["ok", "ok", "ok"]
    assert run.summary["lost"] == {"count": 1, "reasons": {"cannot be inspected": 1}}
    (line,) = run.result.stderr.splitlines()
    assert f"{two[0]}: a flow whose report cannot be made" in line
    assert re.search(r"at byte [1-9][0-9]*$", line)

"""All reports go into one directory, in order; what cannot be written there is lost."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from cos_inspect.report.directory import ReportDirectory
from tests.analyze.runs import Run, bad
from tests.saved.hars import har


def test_the_number_of_lines_is_bounded(tmp_path: Path) -> None:
    capture = tmp_path / "many.har"
    capture.write_bytes(har([bad(number) for number in range(60)]))
    for switches in ((), ("--quiet",)):
        lines = Run(tmp_path, capture, *switches).result.stdout.splitlines()
        assert sum("Z COS error" in line for line in lines) == 40
        assert any(
            line.startswith("… and 20 errors more: ") and line.endswith("index.html has them all")
            for line in lines
        )
    lines = Run(tmp_path, capture, "--all").result.stdout.splitlines()
    assert sum("Z COS error" in line for line in lines) == 60


def test_reports_that_cannot_be_written_are_lost(two: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/flows.jsonl").mkdir()
    run = Run(tmp_path, *two, "--format=json", "--format=jsonl", "--format=junit", status=2)
    assert run.summary["lost"] == {"count": 4, "reasons": {"no file": 4}}
    assert run.summary["counts"]["flows"] == 0
    assert "    lost       4 reports: 4 no file" in run.result.stdout
    assert "COS summary: 4 COS flows among 5: 1 error, 3 ok" in run.result.stdout
    suites = ElementTree.parse(run.folder / "junit.xml").getroot()
    # What was found stands where it could be written.
    assert [suite.get("errors") for suite in suites] == ["0", "0", "0", "0", "1"]
    assert [suite.get("failures") for suite in suites] == ["0", "2", "0", "0", "0"]
    assert "flows.jsonl: is no file; move it away" in run.result.stderr


def test_everything_is_lost_where_there_is_no_directory(
    two: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(self: ReportDirectory, count: int) -> range:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(ReportDirectory, "take_sequences", denied)
    run = Run(tmp_path, *two, "--fail-on=error", status=2)
    assert "    error: crc64-mismatch: " in run.result.stdout
    assert "    lost       4 reports: 4 no permission" in run.result.stdout
    assert not run.reports

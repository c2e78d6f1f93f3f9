"""The writer thread: everything submitted is on disk when it is closed."""

import json
import logging
from pathlib import Path

import pytest

from cos_inspect.report.directory import ReportDirectory
from cos_inspect.report.writer import ReportWriter
from tests.report.build import flow_report


def test_all_reports_are_on_disk_at_the_end(tmp_path: Path) -> None:
    writer = ReportWriter(tmp_path / "r", ["json", "jsonl"])
    for number in range(300):
        writer.submit(flow_report(flow_id=f"{number:08d}"))
    writer.count_other()
    writer.close()
    files = sorted((tmp_path / "r/flows").iterdir())
    reports = [json.loads(file.read_text()) for file in files]
    assert [report["sequence"] for report in reports] == list(range(1, 301))
    assert [report["flow_id"] for report in reports] == [f"{n:08d}" for n in range(300)]
    lines = (tmp_path / "r/flows.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == reports
    summary = json.loads((tmp_path / "r/summary.json").read_text())
    assert summary["counts"]["flows"] == 300
    assert summary["others"] == 1


def test_only_the_formats_asked_for_are_written(tmp_path: Path) -> None:
    writer = ReportWriter(tmp_path, ["jsonl"])
    writer.submit(flow_report())
    writer.close()
    assert list((tmp_path / "flows").iterdir()) == []
    assert len((tmp_path / "flows.jsonl").read_text().splitlines()) == 1


def test_a_failure_is_told_and_the_next_report_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    written = ReportDirectory.write_flow
    calls: list[int] = []

    def full_once(self: ReportDirectory, *arguments: object) -> Path:
        calls.append(1)
        if len(calls) == 1:
            raise OSError(28, "No space left on device")
        return written(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(ReportDirectory, "write_flow", full_once)
    writer = ReportWriter(tmp_path, ["json"])
    with caplog.at_level(logging.ERROR):
        writer.submit(flow_report(flow_id="first"))
        writer.submit(flow_report(flow_id="second"))
        writer.close()
    assert "No space left on device" in caplog.text
    assert [path.name[-11:-5] for path in (tmp_path / "flows").iterdir()] == ["second"]


def test_nothing_is_written_where_nothing_was_seen(tmp_path: Path) -> None:
    ReportWriter(tmp_path / "r", ["json"]).close()
    assert not (tmp_path / "r").exists()

"""The writer thread: everything submitted is on disk when it is closed."""

import json
import logging
from pathlib import Path

import defusedxml.ElementTree
import pytest

from cos_inspect.model.flow_report import Severity
from cos_inspect.report.directory import ReportDirectory
from cos_inspect.report.writer import ReportWriter
from tests.conditions import wait_until
from tests.report.build import finding, flow_report
from tests.report.on_disk import is_counted, reports, summary


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

    def full_once(self: ReportDirectory, *arguments: object) -> str:
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


ERROR = [finding()]
NOTICE = [finding("retried", Severity.NOTICE)]


@pytest.mark.parametrize("same_batch", [True, False])
def test_a_revised_report_takes_the_place_of_the_first(tmp_path: Path, same_batch: bool) -> None:
    writer = ReportWriter(tmp_path, ["json", "jsonl"])
    writer.submit(flow_report(flow_id="aaaaaaaa"))
    writer.submit(flow_report(flow_id="bbbbbbbb", findings=ERROR))
    if not same_batch:
        wait_until(lambda: is_counted(tmp_path, 2))
        before = reports(tmp_path)
        assert [report["verdict"] for _, report in sorted(before.items())] == ["ok", "error"]
    writer.revise(flow_report(flow_id="aaaaaaaa", findings=ERROR))
    writer.submit(flow_report(flow_id="cccccccc"))
    writer.close()
    found = reports(tmp_path)
    assert sorted(found) == [
        "000001_PutObject_200_aaaaaaaa.json",
        "000002_PutObject_200_bbbbbbbb.json",
        "000003_PutObject_200_cccccccc.json",
    ]
    assert [report["sequence"] for _, report in sorted(found.items())] == [1, 2, 3]
    revised = found["000001_PutObject_200_aaaaaaaa.json"]
    assert (revised["verdict"], len(revised["findings"])) == ("error", 1)
    lines = [json.loads(line) for line in (tmp_path / "flows.jsonl").read_text().splitlines()]
    last = {line["flow_id"]: line for line in lines}
    # What is revised before it is written is written once.
    assert len(lines) == (3 if same_batch else 4)
    assert last == {report["flow_id"]: report for report in found.values()}
    counts = summary(tmp_path)["counts"]
    assert counts["flows"] == 3
    assert counts["verdict"] == {"ok": 1, "error": 2}
    assert counts["rule"] == {"etag-mismatch": 2}
    assert counts["operation"] == {"PutObject": 3}


def test_counts_fall_when_a_revision_takes_a_finding_back(tmp_path: Path) -> None:
    writer = ReportWriter(tmp_path, ["json"])
    writer.submit(flow_report(flow_id="aaaaaaaa", findings=ERROR))
    wait_until(lambda: is_counted(tmp_path, 1))
    writer.revise(flow_report(flow_id="aaaaaaaa", findings=[*ERROR, *NOTICE]))
    writer.revise(flow_report(flow_id="aaaaaaaa"))
    writer.close()
    counts = summary(tmp_path)["counts"]
    assert (counts["flows"], counts["verdict"], counts["rule"]) == (1, {"ok": 1}, {})


def test_a_report_is_revised_by_the_writer_that_follows(tmp_path: Path) -> None:
    first = ReportWriter(tmp_path, ["json"])
    first.submit(flow_report(flow_id="aaaaaaaa"))
    first.submit(flow_report(flow_id="bbbbbbbb", findings=ERROR))
    second = first.followed(["json", "jsonl"])
    second.revise(flow_report(flow_id="aaaaaaaa", findings=ERROR))
    third = second.followed(["json"])
    third.submit(flow_report(flow_id="cccccccc"))
    third.revise(flow_report(flow_id="bbbbbbbb"))
    for writer in (first, second, third):
        writer.close()
        assert writer.lost.count == 0
    verdicts = {
        name: (report["sequence"], report["verdict"]) for name, report in reports(tmp_path).items()
    }
    assert verdicts == {
        "000001_PutObject_200_aaaaaaaa.json": (1, "error"),
        "000002_PutObject_200_bbbbbbbb.json": (2, "ok"),
        "000003_PutObject_200_cccccccc.json": (3, "ok"),
    }
    counts = summary(tmp_path)["counts"]
    assert (counts["flows"], counts["verdict"]) == (3, {"ok": 2, "error": 1})
    assert counts["rule"] == {"etag-mismatch": 1}


def test_a_replay_has_a_report_of_its_own_and_either_is_revised(tmp_path: Path) -> None:
    """They have one id."""
    writer = ReportWriter(tmp_path, ["json"])
    first, again = (
        flow_report(flow_id="aaaaaaaa", started=f"2026-11-22T10:00:0{second}.000Z")
        for second in (1, 2)
    )
    writer.submit(first)
    writer.submit(again)
    wait_until(lambda: is_counted(tmp_path, 2))
    assert first.started is not None
    writer.revise(flow_report(flow_id="aaaaaaaa", findings=ERROR, started=first.started))
    writer.close()
    found = [(report["started"], report["verdict"]) for report in reports(tmp_path).values()]
    assert found == [(first.started, "error"), (again.started, "ok")]


def test_junit_tells_what_counted_in_the_end(tmp_path: Path) -> None:
    writer = ReportWriter(tmp_path, ["junit"])
    writer.submit(flow_report(flow_id="first", findings=[finding()]))
    writer.submit(flow_report(flow_id="second"))
    writer.revise(flow_report(flow_id="first"))
    writer.close()
    root = defusedxml.ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert len(root.findall("testsuite")) == 2
    assert root.findall(".//failure") == []


def test_junit_of_a_second_run_adds_to_the_first(tmp_path: Path) -> None:
    for name in ("first", "second"):
        writer = ReportWriter(tmp_path, ["junit"])
        writer.submit(flow_report(flow_id=name, findings=[finding()]))
        writer.close()
    root = defusedxml.ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert len(root.findall("testsuite")) == 2
    assert len(root.findall(".//failure")) == 2

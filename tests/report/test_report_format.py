"""A row of the table is all that a format needs: live and in an analysis."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cos_inspect.analyze.run import analyze
from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.summary import Lost, Summary
from cos_inspect.report import formats
from cos_inspect.report.report_format import (
    FormatInput,
    FormatSettings,
    FormatWriter,
    Rendered,
    ReportFormat,
    RunEnd,
)
from cos_inspect.report.trouble import FAULT
from cos_inspect.report.writer import ReportWriter
from cos_inspect.rules.registry import CHECKS_OF_RULES
from cos_inspect.settings.analysis_settings import AnalysisSettings
from tests.analyze.test_run import bad, good
from tests.conditions import wait_until
from tests.report.build import finding, flow_report
from tests.saved.hars import har

CLOSED: list[FormatWriter[str]] = []


class ToyWriter(FormatWriter[str]):
    """``toy.txt``: a line for each report, the last summary, and ``end``."""

    def _line(self, text: str) -> None:
        self.directory.append("toy.txt", [text.encode()])

    def add(self, reports: Sequence[Rendered[str]]) -> None:
        for each in reports:
            self._line(f"add {each.sequence} {each.content}")

    def revise(self, reports: Sequence[Rendered[str]]) -> None:
        for each in reports:
            self._line(f"revise {each.sequence} {each.content}")

    def renew_summary(self, summary: Summary) -> None:
        self.directory.write("toy-summary.txt", str(summary.counts.flows).encode())

    def finish(self, end: RunEnd) -> None:
        self._line(f"end, lost {end.lost.count}")

    def close(self) -> None:
        CLOSED.append(self)


def render(given: FormatInput) -> str:
    report = msgspec.json.decode(given.json, type=FlowReport)
    assert report == given.report
    assert given.settings.rule_checks["etag-mismatch"] == ("etag",)
    return f"{report.cos.operation} {report.verdict}"


TOY = ReportFormat(name="toy", render=render, writer=ToyWriter)


class ByFlow(FormatWriter[tuple[str, bytes]]):
    """A file for each flow."""

    def add(self, reports: Sequence[Rendered[tuple[str, bytes]]]) -> None:
        for each in reports:
            self.directory.write_flow(*each.content)


def render_by_flow(given: FormatInput) -> tuple[str, bytes]:
    return f"{given.report.sequence}.toy", given.report.verdict.encode()


BY_FLOW = ReportFormat(name="toys", render=render_by_flow, writer=ByFlow, is_by_flow=True)


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "REPORT_FORMATS", (*formats.REPORT_FORMATS, TOY, BY_FLOW))
    CLOSED.clear()


def toys(folder: Path) -> dict[str, str]:
    paths = sorted((folder / "flows").glob("[0-9]*"))
    return {path.name: path.read_text() for path in paths}


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


@pytest.mark.parametrize("broken", ["toy", "json"])
def test_a_fault_of_one_format_leaves_the_others_whole(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(given: FormatInput) -> Any:
        if given.report.flow_id == "2":
            raise KeyError(broken)
        return named[broken].render(given)

    named = {each.name: each for each in formats.REPORT_FORMATS}
    rows = named | {broken: msgspec.structs.replace(named[broken], render=fail)}
    monkeypatch.setattr(formats, "REPORT_FORMATS", tuple(rows.values()))
    settings = FormatSettings(rule_checks=CHECKS_OF_RULES)
    writer = ReportWriter(tmp_path, ["json", "toy"], settings)
    for flow_id in "123":
        writer.submit(flow_report(flow_id=flow_id))
    writer.close()
    lines = [line for line in (tmp_path / "toy.txt").read_text().splitlines() if "add" in line]
    assert len(lines) == (2 if broken == "toy" else 3)
    assert len(toys(tmp_path)) == (2 if broken == "json" else 3)
    assert writer.lost == Lost(count=1, reasons={FAULT: 1})
    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert record.getMessage() == f"flow 2: its report cannot be written as {broken}"


def test_a_batch_that_was_not_written_is_given_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = ToyWriter.add
    tries: list[int] = []

    def full(self: ToyWriter, reports: Sequence[Rendered[str]]) -> None:
        tries.append(len(reports))
        if len(tries) < 3:
            raise OSError(28, "No space left on device")
        real(self, reports)

    monkeypatch.setattr(ToyWriter, "add", full)
    settings = FormatSettings(rule_checks=CHECKS_OF_RULES)
    writer = ReportWriter(tmp_path, ["toy", "toys"], settings)
    writer.submit(flow_report(flow_id="1"))
    wait_until(lambda: len(tries) >= 3)
    writer.close()
    assert (tmp_path / "toy.txt").read_text().splitlines() == ["add 1 PutObject ok", "end, lost 0"]
    assert writer.lost == Lost()

"""Each report is put into each format once, whatever one of them does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cos_inspect.model.summary import Lost
from cos_inspect.report import formats
from cos_inspect.report.report_format import (
    FormatInput,
    FormatSettings,
    Rendered,
)
from cos_inspect.report.trouble import FAULT
from cos_inspect.report.writer import ReportWriter
from cos_inspect.rules.registry import CHECKS_OF_RULES
from tests.conditions import wait_until
from tests.report.build import flow_report
from tests.report.toy_formats import BY_FLOW, CLOSED, TOY, ToyWriter, toys


@pytest.fixture(autouse=True)
def _toys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "REPORT_FORMATS", (*formats.REPORT_FORMATS, TOY, BY_FLOW))
    CLOSED.clear()


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

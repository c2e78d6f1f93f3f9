"""summary.json is added to, whoever wrote it last, and never begun anew while it can be read."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from cos_inspect.model.summary_delta import SummaryDelta
from cos_inspect.report.directory import ReportDirectory
from tests.report.build import flow_report


def test_a_broken_summary_is_begun_anew(tmp_path: Path) -> None:
    directory = ReportDirectory(tmp_path)
    (tmp_path / "summary.json").write_text("{cut")
    tally = SummaryDelta()
    tally.add(flow_report())
    with directory.exclusively():
        directory.add_to_summary(tally)
    assert json.loads((tmp_path / "summary.json").read_text())["counts"]["flows"] == 1


def _count(directory: ReportDirectory) -> int:
    tally = SummaryDelta()
    tally.add(flow_report(sequence=1))
    with directory.exclusively():
        return directory.add_to_summary(tally).counts.flows


def test_a_summary_that_others_wrote_meanwhile_is_read_again(tmp_path: Path) -> None:
    """Who wrote it last need not read it, unless it is another one now."""
    first, second = ReportDirectory(tmp_path), ReportDirectory(tmp_path)
    assert [_count(each) for each in (first, first, second, second, first)] == [1, 2, 3, 4, 5]
    path = tmp_path / "summary.json"
    path.write_text(path.read_text().replace('"flows": 5', '"flows": 70'))
    assert [_count(each) for each in (first, first)] == [71, 72]
    path.unlink()
    assert [_count(each) for each in (first, second)] == [1, 2]


def test_a_summary_that_could_not_be_written_is_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = ReportDirectory(tmp_path)
    _count(directory)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space left"):
            _count(directory)
    assert _count(directory) == 2


@pytest.mark.parametrize("call", ["open", "fstat"])
def test_what_fails_once_it_is_written_adds_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """It is kept open, so that it need not be read again: that may wait."""
    directory = ReportDirectory(tmp_path)
    assert _count(directory) == 1
    real, rename = getattr(os, call), os.replace

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    def rename_and_fail(*arguments: Any, **more: Any) -> None:
        rename(*arguments, **more)
        monkeypatch.setattr(os, call, fail)

    monkeypatch.setattr(os, "replace", rename_and_fail)
    for number in (2, 3, 4):
        assert _count(directory) == number
        monkeypatch.setattr(os, call, real)
    monkeypatch.undo()
    assert _count(ReportDirectory(tmp_path)) == 5

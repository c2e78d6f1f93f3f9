"""Numbers, names, modes, and what stands in them when two write at once."""

import json
import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from cos_inspect.report.directory import ReportDirectory, flow_file_stem
from cos_inspect.report.summary import Tally
from tests.report.build import flow_report


def test_a_file_name_holds_nothing_of_the_key() -> None:
    report = flow_report(operation="CI:snapshot", key="../../etc/passwd", sequence=7)
    assert flow_file_stem(report) == "000007_CI-snapshot_200_3f2a9c1b"


def test_a_flow_without_answer_is_named_error() -> None:
    assert flow_file_stem(flow_report(status=None, sequence=1)).split("_")[2] == "error"


def test_numbers_go_on_in_a_second_run(tmp_path: Path) -> None:
    first = ReportDirectory(tmp_path / "r")
    with first.exclusively():
        assert list(first.take_sequences(2)) == [1, 2]
    second = ReportDirectory(tmp_path / "r")
    with second.exclusively():
        assert list(second.take_sequences(1)) == [3]


def test_numbers_go_on_when_only_the_files_are_left(tmp_path: Path) -> None:
    directory = ReportDirectory(tmp_path)
    with directory.exclusively():
        directory.write_flow(flow_report(sequence=41), ".json", b"{}")
        assert list(directory.take_sequences(1)) == [42]


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    directory = ReportDirectory(tmp_path / "r")
    with directory.exclusively():
        path = Path(directory.write_flow(flow_report(sequence=1), ".json", b"{}"))
        directory.append("flows.jsonl", [b"{}"])
        tally = Tally()
        tally.add(flow_report(sequence=1))
        directory.add_to_summary(tally)
    for file in (path, tmp_path / "r/flows.jsonl", tmp_path / "r/summary.json"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for folder in (tmp_path / "r", tmp_path / "r/flows"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_no_temporary_file_is_left(tmp_path: Path) -> None:
    directory = ReportDirectory(tmp_path)
    with directory.exclusively():
        directory.write_flow(flow_report(sequence=1), ".json", b"{}")
    assert [path.name for path in (tmp_path / "flows").iterdir()] == [
        "000001_PutObject_200_3f2a9c1b.json"
    ]


def test_a_directory_that_went_away_is_made_again(tmp_path: Path) -> None:
    directory = ReportDirectory(tmp_path / "r")
    with directory.exclusively():
        directory.take_sequences(1)
    for path in sorted((tmp_path / "r").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (tmp_path / "r").rmdir()
    with directory.exclusively():
        assert Path(directory.write_flow(flow_report(sequence=1), ".json", b"{}")).exists()


def test_a_broken_summary_is_begun_anew(tmp_path: Path) -> None:
    directory = ReportDirectory(tmp_path)
    (tmp_path / "summary.json").write_text("{cut")
    tally = Tally()
    tally.add(flow_report())
    with directory.exclusively():
        directory.add_to_summary(tally)
    assert json.loads((tmp_path / "summary.json").read_text())["counts"]["flows"] == 1


def _write_fifty(path: str, name: str) -> None:
    directory = ReportDirectory(Path(path))
    for _ in range(50):
        with directory.exclusively():
            (sequence,) = directory.take_sequences(1)
            report = flow_report(sequence=sequence, flow_id=name * 8)
            directory.write_flow(report, ".json", name.encode())
            tally = Tally()
            tally.add(report)
            directory.add_to_summary(tally)


def test_two_processes_lose_nothing_of_each_other(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=_write_fifty, args=(str(tmp_path), name)) for name in ("a", "b")
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    names = sorted(path.name for path in (tmp_path / "flows").iterdir())
    assert [int(name[:6]) for name in names] == list(range(1, 101))
    assert json.loads((tmp_path / "summary.json").read_text())["counts"]["flows"] == 100


@pytest.mark.parametrize("content", ["", "abc", "-5x"])
def test_an_unreadable_counter_is_replaced(tmp_path: Path, content: str) -> None:
    directory = ReportDirectory(tmp_path)
    with directory.exclusively():
        directory.write_flow(flow_report(sequence=3), ".json", b"{}")
        (tmp_path / ".sequence").write_text(content)
        assert list(directory.take_sequences(1)) == [4]


def test_a_line_that_a_crash_cut_short_is_taken_away(tmp_path: Path) -> None:
    directory = ReportDirectory(tmp_path)
    assert directory.append("flows.jsonl", [b"1", b"2"])
    with (tmp_path / "flows.jsonl").open("ab") as file:
        file.write(b"x" * 10_000)
    assert not directory.append("flows.jsonl", [b"3"])
    assert (tmp_path / "flows.jsonl").read_bytes() == b"1\n2\n3\n"


def test_lines_are_added_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = ReportDirectory(tmp_path)
    directory.append("flows.jsonl", [b"1"])
    write = os.write
    calls: list[int] = []

    def full(descriptor: int, data: bytes) -> int:
        calls.append(descriptor)
        if len(calls) == 1:
            return write(descriptor, bytes(data)[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        directory.append("flows.jsonl", [b"second", b"third"])
    monkeypatch.undo()
    assert (tmp_path / "flows.jsonl").read_bytes() == b"1\n"

"""Disks that are full, gone, stuck or slow: what is remembered is written, the rest is counted."""

import errno
import fcntl
import json
import logging
import os
import resource
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import defusedxml.ElementTree
import msgspec
import pytest

from cos_inspect.model.summary import Lost, SessionSummary
from cos_inspect.report import flow_files, format_writers, formats, writer, writer_thread
from cos_inspect.report.directory import ReportDirectory
from cos_inspect.report.report_format import NO_SETTINGS, FormatInput
from cos_inspect.report.trouble import FAULT
from cos_inspect.report.writer import ReportWriter
from cos_inspect.report.writer_thread import WriterThread
from tests.conditions import wait_until
from tests.mounted_disk import fill, mounted_disk
from tests.report.build import finding, flow_report
from tests.report.faulty_disk import FULL, Disk
from tests.report.on_disk import is_counted, open_below, reports, summary

ALL = ("json", "jsonl", "html", "markdown", "junit")


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk(monkeypatch)
    yield disk
    disk.free.set()
    for thread in threading.enumerate():
        if thread.name == "cos-inspect-writer":
            thread.join(30)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_thread, "_RETRY_SECONDS", 0.02)
    monkeypatch.setattr(writer_thread, "_SUMMARY_SECONDS", 0.05)


def submit(made: ReportWriter, first: int, last: int) -> None:
    for number in range(first, last):
        made.submit(flow_report(flow_id=f"{number:08d}", findings=[finding()]))


def written(folder: Path) -> list[str]:
    """Flow ids by their numbers, each once."""
    return [report["flow_id"] for report in reports(folder).values()]


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


def everything_is_there(folder: Path, count: int, *, formats: tuple[str, ...] = ALL) -> None:
    ids = {f"{number:08d}" for number in range(count)}
    if "json" in formats:
        found = written(folder)
        assert sorted(found) == sorted(ids)
    if "jsonl" in formats:
        jsonl = [json.loads(line) for line in (folder / "flows.jsonl").read_text().splitlines()]
        assert {line["flow_id"] for line in jsonl} == ids
        assert len(jsonl) == count
        assert {line["sequence"] for line in jsonl} == set(range(1, count + 1))
    if "html" in formats:
        text = "".join(path.read_text() for path in folder.glob("data/rows-*.js"))
        assert all(f'"flow":"{each}"' in text for each in ids)
    if "markdown" in formats:
        assert len(list(folder.glob("flows/*.md"))) == count
    if "junit" in formats:
        root = defusedxml.ElementTree.parse(folder / "junit.xml").getroot()
        assert len(root.findall("testsuite")) == count
        assert not root.findall(".//error")
    told = summary(folder)
    assert told["counts"]["flows"] == count
    assert told["counts"]["verdict"] == {"error": count}
    assert told["lost"] == {"count": 0, "reasons": {}}
    assert not list(folder.rglob("*.tmp"))


def test_what_waited_for_a_full_disk_is_written(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    made = ReportWriter(tmp_path / "r", ALL)
    submit(made, 0, 10)
    wait_until(lambda: len(written(tmp_path / "r")) == 10)
    disk.error = FULL
    submit(made, 10, 40)
    wait_until(lambda: disk.tries > 200)
    disk.error = None
    submit(made, 40, 64)
    made.close()
    everything_is_there(tmp_path / "r", 64)
    assert made.lost == Lost()
    (begin,) = lines(caplog, logging.ERROR)
    assert "No space left on device" in begin
    assert str(tmp_path / "r") in begin
    (end,) = lines(caplog, logging.INFO)
    assert "again: " in end
    assert end.endswith("came late, 0 are lost")
    assert int(end.split("again: ")[1].split()[0]) >= 30


@pytest.mark.parametrize("format_name", ALL)
def test_a_disk_that_stays_full_is_counted(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture, format_name: str
) -> None:
    caplog.set_level(logging.INFO)
    made = ReportWriter(tmp_path / "r", [format_name])
    submit(made, 0, 3)
    made.lose("not inspected")
    disk.error = FULL
    wait_until(lambda: disk.tries > 20)
    made.close()
    lost = made.lost
    assert lost == Lost(count=4, reasons={"disk full": 3, "not inspected": 1})
    begin, end = lines(caplog, logging.ERROR)
    assert "No space left on device" in begin
    assert "3 COS reports were not written" in end


def test_a_summary_that_waited_tells_what_was_lost(tmp_path: Path, disk: Disk) -> None:
    """The disk is full, and what waits is more than may wait."""
    made = ReportWriter(tmp_path / "r", ALL)
    submit(made, 0, 2)
    wait_until((tmp_path / "r/summary.json").exists)
    disk.error = FULL
    made.lose("not inspected", 5)
    wait_until(lambda: disk.tries > 20)
    disk.error = None
    made.close()
    assert summary(tmp_path / "r")["lost"] == {"count": 5, "reasons": {"not inspected": 5}}
    root = defusedxml.ElementTree.parse(tmp_path / "r/junit.xml").getroot()
    assert [error.get("message") for error in root.iter("error")] == [
        "5 reports lost: not inspected"
    ]


def test_one_file_that_cannot_be_written_keeps_nothing_else_back(tmp_path: Path) -> None:
    """Its name is taken by a directory, say."""
    (tmp_path / "flows/000002_PutObject_200_00000001.json").mkdir(parents=True)
    (tmp_path / ".sequence").write_text(f"{0:020d}\n")
    made = ReportWriter(tmp_path, ALL)
    submit(made, 0, 600)
    wait_until(lambda: len(list(tmp_path.glob("flows/*.md"))) >= 599)
    submit(made, 600, 602)
    wait_until(lambda: len(list(tmp_path.glob("flows/*.md"))) >= 601)
    made.close()
    assert made.lost.count == 1
    told = summary(tmp_path)
    assert told["counts"]["flows"] == 601
    assert told["lost"]["count"] == 1


def test_a_report_that_cannot_be_put_into_a_format_is_lost_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = flow_files.JSON

    def faulty(given: FormatInput) -> flow_files.FlowFile:
        if given.report.flow_id == "00000001":
            raise ValueError("a fault of ours")
        return real.render(given)

    faulty_json = msgspec.structs.replace(real, render=faulty)
    monkeypatch.setattr(formats, "REPORT_FORMATS", (faulty_json,))
    made = ReportWriter(tmp_path, ["json"])
    submit(made, 0, 4)
    made.close()
    assert written(tmp_path) == ["00000000", "00000002", "00000003"]
    assert made.lost == Lost(count=1, reasons={"fault of cos-inspect": 1})
    assert summary(tmp_path)["lost"]["count"] == 1
    (line,) = lines(caplog, logging.ERROR)
    assert "00000001" in line


def test_a_fault_of_the_writer_itself_is_told_once_and_outlived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = format_writers.FormatWriters.write
    calls: list[int] = []

    def faulty(self: format_writers.FormatWriters, batch: Any) -> None:
        calls.append(1)
        if len(calls) < 5:
            raise ValueError("a fault of ours")
        real(self, batch)

    monkeypatch.setattr(format_writers.FormatWriters, "write", faulty)
    made = ReportWriter(tmp_path, ["json"])
    submit(made, 0, 4)
    wait_until(lambda: len(calls) >= 5)
    made.close()
    assert len(written(tmp_path)) == 4
    assert made.lost == Lost()
    assert len(lines(caplog, logging.ERROR)) == 1


@pytest.mark.parametrize("format_name", ALL)
def test_halves_of_surrogate_pairs_are_no_fault(tmp_path: Path, format_name: str) -> None:
    made = ReportWriter(tmp_path, [format_name])
    made.submit(flow_report(key="a\ud800b\udc00", flow_id="\udfff-aaaaaaa"))
    made.close()
    assert made.lost == Lost()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            path.read_text("utf-8")
    assert summary(tmp_path)["counts"]["flows"] == 1


def test_a_directory_that_is_removed_is_made_again(tmp_path: Path) -> None:
    made = ReportWriter(tmp_path / "r", ALL)
    submit(made, 0, 5)
    wait_until((tmp_path / "r/summary.json").exists)
    shutil.rmtree(tmp_path / "r")
    submit(made, 5, 8)
    made.close()
    assert written(tmp_path / "r") == ["00000005", "00000006", "00000007"]
    assert (tmp_path / "r/index.html").exists()
    assert made.lost == Lost()


def test_a_directory_that_is_refused_is_told_and_may_be_mended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r").chmod(0o777)
    made = ReportWriter(tmp_path / "r", ["json"])
    submit(made, 0, 2)
    wait_until(lambda: bool(caplog.records))
    (said,) = lines(caplog, logging.ERROR)
    assert f"{tmp_path}/r: others may write to this directory" in said
    assert "chmod go-w" in said
    assert list((tmp_path / "r").iterdir()) == []
    (tmp_path / "r").chmod(0o700)
    made.close()
    everything_is_there(tmp_path / "r", 2, formats=("json",))


def test_a_refused_directory_loses_the_reports(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r").chmod(0o777)
    made = ReportWriter(tmp_path / "r", ["json"])
    submit(made, 0, 2)
    made.close()
    assert made.lost == Lost(count=2, reasons={"others may write there": 2})
    assert list((tmp_path / "r").iterdir()) == []


def test_a_pipe_in_a_files_place_holds_up_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "flows.jsonl")
    os.mkfifo(tmp_path / "summary.json")
    os.mkfifo(tmp_path / "junit.xml")
    made = ReportWriter(tmp_path, ["json", "jsonl", "junit"])
    submit(made, 0, 2)
    began = time.monotonic()
    made.close()
    assert time.monotonic() - began < 8
    assert len(written(tmp_path)) == 2
    assert made.lost == Lost(count=2, reasons={"no file": 2})
    assert summary(tmp_path)["lost"]["count"] == 2


@pytest.mark.parametrize("kind", ["link", "dangling", "file", "pipe"])
def test_what_stands_in_the_place_of_a_folder_costs_no_other_format(
    tmp_path: Path, kind: str
) -> None:
    """Nor the number of what is lost by it."""
    made = ReportWriter(tmp_path / "r", ALL)
    submit(made, 0, 3)
    wait_until(lambda: is_counted(tmp_path / "r", 3))
    place, outside = tmp_path / "r/flows", tmp_path / "outside"
    place.rename(tmp_path / "moved")
    if kind == "file":
        place.write_text("precious")
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to(outside)
    if kind == "link":
        outside.mkdir()
    submit(made, 3, 8)
    made.close()
    reason = "symbolic link" if kind in ("link", "dangling") else "no directory"
    assert made.lost == Lost(count=5, reasons={reason: 5})
    told = summary(tmp_path / "r")
    assert told["counts"]["flows"] == 3
    assert told["lost"] == {"count": 5, "reasons": {reason: 5}}
    lines = [json.loads(line) for line in (tmp_path / "r/flows.jsonl").read_text().splitlines()]
    assert [line["sequence"] for line in lines] == list(range(1, 9))
    rows = (tmp_path / "r/data/rows-0001.js").read_text()
    assert all(f'"flow":"{number:08d}"' in rows for number in range(8))
    root = defusedxml.ElementTree.parse(tmp_path / "r/junit.xml").getroot()
    # One for each flow, and one that says how many reports are lost.
    assert len(root.findall("testsuite")) == 9
    assert not outside.exists() or list(outside.iterdir()) == []


def test_a_summary_that_could_not_be_written_at_the_end_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "summary.json").mkdir()
    made = ReportWriter(tmp_path, ["json"])
    submit(made, 0, 2)
    made.close()
    assert len(written(tmp_path)) == 2
    assert made.lost.count == 0
    first, last = lines(caplog, logging.ERROR)
    assert "summary.json: is no file; move it away" in first
    assert last == f"COS reports in {tmp_path}: the summary does not say all of this run"


def test_what_junit_held_back_when_the_disk_hung_is_lost(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_STALLED_SECONDS", 0.5)
    made = ReportWriter(tmp_path / "r", ["json", "junit"])
    submit(made, 0, 7)
    wait_until(lambda: is_counted(tmp_path / "r", 7))
    disk.hang()
    submit(made, 7, 10)
    assert disk.waiting.wait(30)
    made.close()
    assert made.lost == Lost(count=10, reasons={"disk does not answer": 10})
    assert not (tmp_path / "r/junit.xml").exists()


def test_a_fault_of_junit_leaves_the_summary_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> bytes:
        raise KeyError("no such check")

    monkeypatch.setattr("cos_inspect.report.junit_file.flow_suite", fail)
    made = ReportWriter(tmp_path, ["json", "junit"])
    submit(made, 0, 3)
    made.close()
    assert len(written(tmp_path)) == 3
    found = summary(tmp_path)
    assert found["counts"]["flows"] == 3
    assert found["lost"] == {"count": 3, "reasons": {FAULT: 3}}
    assert made.lost == Lost(count=3, reasons={FAULT: 3})
    assert len(lines(caplog, logging.ERROR)) == 1


def test_a_junit_file_that_cannot_be_written_is_no_silence(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").write_text("<testsuites>" + " " * 200 + "</testsuites>")
    made = ReportWriter(tmp_path, ["json", "junit"])
    submit(made, 0, 2)
    made.close()
    assert made.lost == Lost(count=2, reasons={"not a file of cos-inspect": 2})
    assert summary(tmp_path)["lost"]["count"] == 2


def test_nobody_waits_for_a_disk_that_hangs(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer, "_STALLED_SECONDS", 0.5)
    monkeypatch.setattr(writer_thread, "_MOST_WAITING", 100)
    disk.hang()
    made = ReportWriter(tmp_path / "r", ALL)
    submit(made, 0, 10)
    assert disk.waiting.wait(30)
    began = time.perf_counter()
    submit(made, 10, 5000)
    for _ in range(1000):
        made.revise(flow_report(flow_id="00000003"))
        made.count_other()
    assert time.perf_counter() - began < 10
    assert len(made._writing.waiting) == 100
    began = time.monotonic()
    made.close()
    assert time.monotonic() - began < 5
    lost = made.lost
    assert lost.reasons["disk does not answer"] == 100
    assert lost.count == 6000
    assert set(lost.reasons) == {"disk does not answer", "disk too slow"}
    assert len(lines(caplog, logging.ERROR)) == 2


def test_what_hung_is_not_written_after_it_was_given_up(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_STALLED_SECONDS", 0.2)
    disk.hang()
    made = ReportWriter(tmp_path / "r", ["json"])
    submit(made, 0, 300)
    assert disk.waiting.wait(30)
    made.close()
    disk.free.set()
    thread = made._thread
    assert thread is not None
    thread.join(30)
    assert made.lost.count == 300
    assert not (tmp_path / "r/summary.json").exists()


def test_a_disk_that_hangs_for_a_while_costs_nothing(tmp_path: Path, disk: Disk) -> None:
    made = ReportWriter(tmp_path / "r", ALL)
    submit(made, 0, 5)
    wait_until(lambda: len(written(tmp_path / "r")) == 5)
    disk.hang()
    submit(made, 5, 20)
    assert disk.waiting.wait(30)
    submit(made, 20, 30)
    disk.free.set()
    made.close()
    everything_is_there(tmp_path / "r", 30)


def test_a_slow_disk_is_waited_for(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_STALLED_SECONDS", 2)
    disk.seconds = 0.02
    made = ReportWriter(tmp_path / "r", ["json"])
    submit(made, 0, 50)
    began = time.monotonic()
    made.close()
    assert time.monotonic() - began > 2
    disk.seconds = 0
    everything_is_there(tmp_path / "r", 50, formats=("json",))


def test_each_answer_of_a_slow_disk_is_one(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in the middle of a report, which has to be written in several places."""
    monkeypatch.setattr(writer, "_STALLED_SECONDS", 2.5)
    made = ReportWriter(tmp_path / "r", ["json", "markdown"])
    submit(made, 0, 1)
    wait_until(lambda: is_counted(tmp_path / "r", 1))
    disk.seconds = 0.6
    submit(made, 1, 2)
    made.close()
    disk.seconds = 0
    assert made.lost.count == 0
    everything_is_there(tmp_path / "r", 2, formats=("json", "markdown"))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux lists descriptors")
def test_what_fails_as_it_is_closed_ends_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As on a server of files that is full. A descriptor is gone then, and not closed again."""
    close, closed = os.close, list[int]()
    made = ReportWriter(tmp_path, ALL)
    submit(made, 0, 3)
    wait_until(lambda: is_counted(tmp_path, 3))

    def fail(descriptor: int) -> None:
        close(descriptor)
        if threading.current_thread().name == "cos-inspect-writer":
            closed.append(descriptor)
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "close", fail)
    made.close()
    thread = made._thread
    assert thread is not None
    thread.join(30)
    monkeypatch.undo()
    assert made._writing.ended.is_set()
    assert len(written(tmp_path)) == 3
    assert made.lost == Lost(count=3, reasons={"input/output error": 3})
    assert "may lack what was written last" in lines(caplog, logging.ERROR)[-1]
    assert open_below(tmp_path) == []
    assert len(closed) > 5


def test_but_not_for_ever(tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_CLOSE_SECONDS", 0.5)
    disk.seconds = 0.05
    made = ReportWriter(tmp_path / "r", ["json"])
    submit(made, 0, 500)
    began = time.monotonic()
    made.close()
    assert time.monotonic() - began < 5
    lost = made.lost
    assert set(lost.reasons) == {"disk too slow"}
    assert lost.count + len(written(tmp_path / "r")) in (500, 501)


def test_to_retire_waits_for_nothing(tmp_path: Path, disk: Disk) -> None:
    disk.hang()
    made = ReportWriter(tmp_path / "r", ["json"])
    submit(made, 0, 5)
    assert disk.waiting.wait(30)
    began = time.monotonic()
    made.retire()
    assert time.monotonic() - began < 1
    disk.free.set()
    made.close()
    everything_is_there(tmp_path / "r", 5, formats=("json",))


def test_a_lock_that_another_process_holds_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("cos_inspect.report.directory._LOCK_SECONDS", 0.1)
    (tmp_path / "r").mkdir()
    descriptor = os.open(tmp_path / "r/.sequence", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    made = ReportWriter(tmp_path / "r", ["json"])
    submit(made, 0, 5)
    wait_until(lambda: bool(caplog.records))
    assert "keeps the directory locked" in caplog.text
    os.close(descriptor)
    made.close()
    everything_is_there(tmp_path / "r", 5, formats=("json",))


@pytest.mark.parametrize("times", [1, 3])
def test_what_would_end_the_thread_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, times: int
) -> None:
    left = times
    write = WriterThread._write

    def ending(self: WriterThread, batch: Any) -> Any:
        nonlocal left
        if left:
            left -= 1
            raise SystemExit
        return write(self, batch)

    monkeypatch.setattr(WriterThread, "_write", ending)
    made = ReportWriter(tmp_path / "r", ALL)
    submit(made, 0, 5)
    wait_until(lambda: not left)
    submit(made, 5, 10)
    made.close()
    everything_is_there(tmp_path / "r", 10)
    assert len(lines(caplog, logging.ERROR)) == 1


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt, MemoryError])
def test_nor_does_it_while_the_thread_sleeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: type[BaseException]
) -> None:
    sleep, ends = WriterThread._sleep, [end()]

    def ending(self: WriterThread) -> None:
        sleep(self)
        if self.signs and ends:
            raise ends.pop()

    monkeypatch.setattr(WriterThread, "_sleep", ending)
    made = ReportWriter(tmp_path / "r", ALL)
    submit(made, 0, 5)
    wait_until(lambda: made._writing.signs)
    submit(made, 5, 10)
    made.close()
    assert not ends
    everything_is_there(tmp_path / "r", 10)
    assert not made.lost.count


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("comes", [True, False])
def test_another_thread_goes_on_where_one_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comes: bool
) -> None:
    """With the next report, or at the end."""
    turn, ends = WriterThread._next_turn, [SystemExit()]

    def ending(self: WriterThread) -> bool:
        is_last = turn(self)
        if self.signs and ends:
            raise ends.pop()
        return is_last

    monkeypatch.setattr(WriterThread, "_next_turn", ending)
    made = ReportWriter(tmp_path / "r", ALL)
    submit(made, 0, 5)
    thread = made._thread
    assert thread is not None
    wait_until(lambda: not thread.is_alive())
    if comes:
        submit(made, 5, 10)
    made.close()
    everything_is_there(tmp_path / "r", 10 if comes else 5)
    assert not made.lost.count


def test_what_a_thread_took_along_is_counted(tmp_path: Path) -> None:
    made = ReportWriter(tmp_path / "r", ["json"])
    submit(made, 0, 5)
    wait_until(lambda: len(written(tmp_path / "r")) == 5)
    # As it would be if the thread had ended right behind taking one.
    made._writing.waiting._put_in += 1
    made.close()
    assert made.lost == Lost(count=1, reasons={FAULT: 1})


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_no_thread_writes_any_more_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def ending(self: WriterThread) -> bool:
        raise SystemExit

    monkeypatch.setattr(WriterThread, "_next_turn", ending)
    made = ReportWriter(tmp_path / "r", ["json"])
    submit(made, 0, 5)
    made.close()
    assert made.lost == Lost(count=5, reasons={writer.THREAD_ENDED: 5})
    assert len(lines(caplog, logging.ERROR)) == 1


@pytest.mark.parametrize("fault", [RuntimeError, MemoryError])
def test_a_thread_that_cannot_be_started_is_started_later(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fault: type[Exception],
) -> None:
    def refused(self: threading.Thread) -> None:
        raise fault("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refused)
        made = ReportWriter(tmp_path / "r", ["json"])
        submit(made, 0, 5)
    made.close()
    everything_is_there(tmp_path / "r", 5, formats=("json",))
    assert len(lines(caplog, logging.ERROR)) == 1

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refused)
        made = ReportWriter(tmp_path / "s", ["json"])
        submit(made, 0, 5)
        made.close()
    assert made.lost == Lost(count=5, reasons={"no thread could be started": 5})


def test_descriptors_that_run_out_for_a_while_cost_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = ReportWriter(tmp_path / "r", ALL)
    submit(made, 0, 5)
    wait_until((tmp_path / "r/summary.json").exists)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.open(tmp_path, os.O_RDONLY)
    os.close(probe)
    resource.setrlimit(resource.RLIMIT_NOFILE, (probe, hard))
    try:
        submit(made, 5, 20)
        wait_until(lambda: bool(caplog.records))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "Too many open files" in caplog.text
    made.close()
    everything_is_there(tmp_path / "r", 20)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted_disk(tmp_path / "disk", mebibytes=1) as path:
        yield path


def test_a_real_disk_that_is_full_for_half_a_run(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    made = ReportWriter(small_disk / "r", ["json", "jsonl"])
    submit(made, 0, 16)
    wait_until((small_disk / "r/summary.json").exists)
    fill(small_disk)
    submit(made, 16, 48)
    wait_until(lambda: bool(lines(caplog, logging.ERROR)))
    (small_disk / "filler").unlink()
    submit(made, 48, 64)
    made.close()
    everything_is_there(small_disk / "r", 64, formats=("json", "jsonl"))
    assert len(lines(caplog, logging.ERROR)) == 1
    assert len(lines(caplog, logging.INFO)) == 1


def test_a_real_disk_that_is_read_only_for_a_while(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = ReportWriter(small_disk / "r", ["json"])
    submit(made, 0, 8)
    wait_until((small_disk / "r/summary.json").exists)
    # Descriptors that are open to write would keep it from becoming read-only.
    made.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    made = ReportWriter(small_disk / "r", ["json"])
    submit(made, 8, 16)
    wait_until(lambda: bool(lines(caplog, logging.ERROR)))
    assert "Read-only file system" in caplog.text
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    made.close()
    everything_is_there(small_disk / "r", 16, formats=("json",))


def test_a_run_that_ends_on_a_full_disk(small_disk: Path) -> None:
    made = ReportWriter(small_disk / "r", ["json"])
    fill(small_disk)
    submit(made, 0, 10)
    made.close()
    assert made.lost.count + len(written(small_disk / "r")) == 10
    assert made.lost.count
    assert set(made.lost.reasons) == {"disk full"}


def test_what_waits_is_bounded_by_size_too(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_thread, "_HEAVIEST", 1 << 20)
    monkeypatch.setattr(writer, "_STALLED_SECONDS", 0.2)
    disk.hang()
    made = ReportWriter(tmp_path / "r", ["json"])
    large = flow_report(flow_id="large")
    header = msgspec.structs.replace(large.request.headers[0], value="x" * 100_000)
    request = msgspec.structs.replace(large.request, headers=[header])
    for _ in range(50):
        made.submit(msgspec.structs.replace(large, request=request))
    made.close()
    assert 8 <= made.lost.reasons["disk does not answer"] <= 10
    assert made.lost.count == 50


def test_a_report_is_lost_once(small_disk: Path) -> None:
    """Also where ``junit.xml`` cannot be written in the end."""
    made = ReportWriter(small_disk / "r", ["json", "junit"])
    submit(made, 0, 3)
    wait_until((small_disk / "r/summary.json").exists)
    fill(small_disk)
    submit(made, 3, 10)
    made.close()
    assert made.lost == Lost(count=10, reasons={"disk full": 10})


@pytest.mark.parametrize("failing", [("html",), ("html", "junit"), ("json", "junit"), ("junit",)])
def test_a_report_that_some_formats_lack_is_lost_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: tuple[str, ...]
) -> None:
    """However many formats lack it, and whenever each of them fails."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for each in formats.REPORT_FORMATS:
        if each.name in failing:
            kind = type(each.writer(ReportDirectory(tmp_path / "other"), NO_SETTINGS))
            monkeypatch.setattr(kind, "finish" if each.name == "junit" else "add", full)
    made = ReportWriter(tmp_path, ALL)
    submit(made, 0, 7)
    made.close()
    assert made.lost == Lost(count=7, reasons={"disk full": 7})
    assert summary(tmp_path)["lost"] == {"count": 7, "reasons": {"disk full": 7}}
    assert len(written(tmp_path)) == (0 if "json" in failing else 7)
    if "junit" not in failing:
        error = defusedxml.ElementTree.parse(tmp_path / "junit.xml").getroot().find(".//error")
        assert error is not None
        assert error.get("message") == "7 reports lost: disk full"


def test_a_thread_with_nothing_to_write_sleeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not look now and then, and whatever is to be told wakes it."""
    monkeypatch.setattr(writer_thread, "_SUMMARY_SECONDS", 0.0)
    waits: list[float | None] = []
    wait = threading.Event.wait

    def noted(event: threading.Event, timeout: float | None = None) -> bool:
        if threading.current_thread().name == "cos-inspect-writer":
            waits.append(timeout)
        return wait(event, timeout)

    monkeypatch.setattr(threading.Event, "wait", noted)
    made = ReportWriter(tmp_path, ["json"])

    def sleeps() -> bool:
        return bool(waits) and waits[-1] is None

    def said(name: str) -> Any:
        return summary(tmp_path)[name] if (tmp_path / "summary.json").exists() else None

    wait_until(sleeps)
    made.submit(flow_report())
    wait_until(lambda: bool(said("counts")) and sleeps())
    made.count_other("example.com")
    wait_until(lambda: said("others") == 1 and sleeps())
    made.lose("disk full")
    wait_until(lambda: said("lost")["count"] == 1 and sleeps())
    made.submit_session(SessionSummary(forgotten=1))
    wait_until(lambda: said("forgotten") == 1 and sleeps())
    made.submit_session(SessionSummary())
    wait_until(lambda: said("forgotten") == 0 and sleeps())
    made.close()


def test_it_gives_way_while_there_is_traffic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But not once the proxy waits for it to end."""
    monkeypatch.setattr(writer_thread, "_WORK_SECONDS", -1.0)
    rests: list[bool] = []
    sleep = time.sleep

    def noted(seconds: float) -> None:
        if threading.current_thread().name == "cos-inspect-writer":
            rests.append(made._writing.closing.is_set())
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", noted)
    made = ReportWriter(tmp_path, ["json"])
    for number in range(20):
        made.submit(flow_report(flow_id=f"{number:08d}"))
    wait_until((tmp_path / "summary.json").exists)
    before = list(rests)
    made.close()
    assert before
    assert rests.count(True) <= 1
    assert len(list((tmp_path / "flows").iterdir())) == 20


def test_a_session_that_says_nothing_wakes_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[bool] = []
    turn = WriterThread._turn

    def counted(thread: WriterThread, *, is_closing: bool) -> None:
        turns.append(is_closing)
        turn(thread, is_closing=is_closing)

    monkeypatch.setattr(WriterThread, "_turn", counted)
    made = ReportWriter(tmp_path / "r", ["json"])
    for _ in range(3):
        made.submit_session(SessionSummary())
    made.close()
    assert turns == [True]
    assert not (tmp_path / "r").exists()


def test_a_report_is_revised_however_old_it_is_but_for_one_that_was_never_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_thread, "_REVISABLE", 1)
    made = ReportWriter(tmp_path, ["json", "jsonl"])
    for name in ("aaaaaaaa", "bbbbbbbb", "cccccccc"):
        made.submit(flow_report(flow_id=name))
    wait_until(lambda: is_counted(tmp_path, 3))
    for name in ("aaaaaaaa", "bbbbbbbb", "dddddddd"):
        made.revise(flow_report(flow_id=name, findings=[finding()]))
    made.close()
    verdicts = {report["flow_id"]: report["verdict"] for report in reports(tmp_path).values()}
    assert verdicts == {"aaaaaaaa": "error", "bbbbbbbb": "error", "cccccccc": "ok"}
    assert summary(tmp_path)["counts"]["verdict"] == {"ok": 1, "error": 2}
    assert len((tmp_path / "flows.jsonl").read_text().splitlines()) == 5
    assert made.lost.count == 0


def test_what_can_be_revised_no_more_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_thread, "_REVISABLE", 1)
    monkeypatch.setattr(writer_thread, "_MOST_REVISABLE", 1)
    made = ReportWriter(tmp_path, ["json"])
    for name in ("aaaaaaaa", "bbbbbbbb", "cccccccc"):
        made.submit(flow_report(flow_id=name))
    wait_until(lambda: is_counted(tmp_path, 3))
    for name in ("aaaaaaaa", "bbbbbbbb"):
        made.revise(flow_report(flow_id=name, findings=[finding()]))
    made.close()
    assert made.lost.reasons == {"too old to be revised": 1}
    assert summary(tmp_path)["counts"]["verdict"] == {"ok": 2, "error": 1}

"""The writer thread: everything submitted is on disk when it is closed."""

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import defusedxml.ElementTree
import msgspec
import pytest

from cos_inspect.model.flow_report import Severity
from cos_inspect.model.summary import RetryChain, SessionSummary, TransferSummary
from cos_inspect.report import writer_thread
from cos_inspect.report.directory import ReportDirectory
from cos_inspect.report.writer import ReportWriter
from cos_inspect.report.writer_thread import WriterThread
from tests.report.build import finding, flow_report
from tests.report.test_writer_faults import wait_for


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
    writer = ReportWriter(tmp_path, ["json"])

    def sleeps() -> bool:
        return bool(waits) and waits[-1] is None

    def said(name: str) -> Any:
        summary = tmp_path / "summary.json"
        return json.loads(summary.read_text())[name] if summary.exists() else None

    wait_for(sleeps)
    writer.submit(flow_report())
    wait_for(lambda: bool(said("counts")) and sleeps())
    writer.count_other("example.com")
    wait_for(lambda: said("others") == 1 and sleeps())
    writer.lose("disk full")
    wait_for(lambda: said("lost")["count"] == 1 and sleeps())
    writer.submit_session(SessionSummary(forgotten=1))
    wait_for(lambda: said("forgotten") == 1 and sleeps())
    writer.submit_session(SessionSummary())
    wait_for(lambda: said("forgotten") == 0 and sleeps())
    writer.close()


def test_it_gives_way_while_there_is_traffic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But not once the proxy waits for it to end."""
    monkeypatch.setattr(writer_thread, "_WORK_SECONDS", -1.0)
    rests: list[bool] = []
    sleep = time.sleep

    def noted(seconds: float) -> None:
        if threading.current_thread().name == "cos-inspect-writer":
            rests.append(writer._writing.closing.is_set())
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", noted)
    writer = ReportWriter(tmp_path, ["json"])
    for number in range(20):
        writer.submit(flow_report(flow_id=f"{number:08d}"))
    wait_for((tmp_path / "summary.json").exists)
    before = list(rests)
    writer.close()
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
    writer = ReportWriter(tmp_path / "r", ["json"])
    for _ in range(3):
        writer.submit_session(SessionSummary())
    writer.close()
    assert turns == [True]
    assert not (tmp_path / "r").exists()


ERROR = [finding()]
NOTICE = [finding("retried", Severity.NOTICE)]


def _reports(folder: Path) -> dict[str, dict[str, Any]]:
    """By file name."""
    return {path.name: json.loads(path.read_text()) for path in (folder / "flows").iterdir()}


def _summary(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return read


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _is_counted(folder: Path, flows: int) -> Callable[[], bool]:
    def look() -> bool:
        path = folder / "summary.json"
        return path.exists() and _summary(folder)["counts"]["flows"] == flows

    return look


@pytest.mark.parametrize("same_batch", [True, False])
def test_a_revised_report_takes_the_place_of_the_first(tmp_path: Path, same_batch: bool) -> None:
    writer = ReportWriter(tmp_path, ["json", "jsonl"])
    writer.submit(flow_report(flow_id="aaaaaaaa"))
    writer.submit(flow_report(flow_id="bbbbbbbb", findings=ERROR))
    if not same_batch:
        _wait_for(_is_counted(tmp_path, 2))
        before = _reports(tmp_path)
        assert [report["verdict"] for _, report in sorted(before.items())] == ["ok", "error"]
    writer.revise(flow_report(flow_id="aaaaaaaa", findings=ERROR))
    writer.submit(flow_report(flow_id="cccccccc"))
    writer.close()
    reports = _reports(tmp_path)
    assert sorted(reports) == [
        "000001_PutObject_200_aaaaaaaa.json",
        "000002_PutObject_200_bbbbbbbb.json",
        "000003_PutObject_200_cccccccc.json",
    ]
    assert [report["sequence"] for _, report in sorted(reports.items())] == [1, 2, 3]
    revised = reports["000001_PutObject_200_aaaaaaaa.json"]
    assert (revised["verdict"], len(revised["findings"])) == ("error", 1)
    lines = [json.loads(line) for line in (tmp_path / "flows.jsonl").read_text().splitlines()]
    last = {line["flow_id"]: line for line in lines}
    # What is revised before it is written is written once.
    assert len(lines) == (3 if same_batch else 4)
    assert last == {report["flow_id"]: report for report in reports.values()}
    counts = _summary(tmp_path)["counts"]
    assert counts["flows"] == 3
    assert counts["verdict"] == {"ok": 1, "error": 2}
    assert counts["rule"] == {"etag-mismatch": 2}
    assert counts["operation"] == {"PutObject": 3}


def test_counts_fall_when_a_revision_takes_a_finding_back(tmp_path: Path) -> None:
    writer = ReportWriter(tmp_path, ["json"])
    writer.submit(flow_report(flow_id="aaaaaaaa", findings=ERROR))
    _wait_for(_is_counted(tmp_path, 1))
    writer.revise(flow_report(flow_id="aaaaaaaa", findings=[*ERROR, *NOTICE]))
    writer.revise(flow_report(flow_id="aaaaaaaa"))
    writer.close()
    counts = _summary(tmp_path)["counts"]
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
        name: (report["sequence"], report["verdict"]) for name, report in _reports(tmp_path).items()
    }
    assert verdicts == {
        "000001_PutObject_200_aaaaaaaa.json": (1, "error"),
        "000002_PutObject_200_bbbbbbbb.json": (2, "ok"),
        "000003_PutObject_200_cccccccc.json": (3, "ok"),
    }
    counts = _summary(tmp_path)["counts"]
    assert (counts["flows"], counts["verdict"]) == (3, {"ok": 2, "error": 1})
    assert counts["rule"] == {"etag-mismatch": 1}


def test_a_report_is_revised_however_old_it_is_but_for_one_that_was_never_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cos_inspect.report.writer_thread._REVISABLE", 1)
    writer = ReportWriter(tmp_path, ["json", "jsonl"])
    for name in ("aaaaaaaa", "bbbbbbbb", "cccccccc"):
        writer.submit(flow_report(flow_id=name))
    _wait_for(_is_counted(tmp_path, 3))
    for name in ("aaaaaaaa", "bbbbbbbb", "dddddddd"):
        writer.revise(flow_report(flow_id=name, findings=ERROR))
    writer.close()
    verdicts = {report["flow_id"]: report["verdict"] for report in _reports(tmp_path).values()}
    assert verdicts == {"aaaaaaaa": "error", "bbbbbbbb": "error", "cccccccc": "ok"}
    assert _summary(tmp_path)["counts"]["verdict"] == {"ok": 1, "error": 2}
    assert len((tmp_path / "flows.jsonl").read_text().splitlines()) == 5
    assert writer.lost.count == 0


def test_what_can_be_revised_no_more_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cos_inspect.report.writer_thread._REVISABLE", 1)
    monkeypatch.setattr("cos_inspect.report.writer_thread._MOST_REVISABLE", 1)
    writer = ReportWriter(tmp_path, ["json"])
    for name in ("aaaaaaaa", "bbbbbbbb", "cccccccc"):
        writer.submit(flow_report(flow_id=name))
    _wait_for(_is_counted(tmp_path, 3))
    for name in ("aaaaaaaa", "bbbbbbbb"):
        writer.revise(flow_report(flow_id=name, findings=ERROR))
    writer.close()
    assert writer.lost.reasons == {"too old to be revised": 1}
    assert _summary(tmp_path)["counts"]["verdict"] == {"ok": 2, "error": 1}


def test_a_replay_has_a_report_of_its_own_and_either_is_revised(tmp_path: Path) -> None:
    """They have one id."""
    writer = ReportWriter(tmp_path, ["json"])
    first, again = (
        flow_report(flow_id="aaaaaaaa", started=f"2026-11-22T10:00:0{second}.000Z")
        for second in (1, 2)
    )
    writer.submit(first)
    writer.submit(again)
    _wait_for(_is_counted(tmp_path, 2))
    assert first.started is not None
    writer.revise(flow_report(flow_id="aaaaaaaa", findings=ERROR, started=first.started))
    writer.close()
    found = [(report["started"], report["verdict"]) for report in _reports(tmp_path).values()]
    assert found == [(first.started, "error"), (again.started, "ok")]


def test_what_the_list_of_transfers_does_not_hold_is_counted_once(tmp_path: Path) -> None:
    """However often a session is told anew, and by whichever writer."""
    counted = SessionSummary(left_out=3, verdicts={"ok": 2, "error": 4}, forgotten=1)
    writer = ReportWriter(tmp_path, ["json"])
    writer.submit_session(counted)
    writer.submit(flow_report())
    _wait_for(lambda: _told(tmp_path, 3))
    writer.submit_session(counted)
    next_one = writer.followed(["jsonl"])
    more = SessionSummary(left_out=5, verdicts={"error": 3, "notice": 1}, forgotten=1)
    next_one.submit_session(more)
    writer.close()
    next_one.submit_session(more, is_over=True)
    next_one.close()
    summary = _summary(tmp_path)
    assert (summary["left_out"], summary["forgotten"]) == (5, 1)
    assert summary["counts"]["transfers"] == {"error": 3, "notice": 1}


def _told(folder: Path, left_out: int) -> bool:
    path = folder / "summary.json"
    return path.exists() and _summary(folder)["left_out"] == left_out


def _transfer(identity: str, state: str, *flows: str, kind: str = "multipart-upload") -> Any:
    return TransferSummary(
        kind=kind,
        id=identity,
        bucket="b",
        key="k",
        state=state,
        size=1,
        parts=1,
        duration_ms=1.0,
        verdict="ok",
        findings=[],
        flows=list(flows),
    )


def _chain(*flows: str) -> RetryChain:
    return RetryChain(flows=list(flows), causes=["503"] * (len(flows) - 1))


def _session(*transfers: TransferSummary, chains: Sequence[RetryChain] = ()) -> SessionSummary:
    return SessionSummary(transfers=list(transfers), retries=list(chains))


def _states(folder: Path) -> list[tuple[str, str]]:
    return [(each["id"], each["state"]) for each in _summary(folder)["transfers"]]


@pytest.mark.parametrize("same_batch", [True, False])
def test_what_a_run_says_of_its_transfers_replaces_what_it_said(
    tmp_path: Path, same_batch: bool
) -> None:
    writer = ReportWriter(tmp_path, ["json"])
    writer.submit(flow_report())
    writer.submit_session(_session(_transfer("u", "open", "p1"), chains=[_chain("p1", "p2")]))
    if not same_batch:
        _wait_for(lambda: _is_counted(tmp_path, 1)() and _states(tmp_path) == [("u", "open")])
    writer.submit_session(
        _session(
            _transfer("u", "completed", "p1", "p2"),
            _transfer("v", "open", "q"),
            chains=[_chain("p1", "p2", "p3")],
        )
    )
    writer.close()
    assert _states(tmp_path) == [("u", "completed"), ("v", "open")]
    assert [chain["flows"] for chain in _summary(tmp_path)["retries"]] == [["p1", "p2", "p3"]]


def test_what_earlier_runs_said_stays(tmp_path: Path) -> None:
    """The id of a download is that of client and object, and so the same in every run."""
    for number, chain in (("1", _chain("a1", "b1")), ("2", _chain("a2", "b2"))):
        writer = ReportWriter(tmp_path, ["json"])
        for state in ("partial", "complete"):
            writer.submit_session(
                _session(
                    _transfer("read", state, f"r{number}", kind="ranged-download"),
                    _transfer(f"upload-{number}", "completed", f"u{number}"),
                    chains=[chain],
                )
            )
        writer.close()
    assert sorted(_states(tmp_path)) == [
        ("read", "complete"),
        ("read", "complete"),
        ("upload-1", "completed"),
        ("upload-2", "completed"),
    ]
    assert [chain["flows"] for chain in _summary(tmp_path)["retries"]] == [
        ["a1", "b1"],
        ["a2", "b2"],
    ]


def test_a_transfer_whose_flows_were_left_out_is_known_by_its_id(tmp_path: Path) -> None:
    writer = ReportWriter(tmp_path, ["json"])
    writer.submit_session(_session(_transfer("u", "open", "p1")))
    _wait_for((tmp_path / "summary.json").exists)
    writer.submit_session(_session(_transfer("u", "completed")))
    writer.close()
    assert _states(tmp_path) == [("u", "completed")]


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


def test_what_could_not_be_judged_is_counted_as_lost(tmp_path: Path) -> None:
    writer = ReportWriter(tmp_path, ["json", "junit"])
    writer.submit(flow_report())
    writer.lose("not inspected")
    _wait_for(lambda: _is_counted(tmp_path, 1)() and _summary(tmp_path)["lost"]["count"] == 1)
    writer.lose("not inspected", 2)
    writer.close()
    expected = {"count": 3, "reasons": {"not inspected": 3}}
    assert _summary(tmp_path)["lost"] == expected
    assert msgspec.to_builtins(writer.lost) == expected
    root = defusedxml.ElementTree.parse(tmp_path / "junit.xml").getroot()
    (error,) = root.iter("error")
    assert error.get("message") == "3 reports lost: not inspected"

"""``summary.json`` says what a run knows, once, whoever tells it and whenever it can be written."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import defusedxml.ElementTree
import msgspec
import pytest

from cos_inspect.model.devices import ConnectionFailureSummary
from cos_inspect.model.summary import Lost, RetryChain, SessionSummary, Summary, TransferSummary
from cos_inspect.report.directory import ReportDirectory
from cos_inspect.report.report_format import FormatWriter
from cos_inspect.report.summary_writer import SummaryWriter
from cos_inspect.report.writer import ReportWriter
from tests.conditions import wait_until
from tests.report.build import finding, flow_report
from tests.report.on_disk import is_counted, summary


def _write(writer: SummaryWriter, folder: Path, **how: bool) -> None:
    with ReportDirectory(folder) as directory:
        writer.write(directory, [], **how)


def test_each_thing_is_told_once(tmp_path: Path) -> None:
    writer = SummaryWriter("live")
    assert not writer.is_untold()
    writer.count_other("example.com")
    writer.count_other(None)
    writer.lose("disk full", 2)
    writer.tally.add(flow_report(findings=[finding()]))
    for _ in range(2):
        _write(writer, tmp_path)
        assert not writer.is_untold()
        found = summary(tmp_path)
        assert (found["others"], found["other_hosts"]) == (2, {"example.com": 1})
        assert found["lost"] == {"count": 2, "reasons": {"disk full": 2}}
        assert found["counts"]["verdict"] == {"error": 1}
    writer.lose("disk full")
    assert writer.is_untold()
    _write(writer, tmp_path)
    assert summary(tmp_path)["lost"]["count"] == 3


def test_where_nothing_is_known_nothing_is_written(tmp_path: Path) -> None:
    _write(SummaryWriter("live"), tmp_path, is_over=True)
    assert list(tmp_path.iterdir()) == []


def test_what_could_not_be_written_is_told_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    writer = SummaryWriter("live")
    writer.tell_session(SessionSummary(forgotten=4), is_over=True)
    writer.add_connection(_connection())
    writer.count_other("example.com")
    with monkeypatch.context() as patch:
        patch.setattr(ReportDirectory, "add_to_summary", full)
        for _ in range(2):
            with pytest.raises(OSError, match="No space"):
                _write(writer, tmp_path)
            assert writer.is_untold()
    _write(writer, tmp_path)
    found = summary(tmp_path)
    assert (found["forgotten"], found["others"]) == (4, 1)
    assert [each["count"] for each in found["connections"]] == [1]


class _Failing(FormatWriter[bytes]):
    """A format that has the summary at the second try."""

    def __init__(self, directory: ReportDirectory) -> None:
        super().__init__(directory)
        self.had: list[int] = []

    def renew_summary(self, summary: Summary) -> None:
        self.had.append(summary.others)
        if len(self.had) == 1:
            raise OSError(28, "No space left on device")


def test_a_format_that_could_not_have_it_has_it_the_next_time(tmp_path: Path) -> None:
    writer = SummaryWriter("live")
    writer.count_other(None)
    with ReportDirectory(tmp_path) as directory:
        failing = _Failing(directory)
        with pytest.raises(OSError, match="No space"):
            writer.write(directory, [failing])
        assert writer.is_untold()
        writer.write(directory, [failing])
    assert failing.had == [1, 1]
    assert summary(tmp_path)["others"] == 1
    assert not writer.is_untold()


def test_who_follows_goes_on_with_the_run(tmp_path: Path) -> None:
    first = SummaryWriter("device")
    first.tell_session(SessionSummary(left_out=3), is_over=True)
    _write(first, tmp_path)
    second = SummaryWriter("device")
    second.follow(first)
    second.tell_session(SessionSummary(left_out=2), is_over=True)
    second.masked = False
    _write(second, tmp_path, is_over=True)
    found = summary(tmp_path)
    assert found["left_out"] == 5
    (run,) = found["runs"]
    assert (run["name"], run["masked"]) == ("device", False)
    assert run["ended"]


def test_formats_are_finished_with_all_that_the_run_has_told(tmp_path: Path) -> None:
    writer = SummaryWriter("live")
    writer.tell_session(_session(_transfer("u", "open", "p1")), is_over=True)
    writer.add_connection(_connection())
    writer.add_connection(msgspec.structs.replace(_connection(), host="b", findings=[]))
    _write(writer, tmp_path)
    writer.lose("not inspected")
    writer.tell_session(
        SessionSummary(
            transfers=[_transfer("v", "open", "p2")], verdicts={"ok": 1, "error": 2}, left_out=2
        ),
        is_over=True,
    )
    end = writer.run_end(lambda: None)
    assert [each.id for each in end.transfers] == ["u", "v"]
    assert end.left_out_failing == 2
    assert [each.host for each in end.connections] == ["a"]
    assert end.lost == Lost(count=1, reasons={"not inspected": 1})


def _connection() -> ConnectionFailureSummary:
    return ConnectionFailureSummary(
        host="a", client=None, failed="client-tls", count=1, findings=[finding()]
    )


def test_what_the_list_of_transfers_does_not_hold_is_counted_once(tmp_path: Path) -> None:
    """However often a session is told anew, and by whichever writer."""
    counted = SessionSummary(left_out=3, verdicts={"ok": 2, "error": 4}, forgotten=1)
    writer = ReportWriter(tmp_path, ["json"])
    writer.submit_session(counted)
    writer.submit(flow_report())
    wait_until(lambda: _told(tmp_path, 3))
    writer.submit_session(counted)
    next_one = writer.followed(["jsonl"])
    more = SessionSummary(left_out=5, verdicts={"error": 3, "notice": 1}, forgotten=1)
    next_one.submit_session(more)
    writer.close()
    next_one.submit_session(more, is_over=True)
    next_one.close()
    found = summary(tmp_path)
    assert (found["left_out"], found["forgotten"]) == (5, 1)
    assert found["counts"]["transfers"] == {"error": 3, "notice": 1}


def _told(folder: Path, left_out: int) -> bool:
    path = folder / "summary.json"
    return path.exists() and summary(folder)["left_out"] == left_out


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
    return [(each["id"], each["state"]) for each in summary(folder)["transfers"]]


@pytest.mark.parametrize("same_batch", [True, False])
def test_what_a_run_says_of_its_transfers_replaces_what_it_said(
    tmp_path: Path, same_batch: bool
) -> None:
    writer = ReportWriter(tmp_path, ["json"])
    writer.submit(flow_report())
    writer.submit_session(_session(_transfer("u", "open", "p1"), chains=[_chain("p1", "p2")]))
    if not same_batch:
        wait_until(lambda: is_counted(tmp_path, 1) and _states(tmp_path) == [("u", "open")])
    writer.submit_session(
        _session(
            _transfer("u", "completed", "p1", "p2"),
            _transfer("v", "open", "q"),
            chains=[_chain("p1", "p2", "p3")],
        )
    )
    writer.close()
    assert _states(tmp_path) == [("u", "completed"), ("v", "open")]
    assert [chain["flows"] for chain in summary(tmp_path)["retries"]] == [["p1", "p2", "p3"]]


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
    assert [chain["flows"] for chain in summary(tmp_path)["retries"]] == [
        ["a1", "b1"],
        ["a2", "b2"],
    ]


def test_a_transfer_whose_flows_were_left_out_is_known_by_its_id(tmp_path: Path) -> None:
    writer = ReportWriter(tmp_path, ["json"])
    writer.submit_session(_session(_transfer("u", "open", "p1")))
    wait_until((tmp_path / "summary.json").exists)
    writer.submit_session(_session(_transfer("u", "completed")))
    writer.close()
    assert _states(tmp_path) == [("u", "completed")]


def test_what_could_not_be_judged_is_counted_as_lost(tmp_path: Path) -> None:
    writer = ReportWriter(tmp_path, ["json", "junit"])
    writer.submit(flow_report())
    writer.lose("not inspected")
    wait_until(lambda: is_counted(tmp_path, 1) and summary(tmp_path)["lost"]["count"] == 1)
    writer.lose("not inspected", 2)
    writer.close()
    expected = {"count": 3, "reasons": {"not inspected": 3}}
    assert summary(tmp_path)["lost"] == expected
    assert msgspec.to_builtins(writer.lost) == expected
    root = defusedxml.ElementTree.parse(tmp_path / "junit.xml").getroot()
    (error,) = root.iter("error")
    assert error.get("message") == "3 reports lost: not inspected"


def test_nobody_who_tells_something_waits(tmp_path: Path) -> None:
    writer = SummaryWriter("live")
    failed = ConnectionFailureSummary(
        host="example.com",
        client="10.0.0.5",
        failed="client-refused-certificate",
        count=2,
        findings=[],
    )
    with writer._lock:
        writer.count_other("example.com")
        writer.add_connection(failed)
        writer.lose("disk full", 2)
        assert writer.is_untold()
    assert writer.lost() == Lost(count=2, reasons={"disk full": 2})
    _write(writer, tmp_path)
    found = summary(tmp_path)
    assert found["other_hosts"] == {"example.com": 1}
    assert [each["count"] for each in found["connections"]] == [2]
    assert found["lost"]["count"] == 2

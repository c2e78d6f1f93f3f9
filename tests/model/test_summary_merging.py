"""What runs have counted is added up in one summary, whose lists are bounded."""

import pytest

from cos_inspect.model import summary_merging
from cos_inspect.model.devices import ConnectionFailureSummary
from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.summary import (
    RetryChain,
    RunSummary,
    SessionSummary,
    Summary,
    TransferSummary,
)
from cos_inspect.model.summary_delta import SessionCounts, SummaryDelta
from cos_inspect.model.summary_merging import merged
from tests.report.build import finding, flow_report


def test_runs_add_up() -> None:
    first, second = SummaryDelta(), SummaryDelta()
    first.add(flow_report())
    second.add(flow_report(operation="GetObject"))
    second.others = 3
    summary = merged(merged(None, first), second)
    assert summary.counts.flows == 2
    assert summary.counts.operation == {"PutObject": 1, "GetObject": 1}
    assert summary.others == 3


def _trouble(
    count: int = 1, *, host: str = "h", flow: str | None = None
) -> ConnectionFailureSummary:
    return ConnectionFailureSummary(
        host=host,
        client="127.0.0.1",
        failed="client-closed-after-handshake",
        count=count,
        findings=[finding("tls-untrusted")] if count > 0 else [],
        flows=[flow] if flow else [],
    )


def _with(*troubles: ConnectionFailureSummary, before: Summary | None = None) -> Summary:
    tally = SummaryDelta()
    assert not tally
    for trouble in troubles:
        tally.add_connection(trouble)
    assert tally
    return merged(before, tally)


def test_trouble_of_one_host_client_and_failure_adds_up() -> None:
    summary = _with(_trouble(flow="a"), _trouble(2), _trouble(host="other"))
    summary = _with(_trouble(flow="b"), before=summary)
    assert [(item.host, item.count) for item in summary.connections] == [("h", 4), ("other", 1)]
    assert summary.connections[0].flows == ["a", "b"]


def test_findings_stay_when_the_same_trouble_comes_without() -> None:
    relating = ConnectionFailureSummary(
        host="h",
        client="127.0.0.1",
        failed="client-closed-after-handshake",
        count=0,
        findings=[],
        flows=["a"],
    )
    (item,) = _with(relating, before=_with(_trouble())).connections
    assert (item.count, len(item.findings), item.flows) == (1, 1, ["a"])


def test_trouble_is_taken_back() -> None:
    assert _with(_trouble(2), _trouble(-2)).connections == []
    assert _with(_trouble(-2), before=_with(_trouble(2))).connections == []


def test_trouble_of_an_earlier_run_is_not_taken_back_with_it() -> None:
    (item,) = _with(_trouble(2), _trouble(-2), before=_with(_trouble(3))).connections
    assert (item.count, len(item.findings)) == (3, 1)


def test_trouble_is_bounded() -> None:
    troubles = [_trouble(host=f"h{number}", flow=str(number)) for number in range(1100)]
    connections = _with(*troubles).connections
    assert len(connections) == 1001
    assert (connections[-1].host, connections[-1].client, connections[-1].count) == (
        "(others)",
        None,
        100,
    )
    assert len(_with(*[_trouble(flow=str(n)) for n in range(100)]).connections[0].flows) == 20


def test_connections_and_transfers_that_went_wrong_are_counted_by_verdict() -> None:
    first = SessionCounts.of(SessionSummary(verdicts={"ok": 5, "error": 2}, left_out=1))
    delta = SummaryDelta()
    delta.session_counts = first
    summary = merged(None, delta)
    assert summary.counts.transfers == {"error": 2}
    later = SummaryDelta()
    now = SessionCounts.of(SessionSummary(verdicts={"ok": 6, "warning": 1}, left_out=4))
    later.session_counts = now - first
    for host, findings in (("a", [finding("tls-untrusted")]), ("b", [])):
        later.add_connection(
            ConnectionFailureSummary(
                host=host, client=None, failed="client-tls", count=3, findings=findings
            )
        )
    summary = merged(summary, later)
    assert (summary.counts.transfers, summary.left_out) == ({"warning": 1}, 4)
    assert summary.counts.connections == {"error": 3}


def _run(number: int, *reports: FlowReport, ended: str | None = None) -> SummaryDelta:
    tally = SummaryDelta()
    tally.run = RunSummary(id=number, name="analyze", started=None, ended=ended)
    for report in reports:
        tally.add(report)
    return tally


def test_runs_are_told_apart() -> None:
    first = _run(1, flow_report(), flow_report(findings=[finding()]))
    first.sessions = [SessionSummary(transfers=[_transfer("u", ["a"])])]
    first.add_connection(_trouble())
    second = _run(2, flow_report(), ended="2026-11-22T10:00:00.000Z")
    second.sessions = [SessionSummary(transfers=[_transfer("u", ["a"])])]
    second.add_connection(_trouble())
    summary = merged(merged(merged(None, first), second), _run(1, flow_report()))
    assert [(run.id, run.flows, run.verdict) for run in summary.runs] == [
        (1, 3, {"ok": 2, "error": 1}),
        (2, 1, {"ok": 1}),
    ]
    assert [run.ended for run in summary.runs] == [None, "2026-11-22T10:00:00.000Z"]
    assert [each.run for each in summary.transfers] == [1, 2]
    assert [(each.run, each.count) for each in summary.connections] == [(1, 1), (2, 1)]
    assert [run.connections for run in summary.runs] == [{"error": 1}, {"error": 1}]
    taken_back = _run(2)
    taken_back.add_connection(_trouble(-1))
    summary = merged(summary, taken_back)
    assert [each.run for each in summary.connections] == [1]
    assert summary.runs[1].connections == {}


def _transfer(name: str, flows: list[str]) -> TransferSummary:
    return TransferSummary(
        kind="multipart-upload",
        id=name,
        bucket=None,
        key=None,
        state="completed",
        size=None,
        parts=1,
        duration_ms=None,
        verdict="ok",
        findings=[],
        flows=flows,
    )


def _listed(name: str, *, wrong: bool = False) -> TransferSummary:
    return TransferSummary.judged(
        kind="multipart-upload",
        id=name,
        bucket="b",
        key="k",
        state="completed",
        size=1,
        parts=1,
        duration_ms=1.0,
        findings=[finding()] if wrong else [],
        flows=[f"flow-{name}"],
    )


def test_the_list_is_bounded_however_many_runs_add_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary_merging, "MOST_LISTED", 5)
    summary = None
    for run in range(4):
        tally = SummaryDelta()
        session = SessionSummary(
            transfers=[_listed(f"{run}-{number}", wrong=number == 1) for number in range(3)],
            retries=[
                RetryChain(id=f"{run}-{number}", flows=[f"r-{run}-{number}"], causes=[])
                for number in range(2)
            ],
        )
        tally.sessions, tally.session_counts = [session], SessionCounts.of(session)
        summary = merged(summary, tally)
    assert summary is not None
    # The worst, and of the same badness the latest.
    assert [each.id for each in summary.transfers] == ["0-1", "1-1", "2-1", "3-1", "3-2"]
    assert (summary.left_out, summary.retries_left_out) == (12 - 5, 8 - 5)


def test_what_a_run_says_again_is_left_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary_merging, "MOST_LISTED", 3)
    before = SummaryDelta()
    before.sessions = [SessionSummary(transfers=[_listed("old", wrong=True)])]
    summary = merged(None, before)
    unlisted = None
    for count in (2, 4, 6):
        tally = SummaryDelta(unlisted)
        tally.sessions = [SessionSummary(transfers=[_listed(str(n)) for n in range(count)])]
        summary = merged(summary, tally)
        unlisted = tally.unlisted_now
        assert len(summary.transfers) + summary.left_out == 1 + count
        assert summary.transfers[0].id == "old"


def test_counts_stand_in_the_order_of_their_names() -> None:
    tally = SummaryDelta()
    tally.add(flow_report(findings=[finding(rule) for rule in ("b", "c", "a")]))
    tally.lost.add("no room")
    tally.lost.add("disk full")
    summary = merged(None, tally)
    assert [*summary.counts.rule] == ["a", "b", "c"]
    assert [*summary.lost.reasons] == ["disk full", "no room"]

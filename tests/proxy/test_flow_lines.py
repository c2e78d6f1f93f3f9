"""Lines of flows: in order, with the numbers of those that went wrong, or after a while without."""

import asyncio
import logging

import msgspec
import pytest

from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.summary import RetryChain, SessionSummary, TransferSummary
from cos_inspect.proxy import flow_lines
from cos_inspect.proxy.flow_lines import FlowLines
from cos_inspect.report.report_queue import name_of
from tests.report.build import finding, flow_report

GOOD = flow_report(flow_id="good")
BAD = flow_report(flow_id="bad", findings=[finding()])


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def told(log: pytest.LogCaptureFixture) -> list[str]:
    return [
        line
        for record in log.records
        for line in str(record.msg % record.args if record.args else record.msg).splitlines()
        if "COS " in line
    ]


class Numbers:
    def __init__(self) -> None:
        self.found: list[tuple[str, int]] = []

    def give(self, report: FlowReport, number: int) -> None:
        self.found.append((name_of(report), number))

    def __call__(self) -> list[tuple[str, int]]:
        found, self.found = self.found, []
        return found


def test_a_bad_flow_waits_for_its_number_and_those_behind_it_wait_too(
    log: pytest.LogCaptureFixture,
) -> None:
    numbers = Numbers()

    async def run() -> None:
        lines = FlowLines(numbers)
        lines.add([GOOD, BAD, GOOD], numbered=True)
        assert len(told(log)) == 1
        numbers.give(BAD, 7)
        lines.flush()
        lines.close()

    asyncio.run(run())
    _, second, third = told(log)
    assert second.endswith("  #7")
    assert "#" not in third


def test_without_a_number_it_comes_all_the_same(
    log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow_lines, "_MOST_SECONDS", 0.0)

    async def run() -> None:
        lines = FlowLines(Numbers())
        lines.add([BAD], numbered=True)
        lines.close()

    asyncio.run(run())
    (line,) = told(log)
    assert "#" not in line


def test_without_reports_nothing_waits(log: pytest.LogCaptureFixture) -> None:
    FlowLines(Numbers()).add([BAD], numbered=False)
    assert len(told(log)) == 1


def _transfer(name: str, state: str, verdict: str = "ok") -> TransferSummary:
    return TransferSummary(
        kind="multipart-upload",
        id=name,
        bucket="b",
        key=name,
        state=state,
        size=1,
        parts=1,
        duration_ms=1.0,
        verdict=verdict,  # type: ignore[arg-type]
        findings=[],
        flows=[],
    )


def test_problems_alone_and_stories_as_they_end(log: pytest.LogCaptureFixture) -> None:
    lines = FlowLines(Numbers())
    lines.problems_only = True
    lines.add([GOOD, BAD], numbered=False)
    chain = RetryChain(id="r", operation="PutObject", flows=["a", "b"], causes=["503"])
    so_far = SessionSummary(
        transfers=[_transfer("x", "completed"), _transfer("y", "open")], retries=[chain]
    )
    lines.log_transfers(so_far, over=False)
    lines.log_transfers(so_far, over=False)
    over = msgspec.structs.replace(
        so_far, transfers=[_transfer("x", "completed"), _transfer("y", "abandoned", "notice")]
    )
    lines.log_transfers(over, over=True)
    bad, completed, abandoned, tries = told(log)
    assert "etag-mismatch" not in bad
    assert " error " in bad
    assert "multipart-upload completed: b/x" in completed
    assert "multipart-upload abandoned: b/y" in abandoned
    assert "failed each time after 2 tries" in tries


def test_with_all_flows_stories_have_no_lines_of_their_own(log: pytest.LogCaptureFixture) -> None:
    lines = FlowLines(Numbers())
    lines.log_transfers(SessionSummary(transfers=[_transfer("x", "completed")]), over=True)
    assert told(log) == []

"""What waits is bounded, in order, and what is dropped is counted."""

from collections import Counter

from cos_inspect.model.flow_report import FlowReport
from cos_inspect.telemetry.waiting import LOGS, REPORTS, SPANS, Waiting, WaitingLogs
from tests.report.build import finding, flow_report
from tests.telemetry.build import changed

REPORT = flow_report()


def _name(one: WaitingLogs) -> str:
    assert isinstance(one.about, FlowReport)
    return one.about.flow_id


def test_spans_come_out_as_they_went_in() -> None:
    waiting = Waiting()
    for name in "abc":
        waiting.add_span(flow_report(flow_id=name))
    first = waiting.take_spans(2)
    waiting.add_span(flow_report(flow_id="d"))
    waiting.put_spans_back(first)
    assert [each.flow_id for each in waiting.take_spans(9)] == ["a", "b", "c", "d"]
    waiting.settle(SPANS)
    assert not waiting.take_spans(9)


def test_what_is_under_way_is_not_lost_from_sight() -> None:
    waiting = Waiting()
    for name in "abc":
        waiting.add_span(flow_report(flow_id=name))
        waiting.add_logs(flow_report(flow_id=name), [finding(), finding()])
    waiting.take_spans(2)
    waiting.take_logs(1)
    assert waiting.left() == {SPANS: 3, LOGS: 6}
    waiting.settle(SPANS)
    waiting.settle(LOGS, dropped=True)
    assert waiting.left() == {SPANS: 1, LOGS: 4}
    assert waiting.dropped() == {LOGS: 2}


def test_a_span_that_waits_is_revised() -> None:
    waiting = Waiting()
    waiting.add_span(REPORT)
    revised = changed(REPORT, verdict="error")
    waiting.revise_span(revised)
    assert waiting.take_spans(9) == [revised]
    waiting.revise_span(REPORT)
    assert not waiting.take_spans(9)


def test_no_more_than_there_is_room_for() -> None:
    waiting = Waiting(spans=2, logs=3)
    for name in "abc":
        waiting.add_span(flow_report(flow_id=name))
        waiting.add_logs(flow_report(flow_id=name), [finding(), finding()])
    waiting.drop(REPORTS, 4)
    assert waiting.left() == Counter({SPANS: 2, LOGS: 4})
    assert waiting.dropped() == Counter({SPANS: 1, LOGS: 2, REPORTS: 4})


def test_heavy_reports_are_fewer() -> None:
    waiting = Waiting(heaviest=10_000)
    for _ in range(3):
        waiting.add_logs(REPORT, [finding()])
    assert waiting.left()[LOGS] == 2
    for each in (waiting.take_logs(1), waiting.take_logs(1)):
        assert len(each) == 1
        waiting.settle(LOGS)
    waiting.add_span(REPORT)
    assert waiting.left() == {SPANS: 1}


def test_logs_come_out_as_they_went_in() -> None:
    waiting = Waiting()
    for name in "abc":
        waiting.add_logs(flow_report(flow_id=name), [finding(), finding()])
    taken = waiting.take_logs(3)
    assert [_name(each) for each in taken] == ["a", "b"]
    waiting.put_logs_back(taken)
    assert waiting.left()[LOGS] == 6
    assert [_name(each) for each in waiting.take_logs(99)] == ["a", "b", "c"]

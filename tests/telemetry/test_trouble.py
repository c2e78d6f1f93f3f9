"""One line when trouble begins, and one when it ends."""

import logging

import pytest

from cos_inspect.telemetry.trouble import Trouble
from cos_inspect.telemetry.waiting import SPANS, Waiting
from tests.report.build import flow_report


@pytest.fixture
def waiting() -> Waiting:
    return Waiting(spans=1)


@pytest.fixture
def trouble(waiting: Waiting, caplog: pytest.LogCaptureFixture) -> Trouble:
    caplog.set_level(logging.INFO, "cos_inspect")
    return Trouble("http://collector", waiting)


def test_it_is_told_once(
    trouble: Trouble, waiting: Waiting, caplog: pytest.LogCaptureFixture
) -> None:
    waiting.drop(SPANS, 7)
    trouble.end("logs")
    for _ in range(3):
        trouble.begin("logs", "Connection refused")
        trouble.begin("traces", "Connection refused")
    waiting.drop(SPANS, 2)
    trouble.end("logs")
    trouble.end("traces")
    trouble.close(all_is_sent=True)
    assert caplog.messages == [
        "COS telemetry: logs cannot be sent to http://collector: Connection refused;"
        " what comes waits while there is room",
        "COS telemetry is sent to http://collector again: lost: 9 spans",
    ]
    assert [each.levelname for each in caplog.records] == ["WARNING", "INFO"]


def test_the_end_says_what_is_lost(
    trouble: Trouble, waiting: Waiting, caplog: pytest.LogCaptureFixture
) -> None:
    trouble.begin("traces", "it answers 503")
    waiting.add_span(flow_report())
    waiting.add_span(flow_report(flow_id="b"))
    trouble.close(all_is_sent=False)
    trouble.close(all_is_sent=False)
    trouble.end("traces")
    trouble.begin("traces", "late")
    assert len(caplog.messages) == 2
    assert caplog.messages[-1] == (
        "COS telemetry could not be sent to http://collector before the end: lost: 2 spans"
    )


def test_nothing_is_said_where_all_went_well(
    trouble: Trouble, caplog: pytest.LogCaptureFixture
) -> None:
    trouble.close(all_is_sent=True)
    assert not caplog.messages

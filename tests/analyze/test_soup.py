"""Exchanges put together at random, which may fail and contradict each other: what is said of them
is the same whatever captures, order and processes they come by, and live as saved."""

import json
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mitmproxy import http

from cos_inspect.captures.captured_flow import CapturedFlow
from cos_inspect.inspection.session import Bounds, Session
from cos_inspect.model.flow_report import FlowReport
from tests.analyze.soup import Soup
from tests.analyze.test_any_split import Answer, answer, dealt, saved, small_shards
from tests.analyze.test_limits import captured
from tests.inspection.test_session import Run

TINY = Bounds(facts=8, small=1, put_off=2, reports=3)
OF_A_CAPTURE = ("sequence", "run", "connection", "timing")
"""What the exchange alone does not tell: that its connection served others before."""

SEEDS = st.integers(0, 1 << 32)


def _soup(seed: int, *, overlaps: bool) -> tuple[list[http.HTTPFlow], random.Random]:
    rest = random.Random(seed)
    soup = Soup(rest, rest.choice([5.0, 30.0, 200.0]), overlaps=overlaps)
    return soup.flows(rest.choice([6, 15, 40])), rest


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(SEEDS)
def test_any_split(seed: int) -> None:
    flows, rest = _soup(seed, overlaps=True)
    with tempfile.TemporaryDirectory() as folder:
        expected = answer(saved(Path(folder), [flows]))
        for _ in range(2):
            twice = rest.randint(0, len(flows) // 3)
            split = saved(Path(folder), dealt(flows, rest.randint(1, 5), rest, twice))
            with small_shards(rest.choice([2_000, 20_000]), rest.randint(1, 4)):
                assert answer(split[:: rest.choice([1, -1])]) == expected


def _by_flow(reports: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (report["flow_id"], str(report["started"])): {
            name: value for name, value in report.items() if name not in OF_A_CAPTURE
        }
        for report in reports
    }


def _of_transfers(summary: dict[str, Any]) -> list[Any]:
    """But for the run that tells them."""
    return [
        [{name: value for name, value in item.items() if name != "run"} for item in summary[of]]
        for of in ("transfers", "retries", "read_back")
    ]


class Told(NamedTuple):
    answer: Answer
    forgotten: int


def _live(flows: Sequence[CapturedFlow], bounds: Bounds | None = None, at_once: int = 1) -> Told:
    """``at_once``: so many answers are under way when the first of them ends."""
    run = Run([], Session(redact=False, bounds=bounds))
    under_way: list[tuple[CapturedFlow, list[int]]] = []
    for flow in (*flows, *[None] * at_once):
        if flow is not None:
            assert flow.exchange is not None
            under_way.append((flow, run.session.boundaries(flow.exchange)))
        if under_way and (flow is None or len(under_way) >= at_once):
            ended, wanted = under_way.pop(0)
            assert ended.exchange is not None
            run.take(ended.exchange, ended.marks(wanted) if ended.marks else ())
    summary = run.close()
    assert summary.left_out == 0
    reports = [_plain(report) for report in run.reports.values()]
    return Told(Answer(reports, _plain(summary)), summary.forgotten)


def _plain(told: FlowReport | msgspec.Struct) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(msgspec.json.encode(told))
    return plain


def _ended(flow: CapturedFlow) -> float:
    assert flow.exchange is not None
    timing = flow.exchange.timing
    return timing.end or timing.request_start or 0.0


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(SEEDS, st.booleans())
@example(170, True)
@example(561, False)
@example(574, False)
@example(1151, False)
@example(1323, False)
@example(4399, False)
@example(500166, False)
def test_live_is_saved(seed: int, overlaps: bool) -> None:
    """In the order of their ends, in any other order, several under way, and with hardly any
    memory: where the order is another as well, what is not said is counted."""
    flows, rest = _soup(seed, overlaps=overlaps)
    with tempfile.TemporaryDirectory() as folder, captured(flows, Path(folder)) as found:
        expected = answer(saved(Path(folder), [flows]))
        ordered = sorted(found, key=_ended)
        shuffled = rest.sample(ordered, len(ordered))
        in_order = [_live(ordered), _live(ordered, TINY), _live(ordered, at_once=4)]
        told = [*in_order, _live(shuffled), _live(shuffled, at_once=3)]
        small = _live(shuffled, TINY)
    assert all(each.forgotten == 0 for each in told)
    for each in (*told, small):
        assert _of_transfers(each.answer.summary) == _of_transfers(expected.summary)
    reports = _by_flow(expected.reports)
    assert all(_by_flow(each.answer.reports) == reports for each in told)
    said = _by_flow(small.answer.reports)
    missing = sum(said[name] != reports[name] for name in reports)
    assert missing <= small.forgotten

"""Exchanges put together at random, which may fail and contradict each other: what is said of them
is the same whatever captures, order and processes they come by, and live as saved."""

import json
import random
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mitmproxy import http

from cos_inspect.inspection.session import Bounds, Session
from cos_inspect.model.exchange import Exchange
from cos_inspect.model.flow_report import FlowReport
from tests.analyze.soup import Soup
from tests.analyze.test_any_split import Answer, answer, dealt, saved, small_shards
from tests.analyze.test_limits import exchanges
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


def _live(flows: list[Exchange], bounds: Bounds | None = None) -> Answer:
    run = Run(flows, Session(redact=False, bounds=bounds))
    summary = run.close()
    assert summary.forgotten == summary.left_out == 0
    return Answer([_plain(report) for report in run.reports.values()], _plain(summary))


def _plain(told: FlowReport | msgspec.Struct) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(msgspec.json.encode(told))
    return plain


def _ended(flow: Exchange) -> float:
    return flow.timing.end or flow.timing.request_start or 0.0


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(SEEDS)
def test_live_is_saved(seed: int) -> None:
    """In the order of their ends, in any other order, and with hardly any memory."""
    flows, rest = _soup(seed, overlaps=False)
    with tempfile.TemporaryDirectory() as folder:
        expected = answer(saved(Path(folder), [flows]))
        ordered = sorted(exchanges(flows, Path(folder)), key=_ended)
    shuffled = rest.sample(ordered, len(ordered))
    for told in (_live(ordered), _live(shuffled), _live(ordered, TINY)):
        assert _by_flow(told.reports) == _by_flow(expected.reports)
        assert _of_transfers(told.summary) == _of_transfers(expected.summary)

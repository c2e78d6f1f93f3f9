"""Percentiles in buckets: near the exact ones, and the same in any order and split."""

import math
import random
from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.model.flow_report import Check, FlowReport
from cos_inspect.model.statistics import Distribution, Statistics
from tests.report.build import flow_report

VALUES = st.lists(st.floats(0, 1e9), min_size=1, max_size=300)
HOST = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com"


def distribution(values: Sequence[float]) -> Distribution:
    made = Distribution()
    for value in values:
        made.add(value)
    return made


@given(VALUES)
def test_percentiles_are_near_the_exact_ones(values: list[float]) -> None:
    made = distribution(values)
    made.settle()
    ordered = sorted(values)
    for percent, found in ((5, made.p5), (50, made.p50), (95, made.p95), (99, made.p99)):
        exact = ordered[math.ceil(len(values) * percent / 100) - 1]
        assert found is not None
        assert math.isclose(found, exact, rel_tol=0.026, abs_tol=0.0011)


@given(VALUES, st.randoms(use_true_random=False), st.integers(1, 5))
def test_order_and_split_change_nothing(
    values: list[float], chance: random.Random, parts: int
) -> None:
    whole = distribution(values)
    whole.settle()
    chance.shuffle(values)
    joined = Distribution()
    for number in range(parts):
        part = distribution(values[number::parts])
        part.settle()
        joined.merge(part)
    joined.settle()
    assert joined == whole


def test_of_nothing_nothing_is_said() -> None:
    made = Distribution()
    made.settle()
    assert (made.p5, made.p50, made.p99, made.min) == (None, None, None, None)


def timed(report: FlowReport, *, wait: float, sent: int = 3, took: float = 1.0) -> FlowReport:
    timing = msgspec.structs.replace(report.timing, wait_ms=wait, request_ms=took)
    body = msgspec.structs.replace(report.request.body, size=sent)
    request = msgspec.structs.replace(report.request, body=body)
    return msgspec.structs.replace(report, timing=timing, request=request)


def test_rows_are_by_operation_and_host() -> None:
    statistics = Statistics()
    statistics.add(timed(flow_report(), wait=10), HOST)
    statistics.add(timed(flow_report(status=503), wait=30), HOST)
    statistics.add(timed(flow_report(status=None), wait=30), HOST)
    statistics.add(flow_report(operation="GetObject"), HOST)
    gets, puts = statistics.rows()
    assert (gets.operation, gets.count, gets.errors) == ("GetObject", 1, 0)
    assert (puts.operation, puts.host, puts.count, puts.errors) == ("PutObject", HOST, 3, 2)
    assert puts.error_rate == 0.666667
    assert puts.wait_ms.max == 30
    assert puts.body_bytes == 15


def test_the_throughput_is_that_of_bodies_that_are_long_enough() -> None:
    statistics = Statistics()
    statistics.add(timed(flow_report(), wait=1, sent=64 * 1024, took=100), HOST)
    statistics.add(timed(flow_report(), wait=1, sent=64 * 1024 - 1, took=100), HOST)
    (row,) = statistics.rows()
    assert (row.throughput.count, row.throughput.p50) == (1, 655360)


def test_what_the_proxy_did_itself_says_nothing_of_the_host() -> None:
    statistics = Statistics()
    report = flow_report(status=407)
    assert report.response is not None
    by_proxy = msgspec.structs.replace(report.response, by="proxy")
    statistics.add(msgspec.structs.replace(report, response=by_proxy), HOST)
    stopped = Check(check="crc64", body="request", status="skipped", reason="proxy-stopped")
    statistics.add(msgspec.structs.replace(flow_report(status=None), checks=[stopped]), HOST)
    assert not statistics


def test_rows_are_bounded() -> None:
    statistics = Statistics(most=2)
    for number in range(5):
        statistics.add(flow_report(), f"{number}.example.com")
    assert [(row.host, row.count) for row in statistics.rows()] == [
        ("(others)", 3),
        ("0.example.com", 1),
        ("1.example.com", 1),
    ]

"""One row per client address, whatever the order in which it came to be known."""

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.model.devices import (
    ConnectionFailureSummary,
    DeviceSummary,
    DeviceTally,
    advice_of,
    with_connections,
)
from cos_inspect.model.flow_report import ConnectionReport, FlowReport
from tests.report.build import finding, flow_report


def flow(address: str = "10.0.0.5:41234", **members: Any) -> FlowReport:
    started = f"2026-11-22T10:00:{members.pop('second', 0):02d}.000Z"
    client = members.pop("client", "cos-python-sdk-v5")
    known = {"tls": "TLSv1.3", "by_address": False, **members}
    connection = ConnectionReport(client=address, server=None, sni=None, **known)
    return msgspec.structs.replace(
        flow_report(started=started, client=client), connection=connection
    )


def rows(*reports: FlowReport, before: list[DeviceSummary] | None = None) -> list[DeviceSummary]:
    tally = DeviceTally()
    for report in reports:
        tally.add_flow(report)
    return with_connections(tally.added_to(before or [], 1), [])


def refusal(failed: str, address: str = "10.0.0.5", **members: Any) -> ConnectionFailureSummary:
    known: dict[str, Any] = {"run": 1, "findings": [finding("tls-untrusted")], **members}
    return ConnectionFailureSummary(host="h", client=address, failed=failed, count=1, **known)


def test_a_row_has_the_latest_client_and_time() -> None:
    (row,) = rows(flow(second=5, client="b"), flow(second=9, client="c"), flow(second=7))
    assert (row.address, row.client, row.flows) == ("10.0.0.5", "c", 3)
    assert row.last_seen == "2026-11-22T10:00:09.000Z"
    assert (row.tls, row.run) == ("trusted", 1)


def test_the_clock_is_told_as_it_was_furthest_off_and_as_it_was_last() -> None:
    (row,) = rows(flow(second=1, clock_seconds=1200), flow(second=2, clock_seconds=0), flow())
    assert (row.clock_seconds, row.clock_seconds_last) == (1200, 0)
    assert rows(flow())[0].clock_seconds is None


CLOCKS = st.none() | st.integers(-2000, 2000)
FLOWS = st.lists(
    st.builds(
        lambda address, second, clock, client: flow(
            f"10.0.0.{address}:1", second=second, clock_seconds=clock, client=client
        ),
        st.integers(1, 3),
        st.integers(0, 59),
        CLOCKS,
        st.sampled_from(["a", "b"]),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda report: report.started,
)


@given(FLOWS, st.randoms(use_true_random=False), st.integers(1, 4))
def test_order_and_split_change_nothing(
    reports: list[FlowReport], chance: random.Random, parts: int
) -> None:
    whole = rows(*reports)
    chance.shuffle(reports)
    known: list[DeviceSummary] = []
    for number in range(parts):
        known = rows(*reports[number::parts], before=known)
    assert known == whole


@pytest.mark.parametrize(
    ("failed", "because"),
    [
        ("client-refused-certificate", "ca-not-trusted"),
        ("client-closed-after-handshake", "pinned"),
        ("client-closed-in-handshake", "unclear"),
    ],
)
def test_who_refuses_the_certificate_has_a_row_that_says_why(failed: str, because: str) -> None:
    (row,) = with_connections([], [refusal(failed)])
    assert (row.address, row.tls, row.tls_refused) == ("10.0.0.5", "refused", because)
    assert row.tls_refused_hosts == ["h"]
    assert list(advice_of(row))


def test_what_is_not_certain_refuses_nothing() -> None:
    doubtful = refusal("client-closed-after-handshake", findings=[])
    upstream = refusal("upstream-dns")
    assert with_connections([], [doubtful, upstream]) == []


def test_a_device_that_trusts_one_host_alone_is_mixed() -> None:
    (row,) = with_connections(rows(flow()), [refusal("client-closed-after-handshake")])
    assert row.tls == "mixed"


def test_refusals_of_an_earlier_run_do_not_count_now() -> None:
    (row,) = with_connections(rows(flow()), [refusal("client-refused-certificate", run=0)])
    assert row.tls == "trusted"


def test_a_connection_that_was_closed_once_is_doubtful_until_a_request_comes() -> None:
    tally = DeviceTally()
    tally.doubt("10.0.0.5", "h")
    (row,) = with_connections(tally.added_to([], 1), [])
    assert row.tls == "doubtful"
    assert "once" in "".join(advice_of(row))
    taken_back = DeviceTally()
    taken_back.doubt("10.0.0.5", None)
    (row,) = with_connections(taken_back.added_to([row], 1), [])
    assert (row.tls, row.doubted) == (None, None)


def test_who_asks_for_an_address_and_does_not_come_goes_around_the_proxy() -> None:
    tally = DeviceTally()
    tally.add_resolved("10.0.0.5", "2026-11-22T10:00:00.000Z")
    (row,) = with_connections(tally.added_to([], 1), [])
    assert [each.what for each in row.suspected] == ["dns-only"]
    (row,) = rows(flow(), before=[row])
    assert row.suspected == []


def test_a_request_by_address_tells_of_http_dns() -> None:
    (row,) = rows(flow(by_address=True))
    assert [each.what for each in row.suspected] == ["httpdns"]
    assert "HTTPDNS" in "".join(advice_of(row))


def test_a_device_that_is_fine_needs_no_advice() -> None:
    (row,) = rows(flow(clock_seconds=0))
    assert list(advice_of(row)) == []


def test_a_device_that_only_sends_other_flows_is_told_what_may_be() -> None:
    tally = DeviceTally()
    tally.add_other("10.0.0.5", "2026-11-22T10:00:00.000Z")
    tally.add_refused_other("10.0.0.5", "cdn.example.com")
    (row,) = with_connections(tally.added_to([], 1), [])
    assert (row.others, row.refused_other_hosts) == (1, ["cdn.example.com"])
    assert "cos_hosts" in "".join(advice_of(row))


def test_rows_are_bounded() -> None:
    tally = DeviceTally(most=2)
    for number in range(5):
        tally.add_flow(flow(f"10.0.0.{number}:1"))
    assert {row.address: row.flows for row in tally.added_to([], 1)} == {
        "(others)": 3,
        "10.0.0.0": 1,
        "10.0.0.1": 1,
    }

"""Which clock is wrong, in one finding a flow."""

from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.model.exchange import Exchange
from cos_inspect.model.flow_report import Finding, Severity
from tests.rules.exchanges import (
    CLOCK,
    CONTENT,
    CRC64,
    DATE,
    ETAG,
    REQUEST_ID,
    TRACE_ID,
    error_xml,
    exchange,
    findings,
    inspected,
)
from tests.rules.test_tracing import request_id

SERVER = ("Server", "tencent-cos")
HOUR = 3600


def signed(start: float, end: float | None = None) -> tuple[str, str]:
    window = f"{int(start)};{int(end or start + 900)}"
    return (
        "Authorization",
        f"q-sign-algorithm=sha1&q-ak=AKID&q-sign-time={window}&q-key-time={window}"
        "&q-header-list=host&q-url-param-list=&q-signature=28e9a4986df11bed0255e97ff90500557e0e057a",
    )


def told(one: Exchange) -> Finding | None:
    found = [f for f in inspected(one).report.findings if f.rule == "clock-skew"]
    assert len(found) <= 1
    return found[0] if found else None


def at(
    *,
    proxy: float = 0,
    device: float | None = None,
    date: float = 0,
    arrival: float = 0,
    **how: Any,
) -> Exchange:
    """Each clock so many seconds ahead of the true time; the device shows its own by Date."""
    marks = (
        SERVER,
        ("Date", formatdate(CLOCK + 1 + date, usegmt=True)),
        ("x-cos-request-id", request_id(CLOCK + arrival)),
    )
    headers = () if device is None else (("Date", formatdate(CLOCK + device, usegmt=True)),)
    return exchange("GET", "/?acl", clock=CLOCK + proxy, marks=marks, headers=headers, **how)


def expired(start: float) -> Exchange:
    return exchange(
        "GET",
        "/?acl",
        headers=(signed(start),),
        status=403,
        answer=error_xml("RequestTimeTooSkewed"),
        answer_headers=(("x-cos-trace-id", TRACE_ID),),
    )


@pytest.mark.parametrize(
    ("seconds", "severity"),
    [
        (0, None),
        (299, None),
        (-299, None),
        (305, Severity.WARNING),
        (-305, Severity.WARNING),
        (895, Severity.WARNING),
        (905, Severity.ERROR),
        (-905, Severity.ERROR),
        (28800, Severity.ERROR),
    ],
)
def test_how_far_clocks_may_be_apart(seconds: int, severity: Severity | None) -> None:
    for one, clock in ((at(proxy=seconds), "proxy"), (at(device=seconds), "device")):
        found = told(one)
        assert (found.severity if found else None) == severity
        if found is not None:
            assert (found.evidence["clock"], found.evidence["against"]) == (clock, "server")
            assert abs(found.evidence["seconds"] - seconds) <= 2
            assert ("ahead of" in found.detail) is (seconds > 0)


@pytest.mark.parametrize(
    ("clocks", "clock"),
    [
        ({"proxy": HOUR, "device": 0}, "proxy"),
        ({"proxy": -HOUR, "device": 0}, "proxy"),
        ({"proxy": HOUR, "device": HOUR}, "device and proxy"),
        ({"proxy": -HOUR, "device": 2 * HOUR}, "device and proxy"),
        ({"device": HOUR}, "device"),
        ({"date": 8 * HOUR}, "date"),
        ({"date": 8 * HOUR, "device": 0}, "date"),
        ({"arrival": -HOUR}, "request id"),
        ({"proxy": 0, "device": 0}, None),
    ],
)
def test_who_is_wrong(clocks: dict[str, float], clock: str | None) -> None:
    found = told(at(**clocks))
    assert (found.evidence["clock"] if found else None) == clock


@given(st.tuples(*[st.integers(-100_000, 100_000)] * 4))
def test_there_is_never_more_than_one_finding(seconds: tuple[int, ...]) -> None:
    proxy, device, date, arrival = seconds
    found = told(at(proxy=proxy, device=device, date=date, arrival=arrival))
    if found is not None:
        largest = max(abs(found.evidence["seconds"]), abs(found.evidence.get("proxy_seconds") or 0))
        assert (found.severity is Severity.ERROR) is (largest >= 900)
    else:
        assert max(seconds) - min(seconds) <= 3 * 302


def test_a_signature_that_begins_in_the_future_shows_the_devices_clock() -> None:
    one = exchange("GET", "/?acl", headers=(signed(CLOCK + 1000),))
    found = findings(one)["clock-skew"]
    assert (found.evidence["clock"], found.evidence["seconds"]) == ("device", 1000)


@pytest.mark.parametrize("age", [400, 3000, 80_000])
def test_a_signature_that_still_holds_is_none(age: int) -> None:
    """An app may use one for as long as it holds."""
    one = exchange("GET", "/?acl", headers=(signed(CLOCK - age, CLOCK + 100),))
    assert told(one) is None
    refused = exchange(
        "GET", "/?acl", headers=(signed(CLOCK - age, CLOCK + 100),), status=403, answer=error_xml()
    )
    assert told(refused) is None


def test_a_signature_that_is_refused_for_its_time_is_one() -> None:
    found = told(expired(CLOCK - 5000))
    assert found is not None
    assert found.evidence["clock"] == "device"
    assert "or its signature was made long before" in found.detail.lower()


def test_one_wrong_date_is_one_finding_that_names_it() -> None:
    marks = (SERVER, ("Date", "Thu, 02 Jan 2020 17:39:45 GMT"), ("x-cos-request-id", REQUEST_ID))
    one = exchange("GET", "/?acl", headers=(signed(CLOCK),), marks=marks)
    found = findings(one)
    assert found.keys() == {"clock-skew"}
    assert found["clock-skew"].evidence["clock"] == "date"


@pytest.mark.parametrize(
    "date",
    [
        "Thu Jan  2 17:39:45 2020",
        "yesterday",
        "",
        "Thu, 32 Jan 2020 09:39:45 GMT",
        "Thu, 02 Jan 20200 09:39:45 GMT",
    ],
)
def test_a_date_that_cannot_be_read_is_no_clock(date: str) -> None:
    marks = (SERVER, ("Date", date), ("x-cos-request-id", REQUEST_ID))
    assert told(exchange("GET", "/?acl", marks=marks)) is None


def test_without_a_date_the_request_id_is_the_clock() -> None:
    marks = (SERVER, ("x-cos-request-id", REQUEST_ID))
    assert told(exchange("GET", "/?acl", marks=marks, clock=CLOCK + 3600)) is not None
    assert told(exchange("GET", "/?acl", marks=marks)) is None


def test_without_an_answer_the_device_is_held_against_the_proxy() -> None:
    one = exchange(headers=(signed(CLOCK + 3600),), status=None, error="reset")
    assert findings(one)["clock-skew"].evidence["against"] == "proxy"
    earlier = exchange(headers=(signed(CLOCK - 3600, CLOCK + 60),), status=None, error="reset")
    assert told(earlier) is None


def test_a_signature_in_the_query_may_be_of_any_age() -> None:
    for start, end in ((CLOCK - 50_000, CLOCK + 50_000), (CLOCK + 3600, CLOCK + 7200)):
        text = signed(start, end)[1].replace(";", "%3B")
        assert told(exchange("GET", f"/?acl&{text}")) is None


@pytest.mark.parametrize("arrival", [CLOCK - 1999, CLOCK - 600], ids=["passed on", "kept first"])
def test_slow_transfers_take_their_time(arrival: float) -> None:
    """A proxy passes a body on as it comes, or keeps it until it is whole."""
    one = exchange(
        "PUT",
        headers=(signed(CLOCK - 2000),),
        body=CONTENT,
        clock=CLOCK - 2000,
        took=2001,
        marks=(SERVER, ("Date", DATE), ("x-cos-request-id", request_id(arrival))),
        answer_headers=(("ETag", ETAG), ("x-cos-hash-crc64ecma", CRC64)),
    )
    assert list(findings(one)) == ["slow-transfer"]

"""Edges of the rules about ids and clocks."""

import base64

import pytest

from cos_inspect.model.flow_report import Severity
from tests.rules.exchanges import (
    CLOCK,
    CONTENT,
    CRC64,
    DATE,
    ETAG,
    HOST,
    MARKS,
    REQUEST_ID,
    TRACE_ID,
    Fields,
    error_xml,
    exchange,
    findings,
)

SERVER = ("Server", "tencent-cos")
CI_HOST = "ci.ap-beijing.myqcloud.com"


def request_id(time: float) -> str:
    return base64.b64encode(f"{int(time):08x}_64b82a09_1ad7e_36a12".encode()).decode()


def signed(start: float, end: float | None = None) -> tuple[str, str]:
    window = f"{int(start)};{int(end or start + 900)}"
    return (
        "Authorization",
        f"q-sign-algorithm=sha1&q-ak=AKID&q-sign-time={window}&q-key-time={window}"
        "&q-header-list=host&q-url-param-list=&q-signature=28e9a4986df11bed0255e97ff90500557e0e057a",
    )


@pytest.mark.parametrize(
    ("status", "header", "body", "severity"),
    [
        (404, TRACE_ID, TRACE_ID, None),
        (404, TRACE_ID, "", None),
        (404, "", TRACE_ID, Severity.NOTICE),
        (404, "", "", Severity.WARNING),
        (503, "", "", Severity.WARNING),
        (304, "", "", None),
        (302, "", "", None),
        (200, "", "", None),
    ],
)
def test_where_a_trace_id_is_awaited(
    status: int, header: str, body: str, severity: Severity | None
) -> None:
    one = exchange(
        "GET",
        "/?acl",
        status=status,
        answer_headers=(("x-cos-trace-id", header),) if header else (),
        answer=error_xml(trace=body),
    )
    found = findings(one).get("trace-id-missing")
    assert (found.severity if found else None) == severity


@pytest.mark.parametrize("status", [400, 403, 404, 405, 500, 503])
def test_a_head_cannot_say_more_without_a_trace_id(status: int) -> None:
    found = findings(exchange("HEAD", "/o", status=status))["trace-id-missing"]
    assert found.severity is Severity.NOTICE
    assert "HEAD" in found.detail
    assert "GET" in found.fix
    one = exchange("HEAD", "/o", status=status, answer_headers=(("x-cos-trace-id", TRACE_ID),))
    assert "trace-id-missing" not in findings(one)


def test_an_empty_trace_id_is_none() -> None:
    one = exchange(status=404, answer_headers=(("x-cos-trace-id", ""),), answer=error_xml())
    assert findings(one)["trace-id-missing"].severity is Severity.WARNING


@pytest.mark.parametrize("name", ["x-amz-request-id", "x-ci-request-id", "x-cos-request-id"])
def test_any_of_the_names_of_a_request_id_will_do(name: str) -> None:
    marks = (SERVER, ("Date", DATE), (name, REQUEST_ID))
    assert "request-id-missing" not in findings(exchange("GET", "/?acl", marks=marks))


@pytest.mark.parametrize("value", [None, ""])
def test_a_request_id_is_missed(value: str | None) -> None:
    marks: Fields = (SERVER, ("Date", DATE))
    if value is not None:
        marks = (*marks, ("x-cos-request-id", value))
    found = findings(exchange("GET", "/?acl", marks=marks))
    assert "request-id-missing" in found


def test_a_request_id_in_the_body_is_mentioned() -> None:
    marks = (SERVER, ("Date", DATE))
    found = findings(exchange(status=404, marks=marks, answer=error_xml()))
    assert "the error's body has one" in found["request-id-missing"].detail
    assert "request-id-mismatch" not in found


def test_ids_of_header_and_body() -> None:
    other = request_id(CLOCK + 1)
    found = findings(exchange(status=404, answer=error_xml(request_id=other)))
    assert found["request-id-mismatch"].evidence == {
        "what": "request id",
        "header": REQUEST_ID,
        "body": other,
    }
    same = exchange(
        status=404,
        answer_headers=(("x-cos-trace-id", TRACE_ID),),
        answer=error_xml(trace=TRACE_ID),
    )
    assert findings(same).keys() == {"error-response"}


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
    by_signature = exchange("GET", "/?acl", headers=(signed(CLOCK + seconds),))
    by_proxy = exchange("GET", "/?acl", clock=CLOCK + seconds)
    for one in (by_signature, by_proxy):
        found = findings(one).get("clock-skew")
        assert (found.severity if found else None) == severity
    if severity is not None:
        found = findings(by_signature)["clock-skew"]
        assert found.evidence["clock"] == "device"
        assert ("ahead of" in found.detail) is (seconds > 0)
        assert findings(by_proxy)["clock-skew"].evidence["against"] == "proxy"


def test_one_wrong_date_is_one_finding_that_names_it() -> None:
    marks = (SERVER, ("Date", "Thu, 02 Jan 2020 17:39:45 GMT"), ("x-cos-request-id", REQUEST_ID))
    one = exchange("GET", "/?acl", headers=(signed(CLOCK),), marks=marks)
    found = findings(one)
    assert found.keys() == {"clock-skew"}
    assert found["clock-skew"].evidence["clock"] == "request id"


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
    assert "clock-skew" not in findings(exchange("GET", "/?acl", marks=marks))


def test_without_a_date_the_request_id_is_the_clock() -> None:
    marks = (SERVER, ("x-cos-request-id", REQUEST_ID))
    assert "clock-skew" in findings(exchange("GET", "/?acl", marks=marks, clock=CLOCK + 3600))
    assert "clock-skew" not in findings(exchange("GET", "/?acl", marks=marks))


def test_without_an_answer_the_device_is_held_against_the_proxy() -> None:
    one = exchange(headers=(signed(CLOCK - 3600),), status=None, error="reset")
    assert findings(one)["clock-skew"].evidence["against"] == "proxy"


def test_a_signature_in_the_query_may_be_of_any_age() -> None:
    text = signed(CLOCK - 50_000, CLOCK + 50_000)[1].replace(";", "%3B")
    assert "clock-skew" not in findings(exchange("GET", f"/?acl&{text}"))


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


@pytest.mark.parametrize(
    ("host", "status", "told"),
    [
        (HOST, 200, True),
        (HOST, 302, True),
        (HOST, 403, True),
        (HOST, 502, True),
        (HOST.replace(".cos.", ".cos-website."), 404, True),
        (HOST.replace(".cos.", ".cos-website."), 200, False),
        (HOST.replace("cos.ap-beijing", "file"), 200, False),
        (HOST.replace("cos.ap-beijing", "file"), 404, True),
        ("gz.file.myqcloud.com", 200, False),
        ("ap-beijing.migration.myqcloud.com", 200, False),
        (CI_HOST, 200, True),
    ],
)
def test_who_must_show_that_it_is_cos(host: str, status: int, told: bool) -> None:
    one = exchange(host=host, status=status, marks=(("Server", "nginx"),), answer=b"<html>")
    assert ("not-from-cos" in findings(one)) is told
    # Such an answer is nothing that COS could be blamed for.
    assert "error-response" not in findings(one)
    assert "request-id-missing" not in findings(one)


def test_an_error_that_names_a_request_id_is_from_cos_without_any_header() -> None:
    assert "not-from-cos" not in findings(exchange(status=404, marks=(), answer=error_xml()))


def test_a_success_with_a_trace_id_is_told_only_there() -> None:
    trace = (("x-cos-trace-id", TRACE_ID),)
    assert "trace-id-on-success" in findings(
        exchange("DELETE", "/?cors", status=204, answer_headers=trace)
    )
    assert "trace-id-on-success" not in findings(
        exchange("HEAD", status=304, answer_headers=trace, marks=MARKS)
    )

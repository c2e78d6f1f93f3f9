"""Edges of the rules about ids and who answered."""

import base64

import pytest

from cos_inspect.model.flow_report import Severity
from tests.rules.exchanges import (
    CLOCK,
    DATE,
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

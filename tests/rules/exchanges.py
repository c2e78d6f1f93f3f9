"""Exchanges for tests of rules: a good one, of which a test changes what it is about."""

from cos_inspect.inspection.first_look import FirstLook, first_look
from cos_inspect.model.exchange import BodyEnd, Exchange
from cos_inspect.model.flow_report import Check, Finding
from cos_inspect.model.headers import Headers
from tests.captures_reader import build_exchange

HOST = "examplebucket-1250000000.cos.ap-beijing.myqcloud.com"
CLOCK = 1577957984.0
"""2020-01-02T09:39:44Z, which is also the time in the request id."""
DATE = "Thu, 02 Jan 2020 09:39:45 GMT"
REQUEST_ID = "NWUwZGJhNjBfNjRiODJhMDlfMWFkN2VfMzZhMTI="
TRACE_ID = (
    "OGVmYzZiMmQzYjA2OWNhODk0NTRkMTBiOWVmMDAxODc0OWRkZjk0ZDM1NmI1M2E2MTRlY2MzZDhmNmI5MWI1OTQy"
    "YWVlY2QwZTk2MDVmZDQ3MmI2Y2I4ZmI5ZmM4ODFjYjEzMGU3N2I0OTJjYTAwYWExNjJhODI1NTRkOGZlM2Y="
)
CONTENT = b"[Object Content]"
ETAG = '"ee8de918d05640145b18f70f4c3aa602"'
CRC64 = "16749565679157681890"
MARKS = (("Server", "tencent-cos"), ("Date", DATE), ("x-cos-request-id", REQUEST_ID))

Fields = tuple[tuple[str, str], ...]


def exchange(
    method: str = "GET",
    target: str = "/exampleobject",
    *,
    host: str = HOST,
    scheme: str = "https",
    headers: Fields = (),
    body: bytes = b"",
    body_end: BodyEnd = BodyEnd.COMPLETE,
    status: int | None = 200,
    answer_headers: Fields = (),
    answer: bytes = b"",
    answer_end: BodyEnd = BodyEnd.COMPLETE,
    marks: Fields = MARKS,
    clock: float = CLOCK,
    took: float = 0.2,
    error: str | None = None,
) -> Exchange:
    """``marks`` are the answer's headers that show COS; ``status`` None: no answer."""
    return build_exchange(
        flow_id="3f2a9c1b-0000-4000-8000-000000000000",
        method=method,
        scheme=scheme,
        host=host,
        target=target,
        headers=Headers((("Host", host), *headers)),
        content=body,
        request_end=body_end,
        response=None
        if status is None
        else ("HTTP/1.1", status, "", Headers((*marks, *answer_headers)), answer),
        response_end=answer_end,
        clock=clock,
        took=took,
        error=error,
    )


def inspected(one: Exchange) -> FirstLook:
    inspection = first_look(one, redact=False)
    assert inspection is not None
    return inspection


def findings(one: Exchange) -> dict[str, Finding]:
    """By rule; the last one where a rule found several things."""
    return {finding.rule: finding for finding in inspected(one).report.findings}


def checks(one: Exchange, name: str, side: str) -> list[Check]:
    """All checks of that name on that side, in order."""
    return [
        check
        for check in inspected(one).report.checks
        if check.check == name and check.body == side
    ]


def check(one: Exchange, name: str, side: str) -> Check:
    """The only check of that name on that side."""
    (found,) = checks(one, name, side)
    return found


def error_xml(
    code: str = "NoSuchKey",
    message: str = "what went wrong",
    *,
    request_id: str = REQUEST_ID,
    trace: str = "",
) -> bytes:
    return (
        f"<?xml version='1.0' encoding='utf-8' ?>\n<Error><Code>{code}</Code>"
        f"<Message>{message}</Message><Resource>{HOST}/exampleobject</Resource>"
        f"<RequestId>{request_id}</RequestId><TraceId>{trace}</TraceId></Error>"
    ).encode()

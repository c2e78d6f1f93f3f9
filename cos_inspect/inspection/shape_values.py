"""The values that differ between exchanges of one shape, read; and what is told of them."""

import base64
import re
from functools import lru_cache
from typing import NamedTuple

from cos_inspect.cos.clock import http_date
from cos_inspect.cos.header_syntax import CHECKERS
from cos_inspect.cos.headers import AnnotatedHeader
from cos_inspect.cos.request_id import trace_id_well_formed
from cos_inspect.model.exchange import Body, Exchange
from cos_inspect.model.flow_report import Check, HeaderReport

_REQUEST_ID = re.compile(r"[A-Za-z0-9+/]{8,200}={0,2}")
_date = CHECKERS["date"]
Fields = tuple[tuple[str, str], ...]


class Values(NamedTuple):
    """What the headers say that differ, read; None where one is not there."""

    announced: int | None
    """Content-Length of the request."""
    content_md5: str | None
    answered: int | None
    """Content-Length of the answer."""
    etag: str | None
    crc64: int | None
    date: float | None
    made: float | None
    """Last-Modified."""
    request_id: str | None
    trace_id: str | None


def values_of(exchange: Exchange, body: Body) -> Values | None:
    """None where one of them does not fit. ``body`` is the object's."""
    request, response = exchange.request, exchange.response
    if response is None:
        return None
    sent, answered = request.headers.get, response.headers.get
    announced, length = sent("content-length"), answered("content-length")
    if announced is not None and announced != str(request.body.size):
        return None
    if length is not None and length != str(response.body.size):
        return None
    md5 = sent("content-md5")
    if md5 is not None and md5 != _in_base64(request.body.md5):
        return None
    etag = answered("etag")
    if etag is not None and (body.md5 is None or etag != f'"{body.md5}"'):
        return None
    crc64 = answered("x-cos-hash-crc64ecma")
    if crc64 is not None and (body.crc64 is None or crc64 != str(body.crc64)):
        return None
    date = _moment(answered("date"))
    made = _moment(answered("last-modified"))
    request_id = answered("x-cos-request-id")
    trace_id = answered("x-cos-trace-id")
    if (
        date == _ODD
        or made == _ODD
        or (request_id is not None and _REQUEST_ID.fullmatch(request_id) is None)
        or (trace_id is not None and not trace_id_well_formed(trace_id))
    ):
        return None
    return Values(
        None if announced is None else request.body.size,
        md5,
        None if length is None else response.body.size,
        etag,
        None if crc64 is None else body.crc64,
        date,
        made,
        request_id,
        trace_id,
    )


_ODD = -1.0


@lru_cache(maxsize=256)
def _moment(value: str | None) -> float | None:
    """``_ODD`` where it is no time, or oddly written."""
    if value is None:
        return None
    moment = None if len(value) > 64 or _date(value) else http_date(value)
    return _ODD if moment is None or moment < 0 else moment


def _in_base64(md5: str | None) -> str | None:
    return None if md5 is None else base64.b64encode(bytes.fromhex(md5)).decode()


def check_of(check: Check, exchange: Exchange, read: Values) -> Check:
    """The same check of another exchange."""
    if check.status != "match":
        return check
    body = exchange.request.body
    if check.body == "response" and exchange.response is not None:
        body = exchange.response.body
    match check.check:
        case "etag":
            expected: str | None = read.etag
            actual: str | None = f'"{body.md5}"'
        case "crc64":
            expected = actual = str(body.crc64)
        case "content-length":
            expected = actual = str(body.size)
        case _:
            expected = actual = read.content_md5
    return Check(
        check=check.check, body=check.body, status="match", expected=expected, actual=actual
    )


def annotated(
    headers: tuple[AnnotatedHeader, ...], others: tuple[tuple[int, str], ...], fields: Fields
) -> tuple[AnnotatedHeader, ...]:
    """What is known of headers, with other values at the places of ``others``."""
    if not others:
        return headers
    found = list(headers)
    for at, _ in others:
        old = found[at]
        found[at] = AnnotatedHeader(old.name, fields[at][1], old.fact, old.issues, old.remarks)
    return tuple(found)


def header_reports(
    headers: list[HeaderReport],
    others: tuple[tuple[int, str], ...],
    fields: Fields,
    authorization: str | None = None,
) -> list[HeaderReport]:
    """The same of what is told of them; ``authorization``: its value without the secret."""
    found = headers.copy()
    for at, name in others:
        old = found[at]
        value = fields[at][1]
        if name == "authorization" and authorization is not None:
            value = authorization
        found[at] = HeaderReport(
            old.name, value, old.category, old.meaning, old.issues, old.redacted
        )
    return found

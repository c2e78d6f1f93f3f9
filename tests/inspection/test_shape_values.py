"""The values that differ between exchanges of one shape."""

import pytest

from cos_inspect.inspection.shape_values import Values, check_of, values_of
from cos_inspect.model.exchange import Exchange
from cos_inspect.model.flow_report import Check
from tests.rules.exchanges import CLOCK, CONTENT, CRC64, ETAG, REQUEST_ID, TRACE_ID, exchange

GOOD = {
    "Content-Length": "16",
    "ETag": ETAG,
    "x-cos-hash-crc64ecma": CRC64,
    "Last-Modified": "Wed, 01 Jan 2020 00:00:00 GMT",
    "x-cos-trace-id": TRACE_ID,
}


def got(**changed: str) -> Exchange:
    headers = GOOD | {name.replace("_", "-"): value for name, value in changed.items()}
    return exchange(answer=CONTENT, answer_headers=tuple(headers.items()))


def read(one: Exchange) -> Values | None:
    assert one.response is not None
    return values_of(one, one.response.body)


def test_what_fits_the_body_is_read() -> None:
    assert read(got()) == Values(
        announced=None,
        content_md5=None,
        answered=16,
        etag=ETAG,
        crc64=int(CRC64),
        date=CLOCK + 1,
        made=1577836800.0,
        request_id=REQUEST_ID,
        trace_id=TRACE_ID,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content_Length", "17"),
        ("Content_Length", "016"),
        ("ETag", ETAG.upper()),
        ("ETag", ETAG.strip('"')),
        ("x_cos_hash_crc64ecma", f"0{CRC64}"),
        ("Last_Modified", "yesterday"),
        ("Last_Modified", "Wednesday, 01-Jan-20 00:00:00 GMT"),
        ("x_cos_trace_id", TRACE_ID[:-4]),
        ("x_cos_trace_id", ""),
    ],
)
def test_what_does_not_is_not(name: str, value: str) -> None:
    assert read(got(**{name: value})) is None


def test_a_check_of_another_body() -> None:
    one = got()
    values = read(one)
    assert values is not None
    was = Check(check="etag", body="response", status="match", expected='"0"', actual='"0"')
    found = check_of(was, one, values)
    assert (found.expected, found.actual) == (ETAG, ETAG)
    skipped = Check(check="etag", body="response", status="skipped", reason="no-header")
    assert check_of(skipped, one, values) is skipped

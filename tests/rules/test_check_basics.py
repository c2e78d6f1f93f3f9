import pytest

from cos_inspect.cos.header_values import read_crc64
from cos_inspect.model.exchange import Body, BodyEnd
from cos_inspect.model.headers import Headers
from cos_inspect.rules.check_basics import (
    absence,
    compared,
    same_crc,
    same_etag,
    short,
    skipped,
    why_unread,
)

MD5 = "444bcb3a3fcf8389296c49467f27e1d6"


def test_a_check_says_what_was_compared_or_why_not() -> None:
    assert compared("crc64", "response", "1", "1", same=True).status == "match"
    assert compared("crc64", "response", "1", "2", same=False).status == "mismatch"
    left = skipped("crc64", "response", "incomplete", "1")
    assert (left.status, left.reason, left.expected) == ("skipped", "incomplete", "1")


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (BodyEnd.NOT_CAPTURED, "not-captured"),
        (BodyEnd.NOT_INSPECTED, "not-inspected"),
        (BodyEnd.RE_ENCODED, "re-encoded"),
        (BodyEnd.CUT, "incomplete"),
        (BodyEnd.STOPPED, "proxy-stopped"),
        (BodyEnd.COMPLETE, None),
    ],
)
def test_every_end_of_a_body_is_known(end: BodyEnd, reason: str | None) -> None:
    assert absence(Body(end=end, size=5), Headers([])) == reason


def test_a_body_shorter_than_was_announced_is_not_whole() -> None:
    headers = Headers([("Content-Length", "6")])
    assert absence(Body(size=5), headers) == "incomplete"
    assert absence(Body(size=6), headers) is None


def test_why_a_header_says_nothing() -> None:
    name = "x-cos-hash-crc64ecma"
    assert why_unread(Headers([]), name, read_crc64) is None
    assert why_unread(Headers([(name, "1")]), name, read_crc64) is None
    assert why_unread(Headers([(name, "one")]), name, read_crc64) == "malformed"


def test_values_are_compared_as_read() -> None:
    assert same_etag(f'"{MD5.upper()}"', MD5)
    assert not same_etag(f'"{MD5}-2"', MD5)
    assert not same_etag("", MD5)
    assert same_crc(" 7 ", 7)
    assert not same_crc("07", 7)


def test_what_is_shown_is_bounded() -> None:
    assert short(None) is None
    assert short("abc") == "abc"
    assert len(short("a" * 10_000) or "") <= 201

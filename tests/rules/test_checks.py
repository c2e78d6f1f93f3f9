"""Edges of single comparisons; the common ones are captures."""

import pytest

from cos_inspect.inspection.first_look import first_look
from cos_inspect.model.exchange import BodyEnd, Exchange
from cos_inspect.model.flow_report import Side
from tests.rules.exchanges import (
    CONTENT,
    CRC64,
    ETAG,
    MARKS,
    check,
    checks,
    exchange,
)

GOOD = (("ETag", ETAG), ("x-cos-hash-crc64ecma", CRC64))


@pytest.mark.parametrize(
    ("length", "status", "reason"),
    [
        ("16", "match", None),
        (" 16 ", "match", None),
        ("016", "match", None),
        ("17", "mismatch", None),
        ("15", "mismatch", None),
        ("", "skipped", "malformed"),
        ("16, 16", "skipped", "malformed"),
        ("-16", "skipped", "malformed"),
        ("²", "skipped", "malformed"),
        ("9" * 5000, "skipped", "malformed"),
    ],
)
def test_content_length(length: str, status: str, reason: str | None) -> None:
    found = check(
        exchange(answer_headers=(("Content-Length", length),), answer=CONTENT),
        "content-length",
        "response",
    )
    assert (found.status, found.reason) == (status, reason)


def test_content_length_of_a_cut_body_that_is_nearly_whole() -> None:
    one = exchange(
        answer_headers=(("Content-Length", "16"),), answer=CONTENT, answer_end=BodyEnd.CUT
    )
    assert check(one, "content-length", "response").reason == "incomplete"


def test_a_get_without_body_has_no_checks_of_its_request() -> None:
    one = exchange(answer_headers=GOOD, answer=CONTENT)
    assert not checks(one, "content-length", "request")
    assert not checks(one, "content-md5", "request")


NO_MD5 = ("", "7o3pGNBW", "7o3pGNBWQBRbGPcPTDqmAg", "not base64 at all", "ee8d" * 8)


def malformed(one: Exchange, name: str, side: Side) -> bool:
    found = check(one, name, side)
    return (found.status, found.reason) == ("skipped", "malformed")


@pytest.mark.parametrize("value", NO_MD5)
def test_a_customer_key_md5_that_cannot_be_read_is_no_other_one(value: str) -> None:
    prefix = "x-cos-server-side-encryption-customer"
    mine = (
        (f"{prefix}-algorithm", "AES256"),
        (f"{prefix}-key", "MDEyMzQ1Njc4OUFCQ0RFRjAxMjM0NTY3ODlBQkNERUY="),
    )
    right, wrong = (f"{prefix}-key-MD5", "U5L61r7jcwdNvT7frmUG8g=="), (f"{prefix}-key-MD5", value)
    if value:
        one = exchange(headers=(*mine, wrong), answer=CONTENT)
        assert malformed(one, "sse-customer-key-md5", "request")
        one = exchange(headers=(*mine, right), answer_headers=(mine[0], wrong), answer=CONTENT)
        assert malformed(one, "sse-customer-key-md5", "response")


@pytest.mark.parametrize(
    "key", ["not base64 at all", "0123456789ABCDEF0123456789ABCDEF", "MDEyMw=="]
)
def test_a_customer_key_that_is_none_is_compared_with_nothing(key: str) -> None:
    prefix = "x-cos-server-side-encryption-customer"
    fields = (
        (f"{prefix}-algorithm", "AES256"),
        (f"{prefix}-key", key),
        (f"{prefix}-key-MD5", "U5L61r7jcwdNvT7frmUG8g=="),
    )
    assert malformed(exchange(headers=fields), "sse-customer-key-md5", "request")


def test_content_length_beside_transfer_encoding_says_nothing() -> None:
    both = (("Content-Length", "17"), ("Transfer-Encoding", "chunked"))
    one = exchange(answer_headers=both, answer=CONTENT)
    assert malformed(one, "content-length", "response")


LONG = "1" * 65_537
MANY = tuple((f"x-filler-{number}", "") for number in range(10_000))


@pytest.mark.parametrize(
    ("name", "header", "side"),
    [
        ("content-length", "Content-Length", "response"),
        ("etag", "ETag", "response"),
        ("crc64", "x-cos-hash-crc64ecma", "response"),
    ],
)
def test_a_header_beyond_all_bounds_is_not_inspected(name: str, header: str, side: Side) -> None:
    long = exchange(answer_headers=((header, LONG),), answer=CONTENT)
    assert check(long, name, side).reason == "not-inspected"
    good = {"Content-Length": "17", "ETag": ETAG, "x-cos-hash-crc64ecma": "5"}
    late = exchange(answer_headers=(*MANY, (header, good[header])), answer=CONTENT)
    assert check(late, name, side).reason == "not-inspected"


def test_a_request_beyond_all_bounds_is_not_inspected() -> None:
    wrong = (("Content-MD5", LONG), ("Authorization", f"q-sign-algorithm=sha1&q-ak={LONG}"))
    one = exchange("PUT", headers=wrong, body=CONTENT)
    assert check(one, "content-md5", "request").reason == "not-inspected"
    assert check(one, "signature", "request").reason == "not-inspected"
    late = (*MANY, ("Content-MD5", "7o3pGNBWQBRbGPcPTDqmAg=="))
    one = exchange("PUT", headers=late, body=b"[Object content]")
    assert check(one, "content-md5", "request").reason == "not-inspected"


def test_a_form_has_the_content_md5_of_its_file() -> None:
    form = (
        b'--x\r\nContent-Disposition: form-data; name="Content-MD5"\r\n\r\n'
        b"7o3pGNBWQBRbGPcPTDqmAg==\r\n"
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        b"[Object Content]\r\n--x--\r\n"
    )
    one = exchange(
        "POST",
        "/",
        headers=(("Content-Type", "multipart/form-data; boundary=x"),),
        body=form,
        status=204,
        answer_headers=GOOD,
    )
    assert check(one, "content-md5", "request").status == "match"
    assert check(one, "etag", "request").status == "match"
    damaged = exchange(
        "POST",
        "/",
        headers=(("Content-Type", "multipart/form-data; boundary=x"),),
        body=form.replace(b"[Object Content]", b"[Object content]"),
        status=204,
        answer_headers=GOOD,
    )
    assert check(damaged, "content-md5", "request").status == "mismatch"
    assert check(damaged, "crc64", "request").status == "mismatch"


@pytest.mark.parametrize(
    "md5", ["7o3pGNBWQBRbGPcPTDqmAg==", "Y2dC6LJzNIeIQ6gOvgvpbQ=="], ids=["payload", "other"]
)
def test_aws_chunked_content_md5_may_be_of_the_payload(md5: str) -> None:
    one = exchange(
        "PUT",
        headers=(
            ("Content-MD5", md5),
            ("Content-Encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", "16"),
        ),
        body=b"10\r\n[Object Content]\r\n0\r\n\r\n",
        answer_headers=GOOD,
    )
    expected = "match" if md5.startswith("7o3p") else "mismatch"
    assert check(one, "content-md5", "request").status == expected


@pytest.mark.parametrize("md5", NO_MD5)
def test_a_content_md5_that_cannot_be_read_is_no_other_one(md5: str) -> None:
    one = exchange("PUT", headers=(("Content-MD5", md5),), body=CONTENT, answer_headers=GOOD)
    assert malformed(one, "content-md5", "request")


def test_both_customer_keys_of_a_copy_are_checked() -> None:
    key = "MDEyMzQ1Njc4OUFCQ0RFRjAxMjM0NTY3ODlBQkNERUY="
    prefix, source = "x-cos-server-side-encryption", "x-cos-copy-source-server-side-encryption"
    one = exchange(
        "PUT",
        headers=(
            ("x-cos-copy-source", "b-1250000000.cos.ap-beijing.myqcloud.com/a"),
            (f"{prefix}-customer-algorithm", "AES256"),
            (f"{prefix}-customer-key", key),
            (f"{prefix}-customer-key-MD5", "U5L61r7jcwdNvT7frmUG8g=="),
            (f"{source}-customer-algorithm", "AES256"),
            (f"{source}-customer-key", key),
            (f"{source}-customer-key-MD5", "hRasmdxgYDKV3nvbahU1MA=="),
        ),
        answer_headers=(
            (f"{prefix}-customer-algorithm", "AES256"),
            (f"{prefix}-customer-key-MD5", "U5L61r7jcwdNvT7frmUG8g=="),
        ),
        answer=b"<CopyObjectResult/>",
    )
    assert [found.status for found in checks(one, "sse-customer-key-md5", "request")] == [
        "match",
        "mismatch",
    ]
    assert check(one, "sse-customer-key-md5", "response").status == "match"


def test_an_unsigned_request_has_no_signature_check() -> None:
    assert not checks(exchange(), "signature", "request")
    assert (
        check(
            exchange(headers=(("Authorization", "Bearer x"),), marks=MARKS), "signature", "request"
        ).reason
        == "unsupported"
    )


def test_a_signature_over_a_query_that_is_read_in_part_is_not_judged() -> None:
    signed = (
        "q-sign-algorithm=sha1&q-ak=AKIDexample&q-sign-time=1;2&q-key-time=1;2"
        f"&q-header-list=&q-url-param-list=a&q-signature={'0' * 40}"
    )
    for count, reason in ((10, None), (20_000, "not-inspected")):
        one = exchange(target=f"/k?{'a=b&' * count}", headers=(("Authorization", signed),))
        look = first_look(one, keys={"AKIDexample": "example"})
        assert look is not None
        (check,) = [each for each in look.report.checks if each.check == "signature"]
        assert check.reason == reason
        rules = {finding.rule for finding in look.report.findings}
        assert ("signature-mismatch" in rules) == (reason is None)

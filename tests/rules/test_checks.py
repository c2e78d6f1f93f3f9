"""Edges of single comparisons; the common ones are captures."""

import pytest

from cos_inspect.model.exchange import BodyEnd, Exchange
from cos_inspect.model.flow_report import Side
from tests.rules.exchanges import (
    CONTENT,
    CRC64,
    ETAG,
    MARKS,
    check,
    checks,
    error_xml,
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


@pytest.mark.parametrize(
    "etag",
    [ETAG, ETAG.strip('"'), ETAG.upper(), f"W/{ETAG}"],
    ids=["plain", "bare", "upper", "weak"],
)
def test_spelling_of_the_etag_does_not_matter(etag: str) -> None:
    assert (
        check(exchange(answer_headers=(("ETag", etag),), answer=CONTENT), "etag", "response").status
        == "match"
    )


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (CRC64, "match"),
        (f" {CRC64} ", "match"),
        (CRC64[:-1], "mismatch"),
        ("0", "mismatch"),
    ],
)
def test_odd_crc64_values_are_compared_all_the_same(value: str, status: str) -> None:
    one = exchange(answer_headers=(("x-cos-hash-crc64ecma", value),), answer=CONTENT)
    assert check(one, "crc64", "response").status == status


NO_CRC64 = (
    "", " ", "-1", "-5", "+5", "abcdef", "0xE87225A1", "1_0", "१२", str(2**64), "9" * 5000,
    "007", f"0{CRC64[:-1]}", f"0{CRC64}", f"{CRC64}, {CRC64}",
)  # fmt: skip
NO_MD5 = ("", "7o3pGNBW", "7o3pGNBWQBRbGPcPTDqmAg", "not base64 at all", "ee8d" * 8)
NO_ETAG = ("", '""', '"abcdef"', "abcdef", '"ee8de918d05640145b18f70f4c3aa602-0"', "x" * 300)


def malformed(one: Exchange, name: str, side: Side) -> bool:
    found = check(one, name, side)
    return (found.status, found.reason) == ("skipped", "malformed")


@pytest.mark.parametrize("value", NO_CRC64)
def test_a_crc64_that_cannot_be_read_is_no_other_one(value: str) -> None:
    told = (("x-cos-hash-crc64ecma", value),)
    assert malformed(exchange(answer_headers=told, answer=CONTENT), "crc64", "response")
    sent = exchange("PUT", body=CONTENT, answer_headers=told)
    assert malformed(sent, "crc64", "request")
    append = "/exampleobject?append&position=0"
    one = exchange("POST", append, body=CONTENT, answer_headers=told)
    assert malformed(one, "append-crc64", "request")
    ranged = (*told, ("Content-Range", "bytes 0-15/32"))
    one = exchange(status=206, answer_headers=ranged, answer=CONTENT)
    assert malformed(one, "range-crc64", "response")


@pytest.mark.parametrize("value", NO_ETAG)
def test_an_etag_that_cannot_be_read_is_no_other_one(value: str) -> None:
    told = (("ETag", value),)
    assert malformed(exchange(answer_headers=told, answer=CONTENT), "etag", "response")
    assert malformed(exchange("PUT", body=CONTENT, answer_headers=told), "etag", "request")


def test_a_weak_etag_of_a_cache_is_no_md5() -> None:
    one = exchange(answer_headers=(("ETag", 'W/"5f1c-17"'),), answer=CONTENT)
    assert check(one, "etag", "response").reason == "not-md5"


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


def test_both_digests_of_an_empty_object() -> None:
    one = exchange(
        "PUT",
        headers=(("Content-Length", "0"),),
        answer_headers=(
            ("ETag", '"d41d8cd98f00b204e9800998ecf8427e"'),
            ("x-cos-hash-crc64ecma", "0"),
        ),
    )
    assert check(one, "etag", "request").status == "match"
    assert check(one, "crc64", "request").status == "match"


@pytest.mark.parametrize(
    ("content_range", "reason"),
    [
        ("bytes 0-15/16", None),
        ("bytes 1-15/16", "range"),
        ("bytes 0-14/16", "range"),
        ("bytes 0-15/*", "range"),
        ("bytes 0-²/²", "malformed"),
        ("bytes 0-" + "9" * 5000 + "/16", "malformed"),
        ("bytes 0-16/16", "malformed"),
        ("bytes */16", "malformed"),
        ("", "malformed"),
    ],
)
def test_a_206_is_compared_only_where_it_covers_the_object(
    content_range: str, reason: str | None
) -> None:
    one = exchange(
        headers=(("Range", "bytes=0-"),),
        status=206,
        answer_headers=(*GOOD, ("Content-Range", content_range)),
        answer=CONTENT,
    )
    assert check(one, "crc64", "response").reason == reason
    assert len(checks(one, "range-crc64", "response")) == (0 if reason is None else 1)


def test_kms_that_only_the_request_names_is_enough_to_leave_the_etag_alone() -> None:
    one = exchange(
        "PUT",
        headers=(("x-cos-server-side-encryption", "cos/kms"),),
        body=CONTENT,
        answer_headers=(("ETag", '"840af7c9dcc0f1b2a5c3c9ee3e51ba2c"'),),
    )
    assert check(one, "etag", "request").reason == "sse-kms"


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


def test_a_failed_upload_has_all_its_checks_listed() -> None:
    one = exchange("PUT", body=CONTENT, status=403, answer=error_xml("AccessDenied"))
    assert check(one, "etag", "request").reason == "failed-request"
    assert check(one, "crc64", "request").reason == "failed-request"
    nothing = exchange("PUT", body=CONTENT, status=None, marks=(), error="reset")
    assert check(nothing, "etag", "request").reason == "failed-request"


@pytest.mark.parametrize("crc", ["crc64", "append-crc64"])
def test_a_failed_append_lists_its_own_check(crc: str) -> None:
    one = exchange(
        "POST", "/exampleobject?append&position=0", body=CONTENT, status=409, answer=error_xml()
    )
    assert len(checks(one, crc, "request")) == (crc == "append-crc64")


@pytest.mark.parametrize("position", ["", "-0", "²", "9" * 5000, "0x0"])
def test_an_append_at_an_unreadable_position_is_not_compared(position: str) -> None:
    one = exchange(
        "POST",
        f"/exampleobject?append&position={position}",
        body=CONTENT,
        answer_headers=(("x-cos-hash-crc64ecma", "1"),),
    )
    assert check(one, "append-crc64", "request").reason == "malformed"


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


def test_a_cache_that_recompressed_is_believed_only_when_it_says_so() -> None:
    cached = (*GOOD, ("Age", "10"))
    plain = exchange(answer_headers=cached, answer=b"[Object content]")
    assert check(plain, "crc64", "response").status == "mismatch"
    coded = exchange(answer_headers=(*cached, ("Content-Encoding", "br")), answer=b"else")
    assert check(coded, "crc64", "response").reason == "re-encoded"
    from_origin = exchange(answer_headers=(*GOOD, ("Content-Encoding", "br")), answer=b"else")
    assert check(from_origin, "crc64", "response").status == "mismatch"


def test_an_unsigned_request_has_no_signature_check() -> None:
    assert not checks(exchange(), "signature", "request")
    assert (
        check(
            exchange(headers=(("Authorization", "Bearer x"),), marks=MARKS), "signature", "request"
        ).reason
        == "unsupported"
    )

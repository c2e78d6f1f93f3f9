"""Edges of what is compared with an object's bytes; the common ones are captures."""

import pytest

from tests.rules.exchanges import CONTENT, CRC64, ETAG, check, checks, error_xml, exchange
from tests.rules.test_checks import GOOD, malformed

NO_CRC64 = (
    "", " ", "-1", "-5", "+5", "abcdef", "0xE87225A1", "1_0", "१२", str(2**64), "9" * 5000,
    "007", f"0{CRC64[:-1]}", f"0{CRC64}", f"{CRC64}, {CRC64}",
)  # fmt: skip
NO_ETAG = ("", '""', '"abcdef"', "abcdef", '"ee8de918d05640145b18f70f4c3aa602-0"', "x" * 300)


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


def test_a_cache_that_recompressed_is_believed_only_when_it_says_so() -> None:
    cached = (*GOOD, ("Age", "10"))
    plain = exchange(answer_headers=cached, answer=b"[Object content]")
    assert check(plain, "crc64", "response").status == "mismatch"
    coded = exchange(answer_headers=(*cached, ("Content-Encoding", "br")), answer=b"else")
    assert check(coded, "crc64", "response").reason == "re-encoded"
    from_origin = exchange(answer_headers=(*GOOD, ("Content-Encoding", "br")), answer=b"else")
    assert check(from_origin, "crc64", "response").status == "mismatch"

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.cos.header_syntax import CHECKERS
from cos_inspect.cos.headers import (
    UNKNOWN,
    annotate,
    beyond,
    describe,
    duplicates,
    issues,
)
from cos_inspect.cos.tables import rows
from cos_inspect.model.flow_report import Side
from cos_inspect.model.headers import Headers

COMMON = {
    "content-length", "content-type", "connection", "date", "etag", "last-modified", "server",
    "transfer-encoding", "x-cos-hash-crc64ecma", "x-cos-request-id", "x-cos-trace-id",
}  # fmt: skip
TRACE_ID = (
    "OGVmYzZiMmQzYjA2OWNhODk0NTRkMTBiOWVmMDAxODc0OWRkZjk0ZDM1NmI1M2E2MTRlY2MzZDhmNmI5MWI1OTQy"
    "YWVlY2QwZTk2MDVmZDQ3MmI2Y2I4ZmI5ZmM4ODFjMGU5NjQzNGY1N2ZkZTM2MmQ2NzI2NGU1ZGIyNDgxZDc="
)
ETAG = '"ee8de918d05640145b18f70f4c3aa602"'


def found(name: str, value: str, side: Side = "response") -> tuple[str, ...]:
    return issues(describe(name, side), value)


def test_table_is_sound() -> None:
    table = rows("headers")
    allowed = {row["syntax"]: row["allowed"] for row in rows("syntaxes")}
    names = [row["name"] for row in table]
    assert len(names) == len(set(names)) > 200
    for row in table:
        assert row["name"] == row["name"].lower()
        assert row["direction"] in {"request", "response", "both"}
        assert row["category"] in {"common", "sse", "object", "auth", "http", "other"}
        assert all(syntax in CHECKERS for syntax in row["syntax"].split("/"))
        assert "Allowed" not in row["meaning"]
        for syntax in row["syntax"].split("/"):
            assert row["allowed"] != allowed[syntax], "the grammar says it already"
        assert row["single"] in {"", "1"}
        assert row["secret"] in {"", "1", "part"}
        assert row["meaning"].endswith(".")
    assert {row["name"] for row in table if row["category"] == "common"} == COMMON
    used = {syntax for row in table for syntax in row["syntax"].split("/")}
    assert set(CHECKERS) == used | {"meta-name"}
    assert set(CHECKERS) == set(allowed) | {"meta-name"}


@pytest.mark.parametrize(
    ("name", "side", "category", "known_as"),
    [
        ("etag", "response", "common", "etag"),
        ("x-cos-server-side-encryption-customer-key-md5", "response", "sse",
         "x-cos-server-side-encryption-customer-key-md5"),
        ("x-amz-server-side-encryption", "request", "sse", "x-amz-server-side-encryption"),
        ("x-cos-meta-colour", "request", "object", "x-cos-meta-*"),
        ("x-cos-meta-client-side-encryption-key", "request", "object",
         "x-cos-meta-client-side-encryption-*"),
        ("x-cos-grant-full-control", "request", "object", "x-cos-grant-*"),
        ("authorization", "request", "auth", "authorization"),
        ("x-ci-surprise", "response", "other", "x-ci-*"),
        ("host", "request", "http", "host"),
        ("sec-fetch-mode", "request", "http", "sec-*"),
        ("x-nws-log-uuid", "response", "other", "x-nws-log-uuid"),
    ],
)  # fmt: skip
def test_describe(name: str, side: Side, category: str, known_as: str) -> None:
    fact = describe(name, side)
    assert (fact.category, fact.name) == (category, known_as)
    assert fact.meaning


@pytest.mark.parametrize("name", ["x-my-own", "x-cos-of-tomorrow", "", "x" * 5000])
def test_unknown_header(name: str) -> None:
    assert describe(name, "response") is UNKNOWN


@pytest.mark.parametrize("side", ["request", "response"])
@pytest.mark.parametrize(
    "name",
    [
        "x-cos-security-token",
        "x-ci-security-token",
        "x-amz-security-token",
        "x-cos-server-side-encryption-customer-key",
        "x-amz-server-side-encryption-customer-key",
        "x-cos-copy-source-server-side-encryption-customer-key",
        "x-amz-copy-source-server-side-encryption-customer-key",
        "cookie",
        "set-cookie",
        "proxy-authorization",
    ],
)
def test_secret_on_either_side(name: str, side: Side) -> None:
    assert describe(name, side).secret == "1"


def test_authorization_is_secret_in_part() -> None:
    assert describe("authorization", "request").secret == "part"
    assert describe("x-cos-server-side-encryption-customer-key-md5", "request").secret == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("etag", ETAG),
        ("etag", '"aa259a62513358f69e98e72e59856d88-3"'),
        ("etag", '"d41d8cd98f00b204e9800998ecf8427ed41d8cd9"'),
        ("etag", 'W/"anything at all"'),
        ("etag", '"ee8de918d05640145b18f70f4c3aa602-gzip"'),
        ("x-cos-hash-crc64ecma", "0"),
        ("x-cos-hash-crc64ecma", "16749565679157681890"),
        ("x-cos-hash-crc64ecma", "18446744073709551615"),
        ("date", "Thu, 15 Jun 2017 12:37:29 GMT"),
        ("date", "Thu, 10 Mar 2016 09:45:46 GMT"),
        ("date", "Mon, 29 Feb 2016 23:59:60 GMT"),
        ("x-cos-request-id", "NTg3NzRiMjVfYmRjMzVfMTViMl82ZGZmNw=="),
        ("x-cos-request-id", "NTk0MjdmODlfMjQ4OGY3XzYzYzhf****"),
        ("x-ci-request-id", "3f2a9c1b-0000-4000-8000-000000000000"),
        ("x-cos-trace-id", TRACE_ID),
        ("connection", "Keep-Alive"),
        ("connection", "close"),
        ("content-type", "application/xml; charset=utf-8"),
        ("content-type", ""),
        ("content-length", "0"),
        ("content-range", "bytes 8-14/16"),
        ("content-range", "bytes */16"),
        ("x-cos-storage-class", "maz_Standard"),
        ("x-cos-storage-class", "CLASS_OF_TOMORROW"),
        ("x-cos-server-side-encryption", "AES256"),
        ("x-cos-server-side-encryption", "COS/KMS"),
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-cos-server-side-encryption-cos-kms-key-id", "48ba38aa-26c5-11ea-855c-52540085****"),
        ("x-cos-server-side-encryption-customer-key-md5", "U5L61r7jcwdNvT7frmUG8g=="),
        ("x-cos-version-id", "MTg0NDUxNzcwMDkzMDE3NDQ0MDU"),
        ("x-cos-version-id", "null"),
        ("x-cos-restore", 'ongoing-request="true"'),
        ("x-cos-restore",
         'ongoing-request="false", expiry-date="Fri, 10 Apr 2020 09:36:01 GMT"'),
        ("x-cos-restore-status",
         'tier="standard"; request-date="Fri, 10 Apr 2020 09:36:01 GMT"'),
        ("x-cos-content-sha1", "d41d8cd98f00b204e9800998ecf8427e"),
        ("x-cos-bucket-region", "xx-nowhere-9"),
        ("expires", "-1"),
    ],
)  # fmt: skip
def test_response_value_is_fine(name: str, value: str) -> None:
    assert found(name, value) == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("authorization", ""),
        ("content-type", ""),
        ("content-length", "0"),
        ("content-md5", "7o3pGNBWQBRbGPcPTDqmAg=="),
        ("if-none-match", "*"),
        ("if-none-match", f'{ETAG}, W/"b"'),
        ("if-match", "ee8de918d05640145b18f70f4c3aa602"),
        ("range", "bytes=0-"),
        ("range", "bytes=-500"),
        ("expect", ""),
        ("connection", "Upgrade, HTTP2-Settings"),
        ("host", "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com:443"),
        ("host", "[::1]:8080"),
        ("x-cos-acl", "public-read"),
        ("x-cos-grant-read", 'id="100000000001",id="100000000002"'),
        ("x-cos-traffic-limit", "819200"),
        ("x-cos-traffic-limit", "838860800"),
        ("x-cos-copy-source",
         "src-1250000001.cos.ap-shanghai.myqcloud.com/a%E8%85%BE.jpg?versionId=MTg0"),
        ("x-cos-copy-source-range", "bytes=10-100"),
        ("x-cos-metadata-directive", "Replaced"),
        ("x-cos-server-side-encryption-customer-algorithm", "AES256"),
        ("x-cos-server-side-encryption-customer-key",
         "MDEyMzQ1Njc4OUFCQ0RFRjAxMjM0NTY3ODlBQkNERUY="),
        ("x-cos-server-side-encryption-context",
         "eyJhdXRob3IiOiJmeXNudGlhbiIsImNvbXBhbnkiOiJUZW5jZW50In0="),
        ("x-cos-forbid-overwrite", "True"),
        ("x-cos-meta-colour", "_any_ thing"),
        ("pic-operations", '{"is_pic_info":1}'),
        # Wrong side: nothing is documented, so nothing is held against it.
        ("etag", "whatever"),
    ],
)  # fmt: skip
def test_request_value_is_fine(name: str, value: str) -> None:
    assert found(name, value, "request") == ()


@pytest.mark.parametrize(
    ("name", "value", "issue"),
    [
        ("etag", ETAG.strip('"'), "not quoted"),
        ("etag", ETAG.upper(), "upper case"),
        ("etag", '"123"', "not 32 hex digits, 32 with a part count, or 40"),
        ("etag", '"ee8de918d05640145b18f70f4c3aa602-0"',
         "not 32 hex digits, 32 with a part count, or 40"),
        ("etag", "", "empty"),
        ("x-cos-hash-crc64ecma", "18446744073709551616", "larger than 2^64-1"),
        ("x-cos-hash-crc64ecma", "9" * 5000, "larger than 2^64-1"),
        ("x-cos-hash-crc64ecma", "007", "leading zeros"),
        ("x-cos-hash-crc64ecma", "-1", "not an unsigned decimal number"),
        ("x-cos-hash-crc64ecma", "0x995dc9bb", "not an unsigned decimal number"),
        ("x-cos-hash-crc64ecma", "१२", "not an unsigned decimal number"),
        ("date", "Wed Aug 31 18:24:31 2016",
         "not an IMF-fixdate (Sun, 06 Nov 1994 08:49:37 GMT)"),
        ("last-modified", "2020-04-10T09:36:01Z",
         "not an IMF-fixdate (Sun, 06 Nov 1994 08:49:37 GMT)"),
        ("date", "yesterday", "not a date"),
        ("date", "Fri, 10 Mar 2016 09:45:46 GMT", "that day is a Thu"),
        ("date", "Tue, 30 Feb 2016 09:45:46 GMT", "names a day that does not exist"),
        ("date", "Wed, 29 Feb 2017 09:45:46 GMT", "names a day that does not exist"),
        ("date", "Sat, 01 Jan 0000 09:45:46 GMT", "names a day that does not exist"),
        ("last-modified", "Mon, 31 Apr 2017 09:45:46 GMT", "names a day that does not exist"),
        ("connection", "Keep-Alive, Upgrade", "neither keep-alive nor close"),
        ("connection", "open", "neither keep-alive nor close"),
        ("date", "Wed，18 Jan 2017 16:17:03 GMT", "not a date"),
        ("content-length", "12a", "not a whole number"),
        ("content-length", "1" * 21, "more than 20 digits"),
        ("connection", "", "empty"),
        ("x-cos-content-sha1", "", "empty"),
        ("x-cos-server-side-encryption", "", "empty"),
        ("content-type", "jpeg", "not a media type"),
        ("content-range", "8-14/16", "not of the form bytes first-last/size"),
        ("content-range", "bytes 8-16/16", "range does not fit the size"),
        ("content-range", "bytes 8-14/*", "size of the object is absent"),
        ("x-cos-request-id", "no id at all!", "not base64"),
        ("x-cos-trace-id", "<none>", "not base64"),
        ("x-cos-server-side-encryption", "AES 256", "not the name of an algorithm"),
        ("x-cos-server-side-encryption-customer-key-md5", "U5L61r7jcwdNvT7frmUG8g",
         "not base64 (24 characters)"),
        ("x-cos-restore", "ongoing", 'not of the form ongoing-request="…"'),
        ("x-cos-storage-class", "STAND ARD", "not a word"),
    ],
)  # fmt: skip
def test_response_value_is_wrong(name: str, value: str, issue: str) -> None:
    assert found(name, value) == (issue,)


@pytest.mark.parametrize(
    ("name", "value", "issue"),
    [
        ("content-md5", "ee8de918d05640145b18f70f4c3aa602", "a hex digest, not base64"),
        ("content-length", "", "empty"),
        ("content-md5", "", "empty"),
        ("content-md5", "MTIzNDU2Nzg5", "9 bytes after base64, not 16 of MD5"),
        ("x-cos-server-side-encryption-customer-key", "MDEyMzQ1Njc4OQ==",
         "10 bytes after base64, not 32 of key"),
        ("x-cos-traffic-limit", "819199", "outside 819200-838860800 bit/s"),
        ("x-cos-traffic-limit", "fast", "not a whole number"),
        ("x-cos-acl", "public", "not one of the canned ACLs"),
        ("x-cos-copy-source", "https://a-1250000000.cos.ap-beijing.myqcloud.com/k",
         "begins with a scheme"),
        ("x-cos-copy-source", "a-1250000000.cos.ap-beijing.myqcloud.com", "names no key"),
        ("x-cos-copy-source", "a-1250000000.cos.ap-beijing.myqcloud.com/腾讯", "not URL-encoded"),
        ("range", "bytes=0-1,4-5", "more than one range"),
        ("range", "bytes=9-1", "ends before it begins"),
        ("range", "0-9", "not of the form bytes=first-last"),
        ("x-cos-copy-source-range", "bytes=5-", "not of the form bytes=first-last"),
        ("x-cos-meta-my_name", "v", "underscore in the name"),
        ("pic-operations", "{broken", "not JSON"),
        ("x-cos-server-side-encryption-context", "W10=", "not a JSON object"),
        ("x-cos-tagging", "&".join(f"k{i}=v" for i in range(11)), "more than 10 tags"),
        ("connection", "keep-alive Accept: */*", "not a list of words"),
        ("if-match", '"abc', "unpaired quotes"),
    ],
)  # fmt: skip
def test_request_value_is_wrong(name: str, value: str, issue: str) -> None:
    assert found(name, value, "request") == (issue,)


def test_duplicates_with_different_values() -> None:
    headers = Headers(
        [
            ("ETag", ETAG),
            ("x-cos-request-id", "a"),
            ("etag", '"b"'),
            ("X-Cache-Lookup", "Hit"),
            ("X-Cache-Lookup", "Miss"),
            ("x-unknown", "1"),
            ("x-unknown", "2"),
            ("Date", "same"),
            ("Date", "same"),
            ("x-cos-meta-a", "1"),
            ("X-Cos-Meta-A", "2"),
        ]
    )
    assert duplicates(headers, "response") == (("etag", (ETAG, '"b"')),)
    assert duplicates(Headers([("ETag", ETAG)]), "response") == ()


@given(st.sampled_from(sorted(CHECKERS)), st.text(max_size=300))
def test_checkers_take_anything(syntax: str, value: str) -> None:
    for issue in CHECKERS[syntax](value):
        assert issue
        assert len(issue) < 120


@given(st.text(max_size=60), st.sampled_from(("request", "response")), st.text(max_size=60))
def test_any_header_is_described(name: str, side: Side, value: str) -> None:
    assert isinstance(issues(describe(name, side), value), tuple)


def test_a_value_beyond_all_bounds_is_not_read_and_only_begun() -> None:
    for value in ("7" * 65_536, "7" * 65_537):
        headers = Headers([("Content-Length", value), ("ETag", ETAG)])
        long, etag = annotate(headers, "response")
        assert etag.remarks == etag.issues == ()
        if len(value) > 65_536:
            assert headers.unread == {"content-length"}
            assert (long.value, long.issues) == ("7" * 1024, ())
            assert "64 KiB" in long.remarks[0]
        else:
            assert headers.unread == frozenset()
            assert (long.value, long.remarks) == (value, ())
            assert long.issues


def test_of_very_many_fields_the_rest_is_counted() -> None:
    headers = Headers([(f"X-{number}", str(number)) for number in range(3600)])
    told = beyond(headers)
    assert [name for name, _ in told] == [f"X-{number}" for number in range(1000, 1100)] + ["…"]
    assert told[-1][1] == ("2,500 more fields, not inspected and left out",)
    assert len(headers) == 3600


def test_fields_beyond_all_bounds_are_known_by_name_alone() -> None:
    fields = [(f"X-{number}", str(number)) for number in range(1000)]
    assert Headers(fields).unread == frozenset()
    headers = Headers([*fields, ("ETag", "nonsense"), ("X-1", "again")])
    assert len(annotate(headers, "response")) == 1000
    assert [name for name, _ in beyond(headers)] == ["ETag", "X-1"]
    assert headers.unread == {"etag", "x-1"}
    assert "etag" in headers
    assert headers.get("etag") == ""
    assert headers.tells("etag")
    assert not headers.tells("date")
    assert headers.get("x-1") == "1"
    assert duplicates(headers, "response") == ()


@pytest.mark.parametrize(
    ("name", "value", "remark"),
    [
        ("x-cos-request-id", "NTg3NzRiMjVfYmRjMzVfMTViMl82ZGZmNw==", ""),
        ("x-cos-request-id", "NTk0MjdmODlfMjQ4OGY3XzYzYzhf****", ""),
        ("x-cos-request-id", "NTg3NzRiMjVfYmRjMzVfMTViMl82ZGZmNw", "without its padding"),
        ("x-cos-request-id", "hello", "not of the known form"),
        ("x-ci-request-id", "3f2a9c1b-0000-4000-8000-000000000000", "not of the known form"),
        ("x-cos-trace-id", TRACE_ID, ""),
        ("x-cos-trace-id", "OGVmYzZiMmQzYjA2****", ""),
        ("x-cos-trace-id", "OGVmYzZiMmQzYjA2", "not of the known form"),
    ],
)
def test_ids_that_are_none_get_a_remark_and_no_issue(name: str, value: str, remark: str) -> None:
    (header,) = annotate(Headers([(name, value)]), "response")
    assert header.issues == ()
    assert (header.remarks != ()) is bool(remark)
    assert remark in "".join(header.remarks)


@pytest.mark.parametrize("side", ["request", "response"])
def test_a_length_beside_a_framing_is_wrong(side: Side) -> None:
    fields = [("Transfer-Encoding", "chunked"), ("Content-Length", "16")]
    framing, length = annotate(Headers(fields), side)
    assert framing.issues == ()
    assert length.issues == ("stands together with Transfer-Encoding",)

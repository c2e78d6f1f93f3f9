"""Edges of the rules about bodies."""

import pytest

from cos_inspect.model.exchange import BodyEnd
from tests.rules.exchanges import CONTENT, CRC64, ETAG, HOST, Fields, exchange, findings

OTHER = (("ETag", '"22e024392de860289f0baa7d6cf8a549"'),)
GOOD = (("ETag", ETAG), ("x-cos-hash-crc64ecma", CRC64))


def test_the_finding_says_which_body_and_what_the_other_digest_says() -> None:
    found = findings(
        exchange(
            "PUT", body=CONTENT, answer_headers=(("ETag", ETAG), ("x-cos-hash-crc64ecma", "1"))
        )
    )["crc64-mismatch"]
    assert found.evidence == {"body": "request", "expected": "1", "actual": CRC64, "size": 16}
    assert "ETag agrees" in found.detail
    both = findings(
        exchange(
            "PUT",
            body=CONTENT,
            answer_headers=(*OTHER, ("x-cos-hash-crc64ecma", "1")),
        )
    )
    assert "does not agree" in both["crc64-mismatch"].detail
    assert "does not agree" in both["etag-mismatch"].detail
    alone = findings(exchange(answer_headers=OTHER, answer=CONTENT))["etag-mismatch"]
    assert "No CRC-64 came" in alone.detail


def test_a_body_of_unknown_size_that_was_cut_says_so() -> None:
    one = exchange(answer=b"", answer_end=BodyEnd.CUT, error="peer closed connection")
    found = findings(one)["body-truncated"]
    assert found.evidence["expected"] is None
    assert "peer closed connection" in found.detail


@pytest.mark.parametrize("status", [200, 204, None])
def test_an_upload_that_was_cut_is_one_unless_it_was_refused(status: int | None) -> None:
    one = exchange("PUT", body=b"[Obj", body_end=BodyEnd.CUT, status=status, error="reset")
    assert "body-truncated" in findings(one)
    assert "connection-failed" not in findings(one)
    assert "body-truncated" not in findings(
        exchange("PUT", body=b"[Obj", body_end=BodyEnd.CUT, status=503)
    )


def test_a_longer_body_than_announced_is_not_truncated() -> None:
    one = exchange(answer_headers=(*GOOD, ("Content-Length", "10")), answer=CONTENT)
    assert "body-truncated" not in findings(one)


@pytest.mark.parametrize(
    ("headers", "status", "missing"),
    [
        ((), 200, True),
        ((), 403, False),
        ((("x-cos-callback", "e30="),), 200, False),
        ((("x-cos-return-body", "e30="),), 200, False),
        ((("Pic-Operations", "{}"),), 200, False),
        ((("x-cos-copy-source", "b-1.cos.ap-beijing.myqcloud.com/a"),), 200, False),
        ((("Authorization", "AWS4-HMAC-SHA256 Credential=a"),), 200, False),
    ],
)
def test_crc64_is_missed_on_plain_uploads_only(headers: Fields, status: int, missing: bool) -> None:
    one = exchange(
        "PUT", headers=headers, body=CONTENT, status=status, answer_headers=(("ETag", ETAG),)
    )
    assert ("crc64-missing" in findings(one)) is missing


@pytest.mark.parametrize(
    ("method", "target", "host", "missing"),
    [
        ("GET", "/exampleobject", HOST, True),
        ("HEAD", "/exampleobject", HOST, True),
        ("GET", "/?acl", HOST, False),
        ("GET", "/exampleobject?imageInfo", HOST, False),
        ("DELETE", "/exampleobject", HOST, False),
        ("HEAD", "/", HOST, False),
        ("GET", "/a", HOST.replace(".cos.", ".cos-website."), False),
    ],
)
def test_an_etag_is_missed_where_an_object_is_told_of(
    method: str, target: str, host: str, missing: bool
) -> None:
    assert ("etag-missing" in findings(exchange(method, target, host=host))) is missing


def test_an_answer_that_is_not_of_cos_is_not_measured_by_its_headers() -> None:
    one = exchange(
        status=200, marks=(("Date", "yesterday"), ("ETag", "x"), ("ETag", "y")), answer=b"hello"
    )
    assert findings(one).keys() == {"not-from-cos"}


@pytest.mark.parametrize("server", ["AmazonS3", "MinIO", "tencent-cos"])
def test_who_answered_an_etag(server: str) -> None:
    marks = (("Server", server), ("x-amz-request-id", "CEE27196DE373E5A"))
    one = exchange(marks=marks, answer=CONTENT, answer_headers=(("ETag", f'"{"5d" * 16}"'),))
    told = findings(one)["etag-mismatch"].detail
    assert told.startswith("COS answered" if server == "tencent-cos" else "The server answered")
    assert ("AppendObject" in told) is (server == "tencent-cos")
    assert ("of other servers" in told) is (server != "tencent-cos")

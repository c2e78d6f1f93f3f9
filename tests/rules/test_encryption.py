"""What the documents say an absent or different echo means, row by row."""

import pytest

from tests.rules.exchanges import CONTENT, CRC64, ETAG, Fields, error_xml, exchange, findings

SSE = "x-cos-server-side-encryption"
KMS_ID = f"{SSE}-cos-kms-key-id"
KEY_MD5 = f"{SSE}-customer-key-MD5"
ALGORITHM = f"{SSE}-customer-algorithm"
KEY = "MDEyMzQ1Njc4OUFCQ0RFRjAxMjM0NTY3ODlBQkNERUY="
MD5 = "U5L61r7jcwdNvT7frmUG8g=="
CUSTOMER = ((ALGORITHM, "AES256"), (f"{SSE}-customer-key", KEY), (KEY_MD5, MD5))
ECHO = ((ALGORITHM, "AES256"), (KEY_MD5, MD5))
COS: Fields = ((SSE, "AES256"),)
SM4: Fields = ((SSE, "SM4"),)
NEWER: Fields = ((SSE, "CHACHA20"),)
KMS: Fields = ((SSE, "cos/kms"),)
KEYED: Fields = (*KMS, (KMS_ID, "48ba38aa-26c5-11ea-855c-52540085be76"))


@pytest.mark.parametrize(
    ("asked", "confirmed", "expected"),
    [
        ((), (), set()),
        (COS, COS, set()),
        (KMS, KEYED, set()),
        (KEYED, KEYED, set()),
        (CUSTOMER, ECHO, set()),
        (KEYED, ((ALGORITHM, "AES256"), KEYED[1]), set()),
        ((("x-amz-server-side-encryption", "aws:kms"),), KEYED, set()),
        ((), COS, set()),
        ((), KEYED, set()),
        (SM4, SM4, set()),
        ((), SM4, set()),
        (SM4, COS, {"sse-mismatch"}),
        (COS, SM4, {"sse-mismatch"}),
        (SM4, (), {"sse-not-applied"}),
        (NEWER, NEWER, {"sse-algorithm-unknown"}),
        ((), NEWER, {"sse-algorithm-unknown"}),
        (KMS, NEWER, {"sse-algorithm-unknown"}),
        (NEWER, COS, {"sse-algorithm-unknown", "sse-mismatch"}),
        ((("x-cos-server-side-encryption", "AES 256"),), COS, set()),
        ((*NEWER, *CUSTOMER), (), {"sse-conflict", "sse-not-applied"}),
        (KMS, KMS, {"sse-key-id-missing"}),
        (KEYED, KMS, {"sse-key-id-missing"}),
        (COS, (), {"sse-not-applied"}),
        (KMS, (), {"sse-not-applied"}),
        (CUSTOMER, (), {"sse-not-applied"}),
        (KMS, COS, {"sse-mismatch"}),
        (COS, KEYED, {"sse-mismatch"}),
        (CUSTOMER, COS, {"sse-mismatch"}),
        (KEYED, (*KMS, (KMS_ID, "11111111-26c5-11ea-855c-52540085be76")), {"sse-mismatch"}),
        (KEYED, (*KMS, (KMS_ID, KEYED[1][1].upper())), set()),
        (CUSTOMER, ((ALGORITHM, "AES256"), (KEY_MD5, MD5.lower())), {"sse-mismatch"}),
        (CUSTOMER, ((ALGORITHM, "AES256"),), {"sse-conflict"}),
        ((*COS, *CUSTOMER), COS, {"sse-conflict"}),
        ((CUSTOMER[0],), (), {"sse-conflict", "sse-not-applied"}),
    ],
)
def test_asked_and_confirmed(asked: Fields, confirmed: Fields, expected: set[str]) -> None:
    one = exchange(
        "PUT",
        headers=asked,
        body=CONTENT,
        answer_headers=(("x-cos-hash-crc64ecma", "16749565679157681890"), *confirmed),
    )
    found = findings(one).keys()
    assert {rule for rule in found if rule.startswith("sse-")} == expected


@pytest.mark.parametrize(
    ("method", "target", "awaited"),
    [
        ("PUT", "/a", True),
        ("POST", "/a?uploads", True),
        ("PUT", "/a?partNumber=1&uploadId=1", True),
        ("POST", "/a?append&position=0", False),
        ("POST", "/a?uploadId=1", False),
        ("GET", "/a", False),
        ("HEAD", "/a", False),
    ],
)
def test_operations_that_confirm(method: str, target: str, awaited: bool) -> None:
    one = exchange(method, target, headers=COS, answer_headers=(("ETag", ETAG),))
    assert ("sse-not-applied" in findings(one)) is awaited


def test_a_failure_and_a_stranger_confirm_nothing() -> None:
    refused = exchange("PUT", headers=COS, status=403, answer=error_xml())
    assert "sse-not-applied" not in findings(refused)
    stranger = exchange("PUT", headers=COS, marks=())
    assert findings(stranger).keys() == {"not-from-cos"}


@pytest.mark.parametrize(
    ("key", "problem"),
    [("MDEyMw==", "4 bytes, not 32"), ("!", "not base64"), ("A" * 5000, "far too long")],
)
def test_an_unusable_key(key: str, problem: str) -> None:
    headers = (CUSTOMER[0], (f"{SSE}-customer-key", key), CUSTOMER[2])
    found = findings(exchange(headers=headers))["sse-conflict"]
    assert problem in found.detail
    assert key not in str(found)


def test_a_key_in_clear_is_told_whatever_was_answered() -> None:
    for status in (200, 403, None):
        one = exchange(headers=CUSTOMER, scheme="http", status=status, error="reset")
        assert "sse-key-exposed" in findings(one)
    assert "sse-key-exposed" not in findings(exchange(headers=CUSTOMER))
    assert "sse-key-exposed" not in findings(exchange(headers=KMS, scheme="http"))


def test_s3_names_are_read_too() -> None:
    one = exchange(
        "PUT",
        headers=(("x-amz-server-side-encryption", "aws:kms"),),
        body=CONTENT,
        answer_headers=(("ETag", ETAG), ("x-cos-hash-crc64ecma", CRC64), *KEYED),
    )
    assert not findings(one)

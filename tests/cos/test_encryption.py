import hashlib
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.cos.encryption import (
    NONE,
    Anomaly,
    CustomerKey,
    Encryption,
    read_copy_source_encryption,
    read_customer_key,
    read_encryption,
)
from cos_inspect.model.flow_report import SseMode
from cos_inspect.model.headers import Headers

SSE = "x-cos-server-side-encryption"
KMS_ID = f"{SSE}-cos-kms-key-id"
ALGORITHM = f"{SSE}-customer-algorithm"
KEY = f"{SSE}-customer-key"
KEY_MD5 = f"{SSE}-customer-key-MD5"
COPY = "x-cos-copy-source-server-side-encryption-customer"
FIRST_KEY = ("MDEyMzQ1Njc4OUFCQ0RFRjAxMjM0NTY3ODlBQkNERUY=", "U5L61r7jcwdNvT7frmUG8g==")
SECOND_KEY = ("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "hRasmdxgYDKV3nvbahU1MA==")


def headers(**fields: str) -> Headers:
    names = {"sse": SSE, "kms": KMS_ID, "alg": ALGORITHM, "key": KEY, "md5": KEY_MD5}
    return Headers([("ETag", '"x"'), *((names[name], value) for name, value in fields.items())])


def test_nothing_said() -> None:
    assert read_encryption(headers()) is NONE
    assert read_encryption(headers(sse="")) == NONE
    assert NONE.mode == "none"


@pytest.mark.parametrize(
    ("fields", "mode", "anomaly"),
    [
        ({"sse": "AES256"}, "SSE-COS", None),
        ({"sse": "aes256"}, "SSE-COS", None),
        ({"sse": "cos/kms"}, "SSE-KMS", None),
        ({"sse": "COS/KMS", "kms": "48ba38aa"}, "SSE-KMS", None),
        ({"sse": "AES256", "kms": "48ba38aa"}, "SSE-KMS", "contradictory"),
        ({"sse": "SM4"}, "SSE-COS", None),
        ({"sse": "sm4"}, "SSE-COS", None),
        ({"sse": "SM4", "kms": "48ba38aa"}, "SSE-KMS", "contradictory"),
        ({"sse": "CHACHA20"}, "SSE-COS", "unknown-algorithm"),
        ({"sse": "cos/kms-sm4", "kms": "48ba38aa"}, "SSE-KMS", "unknown-algorithm"),
        ({"sse": "aws:kms"}, "SSE-KMS", "unknown-algorithm"),
        ({"kms": "48ba38aa"}, "SSE-KMS", None),
        ({"kms": "48ba38aa", "alg": "SSE-KMS"}, "SSE-KMS", None),
        ({"kms": "48ba38aa", "alg": "AES256"}, "SSE-KMS", None),
        ({"alg": "SSE-KMS"}, "SSE-KMS", None),
        ({"sse": "cos/kms", "kms": "48ba38aa", "alg": "SSE-KMS"}, "SSE-KMS", None),
        ({"alg": "AES256", "md5": "m"}, "SSE-C", None),
        ({"alg": "SM4", "md5": "m"}, "SSE-C", "unknown-algorithm"),
        ({"alg": "cos/kms", "md5": "m"}, "SSE-C", "conflict"),
        ({"alg": "AES256"}, "SSE-C", "incomplete"),
        ({"md5": "m"}, "SSE-C", "incomplete"),
        ({"key": "k"}, "SSE-C", "incomplete"),
        ({"sse": "AES256", "alg": "AES256", "md5": "m"}, "SSE-COS", "conflict"),
        ({"sse": "cos/kms", "md5": "m"}, "SSE-KMS", "conflict"),
        ({"sse": "cos/kms", "alg": "AES256"}, "SSE-KMS", "conflict"),
        ({"alg": "AES256", "md5": "m", "kms": "48ba38aa"}, "SSE-C", "conflict"),
    ],
)
def test_classes_of_a_response(
    fields: dict[str, str], mode: SseMode, anomaly: Anomaly | None
) -> None:
    read = read_encryption(headers(**fields))
    assert (read.mode, read.anomaly) == (mode, anomaly)
    assert (read.detail is None) == (anomaly is None)


def test_values_are_carried_over() -> None:
    assert read_encryption(headers(sse="cos/kms", kms="48ba38aa")) == Encryption(
        mode="SSE-KMS", algorithm="cos/kms", kms_key_id="48ba38aa", etag="other"
    )
    key, md5 = FIRST_KEY
    assert read_encryption(headers(alg="AES256", key=key, md5=md5), "request") == Encryption(
        mode="SSE-C",
        algorithm="AES256",
        customer_key_md5=md5,
        customer_key_sent=True,
        etag="other",
    )


@pytest.mark.parametrize(
    ("fields", "etag"),
    [
        ({}, "md5"),
        ({"sse": "AES256"}, "md5"),
        ({"sse": "SM4"}, "unknown"),
        ({"sse": "CHACHA20"}, "unknown"),
        ({"sse": "kms2"}, "unknown"),
        ({"sse": "cos/kms"}, "other"),
        ({"kms": "48ba38aa"}, "other"),
        ({"sse": "AES256", "kms": "48ba38aa"}, "other"),
        ({"alg": "AES256", "md5": "m"}, "other"),
        ({"alg": "SM4", "md5": "m"}, "other"),
    ],
)
def test_what_the_etag_is(fields: dict[str, str], etag: str) -> None:
    assert read_encryption(headers(**fields)).etag == etag


def test_an_unknown_word_of_s3_beside_a_known_one_of_cos() -> None:
    both = [("x-cos-server-side-encryption", "AES256"), ("x-amz-server-side-encryption", "rot13")]
    assert read_encryption(Headers(both)).anomaly == "unknown-algorithm"


def test_a_request_needs_the_key_and_an_answer_does_not() -> None:
    echoed = headers(alg="AES256", md5="m")
    assert read_encryption(echoed).anomaly is None
    asked = read_encryption(echoed, "request")
    assert (asked.anomaly, asked.detail) == ("incomplete", "SSE-C without key")


@pytest.mark.parametrize(
    ("algorithm", "mode"),
    [("AES256", "SSE-COS"), ("aws:kms", "SSE-KMS"), ("cos/kms", "SSE-KMS")],
)
def test_names_of_s3_clients(algorithm: str, mode: SseMode) -> None:
    read = read_encryption(Headers([("X-Amz-Server-Side-Encryption", algorithm)]))
    assert (read.mode, read.anomaly) == (mode, None)


def test_cos_and_s3_names_that_disagree() -> None:
    both = [("x-cos-server-side-encryption", "AES256"), ("x-amz-server-side-encryption", "aws:kms")]
    assert read_encryption(Headers(both)).anomaly == "conflict"


def test_source_of_a_copy_is_not_the_copy() -> None:
    key, md5 = SECOND_KEY
    copy = Headers(
        [(f"{COPY}-algorithm", "AES256"), (f"{COPY}-key", key), (f"{COPY}-key-MD5", md5)]
    )
    assert read_encryption(copy, "request") is NONE
    assert read_customer_key(copy) is None
    source = read_copy_source_encryption(copy)
    assert (source.mode, source.customer_key_md5, source.anomaly) == ("SSE-C", md5, None)
    checked = read_customer_key(copy, copy_source=True)
    assert checked == CustomerKey(key_valid=True, computed_md5=md5, sent_md5=md5)
    assert read_copy_source_encryption(headers(sse="AES256")) is NONE


@pytest.mark.parametrize(("key", "md5"), [FIRST_KEY, SECOND_KEY])
def test_published_keys(key: str, md5: str) -> None:
    checked = read_customer_key(headers(key=key, md5=md5))
    assert checked == CustomerKey(key_valid=True, computed_md5=md5, sent_md5=md5)


def test_md5_of_another_key() -> None:
    checked = read_customer_key(headers(key=FIRST_KEY[0], md5=SECOND_KEY[1]))
    assert checked is not None
    assert checked.computed_md5 == FIRST_KEY[1]
    assert checked.sent_md5 == SECOND_KEY[1]


@pytest.mark.parametrize(
    ("key", "problem", "has_md5"),
    [
        (b64encode(b"k" * 31).decode(), "31 bytes, not 32", True),
        ("0123456789ABCDEF0123456789ABCDE!", "not base64", False),
        ("腾讯", "not base64", False),
        ("A" * 5000, "far too long", False),
    ],
)
def test_broken_keys(key: str, problem: str, has_md5: bool) -> None:
    checked = read_customer_key(headers(key=key))
    assert checked is not None
    assert (checked.key_valid, checked.problem) == (False, problem)
    assert (checked.computed_md5 is not None) == has_md5


@given(st.binary(min_size=32, max_size=32))
def test_any_whole_key(raw: bytes) -> None:
    md5 = b64encode(hashlib.md5(raw, usedforsecurity=False).digest()).decode()
    key = b64encode(raw).decode()
    fields = headers(alg="AES256", key=key, md5=md5)
    checked = read_customer_key(fields)
    assert checked is not None
    assert checked.key_valid
    assert checked.computed_md5 == checked.sent_md5 == md5
    assert key not in repr(checked)
    assert key not in repr(read_encryption(fields, "request"))


@given(
    st.dictionaries(st.sampled_from(("sse", "kms", "alg", "key", "md5")), st.text(max_size=50)),
    st.sampled_from(("request", "response")),
)
def test_never_raises_and_says_why(fields: dict[str, str], side: str) -> None:
    read = read_encryption(headers(**fields), "request" if side == "request" else "response")
    assert (read.anomaly is None) == (read.detail is None)
    read_customer_key(headers(**fields))

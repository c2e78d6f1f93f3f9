"""Server-side encryption goes wrong: what is found, and on which flow."""

import base64
import hashlib
from collections.abc import Iterator

import pytest

from tests.end_to_end.harness import BUCKET, HOST, checks
from tests.end_to_end.lab import Case, Lab, Send, case, evidence, found, provoke
from tests.origin.effects import (
    drop_headers,
    other_customer_key_md5,
    other_kms_key,
    set_header,
    sse_answered_as,
    sse_ignored,
    sse_not_echoed,
)
from tests.origin.server import Origin
from tests.origin.sse import CUSTOMER_ALGORITHM, CUSTOMER_KEY_MD5, KEY_ID, PREFIX

pytestmark = pytest.mark.end_to_end

RAW_KEY = b"0123456789abcdef0123456789abcdef"
KEY = base64.b64encode(RAW_KEY).decode()
KEY_MD5 = base64.b64encode(hashlib.md5(RAW_KEY).digest()).decode()
MD5_OF_TEXT = base64.b64encode(hashlib.md5(KEY.encode()).digest()).decode()
COPY_PREFIX = "x-cos-copy-source-server-side-encryption"

COS = {PREFIX: "AES256"}
SM4 = {PREFIX: "SM4"}
KMS = {PREFIX: "cos/kms", KEY_ID: "a1b2c3d4-5e6f-4a7b-8c9d-0123456789ab"}
CUSTOMER = {
    CUSTOMER_ALGORITHM: "AES256",
    PREFIX + "-customer-key": KEY,
    CUSTOMER_KEY_MD5: KEY_MD5,
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Origin() as origin, Lab(origin, tmp_path_factory.mktemp("encryption")) as made:
        yield made
        assert not origin.faults
        assert "Traceback" not in made.output


def upload(*sets: dict[str, str], scheme: str = "https") -> Send:
    headers = {name: value for fields in sets for name, value in fields.items()}
    return lambda lab, name: lab.send("PUT", name, data=b"secret", headers=headers, scheme=scheme)


def copy_over_http(lab: Lab, name: str) -> None:
    lab.send("PUT", "source-of-copy", data=b"secret", headers=CUSTOMER)
    headers = {"x-cos-copy-source": f"{HOST}/source-of-copy"}
    headers |= {field.replace(PREFIX, COPY_PREFIX): value for field, value in CUSTOMER.items()}
    assert lab.send("PUT", name, headers=headers, scheme="http").status_code == 200


CASES: list[Case] = [
    case("cos-ignored", upload(COS), "sse-not-applied error", sse_ignored()),
    case("kms-ignored", upload(KMS), "sse-not-applied error", sse_ignored()),
    case("customer-ignored", upload(CUSTOMER), "sse-not-applied error", sse_ignored()),
    case("cos-not-echoed", upload(COS), "sse-not-applied error", sse_not_echoed()),
    case("kms-as-aes", upload(KMS), "sse-mismatch error", sse_answered_as("AES256")),
    case("kms-other-key", upload(KMS), "sse-mismatch error", other_kms_key()),
    case("customer-other-md5", upload(CUSTOMER), "sse-mismatch error", other_customer_key_md5()),
    case(
        "cos-as-kms",
        upload(COS),
        "sse-mismatch error, sse-key-id-missing notice",
        set_header(PREFIX, "cos/kms"),
    ),
    case(
        "key-md5-of-text",
        upload(CUSTOMER, {CUSTOMER_KEY_MD5: MD5_OF_TEXT}),
        "sse-customer-key-md5-mismatch error, error-response warning",
    ),
    case(
        "two-modes",
        upload(COS, CUSTOMER),
        "sse-conflict warning, error-response warning",
    ),
    case(
        "no-key-md5",
        upload({k: v for k, v in CUSTOMER.items() if k != CUSTOMER_KEY_MD5}),
        "sse-conflict warning, error-response warning",
    ),
    case(
        "short-key",
        upload(CUSTOMER, {PREFIX + "-customer-key": "c2hvcnQ="}),
        "sse-conflict warning, header-malformed warning, error-response warning",
    ),
    case("half-echo", upload(CUSTOMER), "sse-conflict warning", drop_headers(CUSTOMER_KEY_MD5)),
    case("key-over-http", upload(CUSTOMER, scheme="http"), "sse-key-exposed error"),
    case("copy-key-over-http", copy_over_http, "sse-key-exposed error"),
    case("newer", upload(COS), "sse-algorithm-unknown notice", sse_answered_as("CHACHA20")),
    case("sm4-ignored", upload(SM4), "sse-not-applied error", sse_ignored()),
    case("sm4-as-aes", upload(SM4), "sse-mismatch error", sse_answered_as("AES256")),
    case("sm4-other-etag", upload(SM4), "", set_header("ETag", f'"{"9a" * 16}"')),
    case("kms-unnamed", upload(KMS), "sse-key-id-missing notice", drop_headers(KEY_ID)),
    case("sm4-undamaged", upload(SM4), ""),
    case("cos-undamaged", upload(COS), ""),
    case("kms-undamaged", upload(KMS), ""),
    case("customer-undamaged", upload(CUSTOMER), ""),
]


@pytest.mark.parametrize("given", CASES, ids=lambda given: given.name)
def test_damage_is_found_on_its_flow(lab: Lab, given: Case) -> None:
    provoke(lab, given)


def test_mismatch_names_both_keys(lab: Lab) -> None:
    name = "kms-evidence"
    report = provoke(lab, case(name, upload(KMS), "sse-mismatch error", other_kms_key("f" * 36)))
    (facts,) = evidence(report, "sse-mismatch")
    assert (facts["what"], facts["asked"]) == ("kms_key_id", KMS[KEY_ID])
    assert facts["confirmed"] == "f" * 36
    assert report["encryption"]["kms_key_id"] == "f" * 36


def test_sdk_with_another_key_on_download(lab: Lab) -> None:
    """COS refuses it; the key and its MD5 fit, so only the refusal is found."""
    name = "sdk-customer"
    client = lab.client()
    client.put_object(
        BUCKET, b"secret", name, SSECustomerAlgorithm="AES256", SSECustomerKey=KEY,
        SSECustomerKeyMD5=KEY_MD5,
    )  # fmt: skip
    put = lab.report_on(name, "PutObject")
    assert found(put) == frozenset()
    assert checks(put)["sse-customer-key-md5", "response"] == "match"
    other = b"f" * 32
    headers = {
        CUSTOMER_ALGORITHM: "AES256",
        PREFIX + "-customer-key": base64.b64encode(other).decode(),
        CUSTOMER_KEY_MD5: base64.b64encode(hashlib.md5(other).digest()).decode(),
    }
    lab.send("GET", name, headers=headers)
    get = lab.report_on(name, "GetObject")
    assert found(get) == {"error-response warning"}
    assert checks(get)["sse-customer-key-md5", "request"] == "match"


def test_key_stands_in_no_report(lab: Lab) -> None:
    name = "key-masked"
    upload(CUSTOMER, scheme="http")(lab, name)
    lab.report_on(name)
    texts = [path.read_text() for path in lab.report_dir.rglob("*.json")]
    assert any(name in text for text in texts)
    assert not any(KEY in text for text in texts)
    assert KEY not in lab.output

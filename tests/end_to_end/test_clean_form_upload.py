"""Form uploads as a browser sends them: what is checked is the file inside the form."""

import base64
import hashlib
import hmac
import json
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from tests.end_to_end.harness import (
    BUCKET,
    HOST,
    SECRET_ID,
    SECRET_KEY,
    Inspected,
    Report,
    accused,
    checks,
    one_proxy,
    only,
    rules,
)
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

SMALL = random.Random(21).randbytes(30_000) + b"\r\n--not-a-boundary\r\n"
LARGE = random.Random(22).randbytes(3 << 20)
CUSTOMER_KEY = b"0123456789abcdef0123456789abcdef"
BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/131.0.0.0 Safari/537.36"
)


def _md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data).digest()).decode()


def _signed(key: str) -> dict[str, str]:
    """Policy and signature fields as the COS documents describe them for Post Object."""
    now = int(time.time())
    key_time = f"{now - 60};{now + 900}"
    expiration = datetime.now(UTC) + timedelta(minutes=15)
    policy = json.dumps(
        {
            "expiration": f"{expiration:%Y-%m-%dT%H:%M:%S}.000Z",
            "conditions": [
                {"bucket": BUCKET},
                ["starts-with", "$key", key[:4]],
                ["content-length-range", 0, 1 << 30],
                {"q-sign-algorithm": "sha1"},
                {"q-ak": SECRET_ID},
                {"q-sign-time": key_time},
            ],
        }
    ).encode()
    sign_key = hmac.new(SECRET_KEY.encode(), key_time.encode(), "sha1").hexdigest()
    text = hashlib.sha1(policy).hexdigest()
    return {
        "policy": base64.b64encode(policy).decode(),
        "q-sign-algorithm": "sha1",
        "q-ak": SECRET_ID,
        "q-key-time": key_time,
        "q-sign-time": key_time,
        "q-signature": hmac.new(sign_key.encode(), text.encode(), "sha1").hexdigest(),
    }


def _post(
    proxy: Inspected,
    data: bytes,
    fields: dict[str, str],
    name: str = "a.bin",
    scheme: str = "https",
) -> requests.Response:
    parts: list[tuple[str, Any]] = [(field, (None, value)) for field, value in fields.items()]
    parts.append(("file", (name, data, "application/octet-stream")))
    return requests.post(
        f"{scheme}://{HOST}/",
        files=parts,
        headers={
            "User-Agent": BROWSER,
            "Origin": "https://www.example.com",
            "Referer": "https://www.example.com/upload",
        },
        proxies=proxy.proxies,
        timeout=30,
        allow_redirects=False,
    )


class Seen:
    def __init__(
        self, reports: list[Report], origin: Origin, answers: dict[str, requests.Response]
    ) -> None:
        self.reports = reports
        self.origin = origin
        self.answers = answers
        self.signed: dict[str, str] = {}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    answers: dict[str, requests.Response] = {}
    signed = _signed("form/signed")
    token = {"x-cos-security-token": "an-example-of-a-session-token-that-is-made-up"}
    with one_proxy(tmp_path_factory.mktemp("form")) as (origin, proxy):
        forms: dict[str, tuple[bytes, dict[str, str]]] = {
            "form/plain": (SMALL, {}),
            "form/large": (LARGE, {"success_action_status": "200"}),
            "form/empty": (b"", {"success_action_status": "201"}),
            "form/照片 +%.txt": (SMALL, {"Content-Type": "text/plain"}),
            "form/signed": (SMALL, signed | token),
            "form/signed-large": (LARGE, signed | {"success_action_status": "201"}),
            "form/md5": (SMALL, {"Content-MD5": _md5(SMALL)}),
            "form/large-md5": (LARGE, {"Content-MD5": _md5(LARGE)}),
            "form/sse": (SMALL, {"x-cos-server-side-encryption": "AES256"}),
            "form/large-sse": (LARGE, {"x-cos-server-side-encryption": "AES256"}),
            "form/kms": (SMALL, {"x-cos-server-side-encryption": "cos/kms"}),
            "form/customer": (
                SMALL,
                {
                    "x-cos-server-side-encryption-customer-algorithm": "AES256",
                    "x-cos-server-side-encryption-customer-key": base64.b64encode(
                        CUSTOMER_KEY
                    ).decode(),
                    "x-cos-server-side-encryption-customer-key-MD5": _md5(CUSTOMER_KEY),
                },
            ),
            "form/redirected": (
                SMALL,
                {"success_action_redirect": "https://www.example.com/done?a=b"},
            ),
        }
        for key, (data, fields) in forms.items():
            answers[key] = _post(proxy, data, {"key": key} | fields)
        answers["form/照片.bin"] = _post(proxy, SMALL, {"key": "form/${filename}"}, name="照片.bin")
        answers["form/http"] = _post(proxy, LARGE, {"key": "form/http"}, scheme="http")
        proxy.stop()
        found = Seen(proxy.reports, origin, answers)
        found.signed = signed
        assert "Traceback" not in proxy.output
        yield found


UPLOAD = {
    ("content-length", "request"): "match",
    ("content-length", "response"): "no-body",
    ("content-md5", "request"): "no-header",
    ("etag", "request"): "match",
    ("crc64", "request"): "match",
}
ANSWERED = {("content-length", "response"): "match"}
SIGNED = {("signature", "request"): "no-credentials"}
WITH_MD5 = {("content-md5", "request"): "match"}


def test_nothing_is_accused(seen: Seen) -> None:
    assert accused(seen.reports) == []
    assert {rule for report in seen.reports for rule in rules(report)} == set()


@pytest.mark.parametrize(
    ("key", "data", "expected"),
    [
        ("form/plain", SMALL, UPLOAD),
        ("form/large", LARGE, UPLOAD | ANSWERED),
        ("form/empty", b"", UPLOAD | ANSWERED),
        ("form/照片 +%.txt", SMALL, UPLOAD),
        ("form/signed", SMALL, UPLOAD | SIGNED),
        ("form/signed-large", LARGE, UPLOAD | SIGNED | ANSWERED),
        ("form/md5", SMALL, UPLOAD | WITH_MD5),
        ("form/large-md5", LARGE, UPLOAD | WITH_MD5),
        ("form/sse", SMALL, UPLOAD),
        ("form/large-sse", LARGE, UPLOAD),
        ("form/kms", SMALL, UPLOAD | {("etag", "request"): "sse-kms"}),
        (
            "form/customer",
            SMALL,
            UPLOAD
            | {
                ("etag", "request"): "sse-c",
                ("sse-customer-key-md5", "request"): "match",
                ("sse-customer-key-md5", "response"): "match",
            },
        ),
        ("form/照片.bin", SMALL, UPLOAD),
        ("form/http", LARGE, UPLOAD),
    ],
)
def test_the_file_in_the_form_is_what_is_checked(
    seen: Seen, key: str, data: bytes, expected: dict[tuple[str, str], str]
) -> None:
    report = only(seen.reports, "PostObject", key)
    assert checks(report) == expected
    body = report["request"]["body"]
    assert body["size"] > len(data)
    assert body["payload"] == {
        "kind": "form-file",
        "size": len(data),
        "md5": hashlib.md5(data).hexdigest(),
        "crc64ecma": body["payload"]["crc64ecma"],
        "complete": True,
        "problem": None,
    }
    assert seen.origin.get_object(BUCKET, key) == data
    assert seen.answers[key].status_code == report["response"]["status"]


def test_a_redirect_after_the_upload_is_no_failure(seen: Seen) -> None:
    report = only(seen.reports, "PostObject", "form/redirected")
    assert report["response"]["status"] == 303
    assert report["verdict"] == "ok"
    assert checks(report)["etag", "request"] == checks(report)["crc64", "request"] == "match"
    assert seen.origin.get_object(BUCKET, "form/redirected") == SMALL


@pytest.mark.parametrize(
    ("key", "mode"),
    [
        ("form/plain", "none"),
        ("form/sse", "SSE-COS"),
        ("form/large-sse", "SSE-COS"),
        ("form/kms", "SSE-KMS"),
        ("form/customer", "SSE-C"),
    ],
)
def test_encryption_asked_for_in_fields_is_told(seen: Seen, key: str, mode: str) -> None:
    assert only(seen.reports, "PostObject", key)["encryption"]["mode"] == mode


def test_secrets_in_fields_are_in_no_report(seen: Seen) -> None:
    text = str(seen.reports)
    assert seen.signed["q-signature"] not in text
    assert seen.signed["policy"] not in text
    assert "made-up" not in text
    assert base64.b64encode(CUSTOMER_KEY).decode() not in text

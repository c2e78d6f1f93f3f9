"""Refusals that the signature has no part in: form policies, browsers, S3 clients, wrong hosts.

Each time exactly one rule says why, beside the error itself.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.end_to_end.harness import (
    BUCKET,
    HOST,
    REGION,
    SECRET_ID,
    SECRET_KEY,
    Report,
    s3_client,
)
from tests.end_to_end.lab import Lab, evidence, found
from tests.end_to_end.test_signatures import pairs, ticket_is_whole
from tests.origin.damage import Effect
from tests.origin.effects import aws_framing_kept, error
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

PAGE = "https://www.example.com"
BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/131.0.0.0 Safari/537.36"
)
GUARDED = "guardedbucket-1250000000"
HIDING = "hidingbucket-1250000000"
POLICY = "post-policy-failed error"
MISTAKE = "endpoint-mistake warning"
CORS = (
    "<CORSConfiguration><CORSRule><AllowedOrigin>{origin}</AllowedOrigin>"
    "<AllowedMethod>PUT</AllowedMethod><AllowedHeader>*</AllowedHeader>{more}"
    "</CORSRule></CORSConfiguration>"
)


def host_of(bucket: str) -> str:
    return HOST.replace(BUCKET, bucket)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Origin() as origin, Lab(origin, tmp_path_factory.mktemp("refusals")) as made:
        for bucket, allowed in ((GUARDED, "https://other.example.com"), (HIDING, PAGE)):
            origin.make_bucket(bucket)
            document = CORS.format(origin=allowed, more="")
            origin.service.store.buckets[bucket].settings["cors"] = document.encode()
        yield made
        assert not origin.faults
        assert "Traceback" not in made.output


def policy_fields(
    conditions: list[Any], expires: float = 900, text: str | None = None
) -> dict[str, str]:
    now = int(time.time())
    window = f"{now - 60};{now + 900}"
    until = datetime.now(UTC) + timedelta(seconds=expires)
    policy = text or json.dumps(
        {"expiration": f"{until:%Y-%m-%dT%H:%M:%S}.000Z", "conditions": conditions}
    )
    key = hmac.new(SECRET_KEY.encode(), window.encode(), "sha1").hexdigest()
    digest = hashlib.sha1(policy.encode()).hexdigest()
    return {
        "policy": base64.b64encode(policy.encode()).decode(),
        "q-sign-algorithm": "sha1",
        "q-ak": SECRET_ID,
        "q-key-time": window,
        "q-signature": hmac.new(key.encode(), digest.encode(), "sha1").hexdigest(),
    }


def post(lab: Lab, fields: dict[str, str]) -> requests.Response:
    parts: list[tuple[str, Any]] = [(field, (None, value)) for field, value in fields.items()]
    parts.append(("file", ("a.bin", b"abc", "application/octet-stream")))
    return requests.post(
        f"https://{HOST}/",
        files=parts,
        headers={"User-Agent": BROWSER, "Origin": PAGE},
        proxies=lab.proxies,
        verify=lab.ca_pem,
        timeout=30,
        allow_redirects=False,
    )


BUCKET_IS = {"bucket": BUCKET}
FORMS: list[tuple[str, Callable[[], dict[str, str]], tuple[Effect, ...], dict[str, Any]]] = [
    (
        "form/expired",
        lambda: policy_fields([BUCKET_IS], expires=-600),
        (error("AccessDenied", message="Invalid according to Policy: Policy expired."),),
        {"kind": "expired", "field": "expiration"},
    ),
    (
        "form/outside",
        lambda: policy_fields([BUCKET_IS, ["starts-with", "$key", "user/1/"]]),
        (),
        {"kind": "starts-with", "field": "key", "wanted": "user/1/", "found": "form/outside"},
    ),
    (
        "form/bucket",
        lambda: policy_fields([{"bucket": GUARDED}]),
        (),
        {"kind": "eq", "field": "bucket", "wanted": GUARDED, "found": BUCKET},
    ),
    (
        "form/other-field",
        lambda: policy_fields([BUCKET_IS, {"x-cos-acl": "private"}]),
        (),
        {"kind": "eq", "field": "x-cos-acl", "wanted": "private", "found": None},
    ),
    (
        "form/long",
        lambda: policy_fields([BUCKET_IS, ["content-length-range", 10, 20]]),
        (error("EntityTooSmall", 400),),
        {"kind": "content-length-range", "field": "file", "wanted": "10-20", "found": "3"},
    ),
    (
        "form/no-json",
        lambda: policy_fields([], text="{'expiration'}"),
        (),
        {"kind": "malformed", "field": None},
    ),
    (
        "form/no-base64",
        lambda: {**policy_fields([BUCKET_IS]), "policy": "%7B%7D"},
        (),
        {"kind": "malformed", "field": None},
    ),
]


@pytest.mark.parametrize(
    ("name", "fields", "effects", "facts"), FORMS, ids=[name for name, *_ in FORMS]
)
def test_policy_of_a_form(
    lab: Lab,
    name: str,
    fields: Callable[[], dict[str, str]],
    effects: tuple[Effect, ...],
    facts: dict[str, Any],
) -> None:
    for effect in effects:
        lab.damage("", effect)
    try:
        assert post(lab, {"key": name, **fields()}).status_code in (400, 403)
    finally:
        lab.origin.heal()
    report = lab.report_on(name)
    assert found(report) == pairs(POLICY), report["findings"]
    (told,) = evidence(report, "post-policy-failed")
    assert {field: told[field] for field in facts} == facts
    ticket_is_whole(report)


def test_a_form_that_is_refused_for_another_reason(lab: Lab) -> None:
    lab.damage("", error("AccessDenied"))
    try:
        post(lab, {"key": "form/other", **policy_fields([BUCKET_IS])})
    finally:
        lab.origin.heal()
    assert found(lab.report_on("form/other")) == pairs("")


def preflight(lab: Lab, name: str, bucket: str, method: str = "PUT") -> requests.Response:
    return lab.send(
        "OPTIONS",
        name,
        host=host_of(bucket),
        headers={
            "User-Agent": BROWSER,
            "Origin": PAGE,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "content-type,x-cos-acl",
        },
    )


def test_preflight_refused(lab: Lab) -> None:
    assert preflight(lab, "preflight/refused", GUARDED).status_code == 403
    report = lab.report_on("preflight/refused")
    assert found(report) == pairs("cors-refused error")
    (facts,) = evidence(report, "cors-refused")
    assert facts["asked"] == {
        "origin": PAGE,
        "method": "PUT",
        "headers": ["content-type", "x-cos-acl"],
    }
    assert facts["allowed"]["origin"] is None
    assert facts["status"] == 403
    ticket_is_whole(report, bucket=GUARDED)


def test_preflight_for_a_method_that_is_not_allowed(lab: Lab) -> None:
    assert preflight(lab, "preflight/method", HIDING, "DELETE").status_code == 403
    assert found(lab.report_on("preflight/method")) == pairs("cors-refused error")


@pytest.mark.parametrize("bucket", [BUCKET, HIDING])
def test_preflight_allowed(lab: Lab, bucket: str) -> None:
    name = f"preflight/allowed-{bucket}"
    assert preflight(lab, name, bucket).status_code == 200
    assert found(lab.report_on(name)) == frozenset()


@pytest.mark.parametrize(
    ("bucket", "wanted"), [(HIDING, {"cors-etag-hidden warning"}), (BUCKET, set())]
)
def test_etag_that_the_page_cannot_read(lab: Lab, bucket: str, wanted: set[str]) -> None:
    name = f"etag-{bucket}"
    answer = lab.send(
        "PUT",
        name,
        host=host_of(bucket),
        data=b"abc",
        headers={"User-Agent": BROWSER, "Origin": PAGE},
    )
    assert answer.status_code == 200
    report = lab.report_on(name)
    assert found(report) == wanted
    assert report["ticket"] is None


SETTINGS = ["request_checksum_calculation", "response_checksum_validation"]


def test_framing_that_is_refused(lab: Lab) -> None:
    name = "framing/refused"
    lab.damage(name, error("MissingContentLength"))
    with pytest.raises(ClientError):
        s3_client(lab).put_object(Bucket=BUCKET, Key=name, Body=b"abc" * 1000)
    report = lab.report_on(name)
    assert found(report) == pairs("s3-framing warning")
    (facts,) = evidence(report, "s3-framing")
    assert (facts["how"], facts["code"]) == ("refused", "MissingContentLength")
    assert facts["settings"] == SETTINGS
    # The cause stands before what the refusal says.
    assert all(setting in report["findings"][0]["fix"] for setting in SETTINGS)
    ticket_is_whole(report)


def test_framing_that_is_stored(lab: Lab) -> None:
    """The upload tells it already, and so does whoever downloads the object."""
    name = "framing/stored"
    lab.damage(name, aws_framing_kept())
    s3_client(lab).put_object(Bucket=BUCKET, Key=name, Body=b"abc" * 1000)
    report = lab.report_on(name)
    assert found(report) == {"s3-framing error"}, "and not two errors about damage"
    (facts,) = evidence(report, "s3-framing")
    assert (facts["how"], facts["by"]) == ("stored", "CRC-64")
    assert not any(item["rule"].startswith("signature") for item in report["findings"])
    assert lab.send("GET", name).status_code == 200
    _, download = lab.reports_on(name, 2)
    assert found(download) == {"s3-framing warning"}
    assert evidence(download, "s3-framing")[0]["by"] == "body"


def test_framing_that_is_taken_off(lab: Lab) -> None:
    name = "framing/fine"
    s3_client(lab).put_object(Bucket=BUCKET, Key=name, Body=b"abc" * 1000)
    lab.send("GET", name)
    assert [found(report) for report in lab.reports_on(name, 2)] == [frozenset()] * 2


def refuse(lab: Lab, name: str, host: str, code: str, **settings: Any) -> Report:
    lab.damage(name, error(code, **settings))
    lab.send("GET", name, host=host)
    return lab.report_on(name)


def test_bucket_without_appid(lab: Lab) -> None:
    report = refuse(lab, "host/no-appid", host_of("examplebucket"), "NoSuchBucket")
    assert found(report) == pairs(MISTAKE)
    (facts,) = evidence(report, "endpoint-mistake")
    assert (facts["mistake"], facts["bucket"]) == ("no-appid", "examplebucket")
    ticket_is_whole(report, bucket="examplebucket")


def test_bucket_that_is_not_there(lab: Lab) -> None:
    report = refuse(lab, "host/none", host_of("nobucket-1250000000"), "NoSuchBucket")
    assert found(report) == pairs("")


def test_path_style_is_forbidden(lab: Lab) -> None:
    name = f"{BUCKET}/host/path-style"
    lab.damage("host/path-style", error("PathStyleDomainForbidden"))
    client = boto3.client(
        "s3",
        region_name=REGION,
        endpoint_url=f"https://cos.{REGION}.myqcloud.com",
        aws_access_key_id=SECRET_ID,
        aws_secret_access_key=SECRET_KEY,
        verify=lab.ca_pem,
        config=Config(
            proxies=lab.proxies, s3={"addressing_style": "path"}, retries={"max_attempts": 1}
        ),
    )
    with pytest.raises(ClientError):
        client.get_object(Bucket=BUCKET, Key="host/path-style")
    report = lab.report_on("host/path-style")
    assert name not in report["ticket"]
    assert found(report) == pairs(MISTAKE)
    (facts,) = evidence(report, "endpoint-mistake")
    assert facts["mistake"] == "path-style"
    assert "addressing_style" in report["findings"][-1]["fix"]
    ticket_is_whole(report)


def test_website_host_only_reads(lab: Lab) -> None:
    host = f"{BUCKET}.cos-website.{REGION}.myqcloud.com"
    assert lab.send("PUT", "host/website", host=host, data=b"abc").status_code == 405
    assert MISTAKE in found(lab.report_on("host/website"))

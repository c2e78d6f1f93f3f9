"""Each reason for which a comparison is not made, provoked by real traffic."""

import base64
import contextlib
import json
from collections.abc import Iterator
from typing import get_args

import pytest
import requests

from cos_inspect.model.flow_report import SkipReason
from tests.end_to_end.harness import BUCKET, HOST, REGION, checks, s3_client
from tests.end_to_end.lab import CRC, CUSTOM_HOST, SIGNED_BY_S3, Lab, Send, get, put
from tests.end_to_end.test_damage_encryption import CUSTOMER, KMS
from tests.origin.client import Client
from tests.origin.content import Held
from tests.origin.damage import Effect, answer
from tests.origin.effects import drop_headers, error, gzip_body, set_header, truncate
from tests.origin.message import OriginRequest, Reply
from tests.origin.server import Origin
from tests.origin.sse import Sse

pytestmark = pytest.mark.end_to_end

PNG = b"\x89PNG\r\n\x1a\n" + bytes(2000)
WEBSITE = f"{BUCKET}.cos-website.{REGION}.myqcloud.com"

STREAMS = '''
"""Streams bodies behind the addon's back."""


def requestheaders(flow):
    if flow.request.path.startswith("/streamed-by-other"):
        flow.request.stream = True


def responseheaders(flow):
    if flow.request.path.startswith("/streamed-by-other"):
        flow.response.stream = True
'''


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("skips")
    script = folder / "streams.py"
    script.write_text(STREAMS)
    with Origin() as origin:
        origin.custom_domains[CUSTOM_HOST] = BUCKET
        arguments = (f"--set=cos_hosts={CUSTOM_HOST}",)
        with Lab(origin, folder, *arguments, scripts_after=[script]) as made:
            yield made
        assert not origin.faults
        assert "Traceback" not in made.output


def store(lab: Lab, name: str, body: bytes = b"[Object Content]") -> str:
    """Puts an object past the wire and tells its ETag."""
    return f'"{lab.origin.put_object(BUCKET, name, body).etag}"'


def head(lab: Lab, name: str) -> None:
    store(lab, name)
    lab.send("HEAD", name)


def unchanged(lab: Lab, name: str) -> None:
    assert lab.send("GET", name, headers={"If-None-Match": store(lab, name)}).status_code == 304


def ranged(lab: Lab, name: str) -> None:
    store(lab, name)
    assert lab.send("GET", name, headers={"Range": "bytes=2-5"}).status_code == 206


def delete(lab: Lab, name: str) -> None:
    assert lab.send("DELETE", name).status_code == 204


def thumbnail(lab: Lab, name: str) -> None:
    store(lab, name, PNG)
    lab.send("GET", name, query="?imageMogr2/thumbnail/100x")


def upload_with_thumbnail(lab: Lab, name: str) -> None:
    rules = {"is_pic_info": 1, "rules": [{"fileid": "t.png", "rule": "imageMogr2/thumbnail/9x"}]}
    lab.send("PUT", name, data=PNG, headers={"Pic-Operations": json.dumps(rules)})


def website(lab: Lab, name: str) -> None:
    store(lab, name)
    assert lab.send("GET", name, host=WEBSITE).status_code == 200


def append(lab: Lab, name: str) -> None:
    lab.send("POST", name, query="?append&position=0", data=b"abc")


def append_more(lab: Lab, name: str) -> None:
    lab.send("POST", name, query="?append&position=3", data=b"def")


def copy(lab: Lab, name: str) -> None:
    store(lab, "copied-from")
    lab.send("PUT", name, headers={"x-cos-copy-source": f"{HOST}/copied-from"})


def framed(body: bytes) -> Send:
    headers = {
        "Authorization": SIGNED_BY_S3,
        "Content-Encoding": "aws-chunked",
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "x-amz-decoded-content-length": "3",
    }
    return lambda lab, name: lab.send("PUT", name, data=body, headers=headers)


def accepted(request: OriginRequest) -> Reply:
    """A server that takes framing for content."""
    stored = [("ETag", f'"{"5e" * 16}"'), ("x-cos-hash-crc64ecma", "7")]
    marks = [("Server", "tencent-cos"), ("x-cos-request-id", request.request_id)]
    return Reply(200, [("Content-Length", "0"), *stored, *marks])


def own_answer(request: OriginRequest) -> Reply:
    """What the caller's own server said, handed on by COS."""
    body = b'{"stored": true}'
    fields = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    marks = [("Server", "tencent-cos"), ("x-cos-request-id", request.request_id)]
    return Reply(200, [*fields, *marks], Held([body]))


def from_cdn(lab: Lab, name: str) -> None:
    store(lab, name, b"text " * 100)
    assert lab.send("GET", name, host=CUSTOM_HOST).content == b"text " * 100


def cut(lab: Lab, name: str) -> None:
    store(lab, name)
    with contextlib.suppress(requests.RequestException):
        lab.send("GET", name)


def signed_by_sdk(lab: Lab, name: str) -> None:
    lab.client().put_object(BUCKET, b"abc", name)


def signed_by_s3(lab: Lab, name: str) -> None:
    client = s3_client(lab)
    client.put_object(Bucket=BUCKET, Key=name, Body=b"abc")
    client.close()


def with_encryption(sse: Sse, headers: dict[str, str]) -> Send:
    def send(lab: Lab, name: str) -> None:
        lab.origin.put_object(BUCKET, name, b"secret", sse=sse)
        assert lab.send("GET", name, headers=headers).status_code == 200

    return send


def streamed_download(lab: Lab, name: str) -> None:
    lab.origin.put_object(BUCKET, name, b"b" * 2_000_000)
    assert lab.send("GET", name).content == b"b" * 2_000_000


Expected = dict[tuple[str, str], str]
CALLBACK = base64.b64encode(b'{"callbackUrl": "https://example.com/"}').decode()
CUSTOMER_SSE = Sse("SSE-C", customer_key_md5=CUSTOMER[next(n for n in CUSTOMER if "MD5" in n)])

CASES: list[tuple[str, Send, Expected, tuple[Effect, ...]]] = [
    ("no-header-of-client", put(), {("content-md5", "request"): "no-header"}, ()),
    (
        "no-header-of-cos",
        put(),
        {("crc64", "request"): "no-header", ("etag", "request"): "no-header"},
        (drop_headers(CRC, "ETag"),),
    ),
    (
        "not-md5",
        get(etag="a" * 32 + "-3"),
        {("etag", "response"): "not-md5", ("crc64", "response"): "match"},
        (),
    ),
    (
        "sse-kms",
        put(headers=KMS),
        {("etag", "request"): "sse-kms", ("crc64", "request"): "match"},
        (),
    ),
    (
        "sse-kms-download",
        with_encryption(Sse("SSE-KMS", kms_key_id="k"), {}),
        {("etag", "response"): "sse-kms", ("crc64", "response"): "match"},
        (),
    ),
    (
        "sse-c",
        put(headers=CUSTOMER),
        {
            ("etag", "request"): "sse-c",
            ("crc64", "request"): "match",
            ("sse-customer-key-md5", "request"): "match",
            ("sse-customer-key-md5", "response"): "match",
        },
        (),
    ),
    (
        "sse-c-download",
        with_encryption(CUSTOMER_SSE, CUSTOMER),
        {("etag", "response"): "sse-c", ("crc64", "response"): "match"},
        (),
    ),
    (
        "range",
        ranged,
        {
            ("etag", "response"): "range",
            ("crc64", "response"): "range",
            ("range-crc64", "response"): "unseen-parts",
        },
        (),
    ),
    ("no-body", delete, {("content-length", "response"): "no-body"}, ()),
    (
        "head",
        head,
        {
            ("content-length", "response"): "head",
            ("etag", "response"): "head",
            ("crc64", "response"): "head",
        },
        (),
    ),
    (
        "not-modified",
        unchanged,
        {
            ("content-length", "response"): "not-modified",
            ("etag", "response"): "not-modified",
            ("crc64", "response"): "not-modified",
        },
        (),
    ),
    (
        "processed",
        thumbnail,
        {("etag", "response"): "processed", ("crc64", "response"): "processed"},
        (),
    ),
    ("processed-upload", upload_with_thumbnail, {("etag", "request"): "processed"}, ()),
    (
        "website",
        website,
        {("etag", "response"): "website", ("crc64", "response"): "website"},
        (),
    ),
    (
        "append",
        append,
        {("etag", "request"): "append", ("append-crc64", "request"): "match"},
        (),
    ),
    ("copy", copy, {("etag", "request"): "copy", ("crc64", "request"): "copy"}, ()),
    (
        "failed-upload",
        put(),
        {("etag", "request"): "failed-request", ("crc64", "request"): "failed-request"},
        (error("AccessDenied"),),
    ),
    (
        "failed-download",
        get(),
        {("etag", "response"): "failed-request", ("crc64", "response"): "failed-request"},
        (error("NoSuchKey"),),
    ),
    (
        "incomplete",
        cut,
        {("etag", "response"): "incomplete", ("crc64", "response"): "incomplete"},
        (truncate(4),),
    ),
    (
        "client-encoded-cut-short",
        framed(b"3\r\nabc\r\n"),
        {("etag", "request"): "client-encoded", ("crc64", "request"): "client-encoded"},
        (answer(accepted),),
    ),
    (
        "client-encoded-no-framing",
        framed(b"abc"),
        {("etag", "request"): "client-encoded", ("crc64", "request"): "client-encoded"},
        (answer(accepted),),
    ),
    (
        "re-encoded",
        from_cdn,
        {("etag", "response"): "re-encoded", ("crc64", "response"): "re-encoded"},
        (gzip_body(), set_header("X-NWS-LOG-UUID", "15829742365190184123")),
    ),
    (
        "callback",
        put(headers={"x-cos-callback": CALLBACK}),
        {("etag", "request"): "callback", ("crc64", "request"): "callback"},
        (answer(own_answer),),
    ),
    (
        "streamed-by-other-up",
        put(b"a" * 10_000),
        {
            ("content-length", "request"): "match",
            ("etag", "request"): "match",
            ("crc64", "request"): "match",
        },
        (),
    ),
    (
        "streamed-by-other-up-big",
        put(b"a" * 2_000_000),
        {
            ("content-length", "request"): "match",
            ("etag", "request"): "match",
            ("crc64", "request"): "match",
        },
        (),
    ),
    (
        "streamed-by-other-down",
        get(b"b" * 10_000),
        {("etag", "response"): "match", ("crc64", "response"): "match"},
        (),
    ),
    (
        "streamed-by-other-down-big",
        streamed_download,
        {("etag", "response"): "match", ("crc64", "response"): "match"},
        (),
    ),
    ("no-credentials", signed_by_sdk, {("signature", "request"): "no-credentials"}, ()),
    ("unsupported", signed_by_s3, {("signature", "request"): "unsupported"}, ()),
]


@pytest.mark.parametrize(
    ("name", "send", "expected", "effects"), CASES, ids=[name for name, *_ in CASES]
)
def test_reason_is_given(
    lab: Lab, name: str, send: Send, expected: Expected, effects: tuple[Effect, ...]
) -> None:
    lab.damage(name, *effects)
    send(lab, name)
    report = lab.report_on(name)
    made = checks(report)
    assert {check: made.get(check) for check in expected} == expected
    integrity = [item["rule"] for item in report["findings"] if item["group"] == "integrity"]
    allowed = {
        "no-header-of-cos": ["crc64-missing", "etag-missing"],
        "incomplete": ["body-truncated"],
        "processed-upload": ["processing-not-applied"],
    }
    assert integrity == allowed.get(name, []), report["findings"]


def test_append_to_what_was_not_seen(lab: Lab) -> None:
    name = "unseen-parts"
    Client(lab.origin).post(f"/{name}?append&position=0", b"abc")
    append_more(lab, name)
    report = lab.report_on(name)
    assert checks(report)["append-crc64", "request"] == "unseen-parts"
    assert report["verdict"] == "ok"


def test_every_skip_says_why_and_no_other_check_does(lab: Lab) -> None:
    for name in ("of-skips-1", "of-skips-2"):
        put()(lab, name)
        for check in lab.report_on(name)["checks"]:
            assert (check["status"] == "skipped") == (check["reason"] is not None)


def test_every_reason_is_provoked() -> None:
    provoked = {status for _, _, expected, _ in CASES for status in expected.values()}
    # Each of these has tests of its own: the end of the proxy, odd values, failing threads.
    elsewhere = {"proxy-stopped", "malformed", "not-inspected", "not-captured"}
    assert set(get_args(SkipReason)) - elsewhere == provoked - elsewhere - {"match"}

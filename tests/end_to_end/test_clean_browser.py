"""The browser SDK's clean traffic: a page on loopback, a real Chromium, the real proxy."""

import base64
import functools
import hashlib
import json
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.end_to_end import browser
from tests.end_to_end.harness import (
    BUCKET,
    HOST,
    REGION,
    SECRET_ID,
    SECRET_KEY,
    Inspected,
    Report,
    accused,
    by_operation,
    checks,
    header,
    one_proxy,
    only,
    rules,
)
from tests.origin.message import Record
from tests.origin.signing import TemporaryKey, Verifier
from tests.servers import served

SDK = Path(__file__).with_name("node") / "node_modules" / "cos-js-sdk-v5"
TOKEN = "dG9rZW4tb2YtYS1wYWdl"


def _missing() -> str | None:
    why = browser.missing()
    if why is None and not SDK.is_dir():
        return "the browser SDK is not installed; run npm install in tests/end_to_end/node"
    return why


pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(_missing() is not None, reason=_missing() or "nothing is missing"),
]

SESSION = """
const [Bucket, Region, TmpSecretId, TmpSecretKey, SecurityToken] = arguments;
const now = Math.floor(Date.now() / 1000);
const cos = new COS({
  Protocol: "https:",
  getAuthorization: (_, callback) => callback({
    TmpSecretId, TmpSecretKey, SecurityToken, StartTime: now - 60, ExpiredTime: now + 1800,
  }),
});
const large = new Blob([new Uint8Array(3 * 1024 * 1024 + 777).fill(97)]);
return (async () => {
  const said = { version: COS.version };
  const put = await cos.putObject({
    Bucket, Region, Key: "page/照片 +%.txt", Body: "[Object Content]", ContentType: "text/plain",
  });
  said.put = put.ETag;
  await cos.putObject({
    Bucket, Region, Key: "page/blob", Body: new Blob(["a".repeat(50000)]),
    ServerSideEncryption: "AES256",
  });
  await cos.putObject({ Bucket, Region, Key: "page/empty", Body: "" });
  const sliced = await cos.sliceUploadFile({
    Bucket, Region, Key: "page/sliced", Body: large, SliceSize: 1, ChunkSize: 1024 * 1024,
    AsyncLimit: 3,
  });
  said.sliced = sliced.ETag;
  said.got = (await cos.getObject({ Bucket, Region, Key: "page/照片 +%.txt" })).Body;
  const whole = await cos.getObject({ Bucket, Region, Key: "page/sliced", DataType: "blob" });
  said.size = whole.Body.size;
  await cos.getObject({ Bucket, Region, Key: "page/blob", Range: "bytes=5-9" });
  await cos.headObject({ Bucket, Region, Key: "page/blob" });
  said.listed = (await cos.getBucket({ Bucket, Region, Prefix: "page/" })).Contents.length;
  await cos.deleteObject({ Bucket, Region, Key: "page/empty" });
  return said;
})().catch(error => ({ error: JSON.stringify(error) }));
"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing."""


def _key_pin(ca_pem: str) -> str:
    """What ``--ignore-certificate-errors-spki-list`` takes: it trusts this CA and no other."""
    ca = x509.load_pem_x509_certificate(Path(ca_pem).read_bytes())
    key = ca.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(key).digest()).decode()


def _run(proxy: Inspected, folder: Path) -> dict[str, Any]:
    site = folder / "site"
    site.mkdir()
    (site / "index.html").write_text(
        "<!doctype html><meta charset=utf-8><link rel=icon href='data:,'>"
        "<title>page</title><script src='cos.js'></script>"
    )
    (site / "cos.js").write_bytes((SDK / "dist" / "cos-js-sdk-v5.min.js").read_bytes())
    handler = functools.partial(_Quiet, directory=str(site))
    with (
        served(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server,
        browser.chromium(
            folder / "profile",
            f"--proxy-server={proxy.url}",
            f"--ignore-certificate-errors-spki-list={_key_pin(proxy.ca_pem)}",
        ) as page,
    ):
        page.driver.get(f"http://127.0.0.1:{server.server_port}/")
        said: dict[str, Any] = page.run(SESSION, BUCKET, REGION, SECRET_ID, SECRET_KEY, TOKEN)
        said["console"] = page.console()
        return said


class Seen:
    """Without what a browser asks of its maker by itself, which the test server answers too."""

    def __init__(self, reports: list[Report], records: list[Record], said: dict[str, Any]) -> None:
        self.reports = [r for r in reports if r["request"]["url"].startswith(f"https://{HOST}/")]
        self.records = {record.request_id: record for record in records if record.host == HOST}
        self.said = said


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("page")
    keys = folder / "keys.ini"
    keys.touch(0o600)
    keys.write_text(f"[page]\nsecret_id = {SECRET_ID}\nsecret_key = {SECRET_KEY}\n")
    with one_proxy(folder, f"--set=cos_credentials={keys}") as (origin, proxy):
        origin.authorise = Verifier(temporary={SECRET_ID: TemporaryKey(SECRET_KEY, TOKEN)})
        said = _run(proxy, folder)
        proxy.stop()
        said["output"] = proxy.output
        yield Seen(proxy.reports, list(origin.requests), said)


UPLOAD = {
    ("content-length", "request"): "match",
    ("content-length", "response"): "match",
    ("content-md5", "request"): "no-header",
    ("etag", "request"): "match",
    ("crc64", "request"): "match",
    ("signature", "request"): "match",
}


def test_the_page_got_what_it_had_sent(seen: Seen) -> None:
    assert "error" not in seen.said, seen.said
    assert seen.said["got"] == "[Object Content]"
    assert seen.said["size"] == 3 * 1024 * 1024 + 777
    assert seen.said["put"] == f'"{hashlib.md5(b"[Object Content]").hexdigest()}"'
    assert seen.said["listed"] == 4
    assert seen.said["console"] == []


def test_nothing_is_found(seen: Seen) -> None:
    assert accused(seen.reports) == []
    assert {rule for report in seen.reports for rule in rules(report)} == set()


def test_nothing_went_wrong_inside(seen: Seen) -> None:
    assert "Traceback" not in seen.said["output"]
    assert "not inspected" not in seen.said["output"]
    assert {report["ids"]["request_id"] for report in seen.reports} == set(seen.records)


def test_preflights_are_told_from_what_they_ask_for(seen: Seen) -> None:
    preflights = by_operation(seen.reports, "OptionsObject")
    assert {report["request"]["method"] for report in preflights} == {"OPTIONS"}
    asked = set()
    for report in preflights:
        field = header(report, "request", "Access-Control-Request-Method")
        assert field is not None
        asked.add((report["cos"]["key"], field["value"]))
    assert {
        ("page/照片 +%.txt", "PUT"),
        ("page/sliced", "POST"),
        ("page/sliced", "PUT"),
        ("page/sliced", "GET"),
    } <= asked


def test_operations_are_what_the_server_did(seen: Seen) -> None:
    for report in seen.reports:
        assert report["cos"]["operation"] == seen.records[report["ids"]["request_id"]].operation


@pytest.mark.parametrize("name", ["照片 +%.txt", "blob", "empty"])
def test_checks_of_an_upload(seen: Seen, name: str) -> None:
    assert checks(only(seen.reports, "PutObject", f"page/{name}")) == UPLOAD


def test_checks_of_a_sliced_upload(seen: Seen) -> None:
    parts = by_operation(seen.reports, "UploadPart")
    assert [checks(part) for part in parts] == [UPLOAD] * 4
    complete = checks(only(seen.reports, "CompleteMultipartUpload", "page/sliced"))
    assert complete["multipart-crc64", "request"] == "match"
    assert complete["multipart-etags", "request"] == "match"


def test_every_signature_of_the_page_is_recomputed(seen: Seen) -> None:
    signed = [report for report in seen.reports if report["request"]["method"] != "OPTIONS"]
    assert len(signed) >= 14
    assert {checks(report)["signature", "request"] for report in signed} == {"match"}


def test_the_token_of_the_page_is_written_nowhere(seen: Seen) -> None:
    assert not any(TOKEN in json.dumps(report) for report in seen.reports)
    assert TOKEN not in seen.said["output"]


def test_the_client_is_named(seen: Seen) -> None:
    assert only(seen.reports, "PutObject", "page/blob")["cos"]["client"]["name"] == "Chrome"

"""The Node SDK's clean traffic."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.harness import (
    BUCKET,
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

NODE = Path(__file__).with_name("node")


def missing() -> str | None:
    if os.environ.get("CI") == "true":
        return None
    if shutil.which("node") is None:
        return "node is not installed"
    if not (NODE / "node_modules" / "cos-nodejs-sdk-v5").is_dir():
        return "the Node SDK is not installed; run npm install in tests/end_to_end/node"
    return None


pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(missing() is not None, reason=missing() or "nothing is missing"),
]


class Seen:
    def __init__(self, reports: list[Report], records: list[Record], said: dict[str, Any]) -> None:
        self.reports = reports
        self.records = {record.request_id: record for record in records}
        self.said = said

    def record(self, report: Report) -> Record:
        return self.records[report["ids"]["request_id"]]


def run_session(proxy: Inspected, folder: Path) -> dict[str, Any]:
    """What ``session.js`` said of its calls."""
    done = subprocess.run(
        ["node", "session.js"],
        cwd=NODE,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "NODE_EXTRA_CA_CERTS": proxy.ca_pem,
            "COS_PROXY": proxy.url,
            "COS_BUCKET": BUCKET,
            "COS_REGION": REGION,
            "COS_SECRET_ID": SECRET_ID,
            "COS_SECRET_KEY": SECRET_KEY,
            "COS_FOLDER": str(folder),
        },
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("node")
    with one_proxy(folder) as (origin, proxy):
        said = run_session(proxy, folder)
        proxy.stop()
        said["output"] = proxy.output
        yield Seen(proxy.reports, list(origin.requests), said)


UPLOAD = {
    ("content-length", "request"): "match",
    ("content-length", "response"): "match",
    ("content-md5", "request"): "no-header",
    ("etag", "request"): "match",
    ("crc64", "request"): "match",
    ("signature", "request"): "no-credentials",
}
DOWNLOAD = {
    ("content-length", "response"): "match",
    ("etag", "response"): "match",
    ("crc64", "response"): "match",
    ("signature", "request"): "no-credentials",
}
HEAD = {
    ("content-length", "request"): "match",
    ("content-length", "response"): "head",
    ("etag", "response"): "head",
    ("crc64", "response"): "head",
    ("signature", "request"): "no-credentials",
}
WITH_MD5 = {("content-md5", "request"): "match"}


def _over(scheme: str, seen: Seen) -> list[Report]:
    return [r for r in seen.reports if r["request"]["url"].startswith(f"{scheme}://")]


def test_nothing_is_accused(seen: Seen) -> None:
    assert accused(_over("https", seen)) == []


def test_nothing_is_noticed_either(seen: Seen) -> None:
    assert {rule for report in _over("https", seen) for rule in rules(report)} == set()


def test_plain_http_is_accused_of_nothing_but_being_plain(seen: Seen) -> None:
    assert {tuple(rules(report)) for report in _over("http", seen)} == {("credentials-in-clear",)}


def test_nothing_went_wrong_inside(seen: Seen) -> None:
    assert "Traceback" not in seen.said["output"]
    assert "not inspected" not in seen.said["output"]
    assert {report["ids"]["request_id"] for report in seen.reports} == set(seen.records)


def test_operations_are_what_the_server_did(seen: Seen) -> None:
    for report in seen.reports:
        assert report["cos"]["operation"] == seen.record(report).operation


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("buffer", UPLOAD),
        ("照片 +%.txt", UPLOAD),
        ("empty", UPLOAD),
        ("stream", UPLOAD),
        ("unknown-length", UPLOAD | {("content-length", "request"): "no-header"}),
        ("md5", UPLOAD | WITH_MD5),
        ("encrypted", UPLOAD),
        ("http", UPLOAD),
    ],
)
def test_checks_of_an_upload(seen: Seen, name: str, expected: dict[tuple[str, str], str]) -> None:
    assert checks(only(seen.reports, "PutObject", f"node/{name}")) == expected


def test_checks_of_a_sliced_upload(seen: Seen) -> None:
    parts = by_operation(seen.reports, "UploadPart")
    assert [checks(part) for part in parts] == [UPLOAD | WITH_MD5] * 4
    assert checks(only(seen.reports, "CompleteMultipartUpload", "node/sliced")) == {
        ("content-length", "request"): "match",
        ("content-length", "response"): "no-header",
        ("content-md5", "request"): "match",
        ("etag", "request"): "not-md5",
        ("multipart-crc64", "request"): "match",
        ("multipart-etags", "request"): "match",
        ("signature", "request"): "no-credentials",
    }


def test_checks_of_a_download(seen: Seen) -> None:
    assert checks(only(seen.reports, "GetObject", "node/照片 +%.txt")) == DOWNLOAD
    assert checks(only(seen.reports, "GetObject", "node/sliced")) == DOWNLOAD | {
        ("etag", "response"): "not-md5"
    }
    assert checks(only(seen.reports, "GetObject", "node/buffer")) == DOWNLOAD | {
        ("etag", "response"): "range",
        ("crc64", "response"): "range",
        ("range-crc64", "response"): "unseen-parts",
    }


def test_the_client_got_what_it_had_sent(seen: Seen) -> None:
    assert seen.said["got"] == seen.said["smallMd5"]
    assert seen.said["sliced"] == seen.said["largeMd5"]
    assert seen.said["head"] == "50000"
    assert seen.said["listed"] == 9


def test_a_head_with_empty_content_type_and_a_length_of_its_own_is_clean(seen: Seen) -> None:
    report = only(seen.reports, "HeadObject", "node/md5")
    content_type = header(report, "request", "Content-Type")
    content_length = header(report, "request", "Content-Length")
    assert content_type is not None
    assert content_length is not None
    assert (content_type["value"], content_type["issues"]) == ("", [])
    assert (content_length["value"], content_length["issues"]) == ("0", [])
    assert checks(report) == HEAD


def test_the_client_is_named(seen: Seen) -> None:
    client = only(seen.reports, "PutObject", "node/buffer")["cos"]["client"]
    assert (client["name"], client["version"]) == ("cos-nodejs-sdk-v5", seen.said["version"])

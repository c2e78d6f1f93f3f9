"""boto3's clean traffic, with its default checksums and without them."""

import base64
import hashlib
import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from boto3.s3.transfer import TransferConfig

from tests.end_to_end.harness import (
    BUCKET,
    Inspected,
    Report,
    accused,
    by_operation,
    checks,
    header,
    one_proxy,
    only,
    rules,
    s3_client,
)
from tests.origin.message import Record

pytestmark = pytest.mark.end_to_end

MIB = 1 << 20
SMALL = random.Random(11).randbytes(70_000)
LARGE = random.Random(12).randbytes(6 * MIB)
WHEN_REQUIRED = {
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
}
PARTS = TransferConfig(multipart_threshold=MIB, multipart_chunksize=5 * MIB, max_concurrency=4)


class Seen:
    def __init__(self, reports: list[Report], records: list[Record], said: dict[str, Any]) -> None:
        self.reports = reports
        self.records = {record.request_id: record for record in records}
        self.said = said

    def record(self, report: Report) -> Record:
        return self.records[report["ids"]["request_id"]]


def _add_content_md5(request: Any, **_: object) -> None:
    """COS refuses a multiple delete without Content-MD5, and boto3 no longer sends one;
    its users add it in this way."""
    digest = hashlib.md5(request.data).digest()
    request.headers["Content-MD5"] = base64.b64encode(digest).decode()


def _session(proxy: Inspected, folder: Path, prefix: str, said: dict[str, Any]) -> None:
    settings = WHEN_REQUIRED if prefix == "required" else {}
    client = s3_client(proxy, **settings)
    client.meta.events.register("before-sign.s3.DeleteObjects", _add_content_md5)
    client.put_object(Bucket=BUCKET, Key=f"{prefix}/bytes", Body=SMALL)
    client.put_object(Bucket=BUCKET, Key=f"{prefix}/照片 +%.txt", Body=LARGE)
    client.put_object(Bucket=BUCKET, Key=f"{prefix}/empty", Body=b"")
    client.put_object(
        Bucket=BUCKET, Key=f"{prefix}/encrypted", Body=SMALL, ServerSideEncryption="AES256"
    )
    said[f"{prefix} got"] = client.get_object(Bucket=BUCKET, Key=f"{prefix}/照片 +%.txt")[
        "Body"
    ].read()
    client.get_object(Bucket=BUCKET, Key=f"{prefix}/bytes", Range="bytes=10-19")["Body"].read()
    client.head_object(Bucket=BUCKET, Key=f"{prefix}/bytes")
    file = folder / "large.bin"
    file.write_bytes(LARGE)
    client.upload_file(str(file), BUCKET, f"{prefix}/file", Config=PARTS)
    client.upload_fileobj(io.BytesIO(SMALL), BUCKET, f"{prefix}/fileobj")
    client.download_file(BUCKET, f"{prefix}/file", str(folder / "back.bin"), Config=PARTS)
    said[f"{prefix} downloaded"] = (folder / "back.bin").read_bytes()
    client.list_objects(Bucket=BUCKET, Prefix=prefix)
    client.list_objects_v2(Bucket=BUCKET, Prefix=f"{prefix}/照片 ")
    client.copy_object(
        Bucket=BUCKET,
        Key=f"{prefix}/copy",
        CopySource={"Bucket": BUCKET, "Key": f"{prefix}/照片 +%.txt"},
    )
    url = client.generate_presigned_url(
        "get_object", Params={"Bucket": BUCKET, "Key": f"{prefix}/bytes"}
    )
    answer = requests.get(url, proxies=proxy.proxies, timeout=30)
    answer.raise_for_status()
    said[f"{prefix} presigned"] = answer.content
    client.delete_objects(
        Bucket=BUCKET, Delete={"Objects": [{"Key": f"{prefix}/bytes"}, {"Key": f"{prefix}/copy"}]}
    )
    client.delete_object(Bucket=BUCKET, Key=f"{prefix}/empty")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("boto3")
    said: dict[str, Any] = {}
    with one_proxy(folder) as (origin, proxy):
        _session(proxy, folder, "default", said)
        _session(proxy, folder, "required", said)
        proxy.stop()
        said["output"] = proxy.output
        yield Seen(proxy.reports, list(origin.requests), said)


UPLOAD = {
    ("content-length", "request"): "match",
    ("content-length", "response"): "match",
    ("content-md5", "request"): "no-header",
    ("etag", "request"): "match",
    ("crc64", "request"): "match",
    ("signature", "request"): "unsupported",
}
DOWNLOAD = {
    ("content-length", "response"): "match",
    ("etag", "response"): "match",
    ("crc64", "response"): "match",
    ("signature", "request"): "unsupported",
}
RANGE = DOWNLOAD | {
    ("etag", "response"): "range",
    ("crc64", "response"): "range",
    ("range-crc64", "response"): "unseen-parts",
}
LENGTH = ("content-length", "request")
both = pytest.mark.parametrize("prefix", ["default", "required"])


def test_nothing_is_accused(seen: Seen) -> None:
    assert accused(seen.reports) == []


def test_nothing_is_noticed_either(seen: Seen) -> None:
    assert {rule for report in seen.reports for rule in rules(report)} == set()


def test_nothing_went_wrong_inside(seen: Seen) -> None:
    assert "Traceback" not in seen.said["output"]
    assert "not inspected" not in seen.said["output"]
    assert {report["ids"]["request_id"] for report in seen.reports} == set(seen.records)


def test_operations_are_what_the_server_did(seen: Seen) -> None:
    for report in seen.reports:
        assert report["cos"]["operation"] == seen.record(report).operation


@both
@pytest.mark.parametrize("name", ["bytes", "照片 +%.txt", "empty", "encrypted", "fileobj"])
def test_checks_of_an_upload(seen: Seen, prefix: str, name: str) -> None:
    report = only(seen.reports, "PutObject", f"{prefix}/{name}")
    length = "no-header" if prefix == "default" else "match"
    assert checks(report) == UPLOAD | {LENGTH: length}


@both
def test_checks_of_parts(seen: Seen, prefix: str) -> None:
    parts = [
        report
        for report in by_operation(seen.reports, "UploadPart")
        if report["cos"]["key"] == f"{prefix}/file"
    ]
    length = "no-header" if prefix == "default" else "match"
    assert [checks(part) for part in parts] == [UPLOAD | {LENGTH: length}] * 2
    complete = only(seen.reports, "CompleteMultipartUpload", f"{prefix}/file")
    assert complete["verdict"] == "ok"


@both
def test_checks_of_downloads(seen: Seen, prefix: str) -> None:
    assert checks(only(seen.reports, "GetObject", f"{prefix}/照片 +%.txt")) == DOWNLOAD
    pieces = [
        report
        for report in by_operation(seen.reports, "GetObject")
        if report["cos"]["key"] == f"{prefix}/file"
    ]
    whole = RANGE | {("range-crc64", "response"): "match"}
    told = [checks(piece) for piece in pieces]
    assert told in ([RANGE, whole], [whole, RANGE])
    assert seen.said[f"{prefix} got"] == seen.said[f"{prefix} downloaded"] == LARGE
    assert seen.said[f"{prefix} presigned"] == SMALL


def test_content_md5_of_a_multiple_delete_is_compared(seen: Seen) -> None:
    deletes = by_operation(seen.reports, "DeleteMultipleObjects")
    assert [checks(report)["content-md5", "request"] for report in deletes] == ["match"] * 2


def test_the_default_upload_is_aws_chunked_inside_chunked_transfer_coding(seen: Seen) -> None:
    report = only(seen.reports, "PutObject", "default/bytes")
    sent = {field["name"].lower(): field["value"] for field in report["request"]["headers"]}
    assert sent["transfer-encoding"] == "chunked"
    assert sent["content-encoding"] == "aws-chunked"
    assert sent["x-amz-trailer"] == "x-amz-checksum-crc32"
    assert "content-length" not in sent
    body = report["request"]["body"]
    assert body["size"] == seen.record(report).body_size > len(SMALL)
    assert body["payload"]["kind"] == "aws-chunked"
    assert body["payload"]["size"] == len(SMALL)
    assert body["payload"]["complete"]
    assert body["payload"]["problem"] is None


def test_without_checksums_the_body_is_the_object(seen: Seen) -> None:
    report = only(seen.reports, "PutObject", "required/bytes")
    assert "payload" not in report["request"]["body"]
    assert report["request"]["body"]["size"] == len(SMALL)


@pytest.mark.parametrize("operation", ["PutObject", "HeadObject"])
def test_answers_with_the_ids_of_s3_have_a_request_id(seen: Seen, operation: str) -> None:
    report = only(seen.reports, operation, "default/bytes")
    sent = header(report, "response", "x-amz-request-id")
    assert sent is not None
    assert report["ids"]["request_id"] == sent["value"]
    assert header(report, "response", "x-cos-request-id") is None


def test_boto3_is_named(seen: Seen) -> None:
    client = only(seen.reports, "PutObject", "default/bytes")["cos"]["client"]
    assert (client["name"], client["version"]) == ("boto3", boto3.__version__)

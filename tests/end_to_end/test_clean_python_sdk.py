"""The Python SDK's clean traffic: every check that can be made is made, and agrees."""

import base64
import contextlib
import hashlib
import io
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import qcloud_cos.version
import requests

from tests.end_to_end.harness import (
    BUCKET,
    HOST,
    REGION,
    Inspected,
    Report,
    accused,
    by_operation,
    checks,
    cos_client,
    header,
    one_proxy,
    only,
    rules,
)
from tests.origin.message import Record
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

MIB = 1 << 20
SMALL = random.Random(1).randbytes(200_000)
LARGE = random.Random(2).randbytes(3 * MIB // 2)
PARTS = 40
CUSTOMER_KEY = b"0123456789abcdef0123456789abcdef"
CUSTOMER = {
    "SSECustomerAlgorithm": "AES256",
    "SSECustomerKey": base64.b64encode(CUSTOMER_KEY).decode(),
    "SSECustomerKeyMD5": base64.b64encode(hashlib.md5(CUSTOMER_KEY).digest()).decode(),
}
KMS_KEY = "48ba38aa-26c5-11ea-855c-52540085c0ff"
TOKEN = "an-example-of-a-session-token-that-is-made-up-0123456789"
ODD_KEYS = (
    "照片/腾讯云.txt",
    "a b/c  d.txt",
    "a+b.txt",
    "100%.txt",
    "a%2Fb%20c.txt",
    "a&b=c?d#e;f,g.txt",
    "😀~!'()*.txt",
)
GENERATED = tuple(SMALL[at : at + 7001] for at in range(0, len(SMALL), 7001))


class Seen:
    """What was left of the module's traffic."""

    def __init__(self, reports: list[Report], origin: Origin, said: dict[str, Any]) -> None:
        self.reports = reports
        self.records: dict[str, Record] = {record.request_id: record for record in origin.requests}
        self.stored = origin
        self.said = said
        """What calls of the SDK returned, by a name of their own."""

    def record(self, report: Report) -> Record:
        return self.records[report["ids"]["request_id"]]


def _uploads(proxy: Inspected, folder: Path) -> None:
    client = cos_client(proxy)
    file = folder / "small.bin"
    file.write_bytes(SMALL)
    client.put_object(BUCKET, SMALL, "put/bytes")
    client.put_object(BUCKET, "text 文本", "put/text", ContentType="text/plain; charset=utf-8")
    client.put_object(BUCKET, SMALL, "put/md5", EnableMD5=True)
    client.put_object(BUCKET, LARGE, "put/large")
    client.put_object(BUCKET, LARGE, "put/large-md5", EnableMD5=True)
    client.put_object(BUCKET, b"", "put/empty", EnableMD5=True)
    with file.open("rb") as stream:
        client.put_object(BUCKET, stream, "put/file", EnableMD5=True)
    client.put_object(BUCKET, io.BytesIO(SMALL), "put/stream")
    client.put_object(BUCKET, iter(GENERATED), "put/generator")
    client.put_object(
        BUCKET,
        SMALL,
        "put/headers",
        CacheControl="max-age=3600",
        ContentDisposition='attachment; filename="a.bin"',
        ContentLanguage="zh-CN",
        Expires="Fri, 01 Jan 2038 00:00:00 GMT",
        StorageClass="STANDARD_IA",
        ACL="private",
        GrantRead='id="100000000011"',
        TrafficLimit="819200000",
        Metadata={"x-cos-meta-author": "somebody", "x-cos-meta-empty": ""},
        Tagging="a=1&b=%E4%BA%8C",
    )
    for key in ODD_KEYS:
        client.put_object(BUCKET, SMALL, key, EnableMD5=True)
        client.get_object(BUCKET, key)["Body"].get_raw_stream().read()
        client.head_object(BUCKET, key)
        client.delete_object(BUCKET, key)


def _downloads(proxy: Inspected, folder: Path, said: dict[str, Any]) -> None:
    client = cos_client(proxy)
    client.put_object(BUCKET, LARGE, "get/object")
    said["get"] = client.get_object(BUCKET, "get/object")["Body"].get_raw_stream().read()
    said["range"] = (
        client.get_object(BUCKET, "get/object", Range="bytes=1000-1299999")["Body"]
        .get_raw_stream()
        .read()
    )
    client.put_object(BUCKET, SMALL, "get/whole-range")
    client.get_object(BUCKET, "get/whole-range", Range="bytes=0-")["Body"].get_raw_stream().read()
    head = client.head_object(BUCKET, "get/object")
    client.put_object(BUCKET, SMALL, "get/unchanged")
    etag = client.head_object(BUCKET, "get/unchanged")["ETag"]
    with contextlib.suppress(OSError):  # the SDK misses a Content-Length on a 304
        client.get_object(BUCKET, "get/unchanged", IfNoneMatch=etag)
    client.put_object(BUCKET, SMALL, "get/overridden")
    client.get_object(
        BUCKET,
        "get/overridden",
        ResponseContentType="text/html; charset=utf-8",
        ResponseContentDisposition='attachment; filename="文件.bin"',
    )["Body"].get_raw_stream().read()
    client.download_file(BUCKET, "get/object", str(folder / "downloaded"))
    said["downloaded"] = (folder / "downloaded").read_bytes()
    said["head"] = head


def _multipart(proxy: Inspected, folder: Path) -> None:
    client = cos_client(proxy)
    big = folder / "big.bin"
    big.write_bytes(random.Random(3).randbytes(PARTS * MIB - 12345))
    client.upload_file(BUCKET, "multi/file", str(big), PartSize=1, MAXThread=5)
    client.upload_file(BUCKET, "multi/file-md5", str(folder / "small.bin"), EnableMD5=True)
    started = client.create_multipart_upload(BUCKET, "multi/mixed")["UploadId"]
    first = client.upload_part(BUCKET, "multi/mixed", LARGE, 1, started, EnableMD5=True)
    source = {"Bucket": BUCKET, "Key": "get/object", "Region": REGION}
    second = client.upload_part_copy(
        BUCKET, "multi/mixed", 2, started, source, CopySourceRange="bytes=0-1199999"
    )
    client.list_parts(BUCKET, "multi/mixed", started)
    client.complete_multipart_upload(
        BUCKET,
        "multi/mixed",
        started,
        {
            "Part": [
                {"PartNumber": 1, "ETag": first["ETag"]},
                {"PartNumber": 2, "ETag": second["ETag"]},
            ]
        },
    )
    client.get_object(BUCKET, "multi/mixed")["Body"].get_raw_stream().read()
    given_up = client.create_multipart_upload(BUCKET, "multi/given-up")["UploadId"]
    client.upload_part(BUCKET, "multi/given-up", SMALL, 1, given_up)
    client.list_multipart_uploads(BUCKET, Prefix="multi/")
    client.abort_multipart_upload(BUCKET, "multi/given-up", given_up)


def _encrypted(proxy: Inspected) -> None:
    client = cos_client(proxy)
    ways: dict[str, dict[str, str]] = {
        "sse/cos": {"ServerSideEncryption": "AES256"},
        "sse/sm4": {"ServerSideEncryption": "SM4"},
        "sse/kms": {"ServerSideEncryption": "cos/kms"},
        "sse/kms-key": {"ServerSideEncryption": "cos/kms", "SSEKMSKeyId": KMS_KEY},
        "sse/customer": CUSTOMER,
    }
    for key, way in ways.items():
        reading = way if way is CUSTOMER else {}
        client.put_object(BUCKET, SMALL, key, EnableMD5=True, **way)
        client.get_object(BUCKET, key, **reading)["Body"].get_raw_stream().read()
        client.head_object(BUCKET, key, **reading)
    for key, way in ways.items():
        upload_id = client.create_multipart_upload(BUCKET, key + "-parts", **way)["UploadId"]
        reading = way if way is CUSTOMER else {}
        part = client.upload_part(BUCKET, key + "-parts", SMALL, 1, upload_id, **reading)
        client.complete_multipart_upload(
            BUCKET,
            key + "-parts",
            upload_id,
            {"Part": [{"PartNumber": 1, "ETag": part["ETag"]}]},
        )
    client.copy_object(
        BUCKET,
        "sse/customer-copy",
        {"Bucket": BUCKET, "Key": "sse/customer", "Region": REGION},
        **CUSTOMER,
        **{f"CopySource{name}": value for name, value in CUSTOMER.items()},
    )


def _others(proxy: Inspected) -> None:
    client = cos_client(proxy)
    source = {"Bucket": BUCKET, "Key": "put/bytes", "Region": REGION}
    client.copy_object(BUCKET, "other/copy", source)
    client.copy_object(
        BUCKET, "other/照片 copy", source, CopyStatus="Replaced", ContentType="text/plain"
    )
    position = 0
    for piece in (SMALL, LARGE, SMALL):
        answer = client.append_object(BUCKET, "other/append", position, piece)
        position = int(answer["x-cos-next-append-position"])
    client.get_object(BUCKET, "other/append")["Body"].get_raw_stream().read()
    client.put_object(BUCKET, SMALL, "other/archived", StorageClass="ARCHIVE")
    client.restore_object(
        BUCKET, "other/archived", {"Days": 1, "CASJobParameters": {"Tier": "Expedited"}}
    )
    client.put_object(BUCKET, SMALL, "other/tagged")
    client.put_object_tagging(
        BUCKET, "other/tagged", {"TagSet": {"Tag": [{"Key": "键", "Value": "值"}]}}
    )
    client.get_object_tagging(BUCKET, "other/tagged")
    client.delete_object_tagging(BUCKET, "other/tagged")
    client.put_object_acl(BUCKET, "other/tagged", ACL="public-read")
    client.get_object_acl(BUCKET, "other/tagged")
    for key in ("other/gone 1", "other/没有 2"):
        client.put_object(BUCKET, b"x", key)
    client.delete_objects(
        BUCKET, {"Object": [{"Key": "other/gone 1"}, {"Key": "other/没有 2"}], "Quiet": "false"}
    )


def _buckets(proxy: Inspected) -> None:
    client = cos_client(proxy)
    client.list_buckets()
    client.head_bucket(BUCKET)
    client.list_objects(BUCKET, Prefix="put/", Delimiter="/", MaxKeys=3)
    client.list_objects(BUCKET, Prefix="照片 +%/", EncodingType="url")
    client.list_objects_versions(BUCKET, Prefix="get/")
    client.put_bucket_acl(BUCKET, ACL="private")
    client.get_bucket_acl(BUCKET)
    client.put_bucket_cors(
        BUCKET,
        {
            "CORSRule": [
                {
                    "AllowedOrigin": ["https://www.example.com"],
                    "AllowedMethod": ["GET", "PUT"],
                    "AllowedHeader": ["*"],
                    "ExposeHeader": ["ETag"],
                    "MaxAgeSeconds": 600,
                }
            ]
        },
    )
    client.get_bucket_cors(BUCKET)
    client.delete_bucket_cors(BUCKET)
    client.put_bucket_tagging(BUCKET, {"TagSet": {"Tag": [{"Key": "a", "Value": "1"}]}})
    client.get_bucket_tagging(BUCKET)
    client.put_bucket_versioning(BUCKET, "Suspended")
    client.get_bucket_versioning(BUCKET)
    client.get_bucket_location(BUCKET)


def _keys_of_other_kinds(proxy: Inspected, said: dict[str, Any]) -> None:
    temporary = cos_client(proxy, Token=TOKEN)
    temporary.put_object(BUCKET, SMALL, "auth/token", EnableMD5=True)
    anonymous = cos_client(proxy, anonymous=True)
    anonymous.put_object(BUCKET, SMALL, "auth/anonymous")
    anonymous.get_object(BUCKET, "auth/anonymous")["Body"].get_raw_stream().read()
    plain = cos_client(proxy, "http")
    plain.put_object(BUCKET, LARGE, "http/large", EnableMD5=True)
    plain.get_object(BUCKET, "http/large")["Body"].get_raw_stream().read()
    plain.put_object(BUCKET, iter(GENERATED), "http/generator")
    plain.head_object(BUCKET, "http/large")

    signer = cos_client(proxy)
    fetch: dict[str, Any] = {"proxies": proxy.proxies, "verify": proxy.ca_pem, "timeout": 30}
    url = signer.get_presigned_url(BUCKET, "签 名/put.bin", "PUT", Headers={"x-cos-acl": "private"})
    said["presigned put"] = url
    requests.put(url, data=SMALL, headers={"x-cos-acl": "private"}, **fetch).raise_for_status()
    url = signer.get_presigned_url(
        BUCKET,
        "签 名/put.bin",
        "GET",
        Params={"response-content-disposition": 'attachment; filename="a b+c.bin"'},
    )
    said["presigned get"] = url
    said["presigned got"] = requests.get(url, **fetch).content
    url = signer.get_presigned_url(
        BUCKET, "auth/image.png", "GET", Params={"imageMogr2/thumbnail/!50p/Ü": ""}
    )
    signer.put_object(BUCKET, SMALL, "auth/image.png", ContentType="image/png")
    said["presigned process"] = url
    requests.get(url, **fetch).raise_for_status()


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("python-sdk")
    said: dict[str, Any] = {}
    with one_proxy(folder) as (origin, proxy):
        _uploads(proxy, folder)
        _downloads(proxy, folder, said)
        _multipart(proxy, folder)
        _encrypted(proxy)
        _others(proxy)
        _buckets(proxy)
        _keys_of_other_kinds(proxy, said)
        proxy.stop()
        said["output"] = proxy.output
        yield Seen(proxy.reports, origin, said)


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
    ("content-length", "response"): "head",
    ("etag", "response"): "head",
    ("crc64", "response"): "head",
    ("signature", "request"): "no-credentials",
}
SET = {
    ("content-length", "request"): "match",
    ("content-length", "response"): "match",
    ("content-md5", "request"): "no-header",
    ("signature", "request"): "no-credentials",
}
COPY = {
    ("content-length", "request"): "match",
    ("content-length", "response"): "no-header",
    ("content-md5", "request"): "no-header",
    ("etag", "request"): "copy",
    ("crc64", "request"): "copy",
    ("signature", "request"): "no-credentials",
}
OF_A_SEEN_SOURCE = {("etag", "request"): "match", ("crc64", "request"): "match"}
COMPLETE = {
    ("content-length", "request"): "match",
    ("content-length", "response"): "no-header",
    ("content-md5", "request"): "no-header",
    ("etag", "request"): "not-md5",
    ("multipart-crc64", "request"): "match",
    ("multipart-etags", "request"): "match",
    ("signature", "request"): "no-credentials",
}
RESULT = {
    ("content-length", "response"): "match",
    ("signature", "request"): "no-credentials",
}
WITH_MD5 = {("content-md5", "request"): "match"}
CHUNKED = {("content-length", "request"): "no-header"}
NO_BODY = {("content-length", "response"): "no-body"}
CUSTOMER_KEY_CHECKS = {
    ("sse-customer-key-md5", "request"): "match",
    ("sse-customer-key-md5", "response"): "match",
}


def _over(scheme: str, seen: Seen) -> list[Report]:
    return [r for r in seen.reports if r["request"]["url"].startswith(f"{scheme}://")]


def test_nothing_is_accused(seen: Seen) -> None:
    assert accused(_over("https", seen)) == []


def test_nothing_is_noticed_either(seen: Seen) -> None:
    """Not even the name that looks as if it had been escaped twice, for it is read as well."""
    assert [rules(report) for report in _over("https", seen) if rules(report)] == []


def test_plain_http_is_accused_of_nothing_but_being_plain(seen: Seen) -> None:
    found = [rules(report) for report in _over("http", seen)]
    # Said once for all flows of one client and key, on the first of them.
    assert sorted(found) == [*([[]] * (len(found) - 1)), ["credentials-in-clear"]]


def test_nothing_went_wrong_inside(seen: Seen) -> None:
    assert "Traceback" not in seen.said["output"]
    assert "not inspected" not in seen.said["output"]


def test_every_request_of_the_client_has_one_report(seen: Seen) -> None:
    assert [report["sequence"] for report in seen.reports] == list(range(1, len(seen.records) + 1))
    assert {report["ids"]["request_id"] for report in seen.reports} == set(seen.records)


def test_no_header_is_malformed(seen: Seen) -> None:
    fields = [
        (field["name"], field["value"], field["issues"])
        for report in seen.reports
        for side in ("request", "response")
        for field in report[side]["headers"]
        if field["issues"]
    ]
    assert fields == []


def test_operations_are_what_the_server_did(seen: Seen) -> None:
    for report in seen.reports:
        did = seen.record(report).operation
        if report["cos"]["key"] == "auth/image.png" and did == "GetObject":
            did = "CI image GET"
        assert report["cos"]["operation"] == did


def test_sizes_and_digests_are_those_that_the_server_met(seen: Seen) -> None:
    for report in seen.reports:
        record, body = seen.record(report), report["request"]["body"]
        assert body["complete"]
        assert body["size"] == record.body_size
        if body["md5"] is not None:
            assert body["md5"] == record.body_md5


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("put/bytes", UPLOAD),
        ("put/text", UPLOAD),
        ("put/md5", UPLOAD | WITH_MD5),
        ("put/large", UPLOAD),
        ("put/large-md5", UPLOAD | WITH_MD5),
        ("put/empty", UPLOAD | WITH_MD5),
        ("put/file", UPLOAD | WITH_MD5),
        ("put/stream", UPLOAD),
        ("put/generator", UPLOAD | CHUNKED),
        ("put/headers", UPLOAD),
        *((key, UPLOAD | WITH_MD5) for key in ODD_KEYS),
        ("multi/file-md5", UPLOAD | WITH_MD5),
        ("http/large", UPLOAD | WITH_MD5),
        ("http/generator", UPLOAD | CHUNKED),
        ("签 名/put.bin", UPLOAD),
        ("sse/cos", UPLOAD | WITH_MD5),
        ("sse/sm4", UPLOAD | WITH_MD5),
        ("sse/kms", UPLOAD | WITH_MD5 | {("etag", "request"): "sse-kms"}),
        ("sse/kms-key", UPLOAD | WITH_MD5 | {("etag", "request"): "sse-kms"}),
        (
            "sse/customer",
            UPLOAD | WITH_MD5 | {("etag", "request"): "sse-c"} | CUSTOMER_KEY_CHECKS,
        ),
    ],
)
def test_checks_of_an_upload(seen: Seen, key: str, expected: dict[tuple[str, str], str]) -> None:
    assert checks(only(seen.reports, "PutObject", key)) == expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        *((key, DOWNLOAD) for key in ODD_KEYS),
        ("get/whole-range", DOWNLOAD),
        ("get/overridden", DOWNLOAD),
        ("http/large", DOWNLOAD),
        ("签 名/put.bin", DOWNLOAD),
        (
            "get/unchanged",
            {
                ("content-length", "response"): "not-modified",
                ("etag", "response"): "not-modified",
                ("crc64", "response"): "not-modified",
                ("signature", "request"): "no-credentials",
            },
        ),
        ("multi/mixed", DOWNLOAD | {("etag", "response"): "not-md5"}),
        ("other/append", DOWNLOAD | {("etag", "response"): "append"}),
        ("sse/cos", DOWNLOAD),
        ("sse/sm4", DOWNLOAD),
        ("sse/kms", DOWNLOAD | {("etag", "response"): "sse-kms"}),
        ("sse/kms-key", DOWNLOAD | {("etag", "response"): "sse-kms"}),
        ("sse/customer", DOWNLOAD | {("etag", "response"): "sse-c"} | CUSTOMER_KEY_CHECKS),
    ],
)
def test_checks_of_a_download(seen: Seen, key: str, expected: dict[tuple[str, str], str]) -> None:
    assert checks(only(seen.reports, "GetObject", key)) == expected


def test_checks_of_a_range(seen: Seen) -> None:
    (report,) = [
        report
        for report in by_operation(seen.reports, "GetObject")
        if report["cos"]["key"] == "get/object" and report["response"]["status"] == 206
    ]
    assert checks(report) == DOWNLOAD | {
        ("etag", "response"): "range",
        ("crc64", "response"): "range",
        ("range-crc64", "response"): "unseen-parts",
    }
    assert report["response"]["body"]["size"] == 1_299_000


@pytest.mark.parametrize(
    ("operation", "key", "expected"),
    [
        ("HeadObject", "http/large", HEAD),
        ("HeadObject", "sse/kms", HEAD),
        ("HeadObject", "sse/customer", HEAD | CUSTOMER_KEY_CHECKS),
        ("DeleteObject", ODD_KEYS[0], {
            ("content-length", "request"): "match",
            ("content-length", "response"): "no-body",
            ("signature", "request"): "no-credentials",
        }),
        ("InitiateMultipartUpload", "multi/file", SET),
        ("InitiateMultipartUpload", "sse/customer-parts", SET | CUSTOMER_KEY_CHECKS),
        ("UploadPart", "multi/mixed", UPLOAD | WITH_MD5),
        ("UploadPart", "multi/given-up", UPLOAD),
        ("UploadPart", "sse/cos-parts", UPLOAD),
        ("UploadPart", "sse/kms-parts", UPLOAD | {("etag", "request"): "sse-kms"}),
        (
            "UploadPart",
            "sse/customer-parts",
            UPLOAD | {("etag", "request"): "sse-c"} | CUSTOMER_KEY_CHECKS,
        ),
        ("UploadPartCopy", "multi/mixed", COPY),
        ("CompleteMultipartUpload", "multi/file", COMPLETE),
        ("CompleteMultipartUpload", "multi/mixed", COMPLETE),
        ("CompleteMultipartUpload", "sse/customer-parts", COMPLETE),
        ("AbortMultipartUpload", "multi/given-up", {
            ("content-length", "request"): "match",
            ("content-length", "response"): "no-body",
            ("signature", "request"): "no-credentials",
        }),
        ("ListParts", "multi/mixed", RESULT),
        ("PutObjectCopy", "other/copy", COPY | OF_A_SEEN_SOURCE),
        ("PutObjectCopy", "other/照片 copy", COPY | OF_A_SEEN_SOURCE),
        (
            "PutObjectCopy",
            "sse/customer-copy",
            COPY | OF_A_SEEN_SOURCE | CUSTOMER_KEY_CHECKS,
        ),
        ("PostObjectRestore", "other/archived", SET),
        ("PutObjectTagging", "other/tagged", SET),
        ("GetObjectTagging", "other/tagged", RESULT),
        ("PutObjectACL", "other/tagged", SET),
        ("GetObjectACL", "other/tagged", RESULT),
        ("DeleteMultipleObjects", None, SET | WITH_MD5),
        ("GetService", None, RESULT),
        ("GetBucketObjectVersions", None, RESULT),
        ("PutBucketCORS", None, SET | WITH_MD5),
        ("GetBucketCORS", None, RESULT),
        ("PutBucketTagging", None, SET | WITH_MD5 | NO_BODY),
    ],
)  # fmt: skip
def test_checks_of_other_operations(
    seen: Seen, operation: str, key: str | None, expected: dict[tuple[str, str], str]
) -> None:
    assert checks(only(seen.reports, operation, key)) == expected


def test_all_forty_parts_are_checked(seen: Seen) -> None:
    parts = [
        report
        for report in by_operation(seen.reports, "UploadPart")
        if report["cos"]["key"] == "multi/file"
    ]
    assert len(parts) == PARTS
    assert all(checks(part) == UPLOAD for part in parts)
    assert sum(part["request"]["body"]["size"] for part in parts) == PARTS * MIB - 12345


def test_appends_are_checked_one_after_the_other(seen: Seen) -> None:
    appends = by_operation(seen.reports, "AppendObject")
    assert [checks(report)["append-crc64", "request"] for report in appends] == ["match"] * 3
    assert [checks(report)["append-md5", "request"] for report in appends] == ["match"] * 3
    assert {checks(report)["etag", "request"] for report in appends} == {"append"}


@pytest.mark.parametrize(
    ("key", "encryption"),
    [
        ("put/bytes", {"mode": "none", "algorithm": None}),
        ("sse/cos", {"mode": "SSE-COS", "algorithm": "AES256"}),
        ("sse/sm4", {"mode": "SSE-COS", "algorithm": "SM4"}),
        ("sse/kms", {"mode": "SSE-KMS", "algorithm": "cos/kms"}),
        ("sse/kms-key", {"mode": "SSE-KMS", "kms_key_id": KMS_KEY}),
        (
            "sse/customer",
            {"mode": "SSE-C", "customer_key_md5": CUSTOMER["SSECustomerKeyMD5"]},
        ),
    ],
)
def test_encryption_is_told(seen: Seen, key: str, encryption: dict[str, str | None]) -> None:
    for report in seen.reports:
        if report["cos"]["key"] == key:
            assert {name: report["encryption"][name] for name in encryption} == encryption


def test_the_client_is_named_although_its_user_agent_runs_name_and_version_together(
    seen: Seen,
) -> None:
    version = re.sub("^5[.]", "", qcloud_cos.version.__version__)
    report = only(seen.reports, "PutObject", "put/bytes")
    sent = header(report, "request", "User-Agent")
    assert sent is not None
    assert sent["value"] == f"cos-python-sdk-v{qcloud_cos.version.__version__}"
    assert report["cos"]["client"] == {
        "name": "cos-python-sdk-v5",
        "version": version,
        "platform": None,
        "wrapper": None,
    }


@pytest.mark.parametrize("operation", ["PutObject", "GetObject"])
def test_an_empty_authorization_is_no_signature(seen: Seen, operation: str) -> None:
    report = only(seen.reports, operation, "auth/anonymous")
    sent = header(report, "request", "Authorization")
    assert sent is not None
    assert sent["value"] == ""
    assert "signature" not in {check["check"] for check in report["checks"]}
    assert report["verdict"] == "ok"


def test_secrets_are_masked_and_the_bytes_are_not(seen: Seen) -> None:
    text = str(seen.reports)
    assert TOKEN not in text
    assert CUSTOMER["SSECustomerKey"] not in text
    for url in (seen.said["presigned put"], seen.said["presigned get"]):
        signature = re.search("q-signature=([0-9a-f]{40})", url)
        assert signature is not None
        assert signature[1] not in text
    token = seen.record(only(seen.reports, "PutObject", "auth/token"))
    assert token.header("x-cos-security-token") == TOKEN


def test_presigned_urls_reach_the_server_as_they_were_made(seen: Seen) -> None:
    put = seen.record(only(seen.reports, "PutObject", "签 名/put.bin"))
    got = seen.record(only(seen.reports, "GetObject", "签 名/put.bin"))
    processed = seen.record(only(seen.reports, "CI image GET", "auth/image.png"))
    for record, name in (
        (put, "presigned put"),
        (got, "presigned get"),
        (processed, "presigned process"),
    ):
        assert f"https://{HOST}{record.target}" == seen.said[name]
    assert seen.said["presigned got"] == SMALL


def test_names_in_a_presigned_url_are_encoded_twice_and_read_all_the_same(seen: Seen) -> None:
    """``q-url-param-list`` holds encoded names in lower case; a URL encodes them once more."""
    report = only(seen.reports, "CI image GET", "auth/image.png")
    listed = re.search("q-url-param-list=([^&]*)", report["request"]["url"])
    assert listed is not None
    assert unquote(listed[1]) == "imagemogr2%2fthumbnail%2f%2150p%2f%c3%9c"
    assert checks(report) == {
        ("content-length", "response"): "match",
        ("etag", "response"): "processed",
        ("crc64", "response"): "processed",
        ("signature", "request"): "no-credentials",
    }


def test_the_client_got_what_was_stored(seen: Seen) -> None:
    assert seen.said["get"] == seen.said["downloaded"] == LARGE
    assert seen.said["range"] == LARGE[1000:1_300_000]
    assert seen.said["head"]["Content-Length"] == str(len(LARGE))
    assert seen.stored.get_object(BUCKET, "put/generator") == SMALL
    assert seen.stored.get_object(BUCKET, "other/append") == SMALL + LARGE + SMALL


def test_plain_http_is_inspected_alike(seen: Seen) -> None:
    report = only(seen.reports, "PutObject", "http/large")
    assert report["request"]["url"] == f"http://{HOST}/http/large"
    assert report["timing"]["tls_ms"] is None

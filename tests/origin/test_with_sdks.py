"""Real SDKs, through a real mitmdump, against the server."""

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.config import Config
from qcloud_cos import CosConfig, CosS3Client, CosServiceError

from tests.origin.checksums import crc64, md5_base64
from tests.origin.proxy import Proxy
from tests.origin.server import Origin

BUCKET = "examplebucket-1250000000"
REGION = "ap-guangzhou"
HOST = f"{BUCKET}.cos.{REGION}.myqcloud.com"
MIB = 1 << 20
BIG = random.Random(7).randbytes(3 * MIB + 1234)
CUSTOMER_KEY = "MDEyMzQ1Njc4OUFCQ0RFRjAxMjM0NTY3ODlBQkNERUY="
CUSTOMER_KEY_MD5 = "U5L61r7jcwdNvT7frmUG8g=="
SSE_C = {
    "SSECustomerAlgorithm": "AES256",
    "SSECustomerKey": CUSTOMER_KEY,
    "SSECustomerKeyMD5": CUSTOMER_KEY_MD5,
}

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def server() -> Iterator[Origin]:
    with Origin(s3_delete_without_md5=True) as running:
        yield running
        assert running.faults == []


@pytest.fixture(scope="module")
def proxy(server: Origin) -> Iterator[Proxy]:
    with Proxy(server) as running:
        yield running


@pytest.fixture(params=["http", "https"])
def cos(request: pytest.FixtureRequest, proxy: Proxy) -> Any:
    config = CosConfig(
        Region=REGION,
        SecretId="AKIDEXAMPLE",
        SecretKey="example",
        Scheme=request.param,
        Proxies={"http": proxy.url, "https": proxy.url},
        VerifySSL=proxy.ca_pem,
        Timeout=20,
    )
    return CosS3Client(config, retry=0)


def test_put_get_head_delete(cos: Any, server: Origin) -> None:
    put = cos.put_object(
        Bucket=BUCKET, Key="dir/名 x.txt", Body=b"[Object Content]", EnableMD5=True
    )
    assert put["ETag"] == '"ee8de918d05640145b18f70f4c3aa602"'
    assert put["x-cos-hash-crc64ecma"] == "16749565679157681890"
    assert server.get_object(BUCKET, "dir/名 x.txt") == b"[Object Content]"
    got = cos.get_object(Bucket=BUCKET, Key="dir/名 x.txt", Range="bytes=8-14")
    assert got["Body"].get_raw_stream().read() == b"Content"
    assert got["x-cos-hash-crc64ecma"] == "16749565679157681890"
    assert cos.head_object(Bucket=BUCKET, Key="dir/名 x.txt")["Content-Length"] == "16"
    cos.delete_object(Bucket=BUCKET, Key="dir/名 x.txt")
    with pytest.raises(CosServiceError) as refused:
        cos.get_object(Bucket=BUCKET, Key="dir/名 x.txt")
    assert refused.value.get_error_code() == "NoSuchKey"
    assert refused.value.get_request_id() == server.requests[-1].request_id
    assert refused.value.get_trace_id()


def test_upload_file_in_parts(cos: Any, server: Origin, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(BIG)
    answer = cos.upload_file(
        Bucket=BUCKET, Key="big", LocalFilePath=str(tmp_path / "big"), PartSize=1, EnableMD5=True
    )
    assert answer["ETag"].endswith('-4"')
    assert answer["x-cos-hash-crc64ecma"] == str(crc64(BIG))
    assert server.get_object(BUCKET, "big") == BIG
    cos.download_file(
        Bucket=BUCKET, Key="big", DestFilePath=str(tmp_path / "copy"), PartSize=1, EnableCRC=True
    )
    assert (tmp_path / "copy").read_bytes() == BIG
    md5s = [record.body_md5 for record in server.requests if record.operation == "UploadPart"]
    assert hashlib.md5(BIG[:MIB], usedforsecurity=False).hexdigest() in md5s


def test_copy(cos: Any, server: Origin) -> None:
    server.put_object(BUCKET, "source", BIG)
    source = {"Bucket": BUCKET, "Key": "source", "Region": REGION}
    answer = cos.copy_object(Bucket=BUCKET, Key="target", CopySource=source)
    assert answer["ETag"] == f'"{hashlib.md5(BIG, usedforsecurity=False).hexdigest()}"'
    assert answer["CRC64"] == str(crc64(BIG))
    upload = cos.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
    parts = []
    for number, wanted in ((1, f"bytes=0-{2 * MIB - 1}"), (2, f"bytes={2 * MIB}-{len(BIG) - 1}")):
        part = cos.upload_part_copy(
            Bucket=BUCKET,
            Key="parts",
            PartNumber=number,
            UploadId=upload,
            CopySource=source,
            CopySourceRange=wanted,
        )
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    listed = cos.list_parts(Bucket=BUCKET, Key="parts", UploadId=upload)
    assert [part["Size"] for part in listed["Part"]] == [str(2 * MIB), str(len(BIG) - 2 * MIB)]
    done = cos.complete_multipart_upload(
        Bucket=BUCKET, Key="parts", UploadId=upload, MultipartUpload={"Part": parts}
    )
    assert done["x-cos-hash-crc64ecma"] == str(crc64(BIG))
    assert server.get_object(BUCKET, "parts") == BIG


def test_append(cos: Any, server: Origin) -> None:
    cos.delete_object(Bucket=BUCKET, Key="log")
    first = cos.append_object(Bucket=BUCKET, Key="log", Position=0, Data=b"12345")
    assert first["x-cos-next-append-position"] == "5"
    second = cos.append_object(Bucket=BUCKET, Key="log", Position=5, Data=b"6789")
    assert second["x-cos-hash-crc64ecma"] == "11051210869376104954"
    piece = hashlib.md5(b"6789", usedforsecurity=False).hexdigest()
    assert second["x-cos-content-sha1"] == piece
    with pytest.raises(CosServiceError) as refused:
        cos.append_object(Bucket=BUCKET, Key="log", Position=5, Data=b"6789")
    assert refused.value.get_error_code() == "AppendPositionErr"


def test_encryption(cos: Any, server: Origin) -> None:
    body = b"[Object Content]"
    plain = "ee8de918d05640145b18f70f4c3aa602"
    answer = cos.put_object(Bucket=BUCKET, Key="s", Body=body, ServerSideEncryption="AES256")
    assert answer["x-cos-server-side-encryption"] == "AES256"
    assert answer["ETag"] == f'"{plain}"'
    answer = cos.put_object(Bucket=BUCKET, Key="s", Body=body, ServerSideEncryption="cos/kms")
    assert answer["x-cos-server-side-encryption"] == "cos/kms"
    assert answer["x-cos-server-side-encryption-cos-kms-key-id"]
    assert answer["ETag"] != f'"{plain}"'
    assert answer["x-cos-hash-crc64ecma"] == "16749565679157681890"
    answer = cos.put_object(Bucket=BUCKET, Key="s", Body=body, **SSE_C)
    assert answer["x-cos-server-side-encryption-customer-key-MD5"] == CUSTOMER_KEY_MD5
    assert answer["ETag"] != f'"{plain}"'
    assert cos.put_object(Bucket=BUCKET, Key="s", Body=body, **SSE_C)["ETag"] == answer["ETag"]
    got = cos.get_object(Bucket=BUCKET, Key="s", **SSE_C)
    assert got["Body"].get_raw_stream().read() == body
    with pytest.raises(CosServiceError) as refused:
        cos.get_object(Bucket=BUCKET, Key="s")
    assert refused.value.get_error_code() == "SsecDecryptHeaderInvalid"


def test_lists_and_settings(cos: Any, server: Origin) -> None:
    bucket = "lists-1250000000"
    cos.create_bucket(Bucket=bucket) if cos.get_conf()._scheme == "http" else None
    for key in ("a/1", "a/2", "b"):
        cos.put_object(Bucket=bucket, Key=key, Body=b"x")
    page = cos.list_objects(Bucket=bucket, Delimiter="/")
    assert [entry["Key"] for entry in page["Contents"]] == ["b"]
    assert page["CommonPrefixes"] == [{"Prefix": "a/"}]
    page = cos.list_objects(Bucket=bucket, MaxKeys=2)
    assert page["IsTruncated"] == "true"
    assert page["NextMarker"] == "a/2"
    assert bucket in [entry["Name"] for entry in cos.list_buckets()["Buckets"]["Bucket"]]
    cos.put_bucket_versioning(Bucket=bucket, Status="Enabled")
    cos.put_object(Bucket=bucket, Key="b", Body=b"y")
    assert cos.delete_object(Bucket=bucket, Key="b")["x-cos-delete-marker"] == "true"
    versions = cos.list_objects_versions(Bucket=bucket, Prefix="b")
    assert len(versions["DeleteMarker"]) >= 1
    cos.put_bucket_versioning(Bucket=bucket, Status="Suspended")
    keys = [{"Key": key} for key in ("a/1", "a/2", "b")]
    answer = cos.delete_objects(Bucket=bucket, Delete={"Object": keys, "Quiet": "false"})
    assert {entry["Key"] for entry in answer["Deleted"]} == {"a/1", "a/2", "b"}
    with pytest.raises(CosServiceError) as refused:
        cos.get_bucket_lifecycle(Bucket=bucket)
    assert refused.value.get_error_code() == "NoSuchLifecycleConfiguration"
    server.service.store.buckets.pop(bucket)


def test_presigned_url(cos: Any, server: Origin, proxy: Proxy) -> None:
    server.put_object(BUCKET, "shared", b"[Object Part]")
    url = cos.get_presigned_url(Bucket=BUCKET, Key="shared", Method="GET")
    with requests.Session() as session:
        session.trust_env = False
        session.proxies = {"http": proxy.url, "https": proxy.url}
        answer = session.get(url, verify=proxy.ca_pem, timeout=20)
    assert answer.content == b"[Object Part]"
    assert server.requests[-1].host == HOST


@pytest.fixture(params=["when_supported", "when_required"])
def s3(request: pytest.FixtureRequest, proxy: Proxy) -> Any:
    return boto3.client(
        "s3",
        region_name=REGION,
        endpoint_url=f"https://cos.{REGION}.myqcloud.com",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="example",
        verify=proxy.ca_pem,
        config=Config(
            s3={"addressing_style": "virtual"},
            proxies={"http": proxy.url, "https": proxy.url},
            retries={"total_max_attempts": 1},
            request_checksum_calculation=request.param,
            response_checksum_validation=request.param,
        ),
    )


def test_boto3_objects(s3: Any, server: Origin) -> None:
    put = s3.put_object(
        Bucket=BUCKET, Key="s3", Body=b"[Object Content]", Metadata={"color": "red"}
    )
    assert put["ETag"] == '"ee8de918d05640145b18f70f4c3aa602"'
    headers = put["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amz-request-id"] == server.requests[-1].request_id
    assert "x-cos-request-id" not in headers
    framed = s3.meta.config.request_checksum_calculation == "when_supported"
    assert (server.requests[-1].header("content-encoding") == "aws-chunked") == framed
    assert server.get_object(BUCKET, "s3") == b"[Object Content]"
    got = s3.get_object(Bucket=BUCKET, Key="s3")
    assert got["Body"].read() == b"[Object Content]"
    assert got["Metadata"] == {"color": "red"}
    s3.copy_object(Bucket=BUCKET, Key="s3-copy", CopySource={"Bucket": BUCKET, "Key": "s3"})
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix="s3")
    assert [entry["Key"] for entry in listed["Contents"]] == ["s3", "s3-copy"]
    gone = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "s3"}, {"Key": "s3-copy"}]})
    assert len(gone["Deleted"]) == 2
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=BUCKET, Key="s3")


def test_boto3_multipart(s3: Any, server: Origin) -> None:
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="s3-big")["UploadId"]
    parts = []
    for number in (1, 2):
        piece = BIG[:MIB] if number == 1 else BIG[MIB:]
        answer = s3.upload_part(
            Bucket=BUCKET, Key="s3-big", UploadId=upload, PartNumber=number, Body=piece
        )
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    done = s3.complete_multipart_upload(
        Bucket=BUCKET, Key="s3-big", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    assert done["ETag"].endswith('-2"')
    assert server.get_object(BUCKET, "s3-big") == BIG


def test_customer_key_constant() -> None:
    assert md5_base64(b"0123456789ABCDEF0123456789ABCDEF") == CUSTOMER_KEY_MD5

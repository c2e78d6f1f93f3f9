"""Objects: put, get, ranges, conditions, copies, versions, forms, multipart uploads."""

import base64
import gzip
import re

import pytest

from tests.origin.checksums import md5_hex as md5
from tests.origin.client import BUCKET, HOST, Client

OBJECT = b"[Object Content]"
OBJECT_ETAG = '"ee8de918d05640145b18f70f4c3aa602"'
OBJECT_CRC = "16749565679157681890"
MIB = 1 << 20


def test_put_and_get(client: Client) -> None:
    put = client.put("/a.txt", OBJECT, {"Content-Type": "text/plain", "x-cos-meta-a": "b"})
    assert (put.status, put.get("ETag"), put.get("x-cos-hash-crc64ecma")) == (
        200,
        OBJECT_ETAG,
        OBJECT_CRC,
    )
    assert put.get("Server") == "tencent-cos"
    got = client.get("/a.txt")
    assert (got.body, got.get("Content-Type"), got.get("x-cos-meta-a")) == (
        OBJECT,
        "text/plain",
        "b",
    )
    assert got.get("ETag") == OBJECT_ETAG
    assert got.get("x-cos-trace-id") is None
    record = client.origin.requests[0]
    assert (record.body_md5, record.body_size, record.status) == (md5(OBJECT), 16, 200)


def test_head_has_no_body(client: Client) -> None:
    client.put("/a", OBJECT)
    found, missing = client.send("HEAD", "/a"), client.send("HEAD", "/b")
    assert (found.status, found.get("Content-Length"), found.body) == (200, "16", b"")
    assert (missing.status, missing.body) == (404, b"")
    assert missing.get("x-cos-trace-id")


@pytest.mark.parametrize(
    ("wanted", "status", "body"),
    [
        ("bytes=8-14", 206, b"Content"),
        ("bytes=-8", 206, b"Content]"),
        ("bytes=8-", 206, b"Content]"),
        ("bytes=0-99", 206, OBJECT),
        ("lines=1-2", 200, OBJECT),
    ],
)
def test_ranges(client: Client, wanted: str, status: int, body: bytes) -> None:
    client.put("/a", OBJECT)
    answer = client.get("/a", {"Range": wanted})
    assert (answer.status, answer.body) == (status, body)
    assert answer.get("x-cos-hash-crc64ecma") == OBJECT_CRC


def test_range_outside(client: Client) -> None:
    client.put("/a", OBJECT)
    answer = client.get("/a", {"Range": "bytes=16-"})
    assert (answer.status, answer.code) == (416, "InvalidRange")


def test_conditions(client: Client) -> None:
    client.put("/a", OBJECT)
    modified = client.get("/a").headers["Last-Modified"]
    same = client.get("/a", {"If-None-Match": OBJECT_ETAG})
    assert (same.status, same.get("ETag"), same.get("x-cos-trace-id")) == (304, OBJECT_ETAG, None)
    head = client.send("HEAD", "/a", headers={"If-None-Match": OBJECT_ETAG})
    assert (head.status, head.get("ETag"), bool(head.get("x-cos-trace-id"))) == (304, None, True)
    assert client.get("/a", {"If-Modified-Since": modified}).status == 304
    assert client.get("/a", {"If-Match": '"other"'}).code == "PreconditionFailed"
    early = "Thu, 01 Jan 2015 00:00:00 GMT"
    assert client.get("/a", {"If-Unmodified-Since": early}).status == 412
    assert client.get("/a", {"If-Match": OBJECT_ETAG, "If-Modified-Since": early}).status == 200


def test_content_md5(client: Client) -> None:
    assert client.put("/a", OBJECT, {"Content-MD5": "7o3pGNBWQBRbGPcPTDqmAg=="}).status == 200
    assert client.put("/a", OBJECT, {"Content-MD5": "EI9SjrY7Zec08nrjMfX/qg=="}).code == "BadDigest"
    assert client.put("/a", OBJECT, {"Content-MD5": md5(OBJECT)}).code == "InvalidDigest"


def complete_body(*etags: str) -> bytes:
    parts = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        for number, etag in enumerate(etags, 1)
    )
    return f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()


def test_multipart(client: Client) -> None:
    pieces = [b"a" * MIB, b"b" * MIB, b"c"]
    upload = client.post("/m?uploads", headers={"Content-Length": "0"}).xml().findtext("UploadId")
    assert upload
    assert re.fullmatch(r"\d{10}[0-9a-f]{64}", upload)
    etags = []
    for number, piece in enumerate(pieces, 1):
        answer = client.put(f"/m?partNumber={number}&uploadId={upload}", piece)
        assert answer.etag == md5(piece)
        assert answer.get("x-cos-hash-crc64ecma")
        etags.append(answer.headers["ETag"])
    assert client.post(f"/m?uploadId={upload}", complete_body(etags[0], etags[2])).code == (
        "InvalidPart"
    )
    done = client.post(f"/m?uploadId={upload}", complete_body(*etags))
    assert done.get("Transfer-Encoding") == "chunked"
    assert done.get("ETag") is None
    assert re.fullmatch('"[0-9a-f]{32}-3"', done.xml().findtext("ETag") or "")
    got = client.get("/m")
    assert got.body == b"".join(pieces)
    assert got.get("x-cos-hash-crc64ecma") == done.get("x-cos-hash-crc64ecma")
    assert client.post(f"/m?uploadId={upload}", complete_body(*etags)).code == "NoSuchUpload"


def test_multipart_refusals(client: Client) -> None:
    upload = client.post("/m?uploads").xml().findtext("UploadId")
    etags = [client.put(f"/m?partNumber={n}&uploadId={upload}", b"x").etag for n in (1, 2)]
    assert client.post(f"/m?uploadId={upload}", complete_body(*etags)).code == "EntityTooSmall"
    swapped = complete_body(*etags).replace(b">1<", b">3<")
    assert client.post(f"/m?uploadId={upload}", swapped).code == "InvalidPart"
    again = complete_body(*etags).replace(b">1<", b">2<")
    assert client.post(f"/m?uploadId={upload}", again).code == "InvalidPartOrder"
    assert client.post(f"/m?uploadId={upload}", b"<Complete").code == "MalformedXML"
    assert client.put(f"/m?partNumber=0&uploadId={upload}", b"x").code == "InvalidArgument"
    assert client.send("DELETE", f"/m?uploadId={upload}").status == 204
    assert client.get(f"/m?uploadId={upload}").code == "NoSuchUpload"


def test_same_bytes_give_other_multipart_etags(client: Client) -> None:
    seen = set()
    for _ in range(2):
        upload = client.post("/m?uploads").xml().findtext("UploadId")
        etag = client.put(f"/m?partNumber=1&uploadId={upload}", b"x").etag
        done = client.post(f"/m?uploadId={upload}", complete_body(etag))
        seen.add(done.xml().findtext("ETag"))
    assert len(seen) == 2


def form(fields: dict[str, str], data: bytes) -> bytes:
    parts = [
        f'--X\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = b'--X\r\nContent-Disposition: form-data; name="file"; filename="f.txt"\r\n\r\n'
    return b"".join(parts) + head + data + b"\r\n--X--\r\n"


def test_post_object(client: Client) -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=X"}
    body = form({"key": "up/${filename}", "x-cos-server-side-encryption": "AES256"}, OBJECT)
    answer = client.post("/", body, kind)
    assert (answer.status, answer.get("ETag")) == (204, OBJECT_ETAG)
    assert answer.get("x-cos-hash-crc64ecma") == OBJECT_CRC
    assert answer.get("x-cos-server-side-encryption") == "AES256"
    assert client.origin.get_object(BUCKET, "up/f.txt") == OBJECT
    created = client.post("/", form({"key": "k", "success_action_status": "201"}, OBJECT), kind)
    assert (created.status, created.xml().findtext("ETag")) == (201, OBJECT_ETAG)
    moved = client.post("/", form({"key": "k", "success_action_redirect": "http://x/"}, b""), kind)
    assert moved.status == 303
    assert "etag=" in moved.headers["Location"]
    policy = base64.b64encode(b'{"conditions": [["starts-with", "$key", "in/"]]}').decode()
    refused = client.post("/", form({"key": "out/a", "policy": policy}, b"x"), kind)
    assert refused.code == "AccessDenied"
    assert client.post("/", b"--X", kind).code == "MalformedPOSTRequest"


def test_append_to_a_normal_object(client: Client) -> None:
    client.put("/a", OBJECT)
    assert client.post("/a?append&position=16", b"x").code == "ObjectNotAppendable"


def test_copy_keeps_and_changes_etags(client: Client) -> None:
    client.put("/a", OBJECT, {"Content-Type": "text/plain"})
    source = {"x-cos-copy-source": f"{HOST}/a"}
    copied = client.put("/b", headers=source).xml()
    assert (copied.findtext("ETag"), copied.findtext("CRC64")) == (OBJECT_ETAG, OBJECT_CRC)
    assert client.get("/b").get("Content-Type") == "text/plain"
    kms = client.put("/c", headers={**source, "x-cos-server-side-encryption": "cos/kms"})
    assert kms.xml().findtext("ETag") != OBJECT_ETAG
    back = client.put("/d", headers={"x-cos-copy-source": f"{HOST}/c"})
    assert back.xml().findtext("ETag") == OBJECT_ETAG
    missing = client.put("/d", headers={"x-cos-copy-source": f"{HOST}/zz"})
    assert missing.code == "NoSuchKey"
    failed = client.put("/d", headers={**source, "x-cos-copy-source-If-Match": '"other"'})
    assert failed.code == "PreconditionFailed"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x-cos-server-side-encryption": "ROT13"}, "InvalidArgument"),
        ({"x-cos-server-side-encryption-customer-algorithm": "AES256"}, "InvalidArgument"),
    ],
)
def test_encryption_refused(client: Client, headers: dict[str, str], code: str) -> None:
    assert client.put("/a", OBJECT, headers).code == code


def test_encryption_header_on_get(client: Client) -> None:
    client.put("/a", OBJECT)
    answer = client.get("/a", {"x-cos-server-side-encryption": "AES256"})
    assert answer.code == "SSEHeaderNotAllowed"


def test_versions(client: Client) -> None:
    client.origin.make_bucket(BUCKET, versioning="Enabled")
    client.origin.clock = lambda: 1_600_000_000.5
    first = client.put("/a", b"1").headers["x-cos-version-id"]
    number = (1 << 64) - 1 - int(base64.b64decode(first + "="))
    assert number == 1_600_000_000_500_000
    client.origin.clock = lambda: 1_600_000_001.0
    client.put("/a", b"2")
    assert client.send("DELETE", "/a").get("x-cos-delete-marker") == "true"
    assert client.get("/a").code == "NoSuchKey"
    assert client.get(f"/a?versionId={first}").body == b"1"
    root = client.get("/?versions").xml()
    assert [item.tag for item in root if item.tag in ("Version", "DeleteMarker")] == [
        "DeleteMarker",
        "Version",
        "Version",
    ]
    assert client.get("/a?versionId=zz").code == "NoSuchVersion"


def test_archive_and_restore(client: Client) -> None:
    client.put("/a", b"x", {"x-cos-storage-class": "ARCHIVE"})
    refused = client.get("/a")
    assert (refused.code, refused.get("x-cos-storage-class")) == ("InvalidObjectState", "ARCHIVE")
    assert client.post("/a?restore").status == 202
    assert client.send("HEAD", "/a").get("x-cos-restore") == 'ongoing-request="true"'
    assert client.post("/a?restore").code == "RestoreAlreadyInProgress"


def test_stored_coding_comes_back_as_it_was(client: Client) -> None:
    packed = gzip.compress(b"text", mtime=0)
    client.put("/a", packed, {"Content-Encoding": "gzip"})
    got = client.get("/a")
    assert (got.body, got.get("Content-Encoding"), got.etag) == (packed, "gzip", md5(packed))
    assert client.get("/a?response-content-type=x/y").get("Content-Type") == "x/y"

"""Connections, ids, names for S3 clients, and the options of the server."""

import base64
import re
import socket
import ssl

import pytest

from tests.origin.checksums import md5_hex as md5
from tests.origin.client import BUCKET, HOST, Client
from tests.origin.content import Repeated
from tests.origin.errors import OriginError
from tests.origin.message import OriginRequest
from tests.origin.server import Origin

MIB = 1 << 20


def raw(origin: Origin, data: bytes, until: bytes) -> bytes:
    """Sends bytes over one connection and reads until ``until`` came."""
    with socket.create_connection(("127.0.0.1", origin.http_port), timeout=20) as connection:
        connection.sendall(data)
        received = b""
        while until not in received:
            piece = connection.recv(65536)
            assert piece, received
            received += piece
    return received


def test_request_id_tells_the_time(client: Client) -> None:
    client.origin.clock = lambda: 1_600_000_000.5
    text = base64.b64decode(client.put("/a", b"").headers["x-cos-request-id"]).decode()
    assert re.fullmatch(r"[0-9a-f]{8}(_[0-9a-f]{1,8}){2}_[0-9a-f]{1,12}", text)
    assert int(text[:8], 16) == 1_600_000_000


def test_error_document(client: Client) -> None:
    answer = client.get("/none%20such")
    root = answer.xml()
    assert (answer.status, root.findtext("Code")) == (404, "NoSuchKey")
    assert root.findtext("Resource") == f"{HOST}/none such"
    assert root.findtext("RequestId") == answer.get("x-cos-request-id")
    assert root.findtext("TraceId") == answer.get("x-cos-trace-id")
    trace = base64.b64decode(answer.headers["x-cos-trace-id"]).decode()
    assert re.fullmatch(r"8efc6b2d3b069ca89454d10b9ef00187[0-9a-f]{96}", trace)


def test_length_is_needed(origin: Origin) -> None:
    head = f"PUT /a HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    assert raw(origin, head, b"</Error>").startswith(b"HTTP/1.1 411 ")


def test_pipelining_and_chunks(origin: Origin) -> None:
    chunked = (
        f"PUT /a HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n"
        "11\r\n[Chunked Content]\r\nB\r\n[2nd chunk]\r\nB\r\n[3rd chunk]\r\n"
        "B\r\n[4th chunk]\r\n0\r\n\r\n"
    ).encode()
    get = f"GET /a HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
    received = raw(origin, chunked + get, b"[4th chunk]")
    assert b"x-cos-hash-crc64ecma: 7188322482464764960" in received
    assert received.count(b"HTTP/1.1 200 OK") == 2
    assert received.count(b'ETag: "aa488bb80185a6be87f4a7b936a80752"') == 2


def test_expect_continue(origin: Origin) -> None:
    head = f"PUT /a HTTP/1.1\r\nHost: {HOST}\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    with socket.create_connection(("127.0.0.1", origin.http_port), timeout=20) as connection:
        connection.sendall(head.encode())
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"ab")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("name", "context"),
    [(HOST, "bucket"), ("any.name.example", "other")],
)
def test_tls_for_any_name(origin: Origin, name: str, context: str) -> None:
    trust = ssl.create_default_context(cafile=origin.ca_pem)
    plain = socket.create_connection(("127.0.0.1", origin.https_port), timeout=20)
    with trust.wrap_socket(plain, server_hostname=name) as connection:
        connection.sendall(f"HEAD /a HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 40")


def test_s3_clients_get_aws_names(client: Client) -> None:
    signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=x"}
    framed = b"3;chunk-signature=ab\r\nabc\r\n2\r\nde\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n"
    kind = {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "x-amz-meta-a": "b"}
    put = client.put("/a", framed, {**signed, **kind, "Content-Encoding": "aws-chunked,gzip"})
    assert put.etag == md5(b"abcde")
    assert put.get("x-amz-request-id")
    assert put.get("x-cos-request-id") is None
    assert client.origin.requests[-1].body_md5 == md5(framed)
    got = client.get("/a", signed)
    assert (got.body, got.get("Content-Encoding"), got.get("x-amz-meta-a")) == (
        b"abcde",
        "gzip",
        "b",
    )
    refused = client.get("/none", signed)
    assert refused.get("x-amz-trace-id") == refused.xml().findtext("TraceId")
    broken = client.put("/a", b"zz\r\n", {**signed, **kind})
    assert broken.code == "IncompleteBody"


def test_authorise_hook(client: Client) -> None:
    def judge(request: OriginRequest) -> OriginError | None:
        return None if request.header("authorization") else OriginError("AccessDenied")

    client.origin.authorise = judge
    assert client.put("/a", b"x").code == "AccessDenied"
    assert client.put("/a", b"x", {"Authorization": "q-sign-algorithm=sha1"}).status == 200


def test_big_object_that_is_not_there(client: Client) -> None:
    stored = client.origin.put_object(BUCKET, "big", Repeated(b"0123456789", 5 * MIB))
    got = client.get("/big")
    assert md5(got.body) == stored.etag
    assert client.get("/big", {"Range": "bytes=15-19"}).body == b"56789"


def test_uploads_that_are_not_kept_or_hashed() -> None:
    with Origin(discard_uploads_above=10, hash_uploads_above=20) as origin:
        client = Client(origin)
        assert client.put("/a", b"x" * 15).etag == md5(b"x" * 15)
        with pytest.raises(LookupError):
            origin.get_object(BUCKET, "a")
        unhashed = client.put("/b", b"x" * 21)
        assert unhashed.etag != md5(b"x" * 21)
        assert unhashed.get("x-cos-hash-crc64ecma") is None
        assert origin.stored(BUCKET, "b").size == 21
        assert origin.requests[-1].body_md5 is None


def test_same_seed_same_ids() -> None:
    ids = []
    for _ in range(2):
        with Origin(seed=5, clock=lambda: 1_600_000_000.5) as origin:
            answer = Client(origin).get("/a")
            ids.append((answer.get("x-cos-request-id"), answer.get("x-cos-trace-id")))
            assert answer.get("Date") == "Sun, 13 Sep 2020 12:26:40 GMT"
    assert ids[0] == ids[1]

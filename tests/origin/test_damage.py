"""Every kind of damage, as a client sees it."""

import base64
import gzip
import http.client
import socket

import pytest

from tests.origin import effects
from tests.origin.client import BUCKET, HOST, Client
from tests.origin.damage import (
    Damage,
    Effect,
    abort_upload,
    both,
    flip_upload,
    key,
    method,
    nth,
    on_reply,
    operation,
    stall_upload,
)

OBJECT = b"[Object Content]"
ETAG = '"ee8de918d05640145b18f70f4c3aa602"'
CRC = "16749565679157681890"
KMS = {"x-cos-server-side-encryption": "cos/kms"}
SSE = "x-cos-server-side-encryption"
BROKEN = (ConnectionError, http.client.HTTPException)


def switch_on(client: Client, *items: Effect) -> None:
    client.origin.damage(Damage(*items))


def test_nothing_on_the_wire_switches_damage_on(client: Client) -> None:
    answer = client.put("/a?damage=1", OBJECT, {"x-damage": "wrong-etag"})
    assert answer.get("ETag") == ETAG


def test_matchers_and_times(client: Client) -> None:
    one = Damage(effects.error("SlowDown"), when=both(method("PUT"), key("a")), times=2)
    client.origin.damage(one)
    assert [client.put("/b").status] + [client.put("/a").status for _ in range(3)] == [
        200,
        503,
        503,
        200,
    ]
    assert one.hits == 2
    client.origin.damage(Damage(effects.error("SlowDown"), when=nth(2, operation("GetObject"))))
    assert [client.get("/a").status for _ in range(3)] == [200, 503, 200]
    client.origin.heal()


def test_flipped_download(client: Client) -> None:
    client.put("/a", OBJECT)
    switch_on(client, effects.flip_body(1))
    got = client.get("/a")
    assert got.body == b"[\xb0bject Content]"
    assert (got.get("ETag"), got.get("x-cos-hash-crc64ecma")) == (ETAG, CRC)


def test_flipped_upload(client: Client) -> None:
    switch_on(client, flip_upload(0))
    put = client.put("/a", OBJECT)
    assert put.get("ETag") != ETAG
    assert put.get("x-cos-hash-crc64ecma") != CRC
    assert client.origin.requests[-1].body_md5 == ETAG.strip('"')
    assert client.origin.get_object(BUCKET, "a") == b"\xa4Object Content]"


@pytest.mark.parametrize(
    ("effect", "name", "value"),
    [
        (effects.wrong_etag(), "ETag", '"' + "0" * 32 + '"'),
        (effects.wrong_crc(5), "x-cos-hash-crc64ecma", "5"),
        (effects.etag_unquoted(), "ETag", ETAG.strip('"')),
        (effects.etag_upper_case(), "ETag", ETAG.upper()),
        (effects.drop_headers("etag"), "ETag", None),
        (effects.drop_headers("X-COS-Request-Id"), "x-cos-request-id", None),
        (effects.set_header("Server", "nginx"), "Server", "nginx"),
        (effects.no_marks_of_cos(), "x-cos-hash-crc64ecma", None),
        (effects.sse_not_echoed(), SSE, None),
        (effects.sse_ignored(), SSE, None),
        (effects.sse_answered_as("AES256"), SSE, "AES256"),
        (effects.sse_answered_as("AES256"), SSE + "-cos-kms-key-id", None),
        (effects.other_kms_key("k"), SSE + "-cos-kms-key-id", "k"),
    ],
)
def test_headers(client: Client, effect: Effect, name: str, value: str | None) -> None:
    asked = KMS if name.startswith(SSE) else {}
    assert client.put("/a", OBJECT, asked).get(name) != value
    switch_on(client, effect)
    assert client.put("/a", OBJECT, asked).get(name) == value


def test_sse_ignored_stores_in_clear(client: Client) -> None:
    switch_on(client, effects.sse_ignored())
    assert client.put("/a", OBJECT, KMS).get("ETag") == ETAG


def test_duplicated_header(client: Client) -> None:
    switch_on(client, effects.add_header("ETag", '"other"'))
    assert client.put("/a", OBJECT).headers.get_all("ETag") == [ETAG, '"other"']


def test_ids(client: Client) -> None:
    switch_on(client, effects.drop_headers(effects.TRACE_ID), effects.drop_element("TraceId"))
    answer = client.get("/a")
    assert answer.get("x-cos-trace-id") is None
    assert answer.xml().find("TraceId") is None
    assert answer.get("Content-Length") == str(len(answer.body))
    client.origin.heal()
    switch_on(client, effects.replace_element("RequestId", "other"))
    answer = client.get("/a")
    assert answer.xml().findtext("RequestId") == "other" != answer.get("x-cos-request-id")
    client.origin.heal()
    switch_on(client, effects.trace_id_on_success())
    assert client.put("/a").get("x-cos-trace-id")


def test_clocks(client: Client) -> None:
    client.origin.clock = lambda: 1_600_000_000.0
    switch_on(client, effects.shift_date(3600), effects.shift_request_id(-60))
    answer = client.get("/a")
    assert answer.get("Date") == "Sun, 13 Sep 2020 13:26:40 GMT"
    shown = answer.headers["x-cos-request-id"]
    assert shown == answer.xml().findtext("RequestId")
    seconds = int(base64.b64decode(shown)[:8], 16)
    assert seconds == 1_600_000_000 - 60


def test_truncated_body(client: Client) -> None:
    client.put("/a", OBJECT)
    switch_on(client, effects.truncate(5))
    with pytest.raises(http.client.IncompleteRead) as cut:
        client.get("/a")
    assert cut.value.partial == OBJECT[:5]


def test_truncated_chunks(client: Client) -> None:
    client.put("/a", OBJECT)
    switch_on(client, effects.chunked(), effects.truncate(5))
    with pytest.raises(http.client.IncompleteRead):
        client.get("/a")


def test_no_reply_but_stored(client: Client) -> None:
    switch_on(client, effects.no_reply())
    with pytest.raises(BROKEN):
        client.put("/a", OBJECT)
    assert client.origin.get_object(BUCKET, "a") == OBJECT
    assert client.origin.requests[-1].status is None


def test_upload_that_is_cut(client: Client) -> None:
    switch_on(client, abort_upload(after=4))
    with pytest.raises(BROKEN):
        client.put("/a", OBJECT)
    assert not client.origin.requests[-1].complete


@pytest.mark.parametrize("keep_reading", [True, False])
def test_early_answer(client: Client, keep_reading: bool) -> None:
    early = effects.early(effects.error("AccessDenied"), after=4, keep_reading=keep_reading)
    client.origin.damage(Damage(early, times=1))
    address = ("127.0.0.1", client.origin.http_port)
    head = f"PUT /a HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 16\r\n\r\n".encode()
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(head + OBJECT[:8])
        received = b""
        while b"</Error>" not in received:
            received += connection.recv(65536)
        assert received.startswith(b"HTTP/1.1 403 ")
        assert (b"Connection: close" in received) is not keep_reading
        if keep_reading:
            connection.sendall(OBJECT[8:] + head + OBJECT)
            assert connection.recv(65536).strip().startswith(b"HTTP/1.1 200 ")
            assert client.origin.requests[0].body_size == 16


def test_stalls(client: Client) -> None:
    client.put("/a", OBJECT)
    switch_on(client, effects.stall(0.05, after=8), stall_upload(0.05))
    assert client.put("/a", OBJECT).status == 200
    assert client.get("/a").body == OBJECT


@pytest.mark.parametrize("status", [200, 302, 502])
@pytest.mark.parametrize("after", [True, False])
def test_page_of_something_else(client: Client, status: int, after: bool) -> None:
    switch_on(client, effects.page(status, headers=[("Location", "http://portal/")], after=after))
    answer = client.put("/a", OBJECT)
    assert (answer.status, answer.body) == (status, effects.PORTAL)
    assert answer.get("Server") is None
    stored = BUCKET in client.origin.service.store.buckets
    assert stored is after


def test_errors(client: Client) -> None:
    switch_on(client, effects.error("InternalError"))
    answer = client.put("/a", OBJECT)
    assert (answer.status, answer.code) == (500, "InternalError")
    assert answer.get("x-cos-trace-id")
    client.origin.heal()
    switch_on(client, effects.malformed_error())
    answer = client.put("/a", OBJECT)
    assert answer.status == 403
    assert b"<Error>" in answer.body
    assert b"</Error>" not in answer.body


def test_error_in_success(client: Client) -> None:
    client.put("/a", OBJECT)
    switch_on(client, effects.error_in_success())
    answer = client.put("/b", headers={"x-cos-copy-source": f"{HOST}/a"})
    assert (answer.status, answer.code) == (200, "InternalError")
    assert answer.get("Transfer-Encoding") == "chunked"


def test_content_coding_on_the_way(client: Client) -> None:
    client.put("/a", OBJECT)
    switch_on(client, effects.gzip_body())
    got = client.get("/a")
    assert gzip.decompress(got.body) == OBJECT
    assert (got.get("ETag"), got.get("Content-Encoding")) == (ETAG, "gzip")


def test_empty_chunked_body(client: Client) -> None:
    client.put("/a", OBJECT)
    switch_on(client, effects.empty_chunked_body())
    got = client.get("/a")
    assert (got.body, got.get("Content-Length")) == (b"", None)


def test_framing_stored(client: Client) -> None:
    switch_on(client, effects.aws_framing_kept())
    framed = b"3\r\nabc\r\n0\r\n\r\n"
    fields = {
        "Authorization": "AWS4-HMAC-SHA256 x",
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    }
    client.put("/a", framed, fields)
    assert client.origin.get_object(BUCKET, "a") == framed


def test_own_effect(client: Client) -> None:
    switch_on(client, on_reply(lambda reply, request: reply.add("x-method", request.method)))
    assert client.put("/a").get("x-method") == "PUT"

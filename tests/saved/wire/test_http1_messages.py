import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cos_inspect.captures.wire.http1_messages import (
    Chunked,
    KnownLength,
    UntilClose,
    answer_framing,
    begins_answer,
    begins_request,
    read_answer_head,
    read_request_head,
)
from tests.saved.wire.exchanges_made import chunked

SERVER = "203.0.113.9", 80


@given(st.integers(0, 10_000), st.integers(0, 3000), st.integers(1, 700))
@settings(max_examples=200, deadline=None)
def test_chunks_in_any_pieces(seed: int, size: int, chunk: int) -> None:
    chance = random.Random(seed)
    body = chance.randbytes(size)
    data = chunked(body, chunk) + b"GET / HTTP/1.1"
    framing, got = Chunked(), bytearray()
    at = 0
    while not framing.done:
        piece = data[at : at + chance.randrange(1, 200)]
        used = framing.take(piece, got.extend)
        assert used >= 0
        at += used
        assert used == len(piece) or framing.done
    assert bytes(got) == body
    assert data[at:] == b"GET / HTTP/1.1"


def test_a_hole_inside_of_a_chunk_keeps_the_place() -> None:
    framing, got = Chunked(), bytearray()
    assert framing.take(b"5\r\nab", got.extend) == 5
    assert not framing.hole(4)
    assert not framing.hole(None)
    assert framing.hole(3)
    assert framing.take(b"\r\n0\r\nTrailer: x\r\n\r\nrest", got.extend) == 19
    assert framing.done
    assert bytes(got) == b"ab"


@pytest.mark.parametrize("data", [b"x\r\n", b"-1\r\n", b"5\r\nabcdefg\r\n", b"1" * 20_000])
def test_broken_chunks(data: bytes) -> None:
    assert Chunked().take(data, bytearray().extend) == -1


def test_a_known_length() -> None:
    framing, got = KnownLength(5), bytearray()
    assert framing.take(b"ab", got.extend) == 2
    assert not framing.hole(4)
    assert framing.hole(2)
    assert framing.take(b"efg", got.extend) == 1
    assert framing.done
    assert bytes(got) == b"abe"


@pytest.mark.parametrize(
    ("target", "host", "port", "path", "scheme"),
    [
        (b"/a?b=c", "203.0.113.9", 80, b"/a?b=c", b"http"),
        (b"http://a.example/x?y", "a.example", 80, b"/x?y", b"http"),
        (b"http://a.example:8080", "a.example", 8080, b"/", b"http"),
        (b"https://a.example?x", "a.example", 443, b"/?x", b"https"),
        (b"*", "203.0.113.9", 80, b"*", b"http"),
    ],
)
def test_request_lines(target: bytes, host: str, port: int, path: bytes, scheme: bytes) -> None:
    found = read_request_head(b"GET %s HTTP/1.1\r\nA:  b \r\n c\r\nD:" % target, "http", SERVER)
    assert found is not None
    head = found.head
    assert (head.host, head.port, head.path, head.scheme) == (host, port, path, scheme)
    assert head.fields == ((b"A", b"b\r\n c"), (b"D", b""))
    assert found.framing is None


@pytest.mark.parametrize(
    "head",
    [
        b"GET /",
        b"GET / HTTP/2.0",
        b"GET  / HTTP/1.1",
        b"G\x00T / HTTP/1.1",
        b"GET / HTTP/1.1\r\nno colon",
        b"GET / HTTP/1.1\r\n: x",
        b"GET / HTTP/1.1\r\n folded",
        b"PUT / HTTP/1.1\r\nContent-Length: x",
        b"PUT / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2",
        b"PUT / HTTP/1.1\r\nTransfer-Encoding: gzip",
    ],
)
def test_what_is_no_request(head: bytes) -> None:
    assert read_request_head(head, "http", SERVER) is None


def test_where_bodies_end() -> None:
    def framing(fields: bytes, status: int = 200, method: bytes = b"GET") -> object:
        head = read_answer_head(b"HTTP/1.1 %d \r\n%s" % (status, fields))
        assert head is not None
        return answer_framing(head, method)

    assert isinstance(framing(b"Content-Length: 5"), KnownLength)
    assert isinstance(framing(b"Content-Length: 5, 5"), KnownLength)
    assert isinstance(framing(b"Transfer-Encoding: gzip, Chunked\r\nContent-Length: 5"), Chunked)
    assert isinstance(framing(b"Transfer-Encoding: gzip"), UntilClose)
    assert isinstance(framing(b"A: b"), UntilClose)
    assert isinstance(framing(b"Content-Length: no"), UntilClose)
    assert framing(b"Content-Length: 0") is None
    assert framing(b"Content-Length: 5", method=b"HEAD") is None
    assert framing(b"Content-Length: 5", 204) is None
    assert framing(b"Content-Length: 5", 304) is None
    assert framing(b"", 100) is None


def test_status_lines() -> None:
    found = read_answer_head(b"HTTP/1.0 404 Not Found\nA: b")
    assert found is not None
    assert (found.status, found.reason, found.http_version) == (404, b"Not Found", b"HTTP/1.0")
    for head in (b"HTTP/1.1 99 x", b"HTTP/1.1 1000", b"HTTP/2 200 OK", b"200 OK"):
        assert read_answer_head(head) is None


def test_what_begins_a_message() -> None:
    assert begins_request(b"GET /a HTTP/1.1\r\nHost")
    assert not begins_request(b"GET /a HTTP/1.1 \r\nHost")
    assert not begins_request(b"a line GET /a HTTP/1.1\r\n")
    assert begins_answer(b"HTTP/1.1 200 OK")
    assert not begins_answer(b"HTTP/1.1 100 Continue")
    assert not begins_answer(b"HTTP/1.1 ")

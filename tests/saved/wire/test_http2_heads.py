"""Heads as mitmproxy keeps them."""

import pytest

from cos_inspect.captures.wire.http2_heads import answer_head, request_head

SERVER = "203.0.113.9", 8443


def test_a_request() -> None:
    fields = (
        (b":method", b"PUT"),
        (b":scheme", b"https"),
        (b":authority", b"a.example.com:444"),
        (b":path", b"/k?x=1"),
        (b"host", b"b"),
    )
    head = request_head(fields, "http", SERVER)
    assert head is not None
    assert head.method == b"PUT"
    assert head.path == b"/k?x=1"
    assert head.authority == b"a.example.com:444"
    assert (head.host, head.port) == ("a.example.com", 444)
    assert head.fields == ((b"host", b"b"),)
    assert head.http_version == b"HTTP/2.0"


def test_a_request_that_names_no_host_is_of_the_connection() -> None:
    head = request_head(((b":method", b"GET"), (b":path", b"/")), "http", SERVER)
    assert head is not None
    assert (head.host, head.port, head.scheme) == (*SERVER, b"http")


def test_a_port_that_is_not_named_is_that_of_the_scheme() -> None:
    fields = ((b":method", b"GET"), (b":path", b"/"), (b":scheme", b"https"), (b":authority", b"a"))
    head = request_head(fields, "http", SERVER)
    assert head is not None
    assert head.port == 443


@pytest.mark.parametrize("fields", [(), ((b":method", b"GET"),), ((b"a", b"b"), (b":path", b"/"))])
def test_what_is_no_request(fields: tuple[tuple[bytes, bytes], ...]) -> None:
    assert request_head(fields, "https", SERVER) is None


@pytest.mark.parametrize("status", [b"", b"20", b"2000", b"2x0", b"099", "²00".encode()])
def test_what_is_no_answer(status: bytes) -> None:
    assert answer_head(((b":status", status),)) is None


def test_an_answer() -> None:
    head = answer_head(((b":status", b"206"), (b"etag", b"x")))
    assert head is not None
    assert (head.status, head.reason, head.fields) == (206, b"", ((b"etag", b"x"),))

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.net.http.url import parse_authority as mitmproxys

from cos_inspect.model.headers import Headers
from cos_inspect.recording.message_heads import (
    RequestHead,
    announced_length,
    asked_host,
    headers_of,
    may_have_body,
    parse_authority,
    request_of,
)


@given(
    st.one_of(
        st.text(max_size=40),
        st.from_regex(r"\A(\[[0-9a-f:.]{1,20}\]|[a-z0-9_.-]{1,30})(:[0-9]{0,6})?\Z"),
    )
)
def test_an_authority_is_read_as_mitmproxy_reads_it(text: str) -> None:
    try:
        host, port = mitmproxys(text, check=True)
    except ValueError:
        host, port = text, None
    assert parse_authority(text) == (host, port)


def head(
    *fields: tuple[bytes, bytes], method: bytes = b"GET", authority: bytes = b""
) -> RequestHead:
    return RequestHead(
        fields=fields,
        method=method,
        scheme=b"https",
        authority=authority,
        host="10.0.0.1",
        port=8443,
        path=b"/a%20b",
        http_version=b"HTTP/2.0" if authority else b"HTTP/1.1",
    )


@pytest.mark.parametrize(
    ("fields", "authority", "asked"),
    [
        ((), b"", ("10.0.0.1", 8443)),
        (((b"Host", b"Bucket.COS.example."),), b"", ("bucket.cos.example", 443)),
        (((b"Host", b"bucket.cos.example:80"),), b"", ("bucket.cos.example", 80)),
        (((b"Host", b"other.example"),), b"named.example:444", ("named.example", 444)),
    ],
)
def test_who_was_asked(
    fields: tuple[tuple[bytes, bytes], ...], authority: bytes, asked: tuple[str, int]
) -> None:
    given_head = head(*fields, authority=authority)
    request = request_of(given_head, headers_of(given_head.fields))
    assert (request.host, request.port) == asked
    assert request.target == "/a%20b"


def test_the_last_resort_is_the_connection() -> None:
    assert asked_host("http", Headers([]), b"", "Example.COM.", 81) == ("example.com", 81)


@pytest.mark.parametrize(
    ("method", "fields", "expected"),
    [
        (b"PUT", (), True),
        (b"post", (), True),
        (b"GET", (), False),
        (b"GET", ((b"Content-Length", b"0"),), False),
        (b"DELETE", ((b"Content-Length", b"5"),), True),
        (b"GET", ((b"Transfer-Encoding", b"chunked"),), True),
        (b"GET", ((b"a", b"b"),) * 200 + ((b"transfer-encoding", b"chunked"),), True),
        (b"GET", ((b"a", b"b"),) * 200, False),
    ],
)
def test_which_requests_may_have_a_body(
    method: bytes, fields: tuple[tuple[bytes, bytes], ...], expected: bool
) -> None:
    assert may_have_body(head(*fields, method=method)) is expected


@pytest.mark.parametrize(
    ("fields", "length"),
    [
        ((), None),
        (((b"content-length", b"12"),), 12),
        (((b"Content-Length", b"x"), (b"Content-Length", b"3")), None),
        (((b"Content-Length", b"9" * 21),), None),
        (((b"a", b"b"),) * 200 + ((b"Content-Length", b"4"),), 4),
    ],
)
def test_an_announced_length(fields: tuple[tuple[bytes, bytes], ...], length: int | None) -> None:
    assert announced_length(fields) == length


@given(st.lists(st.tuples(st.binary(max_size=8), st.binary(max_size=8)), max_size=140))
def test_fields_keep_their_order_and_repeats(fields: list[tuple[bytes, bytes]]) -> None:
    shown = [
        (name.decode("utf-8", "replace"), value.decode("utf-8", "replace"))
        for name, value in fields
    ]
    assert list(headers_of(tuple(fields))) == shown

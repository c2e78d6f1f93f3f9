"""Heads of messages, as they are kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.captures.exports.raw_message import (
    LARGEST_HEAD,
    RawMessageError,
    behind,
    read_message,
    request_line,
    status_line,
)

MESSAGE = b"GET http://a/b HTTP/1.1\r\nHost: a\r\nX-A:  b \r\n folded\r\n\r\nbody\r\n\r\n"


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@given(st.integers(1, 80))
def test_a_head_and_what_is_behind_it(size: int) -> None:
    found = read_message(pieces(MESSAGE, size))
    assert found is not None
    assert found.line == b"GET http://a/b HTTP/1.1"
    assert found.fields == ((b"Host", b"a"), (b"X-A", b"b folded"))
    assert b"".join(behind(pieces(MESSAGE, size), found.body)) == b"body\r\n\r\n"


@given(st.integers(1, 80))
def test_interim_answers_are_passed_over(size: int) -> None:
    data = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx"
    )
    found = read_message(pieces(data, size))
    assert found is not None
    assert found.line == b"HTTP/1.1 200 OK"
    assert data[found.body :] == b"x"


def test_switching_protocols_is_an_answer() -> None:
    found = read_message([b"HTTP/1.1 101 Switching Protocols\r\n\r\n"])
    assert found is not None
    assert status_line(found.line).status == 101


def test_messages_without_an_end_of_their_head() -> None:
    found = read_message([b"HTTP/1.1 200 OK\r\nA: b\r\n"])
    assert found is not None
    assert (found.fields, found.body) == (((b"A", b"b"),), 23)
    assert read_message([]) is None
    assert read_message([b"\r\n\r"]) is None
    with pytest.raises(RawMessageError, match="no end"):
        read_message([b"a" * LARGEST_HEAD, b"b"])


@given(st.binary(max_size=200), st.integers(1, 50))
def test_anything_is_told_alike_however_it_is_cut(data: bytes, size: int) -> None:
    one, other = read_message([data]), read_message(pieces(data, size))
    assert one == other
    for line in (data, data[:20]):
        for reader in (request_line, status_line):
            try:
                reader(line)
            except RawMessageError:
                continue


def test_first_lines() -> None:
    assert request_line(b"GET http://a/b c HTTP/1.1") == (b"GET", b"http://a/b c", b"HTTP/1.1")
    assert request_line(b"GET /a") == (b"GET", b"/a", b"HTTP/1.1")
    for line in (b"", b"GET", b"1 2", b"GET  "):
        with pytest.raises(RawMessageError):
            request_line(line)
    assert status_line(b"HTTP/1.1 404 Not Found") == (b"HTTP/1.1", 404, b"Not Found")
    assert status_line(b"HTTP/2 200") == (b"HTTP/2", 200, b"")
    assert status_line(b"HTTP/1.1 aborted unknown").status is None
    assert status_line(b"HTTP/1.1 aborted (206) unknown")[1:] == (206, b"aborted")
    for line in (b"", b"HTTP/1.1", b"HTTP/1.1 20 OK", b"200 OK"):
        with pytest.raises(RawMessageError):
            status_line(line)


def test_interim_answers_without_end_are_no_answer() -> None:
    """Of a few packed bytes there may be a thousand times as many."""
    interim = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    endless = (interim * 1000 for _ in range(1_000_000))
    with pytest.raises(RawMessageError, match="has no end"):
        read_message(endless)

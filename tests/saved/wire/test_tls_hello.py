"""Messages of the handshake: whole in any pieces, and refused where they are none."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.captures.wire.tls_hello import (
    BadHandshakeError,
    Messages,
    read_client_hello,
    read_encrypted_extensions,
    read_server_hello,
)
from tests.saved.wire.tls_made import message

RANDOM = bytes(range(32))


def _hello(extensions: bytes, session: bytes = b"") -> bytes:
    head = b"\x03\x03" + RANDOM + bytes([len(session)]) + session
    return head + b"\x00\x02\x13\x01" + b"\x01\x00" + len(extensions).to_bytes(2) + extensions


def _extension(number: int, body: bytes) -> bytes:
    return number.to_bytes(2) + len(body).to_bytes(2) + body


def _sni(name: bytes, kind: int = 0) -> bytes:
    entry = bytes([kind]) + len(name).to_bytes(2) + name
    return _extension(0, len(entry).to_bytes(2) + entry)


@given(
    kinds=st.lists(st.tuples(st.integers(0, 30), st.binary(max_size=50)), min_size=1, max_size=6),
    size=st.integers(1, 60),
)
def test_messages_are_joined(kinds: list[tuple[int, bytes]], size: int) -> None:
    data = b"".join(message(kind, body) for kind, body in kinds)
    messages = Messages()
    found = []
    for at in range(0, len(data), size):
        found += list(messages.feed(data[at : at + size]))
    assert found == [(kind, body if kind in (1, 2, 8) else b"") for kind, body in kinds]
    assert not messages.is_inside


def test_a_hello_tells_name_and_random() -> None:
    hello = read_client_hello(_hello(_sni(b"a.example.com") + _extension(42, b""), bytes(32)))
    assert hello.random == RANDOM
    assert hello.sni == "a.example.com"
    assert hello.early_data


@pytest.mark.parametrize(
    "extensions",
    [b"", _extension(0, b""), _sni(b"name", kind=1), _sni(b"a\xffb"), _sni(b"a\nb"), _sni(b"")],
)
def test_a_name_that_is_none_is_none(extensions: bytes) -> None:
    assert read_client_hello(_hello(extensions)).sni is None


def test_old_hellos_have_no_extensions() -> None:
    assert read_client_hello(_hello(b"")[:-2]).sni is None
    old = b"\x03\x03" + RANDOM + b"\x00" + b"\xc0\x2f" + b"\x00"
    assert read_server_hello(old).version == 0x0303
    assert read_server_hello(old).suite == 0xC02F


def test_encrypted_extensions_tell_the_protocol() -> None:
    inside = _extension(16, b"\x00\x03\x02h2")
    found = read_encrypted_extensions(len(inside).to_bytes(2) + inside)
    assert found.alpn == "h2"
    assert not found.early_data


@given(st.binary(max_size=100))
def test_odd_messages_are_refused(body: bytes) -> None:
    for read in (read_client_hello, read_server_hello, read_encrypted_extensions):
        with contextlib.suppress(BadHandshakeError):
            read(body)


@given(cut=st.integers(0, 200))
def test_a_hello_that_is_cut_is_refused(cut: int) -> None:
    whole = _hello(_sni(b"a.example.com"), bytes(32))
    cut = min(cut, len(whole) - 1)
    without_extensions = len(whole) - len(_sni(b"a.example.com")) - 2
    if cut == without_extensions:
        return
    with pytest.raises(BadHandshakeError):
        read_client_hello(whole[:cut])

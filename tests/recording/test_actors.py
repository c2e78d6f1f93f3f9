"""By what way a client came."""

import pytest

from cos_inspect.model.exchange import Request
from cos_inspect.model.headers import Headers
from cos_inspect.recording.actors import (
    BARE,
    Peers,
    is_address,
    is_by_address,
    marked_answer,
    peer_name,
)
from cos_inspect.recording.message_heads import AnswerHead, RequestHead

NAME = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com"


def came(peers: Peers, *, to: str = "203.0.113.9", host: str = NAME, scheme: str = "https") -> bool:
    head = RequestHead((), b"GET", scheme.encode(), b"", to, 443, b"/a", b"HTTP/1.1")
    request = Request(
        method="GET",
        scheme=scheme,
        host=host,
        port=443,
        target="/a",
        http_version="HTTP/1.1",
        headers=Headers(),
    )
    return is_by_address(peers, head, request)


@pytest.mark.parametrize("mode", ["regular", "upstream", "socks5", "transparent", "wireguard"])
def test_no_name_in_the_handshake(mode: str) -> None:
    assert came(Peers(tls="TLSv1.3", mode=mode))
    assert came(Peers(tls="TLSv1.3", sni="203.0.113.9", mode=mode))
    assert not came(Peers(tls="TLSv1.3", sni=NAME, mode=mode))


def test_the_address_alone_or_the_name_alone() -> None:
    assert not came(Peers(tls="TLSv1.3"), to=NAME)
    assert not came(Peers(tls="TLSv1.3"), host="203.0.113.9")


def test_without_tls_it_says_something_where_clients_give_names() -> None:
    assert came(Peers(), scheme="http")
    assert not came(Peers(mode="transparent"), scheme="http")


def test_a_reverse_proxy_has_an_address_of_its_own_choice() -> None:
    assert not came(Peers(tls="TLSv1.3", mode="reverse"))


@pytest.mark.parametrize(
    ("peer", "name"),
    [
        (("10.0.0.5", 41234), "10.0.0.5:41234"),
        (["::1", 9, 0, 0], "[::1]:9"),
        (("10.0.0.5",), "10.0.0.5"),
        (("", 0), None),
        ((1, 2), None),
        ("x", None),
        (None, None),
    ],
)
def test_peers(peer: object, name: str | None) -> None:
    assert peer_name(peer) == name


@pytest.mark.parametrize(
    ("host", "is_one"),
    [
        ("203.0.113.9", True),
        ("[2001:db8::1]", True),
        ("2001:db8::1", True),
        ("a.example", False),
        ("", False),
        ("cos1", False),
        ("1.example.1", False),
    ],
)
def test_addresses(host: str, is_one: bool) -> None:
    assert is_address(host) is is_one


def test_an_answer_without_any_mark_of_a_server() -> None:
    bare = AnswerHead(((b"content-length", b"0"),), 404, b"Not Found", b"HTTP/1.1")
    assert marked_answer(bare, blocked=False, replay=None, saved=True) == BARE
    # Live, it is known who answered.
    assert marked_answer(bare, blocked=False, replay=None, saved=False) is None
    dated = bare._replace(fields=((b"Content-Length", b"0"), (b"Date", b"x")))
    for other in (dated, bare._replace(status=403), bare._replace(fields=())):
        assert marked_answer(other, blocked=False, replay=None, saved=True) is None

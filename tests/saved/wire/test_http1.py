"""HTTP/1 in captures, each trap by itself; ``test_spoiled`` has them at random."""

import pytest

from cos_inspect.model.capture_account import NOT_HTTP, UPGRADED
from tests.saved.wire.exchanges_made import (
    ALL,
    ANSWERED,
    HOST,
    converse,
    get,
    read_whole,
    statuses,
)
from tests.saved.wire.packets_made import Conversation


@pytest.mark.parametrize("pipelined", [1, 2, 7])
def test_the_nth_answer_belongs_to_the_nth_request(pipelined: int) -> None:
    made = Conversation()
    converse(made, ALL, pipelined=pipelined)
    made.close("server")
    found = read_whole(made.packets)
    assert statuses(found) == ANSWERED
    assert {rule for _, rule in found.findings} == {"error-response"}
    assert not found.left_out


def test_what_is_inside_of_a_tunnel_isread_whole() -> None:
    made = Conversation()
    made.send("client", f"CONNECT {HOST}:80 HTTP/1.1\r\n\r\n".encode())
    made.send("server", b"HTTP/1.1 200 Connection established\r\n\r\n")
    converse(made, ALL)
    made.close("server")
    assert statuses(read_whole(made.packets)) == ANSWERED


def test_upgrades_and_tunnels_are_left_out_and_counted() -> None:
    made = Conversation()
    asked = f"GET /a HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\n\r\n".encode()
    made.send("client", asked)
    made.send("server", b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    made.send("server", b"\x81\x05hello")
    assert read_whole(made.packets).account.left_out == {UPGRADED: 1}
    made = Conversation()
    made.send("client", b"CONNECT a.example:443 HTTP/1.1\r\n\r\n")
    made.send("server", b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
    made.close()
    assert read_whole(made.packets).account.left_out == {UPGRADED: 1}


def test_what_is_no_http_is_counted() -> None:
    made = Conversation()
    made.send("client", b"SSH-2.0-OpenSSH_9.2\r\n" + bytes(200))
    found = read_whole(made.packets)
    assert found.account.unread == {NOT_HTTP: 1}
    assert not found.account.has_holes
    made = Conversation()
    converse(made, [get("a", b"x")])
    made.send("client", b"and then something else\r\n\r\n")
    found = read_whole(made.packets)
    assert len(found.flows) == 1
    assert found.account.unread == {NOT_HTTP: 1}

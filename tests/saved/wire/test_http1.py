"""The traps of HTTP/1 in captures, each by itself; ``test_spoiled`` has them at random."""

import pytest

from cos_inspect.model.capture_account import ANSWER_LOST, NOT_HTTP, REQUEST_LOST, UPGRADED
from tests.saved.wire.exchanges_made import (
    HOST,
    Made,
    Read,
    converse,
    get,
    nothing,
    put,
    read,
    refused,
)
from tests.saved.wire.packets_made import Conversation, Packet, frames, pcap


def _read(packets: list[Packet]) -> Read:
    found = read(pcap(frames(packets)))
    assert found.error is None
    return found


def _statuses(found: Read) -> list[tuple[str, str, int | None]]:
    return [
        (
            exchange.request.method,
            exchange.request.target,
            exchange.response.status if exchange.response else None,
        )
        for flow in found.flows
        if (exchange := flow.exchange) is not None
    ]


ALL = [
    put("a", b"a" * 4000),
    get("a", b"a" * 4000, framing="chunked"),
    get("a", b"a" * 4000, method="HEAD"),
    refused("b"),
    nothing("a"),
    put("c", b"c" * 4000, expects=True),
    get("c", b"c" * 4000, framing="close"),
]
ANSWERED = [
    ("PUT", "/a", 200),
    ("GET", "/a", 200),
    ("HEAD", "/a", 200),
    ("GET", "/b", 404),
    ("DELETE", "/a", 204),
    ("PUT", "/c", 200),
    ("GET", "/c", 200),
]


@pytest.mark.parametrize("pipelined", [1, 2, 7])
def test_the_nth_answer_belongs_to_the_nth_request(pipelined: int) -> None:
    made = Conversation()
    converse(made, ALL, pipelined=pipelined)
    made.close("server")
    found = _read(made.packets)
    assert _statuses(found) == ANSWERED
    assert {rule for _, rule in found.findings} == {"error-response"}
    assert not found.left_out


def test_a_body_until_the_close_ends_with_it_alone() -> None:
    made = Conversation()
    converse(made, [get("c", b"c" * 4000, framing="close")])
    assert _read(made.packets).left_out == 1
    made.reset("server")
    assert {rule for _, rule in _read(made.packets).findings} >= {"body-truncated"}


def test_a_hole_in_a_body_is_not_captured() -> None:
    made = Conversation()
    converse(made, [put("a", b"a" * 9000), get("a", b"a" * 9000), refused("b")])
    made.close()
    of_client = [n for n, each in enumerate(made.packets) if each.data[:4] == b"aaaa"]
    for lost in of_client:
        found = _read([each for n, each in enumerate(made.packets) if n != lost])
        assert len(found.flows) == 3
        assert not found.left_out
        reasons = {
            check.reason
            for report in found.reports.values()
            for check in report.checks
            if check.check in ("crc64", "content-length")
        }
        assert "not-captured" in reasons
        assert "body-truncated" not in {rule for _, rule in found.findings}


def test_a_hole_and_then_a_close_inside_of_a_body_is_a_cut() -> None:
    made = Conversation()
    exchange = get("a", b"a" * 9000)
    made.send("client", exchange.request)
    made.send("server", exchange.answer[:6000])
    made.close("server")
    lost = next(n for n, each in enumerate(made.packets) if each.data[:4] == b"aaaa")
    found = _read([each for n, each in enumerate(made.packets) if n != lost])
    assert {rule for _, rule in found.findings} >= {"body-truncated"}


def test_behind_a_lost_answer_the_next_are_paired_again() -> None:
    made = Conversation()
    converse(made, [get("a", b"a" * 300), get("b", b"b" * 300, wrong=True), get("c", b"c" * 300)])
    made.close()
    heads = [n for n, each in enumerate(made.packets) if each.data[:5] == b"HTTP/"]
    found = _read([each for n, each in enumerate(made.packets) if n != heads[0]])
    assert _statuses(found) == [("GET", "/b", 200), ("GET", "/c", 200)]
    assert found.account.left_out == {ANSWER_LOST: 1}
    assert {rule for _, rule in found.findings} == {"crc64-mismatch"}


def test_behind_a_lost_request_the_next_are_paired_again() -> None:
    made = Conversation()
    converse(made, [get(name, b"x" * 300) for name in "abcde"])
    made.close()
    heads = [n for n, each in enumerate(made.packets) if each.data[:5] == b"GET /"]
    found = _read([each for n, each in enumerate(made.packets) if n != heads[1]])
    assert [target for _, target, _ in _statuses(found)] == ["/a", "/c", "/d", "/e"]
    assert found.account.left_out == {REQUEST_LOST: 1}


def test_bytes_of_a_body_that_look_like_a_request_are_none() -> None:
    """The head of an upload is lost, and what it uploads is a capture of HTTP itself."""
    inner = get("invented", b"").request.ljust(300, b"\n")
    body = inner * 40
    made = Conversation(size=300)
    converse(made, [get("a", b"x" * 300), put("b", body), get("c", b"x" * 300)])
    made.close()
    lost = next(n for n, each in enumerate(made.packets) if each.data[:5] == b"PUT /")
    found = _read([each for n, each in enumerate(made.packets) if n != lost])
    assert "/invented" not in {target for _, target, _ in _statuses(found)}
    assert len(found.flows) + found.left_out <= 3


def test_a_pipelining_client_is_not_paired_by_guess() -> None:
    made = Conversation()
    many = [get(f"{n}", f"{n}".encode() * 300, wrong=n % 2 == 0) for n in range(8)]
    converse(made, many, pipelined=4)
    made.close()
    whole = _read(made.packets)
    for lost, packet in enumerate(made.packets):
        if packet.data:
            found = _read([each for n, each in enumerate(made.packets) if n != lost])
            assert found.findings <= whole.findings


def test_an_early_refusal_is_no_cut_upload() -> None:
    made = Conversation()
    upload, answer = put("a", b"a" * 9000), refused("a").answer
    made.send("client", upload.request[:5000])
    made.send("server", answer)
    made.close("server")
    found = _read(made.packets)
    assert _statuses(found) == [("PUT", "/a", 404)]
    assert "body-truncated" not in {rule for _, rule in found.findings}


def test_upgrades_and_tunnels_are_left_out_and_counted() -> None:
    made = Conversation()
    asked = f"GET /a HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\n\r\n".encode()
    made.send("client", asked)
    made.send("server", b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    made.send("server", b"\x81\x05hello")
    assert _read(made.packets).account.left_out == {UPGRADED: 1}
    made = Conversation()
    made.send("client", b"CONNECT a.example:443 HTTP/1.1\r\n\r\n")
    made.send("server", b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
    made.close()
    assert _read(made.packets).account.left_out == {UPGRADED: 1}


def test_what_is_inside_of_a_tunnel_is_read() -> None:
    made = Conversation()
    made.send("client", f"CONNECT {HOST}:80 HTTP/1.1\r\n\r\n".encode())
    made.send("server", b"HTTP/1.1 200 Connection established\r\n\r\n")
    converse(made, ALL)
    made.close("server")
    assert _statuses(_read(made.packets)) == ANSWERED


def test_a_proxy_is_asked_by_whole_urls() -> None:
    made = Conversation()
    asked = f"GET http://{HOST}/a HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    converse(made, [Made(asked, get("a", b"x").answer)])
    made.close()
    assert _statuses(_read(made.packets)) == [("GET", "/a", 200)]


def test_what_is_no_http_is_counted() -> None:
    made = Conversation()
    made.send("client", b"SSH-2.0-OpenSSH_9.2\r\n" + bytes(200))
    found = _read(made.packets)
    assert found.account.unread == {NOT_HTTP: 1}
    assert not found.account.has_holes
    made = Conversation()
    converse(made, [get("a", b"x")])
    made.send("client", b"and then something else\r\n\r\n")
    found = _read(made.packets)
    assert len(found.flows) == 1
    assert found.account.unread == {NOT_HTTP: 1}


def test_an_answer_before_its_request_waits() -> None:
    made = Conversation()
    converse(made, ALL)
    made.close("server")
    of_server = [each for each in made.packets if each.source[1] == 80]
    of_client = [each for each in made.packets if each.source[1] != 80]
    found = _read([*of_client[:1], *of_server, *of_client[1:]])
    assert _statuses(found) == ANSWERED

import pytest

from cos_inspect.captures.pcap import QUIC
from cos_inspect.captures.wire import http2, tls_handshake, tls_reader
from cos_inspect.captures.wire.http2_frames import PREFACE
from cos_inspect.model.capture_account import NOT_HTTP
from tests.saved.wire.exchanges_made import converse, get, put, read
from tests.saved.wire.packets_made import Conversation, Frame, ethernet, frames, ip_4, pcap


@pytest.mark.parametrize("size", [1, 7, 1448])
def test_http_in_pieces_of_any_size(size: int) -> None:
    made = Conversation(size=size)
    converse(made, [get("a", b"a" * 50)])
    made.close()
    assert len(read(pcap(frames(made.packets))).flows) == 1


@pytest.mark.parametrize(
    ("first", "reason", "hides"),
    [
        (b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", tls_reader.NOT_TLS, True),
        (b"\x17\x03\x03\x00\x05hello", tls_handshake.BEGUN_BEFORE, True),
        (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", http2.BEGUN_BEFORE, True),
        (PREFACE + b"\0\0\0\x09\x04\0\0\0\1", http2.CANNOT_BE_READ, True),
        (b"\x00\x01\x02" * 50, NOT_HTTP, False),
        (b"x" * 300, NOT_HTTP, False),
    ],
)
def test_what_else_is_spoken_is_counted(first: bytes, reason: str, hides: bool) -> None:
    for size in (3, 1448):
        made = Conversation(size=size)
        made.send("client", first)
        made.close()
        found = read(pcap(frames(made.packets)))
        assert found.account.unread == {reason: 1}
        assert found.account.has_holes is hides


def test_nothing_was_said() -> None:
    made = Conversation()
    made.close()
    found = read(pcap(frames(made.packets)))
    assert not found.account.unread
    assert not found.account.has_holes


def test_quic_is_counted() -> None:
    made = []
    for port in (50_000, 50_001, 50_000):
        head = port.to_bytes(2, "big") + b"\x01\xbb\x00\x30\x00\x00"
        datagram = head + b"\xc3\x00\x00\x00\x01" + bytes(30)
        packet = ip_4(b"\x0a\x00\x00\x05", b"\xcb\x00\x71\x09", datagram, protocol=17)
        made.append(Frame(1.0, ethernet(packet)))
    assert read(pcap(made)).account.unread == {QUIC: 2}


def test_a_capture_that_begins_inside_of_a_body_finds_the_next_request() -> None:
    made = Conversation()
    converse(made, [put("a", bytes(1 << 20)), get("b", b"b"), get("c", b"c")])
    found = read(pcap(frames(made.packets[200:])))
    targets = [flow.exchange.request.target for flow in found.flows if flow.exchange is not None]
    assert targets == ["/b", "/c"]
    assert found.account.has_holes


def test_what_begins_inside_of_something_else_hides_nothing() -> None:
    made = Conversation(server=("203.0.113.9", 22))
    made.send("client", b"\x00\x01\x02" * 200_000)
    made.send("server", b"\x00\x01\x02" * 200_000)
    found = read(pcap(frames(made.packets[50:])))
    assert found.account.unread == {NOT_HTTP: 1}
    assert not found.account.has_holes

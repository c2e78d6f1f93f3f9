"""Captures of packets are read in a time that grows as they do, whatever they are full of."""

import struct
from collections.abc import Callable

import pytest
from hpack import Encoder

from tests.growth import assert_linear
from tests.saved.wire.exchanges_made import HOST, read
from tests.saved.wire.packets_made import (
    ACK,
    CLIENT,
    SERVER,
    START,
    Conversation,
    Frame,
    Packet,
    ip,
    ip_4,
    pcap,
)

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def _frame(kind: int, flags: int, stream: int, body: bytes = b"") -> bytes:
    head = struct.pack(">I", len(body))[1:] + bytes([kind, flags])
    return head + struct.pack(">I", stream) + body


def _fragments(count: int, *, lacks: int) -> list[Frame]:
    """Of one packet, again and again; the one at ``lacks`` never comes."""
    places = [each for each in range(2000) if each != lacks]
    return [
        Frame(
            START,
            ip_4(
                b"\x0a\0\0\5",
                b"\x0a\0\0\6",
                bytes(8),
                1,
                fragment=places[number % 1999] | (0x2000 if places[number % 1999] != 1999 else 0),
            ),
        )
        for number in range(count)
    ]


def _http2(client: bytes, server: bytes) -> list[Frame]:
    made = Conversation(size=60_000)
    made.send("client", _PREFACE + _frame(4, 0, 0) + client)
    made.send("server", _frame(4, 0, 0) + server)
    return [Frame(each.time, ip(each)) for each in made.packets]


def _asked(count: int) -> bytes:
    packer = Encoder()
    fields = [(":method", "GET"), (":scheme", "http"), (":authority", HOST), (":path", "/k")]
    return b"".join(_frame(1, 5, 2 * each + 1, packer.encode(fields)) for each in range(count))


def _made(kind: str, count: int) -> list[Frame]:
    match kind:
        case "fragments-without-a-beginning":
            return _fragments(count, lacks=0)
        case "fragments-without-a-middle":
            return _fragments(count, lacks=1500)
        case "goaway":
            # Each says again that nothing of what is open is refused.
            return _http2(
                _asked(count // 8), _frame(7, 0, 0, struct.pack(">II", 0x7FFF_FFFF, 0)) * count
            )
        case "continuation":
            return _http2(_frame(1, 0, 1) + _frame(9, 0, 1) * count, b"")
        case "middle-byte-by-byte":
            made = Conversation(opens=False, size=1)
            made.send("client", b"\x80" * count)
            return [Frame(each.time, ip(each)) for each in made.packets if each.data]
        case "out-of-order":
            late = Packet(START, CLIENT, SERVER, 0, None, ACK, b"x")
            opened = Conversation().packets
            ahead = [late._replace(sequence=1010 + 2 * number) for number in range(count)]
            return [Frame(each.time, ip(each)) for each in opened + ahead]
        case _:
            raise AssertionError(kind)


KINDS = {
    "fragments-without-a-beginning": 4000, "fragments-without-a-middle": 4000, "goaway": 800,
    "continuation": 4000, "middle-byte-by-byte": 4000, "out-of-order": 2000,
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_packets(kind: str) -> None:
    def work_of(count: int) -> Callable[[], object]:
        data = pcap(_made(kind, count), link=101)
        return lambda: read(data)

    assert_linear(work_of, KINDS[kind], 16 * KINDS[kind], runs=2)


def test_what_is_made_here_is_read() -> None:
    found = read(pcap(_made("goaway", 800), link=101))
    assert found.left_out == 100

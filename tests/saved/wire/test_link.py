import struct

import pytest

from tests.saved.wire.exchanges_made import converse, get, read
from tests.saved.wire.packets_made import (
    CLIENT_6,
    SERVER_6,
    Conversation,
    Frame,
    ethernet,
    ip,
    pcap,
)


def _packets(version: int) -> list[tuple[float, bytes]]:
    conversation = Conversation() if version == 4 else Conversation(CLIENT_6, SERVER_6)
    converse(conversation, [get("a", b"a" * 3000)])
    conversation.close()
    return [(each.time, ip(each)) for each in conversation.packets]


def _kind(packet: bytes) -> bytes:
    return b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"


def _pktap(packet: bytes) -> bytes:
    return struct.pack("<III", 40, 1, 12) + bytes(28) + packet


_LINKS = {
    "ethernet": (1, ethernet),
    "vlan": (1, lambda packet: ethernet(packet, 0x8100)),
    "stacked vlan": (1, lambda packet: ethernet(packet, 0x88A8, 0x8100)),
    "raw": (101, lambda packet: packet),
    "raw of OpenBSD": (14, lambda packet: packet),
    "cooked": (113, lambda packet: bytes(14) + _kind(packet) + packet),
    "cooked 2": (276, lambda packet: _kind(packet) + bytes(18) + packet),
    "null of macOS": (
        0,
        lambda packet: struct.pack("<I", 2 if packet[0] >> 4 == 4 else 30) + packet,
    ),
    "null, other order": (
        0,
        lambda packet: struct.pack(">I", 2 if packet[0] >> 4 == 4 else 24) + packet,
    ),
    "loop": (108, lambda packet: struct.pack(">I", 2 if packet[0] >> 4 == 4 else 28) + packet),
    "ppp": (9, lambda packet: (b"\x00\x21" if packet[0] >> 4 == 4 else b"\x00\x57") + packet),
    "pppoe": (
        1,
        lambda packet: (
            bytes(12)
            + b"\x88\x64\x11\x00\x00\x01\x00\x00"
            + (b"\x00\x21" if packet[0] >> 4 == 4 else b"\x00\x57")
            + packet
        ),
    ),
    "pktap": (149, _pktap),
}


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("name", list(_LINKS))
def test_what_packets_come_in(name: str, version: int) -> None:
    link, wrap = _LINKS[name]
    made = [Frame(time, wrap(packet)) for time, packet in _packets(version)]
    found = read(pcap(made, link=link))
    assert len(found.flows) == 1
    assert not found.account.has_holes
    exchange = found.flows[0].exchange
    assert exchange is not None
    assert exchange.response is not None
    assert exchange.response.body.size == 3000
    assert exchange.connection is not None
    server = "203.0.113.9:80" if version == 4 else "[2001:db8::9]:80"
    assert exchange.connection.server == server


def test_a_link_that_is_not_read_is_named() -> None:
    found = read(pcap([Frame(1.0, bytes(60))] * 3, link=105))
    assert found.remarks.notes == ["made.pcap: 3 packets are of link type 105, which is not read"]
    assert found.account.has_holes


@pytest.mark.parametrize("link", [0, 1, 9, 101, 108, 113, 149, 276])
def test_short_frames_are_passed_over(link: int) -> None:
    made = [Frame(1.0, bytes(size)) for size in range(48)]
    made += [Frame(1.0, b"\x81\x00" * size) for size in range(48)]
    found = read(pcap(made, link=link))
    assert found.flows == []
    assert found.error is None

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from cos_inspect.captures.wire.ip import reversed_flow, sender_of
from tests.saved.wire.exchanges_made import converse, get, put, read
from tests.saved.wire.packets_made import (
    CLIENT_6,
    SERVER_6,
    Conversation,
    Frame,
    Packet,
    ethernet,
    fragments_4,
    fragments_6,
    ip,
    pcap,
)


def _packets(version: int) -> list[Packet]:
    conversation = Conversation() if version == 4 else Conversation(CLIENT_6, SERVER_6)
    converse(conversation, [put("a", b"a" * 9000), get("a", b"a" * 9000)])
    conversation.close()
    return conversation.packets


@given(st.integers(0, 1000), st.sampled_from([4, 6]), st.sampled_from([8, 64, 512, 1400]))
@settings(deadline=None, max_examples=40)
def test_fragments_in_any_order(seed: int, version: int, size: int) -> None:
    chance = random.Random(seed)
    made = []
    cut = fragments_4 if version == 4 else fragments_6
    for number, packet in enumerate(_packets(version)):
        pieces = cut(packet, number, size)
        chance.shuffle(pieces)
        made += [Frame(packet.time, ethernet(each)) for each in pieces]
        if chance.random() < 0.2:
            made.append(Frame(packet.time, ethernet(chance.choice(pieces))))
    found = read(pcap(made))
    assert len(found.flows) == 2
    assert not found.account.has_holes


def test_a_lost_fragment_is_a_hole() -> None:
    made = []
    for number, packet in enumerate(_packets(4)):
        pieces = fragments_4(packet, number, 512)
        if len(pieces) > 2 and number == 7:
            pieces.pop(1)
        made += [Frame(packet.time, ethernet(each)) for each in pieces]
    found = read(pcap(made))
    bodies = [flow.exchange.request.body for flow in found.flows if flow.exchange is not None]
    assert [body.end.value for body in bodies] == ["not-captured", "complete"]
    assert found.account.bytes_lost == 1448


def test_many_fragments_that_never_come_together_are_let_go() -> None:
    first = fragments_4(_packets(4)[3], 1, 64)[0]
    made = []
    for number in range(20_000):
        piece = first[:4] + number.to_bytes(2, "big") + first[6:]
        source = (number // 60_000).to_bytes(2, "big")
        made.append(Frame(1.0, ethernet(piece[:12] + source + piece[14:])))
    found = read(pcap(made))
    assert found.flows == []
    assert found.error is None


def test_a_length_of_nothing_is_that_of_what_the_card_cuts() -> None:
    made = []
    for packet in _packets(4):
        data = ip(packet)
        if packet.data:
            data = data[:2] + b"\x00\x00" + data[4:]
        made.append(Frame(packet.time, ethernet(data)))
    assert len(read(pcap(made)).flows) == 2


def test_names_of_senders() -> None:
    flow = b"\x0a\x00\x00\x05\xcb\x00\x71\x09\xa1\x12\x00\x50"
    assert sender_of(flow) == "10.0.0.5:41234"
    assert sender_of(reversed_flow(flow)) == "203.0.113.9:80"
    assert reversed_flow(reversed_flow(flow)) == flow
    long = bytes(15) + b"\x01" + bytes(15) + b"\x02" + b"\x01\xbb\x00\x50"
    assert sender_of(long) == "[::1]:443"
    assert sender_of(reversed_flow(long)) == "[::2]:80"


@given(st.binary(max_size=120))
@settings(max_examples=200, deadline=None)
def test_odd_packets_are_passed_over(data: bytes) -> None:
    found = read(pcap([Frame(1.0, data)], link=101))
    assert found.error is None
    assert found.flows == []


def test_fragments_that_contradict_each_other_are_a_hole() -> None:
    """Who received which of them nobody knows."""
    made = []
    for number, packet in enumerate(_packets(4)):
        pieces = fragments_4(packet, number, 512)
        if number == 7:
            other = pieces[1][:-1] + bytes([pieces[1][-1] ^ 1])
            pieces.insert(1, other)
        made += [Frame(packet.time, ethernet(each)) for each in pieces]
    found = read(pcap(made))
    bodies = [flow.exchange.request.body for flow in found.flows if flow.exchange is not None]
    assert [body.end.value for body in bodies] == ["not-captured", "complete"]
    assert {rule for _, rule in found.findings} == set()

"""What was damaged on its way and sent again is held against nobody."""

import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cos_inspect.captures.wire.checksums import Checksums
from tests.saved.wire.exchanges_made import Read, converse, get, put, read
from tests.saved.wire.packets_made import (
    ACK,
    CLIENT,
    CLIENT_6,
    SERVER,
    SERVER_6,
    START,
    Conversation,
    Frame,
    Packet,
    ethernet,
    ip,
    pcap,
    with_checksum,
)

BODY = b"0123456789abcdef" * 2000
ENDS = {4: (CLIENT, SERVER), 6: (CLIENT_6, SERVER_6)}


def _packet(version: int, data: bytes, number: int) -> bytes:
    source, target = ENDS[version]
    return ip(Packet(START, source, target, number, 7, ACK, data))


def _flipped(packet: bytes, bit: int) -> bytes:
    changed = bytearray(packet)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


class _Judged:
    """Packets of one sender."""

    def __init__(self, version: int) -> None:
        self._head = 20 if version == 4 else 40
        self._addresses = slice(12, 20) if version == 4 else slice(8, 40)
        self.checksums = Checksums()

    def is_damaged(self, packet: bytes) -> bool:
        return self.checksums.is_damaged(packet[self._addresses], packet, self._head, len(packet))


@given(
    st.sampled_from([4, 6]),
    st.lists(st.binary(min_size=1, max_size=200), max_size=8),
    st.binary(max_size=200),
    st.data(),
)
def test_one_bit_among_right_ones_is_damage(
    version: int, before: list[bytes], data: bytes, drawn: st.DataObject
) -> None:
    judged = _Judged(version)
    for number, each in enumerate([*before, data + b"x"]):
        assert not judged.is_damaged(with_checksum(_packet(version, each, number)))
    packet = with_checksum(_packet(version, data, 99))
    head = 20 if version == 4 else 40
    of_addresses = with_checksum(packet, of_addresses=True)
    told, left = (int.from_bytes(each[head + 16 : head + 18]) for each in (packet, of_addresses))
    # By chance it is one that a card may still have to complete.
    assume(told not in (0, left, left - (len(packet) - head)))
    places = [
        bit for bit in range(head * 8, len(packet) * 8) if not head + 16 <= bit // 8 < head + 18
    ]
    assert judged.is_damaged(_flipped(packet, drawn.draw(st.sampled_from(places))))
    assert not judged.is_damaged(packet)
    assert judged.checksums.damaged == 1


@pytest.mark.parametrize("version", [4, 6])
def test_what_a_card_is_to_complete_is_no_damage(version: int) -> None:
    judged = _Judged(version)
    for number in range(20):
        assert not judged.is_damaged(with_checksum(_packet(version, b"x", number)))
    for data in (b"", b"x" * 1448, b"x" * 9001):
        packet = _packet(version, data, 7)
        assert not judged.is_damaged(with_checksum(packet, of_addresses=True))
        assert not judged.is_damaged(packet)
    assert judged.checksums.damaged == 0


def test_a_sender_whose_checksums_are_often_wrong_is_believed() -> None:
    judged = _Judged(4)
    right = with_checksum(_packet(4, b"x" * 100, 1))
    for _ in range(1000):
        assert not judged.is_damaged(right)
    wrong = [judged.is_damaged(_flipped(right, 500)) for _ in range(100)]
    assert wrong == [True] * 16 + [False] * 84
    assert not judged.is_damaged(right)
    assert judged.is_damaged(_flipped(right, 500))


def test_what_was_joined_is_no_damage() -> None:
    """Some cards join what they receive, and leave the checksum of one piece."""
    judged = _Judged(4)
    joined = _flipped(with_checksum(_packet(4, b"x" * 2896, 1)), 500)
    for _ in range(100):
        assert not judged.is_damaged(with_checksum(_packet(4, b"x" * 1448, 1)))
        assert not judged.is_damaged(joined)
        # What only acknowledges says nothing of what has data.
        assert not judged.is_damaged(with_checksum(_packet(4, b"", 1)))


def _frames(packets: list[Packet]) -> list[Frame]:
    return [
        Frame(each.time, ethernet(with_checksum(ip(each, number))))
        for number, each in enumerate(packets)
    ]


def _read(made: list[Frame]) -> Read:
    found = read(pcap(made))
    assert found.error is None
    return found


def _damaged(frame: Frame) -> Frame:
    return frame._replace(data=_flipped(frame.data, 8 * (len(frame.data) - 300)))


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("seed", range(6))
def test_a_packet_that_was_sent_again_counts(version: int, seed: int) -> None:
    """The body is the one that came in the end, and all of it is checked."""
    chance = random.Random(seed)
    made = Conversation(*ENDS[version])
    converse(made, [put("a", BODY), get("a", BODY)])
    made.close()
    right = _frames(made.packets)
    large = [n for n, each in enumerate(made.packets) if len(each.data) > 1000]
    # The first one of each side tells that its checksums are right.
    senders = [made.packets[n].source for n in large]
    large = [n for at, n in enumerate(large) if senders[at] in senders[:at]]
    spoiled = list(right)
    for place in sorted(chance.sample(large, 2), reverse=True):
        again = chance.randrange(1, 3)
        spoiled.insert(place + again, right[place])
        spoiled[place] = _damaged(right[place])
    found = _read(spoiled)
    assert found.findings == set()
    assert [report.checks for report in found.reports.values()] == [
        report.checks for report in _read(right).reports.values()
    ]
    assert [line for line in found.remarks.notes if "2 of its" in line]


def test_what_a_router_damaged_and_summed_anew_is_damage() -> None:
    made = Conversation()
    converse(made, [put("a", BODY), get("a", BODY)])
    made.close()
    place = max(n for n, each in enumerate(made.packets) if len(each.data) > 1000)
    data = made.packets[place].data
    made.packets[place] = made.packets[place]._replace(data=data[:-300] + b"?" + data[-299:])
    found = _read(_frames(made.packets))
    assert {rule for _, rule in found.findings} == {"crc64-mismatch", "etag-mismatch"}


def test_what_was_not_sent_again_is_not_checked() -> None:
    made = Conversation()
    converse(made, [put("a", BODY), get("a", BODY)])
    made.close()
    spoiled = _frames(made.packets)
    place = max(n for n, each in enumerate(made.packets) if len(each.data) > 1000)
    spoiled[place] = _damaged(spoiled[place])
    found = _read(spoiled)
    assert found.findings == set()
    assert found.account.has_holes

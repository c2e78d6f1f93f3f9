"""Spoiled captures invent nothing: whatever was repeated, reordered, cut or lost, what is found is
found in the whole capture as well, and what is not judged is counted."""

import random
from collections.abc import Sequence

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.saved.wire.exchanges_made import (
    Made,
    Read,
    converse,
    get,
    nothing,
    put,
    read,
    refused,
)
from tests.saved.wire.packets_made import START, Conversation, Packet, frames, pcap

_SIZES = (0, 1, 100, 1447, 1448, 1449, 5000, 20_000)
_SEEDS = st.integers(0, 1_000_000)


def _exchange(chance: random.Random, number: int) -> Made:
    key = f"key-{number}"
    body = random.Random(chance.randrange(10)).randbytes(chance.choice(_SIZES))
    wrong = chance.random() < 0.5
    kind = chance.choice(["put", "get", "chunked", "head", "refused", "delete", "expect"])
    if kind in ("put", "expect"):
        return put(key, body, wrong=wrong, expects=kind == "expect")
    if kind == "refused":
        return refused(key)
    if kind == "delete":
        return nothing(key)
    if kind == "head":
        return get(key, body, method="HEAD")
    return get(key, body, wrong=wrong, framing="chunked" if kind == "chunked" else "length")


class Traffic:
    """Some connections, side by side, made of a number."""

    def __init__(self, seed: int, most_pipelined: int = 3) -> None:
        chance = random.Random(seed)
        connections: list[list[Packet]] = []
        self.count = 0
        """Of exchanges."""
        for number in range(chance.randint(1, 3)):
            conversation = Conversation(
                client=("10.0.0.5", 41_000 + number),
                client_number=chance.choice([1000, 0xFFFFFFFF, 0xFFFFF000, 0x7FFFFF00]),
                server_number=chance.choice([5000, 0xFFFFFFFE, 0xFFFFE000, 0x80000000]),
                size=chance.choice([300, 1448, 9000, 65_000]),
                time=START + number / 7,
            )
            made = [_exchange(chance, self.count + at) for at in range(chance.randint(1, 6))]
            self.count += len(made)
            converse(conversation, made, pipelined=chance.randint(1, most_pipelined))
            end = chance.choice(["client", "server", "none"])
            if end != "none":
                conversation.close("client" if end == "client" else "server")
            connections.append(conversation.packets)
        everything = [each for packets in connections for each in packets]
        self.packets = sorted(everything, key=lambda each: each.time)
        self.whole = read_packets(self.packets)


def read_packets(packets: Sequence[Packet]) -> Read:
    found = read(pcap(frames(packets)))
    assert found.error is None
    return found


def _shuffled(packets: Sequence[Packet], seed: int, window: int) -> list[Packet]:
    """Each at most so many places from where it was."""
    chance = random.Random(seed)
    places = [(at + chance.uniform(0, window), at) for at in range(len(packets))]
    return [packets[at] for _, at in sorted(places)]


def _repacked(packets: Sequence[Packet], seed: int) -> list[Packet]:
    """With copies of segments, and with retransmissions that begin and end elsewhere."""
    chance = random.Random(seed)
    out: list[Packet] = []
    for packet in packets:
        out.append(packet)
        if chance.random() < 0.3:
            out.append(packet)
        if len(packet.data) > 2 and chance.random() < 0.4:
            begin = chance.randrange(len(packet.data) - 1)
            end = chance.randrange(begin + 1, len(packet.data) + 1)
            part = packet._replace(
                sequence=(packet.sequence + begin) & 0xFFFFFFFF, data=packet.data[begin:end]
            )
            out.insert(chance.randrange(max(0, len(out) - 5), len(out) + 1), part)
    return out


def _rules(found: Read) -> dict[str, list[str]]:
    return {
        flow_id: sorted(finding.rule for finding in report.findings)
        for flow_id, report in found.reports.items()
    }


@given(_SEEDS)
@settings(deadline=None, max_examples=60)
def test_a_whole_capture_has_all(made: int) -> None:
    traffic = Traffic(made)
    assert len(traffic.whole.flows) == traffic.count
    assert not traffic.whole.left_out
    assert not traffic.whole.account.has_holes


@given(_SEEDS, st.integers(0, 1000), st.integers(0, 7))
@settings(deadline=None, max_examples=80)
def test_repeated_and_reordered_packets_change_nothing(made: int, seed: int, window: int) -> None:
    traffic = Traffic(made)
    packets = _shuffled(_repacked(traffic.packets, seed), seed, window)
    spoiled = read_packets(packets)
    assert _rules(spoiled) == _rules(traffic.whole)
    assert not spoiled.left_out
    bodies = {
        flow_id: (report.request.body, report.response and report.response.body)
        for flow_id, report in traffic.whole.reports.items()
    }
    assert bodies == {
        flow_id: (report.request.body, report.response and report.response.body)
        for flow_id, report in spoiled.reports.items()
    }


@given(_SEEDS, st.integers(0, 1000), st.sampled_from([0.01, 0.05, 0.1, 0.3, 0.6]))
@example(106, 106, 0.3)
@example(153, 154, 0.1)
@example(490, 490, 0.3)
@settings(deadline=None, max_examples=150)
def test_lost_packets_invent_nothing(made: int, seed: int, share: float) -> None:
    traffic = Traffic(made)
    chance = random.Random(seed)
    packets = [each for each in traffic.packets if chance.random() >= share]
    spoiled = read_packets(_shuffled(packets, seed, seed % 4))
    assert spoiled.findings <= traffic.whole.findings
    assert set(spoiled.reports) <= set(traffic.whole.reports)
    assert len(spoiled.flows) + spoiled.left_out <= traffic.count


@given(_SEEDS, st.floats(0, 1))
@settings(deadline=None, max_examples=80)
def test_a_capture_that_ends_anywhere_invents_nothing(made: int, share: float) -> None:
    traffic = Traffic(made)
    packets = traffic.packets[: int(len(traffic.packets) * share)]
    spoiled = read_packets(packets)
    assert spoiled.findings <= traffic.whole.findings
    assert set(spoiled.reports) <= set(traffic.whole.reports)
    begun = sum(b" HTTP/1.1\r\nHost: " in each.data for each in packets if each.target[1] == 80)
    assert len(spoiled.flows) + spoiled.left_out >= min(begun, traffic.count) - 2 * 3
    assert len(spoiled.flows) + spoiled.left_out <= traffic.count


@given(_SEEDS, st.floats(0, 1), st.integers(0, 1000))
@settings(deadline=None, max_examples=120)
def test_a_capture_that_begins_anywhere_invents_nothing(made: int, share: float, seed: int) -> None:
    traffic = Traffic(made, most_pipelined=1)
    packets = traffic.packets[int(len(traffic.packets) * share) :]
    spoiled = read_packets(_shuffled(packets, seed, seed % 7))
    assert spoiled.findings <= traffic.whole.findings
    assert set(spoiled.reports) <= set(traffic.whole.reports)
    assert len(spoiled.flows) + spoiled.left_out <= traffic.count


@given(_SEEDS, st.booleans())
@settings(deadline=None, max_examples=40)
def test_one_direction_has_no_flow(made: int, of_server: bool) -> None:
    traffic = Traffic(made)
    packets = [each for each in traffic.packets if (each.source[1] == 80) == of_server]
    spoiled = read_packets(packets)
    assert spoiled.flows == []
    assert spoiled.left_out == traffic.count
    assert spoiled.account.has_holes


@given(_SEEDS, st.integers(54, 2000))
@settings(deadline=None, max_examples=60)
def test_a_snap_length_invents_nothing(made: int, snap: int) -> None:
    traffic = Traffic(made)
    spoiled = read(pcap(frames(traffic.packets), snap=snap))
    assert spoiled.error is None
    assert spoiled.findings <= traffic.whole.findings
    assert set(spoiled.reports) <= set(traffic.whole.reports)
    assert len(spoiled.flows) + spoiled.left_out <= traffic.count

import pytest

from cos_inspect.captures.wire import connections
from tests.saved.wire.exchanges_made import converse, get, put, read, targets
from tests.saved.wire.packets_made import RST, START, Conversation, frames, pcap


@pytest.mark.parametrize("end", ["close", "reset", "none"])
def test_a_port_that_is_used_again_is_another_connection(end: str) -> None:
    first = Conversation(client_number=1000, server_number=5000)
    converse(first, [get("a", b"a" * 3000)])
    if end == "close":
        first.close()
    elif end == "reset":
        first.reset("client")
    second = Conversation(client_number=99_000, server_number=7, time=START + 5)
    converse(second, [get("b", b"b" * 3000)])
    second.close()
    packets = first.packets + second.packets
    assert targets(packets) == ["/a", "/b"]
    # A late copy of the first one's last packets is none of the second's.
    late = first.packets[-6:]
    assert targets([*first.packets, *second.packets[:4], *late, *second.packets[4:]]) == [
        "/a",
        "/b",
    ]


def test_late_copies_behind_the_end_are_no_connection() -> None:
    made = Conversation()
    converse(made, [get("a", b"a" * 3000)])
    made.close()
    found = read(pcap(frames(made.packets + made.packets[3:])))
    assert len(found.flows) == 1
    assert not found.account.has_holes
    assert not found.account.unread


def test_what_comes_late_before_a_reset_counts() -> None:
    made = Conversation()
    exchange = get("a", b"a" * 3000)
    made.send("client", exchange.request)
    made.send("server", exchange.answer)
    made.reset("client")
    packets = made.packets
    late = [*packets[:6], packets[-1], *packets[6:-1]]
    found = read(pcap(frames(late)))
    assert found.findings == read(pcap(frames(packets))).findings
    assert len(found.flows) == 1


def test_a_reset_of_another_connection_says_nothing() -> None:
    made = Conversation()
    converse(made, [get("a", b"a" * 3000)])
    wrong = made.packets[-1]._replace(flags=RST, sequence=0x7000_0000)
    packets = [*made.packets[:6], wrong, *made.packets[6:]]
    assert targets(packets) == ["/a"]


def test_many_connections_at_once_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_MOST_OPEN", 10)
    packets = []
    for number in range(30):
        made = Conversation(client=("10.0.0.5", 1000 + number), time=START + number)
        made.send("client", get(f"a{number}", b"").request)
        packets += made.packets
    found = read(pcap(frames(packets)))
    assert found.account.unread == {connections.TOO_MANY: 20}
    assert found.left_out == 30


def test_what_is_out_of_order_is_bounded_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_MOST_HELD_IN_ALL", 1 << 20)
    made = Conversation(size=60_000)
    converse(made, [put("a", bytes(5 << 20))])
    # One direction, without what acknowledges it.
    packets = [each for n, each in enumerate(made.packets) if each.target[1] == 80 and n != 5]
    found = read(pcap(frames(packets)))
    assert found.account.bytes_lost == 60_000 + len(put("a", bytes(5 << 20)).answer)
    assert found.remarks.notes == [
        "made.pcap: more than 1 MiB of TCP segments are out of order: what is missing between"
        " them counts as lost"
    ]


def test_what_readers_hold_is_bounded_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers whose requests the capture has not, on many connections at once."""
    monkeypatch.setattr(connections, "_MOST_KEPT", 1 << 20)
    monkeypatch.setattr(connections, "_LOOK_AFTER", 1 << 16)
    packets = []
    for number in range(30):
        made = Conversation(client=("10.0.0.5", 1000 + number), time=START + number / 1000)
        converse(made, [get(f"a{number}", bytes(100_000))])
        packets.append([each for each in made.packets if each.source[1] == 80])
    mixed = [each for together in zip(*packets, strict=True) for each in together]
    good = Conversation(client=("10.0.0.6", 999))
    converse(good, [get("good", b"x")])
    found = read(pcap(frames([*good.packets[:4], *mixed, *good.packets[4:]])))
    assert found.account.unread[connections.TOO_MUCH] > 10
    assert found.account.has_holes
    assert [flow.exchange.request.target for flow in found.flows if flow.exchange is not None] == [
        "/good"
    ]

import pytest

from cos_inspect.captures.wire import context
from cos_inspect.model.capture_account import ANSWER_LOST, STILL_OPEN, TOO_MANY_OPEN
from tests.saved.wire.exchanges_made import ALL, converse, get, read
from tests.saved.wire.packets_made import START, Conversation, frames, pcap


def test_flows_say_where_they_begin_in_the_file() -> None:
    made = Conversation()
    converse(made, [get("a", b"x"), get("b", b"x")])
    data = pcap(frames(made.packets))
    found = read(data)
    for flow, name in zip(found.flows, (b"GET /a", b"GET /b"), strict=True):
        assert flow.offset < data.index(name) < flow.offset + 120


@pytest.mark.parametrize("pipelined", [False, True])
def test_no_more_exchanges_are_held_than_there_is_room_for(
    pipelined: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "_MOST_OPEN", 10)
    packets = []
    for number in range(4):
        made = Conversation(client=("10.0.0.5", 1000 + number), time=START + number)
        asked = [get(f"a{number}{each}", b"").request for each in range(5)]
        for each in [b"".join(asked)] if pipelined else asked:
            made.send("client", each)
        packets += made.packets
    found = read(pcap(frames(packets)))
    assert found.flows == []
    # Those of a connection that is given up make room.
    assert found.account.left_out == {STILL_OPEN: 5, ANSWER_LOST: 15}
    assert found.account.unread == {TOO_MANY_OPEN: 3}


def test_what_is_over_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "_MOST_OPEN", 2)
    made = Conversation()
    converse(made, ALL)
    assert len(read(pcap(frames(made.packets))).flows) == len(ALL) - 1

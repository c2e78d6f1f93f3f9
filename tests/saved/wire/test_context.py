from tests.saved.wire.exchanges_made import converse, get, read
from tests.saved.wire.packets_made import Conversation, frames, pcap


def test_flows_say_where_they_begin_in_the_file() -> None:
    made = Conversation()
    converse(made, [get("a", b"x"), get("b", b"x")])
    data = pcap(frames(made.packets))
    found = read(data)
    for flow, name in zip(found.flows, (b"GET /a", b"GET /b"), strict=True):
        assert flow.offset < data.index(name) < flow.offset + 120

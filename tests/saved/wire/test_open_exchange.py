import hashlib

import pytest

from tests.origin.checksums import crc64
from tests.saved.wire.exchanges_made import HOST, converse, get, put, read, refused
from tests.saved.wire.packets_made import Conversation, frames, pcap


def _made() -> Conversation:
    made = Conversation()
    converse(made, [put("a", b"a" * 4000), get("a", b"a" * 4000), refused("b")])
    made.close()
    return made


def test_facts_of_bodies() -> None:
    found = read(pcap(frames(_made().packets)))
    sent, received, error = (flow.exchange for flow in found.flows if flow.exchange is not None)
    body = b"a" * 4000
    assert sent is not None
    assert received is not None
    assert received.response is not None
    for facts in (sent.request.body, received.response.body):
        assert (facts.size, facts.crc64) == (4000, crc64(body))
        assert facts.md5 == hashlib.md5(body).hexdigest()
    assert error is not None
    assert error.response is not None
    assert (error.response.body.text or b"").endswith(b"</Error>")


def test_times_and_addresses_are_those_of_the_packets() -> None:
    made = _made()
    exchange = read(pcap(frames(made.packets))).flows[0].exchange
    assert exchange is not None
    times = exchange.timing
    assert times.request_start == pytest.approx(made.packets[3].time, abs=1e-6)
    assert times.request_end == pytest.approx(made.packets[7].time, abs=1e-6)
    assert times.response_start == pytest.approx(made.packets[9].time, abs=1e-6)
    assert times.connect_ms == pytest.approx(2.0, abs=0.01)
    assert exchange.client_address == "10.0.0.5"
    assert exchange.server_address == "203.0.113.9"
    assert exchange.connection is not None
    assert exchange.connection.client == "10.0.0.5:41234"
    assert exchange.connection.server == "203.0.113.9:80"
    assert not exchange.connection.by_address


def test_ids_are_the_same_in_every_capture() -> None:
    made = _made()
    whole = [flow.flow_id for flow in read(pcap(frames(made.packets))).flows]
    assert len(set(whole)) == 3
    # Cut behind the first exchange, as a ring of files is; a time of its own changes nothing.
    rest = [each._replace(time=each.time + 9) for each in made.packets[11:]]
    later = [flow.flow_id for flow in read(pcap(frames(rest))).flows]
    assert later
    assert later == whole[-len(later) :]


def test_a_custom_domain_is_known_by_its_answer() -> None:
    made = Conversation()
    converse(made, [put("a", b"a" * 4000, wrong=True)])
    made.close()
    packets = [
        each._replace(data=each.data.replace(HOST.encode(), b"files.example".ljust(len(HOST))))
        for each in made.packets
    ]
    found = read(pcap(frames(packets)))
    assert {rule for _, rule in found.findings} >= {"crc64-mismatch"}


def test_other_hosts_are_no_exchange_of_cos() -> None:
    made = Conversation()
    made.send("client", b"PUT /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\nabc")
    made.send("server", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    made.send("client", b"GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n")
    found = read(pcap(frames(made.packets)))
    assert [(flow.exchange, flow.host) for flow in found.flows] == [(None, "a.example")]
    assert found.left_out == 1

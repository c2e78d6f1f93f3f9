"""HTTP/2: streams become exchanges, and what is lost invents none."""

import hashlib
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cos_inspect.captures.wire import http2
from cos_inspect.captures.wire.events import Side, StreamEnd
from cos_inspect.model.capture_account import (
    NOT_HTTP,
    REQUEST_LOST,
    STILL_OPEN,
    TOO_MANY_OPEN,
    UPGRADED,
)
from cos_inspect.model.exchange import BodyEnd, Exchange
from tests.saved.wire.http2_made import HOST, Http2Pair, Read2, read_http2
from tests.saved.wire.tls_made import Data, End, Event, Hole

BODY = bytes(range(256)) * 300
ETAG = ("etag", f'"{hashlib.md5(BODY).hexdigest()}"')


def _pair() -> Http2Pair:
    """Two requests whose answers cross."""
    pair = Http2Pair()
    pair.ask(1, "/up.bin", "PUT", body=BODY)
    pair.ask(3, "/down.bin")
    pair.answer(3, BODY, fields=[ETAG])
    pair.answer(1, fields=[ETAG])
    return pair


def _facts(exchanges: Sequence[Exchange]) -> set[tuple[object, ...]]:
    return {
        (
            each.request.method,
            each.request.target,
            each.request.body.size,
            each.request.body.md5,
            each.request.body.end,
            None if each.response is None else each.response.status,
            None if each.response is None else each.response.body.size,
            None if each.response is None else each.response.body.md5,
            None if each.response is None else each.response.body.end,
            each.error,
        )
        for each in exchanges
    }


def _one(found: Read2) -> Exchange:
    assert len(found) == 1
    return found.exchanges[0]


def test_streams_become_exchanges() -> None:
    found = read_http2(_pair().closed())
    assert found.account.unread == {}
    assert found.account.left_out == {}
    assert found.account.exchanges == 2
    down, up = found.exchanges
    assert down.request.target == "/down.bin"
    assert down.request.host == HOST
    assert down.request.http_version == "HTTP/2.0"
    assert down.response is not None
    assert down.response.body.size == len(BODY)
    assert down.response.body.md5 == hashlib.md5(BODY).hexdigest()
    assert down.response.body.end is BodyEnd.COMPLETE
    assert up.request.body.md5 == hashlib.md5(BODY).hexdigest()
    assert up.response is not None
    assert up.response.status == 200
    assert {flow.connection for flow in found.flows} == {"10.0.0.5:41234 203.0.113.9:443 100"}
    assert len({flow.flow_id for flow in found.flows}) == 2


def test_padding_and_trailers_are_no_body() -> None:
    pair = Http2Pair()
    pair.ask(1, "/up.bin", "PUT", body=b"padded", padding=100)
    pair.answer(1, b"answer", padding=0, trailers=[("x-cos-hash-crc64ecma", "1")])
    found = _one(read_http2(pair.closed()))
    assert found.request.body.size == len(b"padded")
    assert found.response is not None
    assert found.response.body.size == len(b"answer")
    assert found.response.body.end is BodyEnd.COMPLETE
    assert found.response.headers.get("x-cos-hash-crc64ecma") is None


def test_interim_answers_are_none() -> None:
    pair = Http2Pair()
    pair.ask(1)
    pair.server.send_headers(1, [(":status", "103"), ("link", "</a>")])
    pair.pass_on()
    pair.answer(1, b"body")
    found = _one(read_http2(pair.closed()))
    assert found.response is not None
    assert found.response.status == 200


def test_fields_in_several_frames_are_joined() -> None:
    pair = Http2Pair()
    pair.ask(1, fields=[(f"x-cos-meta-{n}", "v" * 4000 + str(n)) for n in range(9)])
    pair.answer(1, b"body")
    assert any(
        b"\x09\x00" in e.data or b"\x09\x04" in e.data for e in pair.events if isinstance(e, Data)
    )
    found = _one(read_http2(pair.closed()))
    assert found.request.headers.get("x-cos-meta-8") == "v" * 4000 + "8"


def test_a_table_that_was_made_larger_is_read() -> None:
    pair = Http2Pair()
    pair.server.update_settings({1: 60_000})
    pair.pass_on()
    for stream in range(1, 41, 2):
        pair.ask(stream, fields=[(f"x-cos-meta-{n}", f"{'v' * 500}{n}") for n in range(20)])
        pair.answer(stream, b"body")
    assert len(read_http2(pair.closed())) == 20


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_stream_that_is_reset_is_broken_off_by_that_side(side: Side) -> None:
    pair = Http2Pair()
    pair.ask(1)
    pair.answer(1, BODY[:5000], ends=False)
    (pair.client if side == "client" else pair.server).reset_stream(1, 8)
    pair.pass_on()
    pair.ask(3)
    pair.answer(3, b"good")
    found = read_http2(pair.closed())
    first, second = found.exchanges
    assert first.error is not None
    assert first.broke_off is not None
    assert first.broke_off.by == side
    assert first.response is not None
    assert first.response.body.end is BodyEnd.CUT
    assert second.error is None
    assert found.account.left_out == {}


def test_an_answer_before_the_end_of_the_request_is_whole() -> None:
    pair = Http2Pair()
    pair.ask(1, "/up.bin", "PUT", body=BODY[:5000], ends=False)
    pair.answer(1, b"<Error/>", 403)
    pair.server.reset_stream(1, 0)
    pair.pass_on()
    found = _one(read_http2(pair.closed()))
    assert found.error is None
    assert found.response is not None
    assert found.response.status == 403
    assert found.response.body.end is BodyEnd.COMPLETE
    assert found.request.body.end is BodyEnd.CUT


def test_streams_that_the_server_did_not_take_are_broken_off() -> None:
    pair = Http2Pair()
    pair.ask(1)
    pair.ask(3)
    pair.server.close_connection(last_stream_id=1)
    pair.pass_on()
    found = read_http2([*pair.events, End("server"), End("client")])
    assert [each.error for each in found.exchanges] == ["server closed connection"] * 2


@pytest.mark.parametrize(
    ("ends", "error"),
    [
        ([End("server"), End("client")], "server closed connection"),
        ([End("client"), End("server")], "client disconnected"),
        (
            [End("server", StreamEnd.RESET), End("client", StreamEnd.PEER_RESET)],
            "connection reset by the server",
        ),
        (
            [End("client", StreamEnd.RESET), End("server", StreamEnd.PEER_RESET)],
            "client closed connection: connection reset",
        ),
    ],
)
def test_the_end_of_the_connection_breaks_off_what_is_open(ends: list[Event], error: str) -> None:
    pair = Http2Pair()
    pair.ask(1)
    pair.answer(1, BODY[:5000], ends=False)
    found = _one(read_http2([*pair.events, *ends]))
    assert found.error == error


def test_what_is_open_when_the_capture_ends_is_left_out() -> None:
    pair = Http2Pair()
    pair.ask(1)
    pair.answer(1, BODY[:5000], ends=False)
    ends = [End("client", StreamEnd.CAPTURE), End("server", StreamEnd.CAPTURE)]
    found = read_http2([*pair.events, *ends])
    assert found.flows == []
    assert found.account.left_out == {STILL_OPEN: 1}


def test_a_hole_inside_of_a_body_is_not_captured() -> None:
    pair = Http2Pair()
    pair.ask(1)
    pair.answer(1, BODY, fields=[ETAG])
    pair.ask(3)
    pair.answer(3, b"good")
    events: list[Event] = []
    done = False
    for each in pair.closed():
        if (
            isinstance(each, Data)
            and each.side == "server"
            and len(each.data) > 15_000
            and not done
        ):
            done = True
            parts = (Data("server", each.data[:1000]), Hole("server", 7000))
            events += [*parts, Data("server", each.data[8000:])]
        else:
            events.append(each)
    found = read_http2(events)
    first, second = found.exchanges
    assert first.response is not None
    assert first.response.body.end is BodyEnd.NOT_CAPTURED
    assert second.response is not None
    assert second.response.body.end is BodyEnd.COMPLETE
    assert found.account.unread == {}


@pytest.mark.parametrize("length", [None, 20_000])
@pytest.mark.parametrize("side", ["client", "server"])
def test_a_hole_over_heads_ends_the_reading(side: Side, length: int | None) -> None:
    pair = Http2Pair()
    pair.ask(1)
    pair.answer(1, b"good")
    pair.ask(3)
    before = [*pair.events, Hole(side, length)]
    pair.events.clear()
    pair.answer(3, b"lost")
    pair.ask(5)
    pair.answer(5, b"lost")
    found = read_http2([*before, *pair.closed()])
    assert len(found) == 1
    assert found.account.unread == {http2.BYTES_LOST: 1}
    assert sum(found.account.left_out.values()) == 1


def test_a_connection_that_began_before_is_counted() -> None:
    pair = _pair()
    events = [each for each in pair.closed() if isinstance(each, End) or each.side == "server"]
    found = read_http2([Data("client", b"\0\0\0\4\1\0\0\0\0"), *events])
    assert found.flows == []
    assert found.account.unread == {http2.BEGUN_BEFORE: 1}
    found = read_http2([Hole("client", None), *pair.closed()])
    assert found.account.unread == {http2.BEGUN_BEFORE: 1}


def test_answers_without_requests_are_counted() -> None:
    events = [each for each in _pair().closed() if each.side == "server"]
    found = read_http2([*events, End("client", StreamEnd.CAPTURE)])
    assert found.flows == []
    assert found.account.left_out == {REQUEST_LOST: 2}


def test_tunnels_are_not_read() -> None:
    pair = Http2Pair()
    pair.client.config.validate_outbound_headers = False
    pair.server.config.validate_inbound_headers = False
    pair.send("client", 1, [(":method", "CONNECT"), (":authority", "a:443")], ends=False)
    pair.server.send_headers(1, [(":status", "200")])
    pair.server.send_data(1, b"opaque")
    pair.pass_on()
    found = read_http2(pair.closed())
    assert found.flows == []
    assert found.account.left_out == {UPGRADED: 1}


MADE = _pair().closed()
WHOLE = _facts(read_http2(MADE).exchanges)


def _shuffled(chance: random.Random, sizes: Sequence[int]) -> list[Event]:
    left: dict[Side, list[Event]] = {"client": [], "server": []}
    sides: tuple[Side, Side] = ("client", "server")
    for side in sides:
        data = b"".join(each.data for each in MADE if isinstance(each, Data) and each.side == side)
        at = 0
        while at < len(data):
            size = chance.choice(sizes)
            left[side].append(Data(side, data[at : at + size]))
            at += size
        left[side].append(End(side))
    events: list[Event] = []
    while any(left.values()):
        side = chance.choice([side for side in sides if left[side]])
        events.append(left[side].pop(0))
    return events


@settings(max_examples=60, deadline=None)
@given(
    chance=st.integers(0, 1 << 30).map(random.Random),
    sizes=st.lists(st.sampled_from([1, 9, 100, 1460, 16_384, 70_000]), min_size=1),
)
def test_any_split_and_order_gives_the_same(chance: random.Random, sizes: list[int]) -> None:
    if max(sizes) < 100:
        sizes = [*sizes, 1460]
    found = read_http2(_shuffled(chance, sizes))
    assert _facts(found.exchanges) == WHOLE
    assert found.account.left_out == {}


@settings(max_examples=150, deadline=None)
@given(
    chance=st.integers(0, 1 << 30).map(random.Random),
    cut=st.floats(0.1, 1.0),
    most=st.integers(0, 4),
)
def test_loss_invents_nothing(chance: random.Random, cut: float, most: int) -> None:
    events = _shuffled(chance, [1460])
    kept: list[Event] = list(events[: int(len(events) * cut)])
    for _ in range(most):
        at = chance.randrange(len(kept))
        lost = kept[at]
        if isinstance(lost, Data):
            kept[at] = Hole(lost.side, len(lost.data))
    if cut < 1.0:
        kept = [each for each in kept if not isinstance(each, End)]
        kept += [End("client", StreamEnd.CAPTURE), End("server", StreamEnd.CAPTURE)]
    found = read_http2(kept)
    whole = {facts[1]: facts for facts in WHOLE}
    for facts in _facts(found.exchanges):
        expected = whole[facts[1]]
        assert facts[-1] is None
        for here, there in zip(facts, expected, strict=True):
            assert here in (there, None, BodyEnd.NOT_CAPTURED)
    assert len(found) <= 2


@settings(max_examples=200, deadline=None)
@given(chance=st.integers(0, 1 << 30).map(random.Random), changes=st.integers(1, 20))
def test_odd_bytes_raise_nothing(chance: random.Random, changes: int) -> None:
    events = _shuffled(chance, [1460])
    for _ in range(changes):
        at = chance.randrange(len(events))
        odd = events[at]
        if isinstance(odd, Data):
            data = bytearray(odd.data)
            data[chance.randrange(len(data))] = chance.randrange(256)
            events[at] = Data(odd.side, bytes(data))
    read_http2(events)


def test_requests_without_what_they_need_are_counted() -> None:
    pair = Http2Pair()
    pair.client.config.validate_outbound_headers = False
    pair.server.config.validate_inbound_headers = False
    pair.send("client", 1, [(":method", "GET"), (":scheme", "https"), (":authority", HOST)])
    pair.answer(1, b"body")
    found = read_http2(pair.closed())
    assert found.flows == []
    assert found.account.left_out == {NOT_HTTP: 1}


def test_streams_for_which_there_is_no_room_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http2, "_MOST_OPEN", 2)
    pair = Http2Pair()
    for stream in (1, 3, 5):
        pair.ask(stream)
    for stream in (5, 3, 1):
        pair.answer(stream)
    found = read_http2(pair.closed())
    assert found.account.left_out == {TOO_MANY_OPEN: 1}
    assert len(found) == 2

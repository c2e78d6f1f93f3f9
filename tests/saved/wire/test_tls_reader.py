"""TLS: what is inside, as OpenSSL has put it there; and never more than that."""

import random
from collections.abc import Sequence
from typing import Any, Literal

import pytest
from cryptography.hazmat.bindings._rust import _openssl
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL

from cos_inspect.captures.wire import tls_handshake, tls_reader
from cos_inspect.captures.wire.events import Side, StreamEnd
from cos_inspect.captures.wire.tls_key_log import KeyLog
from tests.saved.wire.tls_made import (
    ByHand,
    Data,
    End,
    Event,
    Hole,
    Made,
    Read,
    Sent,
    client_context,
    connect,
    message,
    raw,
    read,
    server_context,
)

TLS12, TLS13 = SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION
SIDES: tuple[Side, Side] = ("client", "server")
BIG = bytes(range(256)) * 400
INSIDE = (
    Sent("client", b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"),
    Sent("server", b"HTTP/1.1 200 OK\r\n\r\n" + BIG),
    Sent("client", b"PUT /b HTTP/1.1\r\n\r\n" + BIG),
    Sent("server", b"HTTP/1.1 204 No Content\r\n\r\n"),
)
_LIB: Any = _openssl.lib
_FFI: Any = _openssl.ffi


def inside_of(side: Side, inside: Sequence[Sent] = INSIDE) -> bytes:
    return b"".join(each.data for each in inside if each.side == side)


def assert_whole(found: Read, inside: Sequence[Sent] = INSIDE) -> None:
    assert found.account.unread == {}
    for side in SIDES:
        assert found.told.of(side) == [Data(side, inside_of(side, inside)), End(side)]


@pytest.mark.parametrize(
    "suite",
    [
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_AES_128_CCM_SHA256",
        "TLS_AES_128_CCM_8_SHA256",
    ],
)
def test_every_suite_of_tls13_is_read(suite: str) -> None:
    made = connect(INSIDE, suites=suite, alpn=b"http/1.1")
    assert made.suite == suite
    found = read(made.events, made.key_log)
    assert_whole(found)
    assert found.peers.tls == "TLSv1.3"
    assert found.peers.sni == "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com"
    assert found.told.alpn == "http/1.1"
    assert found.peers.tls_ms is not None


def _suites_of_tls12() -> list[tuple[Literal["rsa", "ecdsa"], str]]:
    names = SSL.Connection(client_context(TLS12, "ALL:COMPLEMENTOFALL"), None).get_cipher_list()
    found: list[tuple[Literal["rsa", "ecdsa"], str]] = []
    for name in names:
        if name.startswith(("ECDHE-ECDSA-", "ADH-", "AECDH-")):
            found.append(("ecdsa", name))
        elif name.startswith(("ECDHE-RSA-", "DHE-RSA-", "AES", "NULL", "ARIA", "CAMELLIA")):
            found.append(("rsa", name))
    return found


@pytest.mark.parametrize(("kind", "suite"), _suites_of_tls12())
def test_every_suite_of_tls12_is_read_or_named(kind: Literal["rsa", "ecdsa"], suite: str) -> None:
    made = connect(INSIDE, version=TLS12, suites=suite, kind=kind, alpn=b"h2")
    assert made.suite == suite
    found = read(made.events, made.key_log)
    assert found.peers.tls == "TLSv1.2"
    if "ARIA" not in suite and any(name in suite for name in ("GCM", "CCM", "CHACHA")):
        assert_whole(found)
        assert found.told.alpn == "h2"
        assert found.peers.tls_ms is not None
    else:
        (reason,) = found.account.unread
        assert reason.startswith("TLS: cipher suite TLS_")
        assert found.told.events == []


def test_older_versions_are_named() -> None:
    for version, name in ((SSL.TLS1_VERSION, "TLSv1"), (SSL.TLS1_1_VERSION, "TLSv1.1")):
        made = connect(INSIDE, version=version, suites="ALL")
        found = read(made.events, made.key_log)
        assert found.account.unread == {f"TLS: version {name}": 1}
        assert found.told.events == []


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_a_resumed_session_is_read(version: int) -> None:
    server = server_context()
    first = connect(INSIDE, version=version, server=server)
    again = connect(INSIDE, version=version, server=server, session=first.session)
    assert len(again.bytes_of("server")) < len(first.bytes_of("server"))
    assert_whole(read(again.events, again.key_log))


def _groups(context: SSL.Context, names: str) -> SSL.Context:
    assert _LIB.SSL_CTX_set1_curves_list(context._context, names.encode()) == 1
    return context


def _retried(session: Any = None, server: SSL.Context | None = None) -> Made:
    return connect(
        INSIDE,
        client=_groups(client_context(), "X25519:P-384"),
        server=server or _groups(server_context(), "P-384"),
        session=session,
    )


def test_a_hello_that_is_asked_for_again_is_read() -> None:
    made = _retried()
    retry = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891")
    assert retry in made.bytes_of("server")
    assert_whole(read(made.events, made.key_log))


EARLY = b"GET /early HTTP/1.1\r\n\r\n"


def _with_early_data(*, is_taken: bool, is_retried: bool = False) -> Made:
    """A second connection that sends data with its first packet."""
    server = server_context()
    assert _LIB.SSL_CTX_set_max_early_data(server._context, 16384) == 1
    client = client_context()
    if is_retried:
        _groups(client, "X25519:P-384")
    first = connect(INSIDE, server=server)
    if is_retried:
        _groups(server, "P-384")
    made = Made()
    lines: list[bytes] = []
    client.set_keylog_callback(lambda _connection, line: lines.append(line))
    one, two = SSL.Connection(client, None), SSL.Connection(server, None)
    one.set_connect_state()
    two.set_accept_state()
    one.set_session(first.session)
    count = _FFI.new("size_t *")

    def pump(side: Side) -> None:
        here, there = (one, two) if side == "client" else (two, one)
        try:
            while True:
                data = here.bio_read(65536)
                made.events.append(Data(side, data))
                there.bio_write(data)
        except SSL.WantReadError:
            pass

    assert _LIB.SSL_write_early_data(raw(one), EARLY, len(EARLY), count) == 1
    pump("client")
    if is_taken:
        place = _FFI.new("char[]", 100)
        assert _LIB.SSL_read_early_data(raw(two), place, 100, count) == 1
        assert _FFI.buffer(place, count[0])[:] == EARLY
    for _ in range(4):
        for side, each in (("server", two), ("client", one)):
            try:
                if is_taken and side == "server":
                    _LIB.SSL_read_early_data(raw(two), place, 100, count)
                each.do_handshake()
            except SSL.WantReadError:
                pass
            pump("server" if side == "server" else "client")
    for sent in INSIDE:
        here = one if sent.side == "client" else two
        here.sendall(sent.data)
        pump(sent.side)
    for side, each in (("client", one), ("server", two)):
        each.shutdown()
        pump("client" if side == "client" else "server")
    made.events += [End("client"), End("server")]
    made.key_log = b"\n".join(lines)
    return made


def test_early_data_that_is_taken_is_read() -> None:
    made = _with_early_data(is_taken=True)
    assert b"CLIENT_EARLY_TRAFFIC_SECRET" in made.key_log
    assert_whole(read(made.events, made.key_log), (Sent("client", EARLY), *INSIDE))


@pytest.mark.parametrize("is_retried", [False, True])
def test_early_data_that_is_refused_is_passed_over(is_retried: bool) -> None:
    made = _with_early_data(is_taken=False, is_retried=is_retried)
    assert b"CLIENT_EARLY_TRAFFIC_SECRET" in made.key_log
    assert_whole(read(made.events, made.key_log))


def test_early_data_without_a_key_is_counted() -> None:
    made = _with_early_data(is_taken=True)
    lines = [line for line in made.key_log.splitlines() if b"_EARLY_" not in line]
    found = read(made.events, b"\n".join(lines))
    assert found.account.unread == {tls_reader.EARLY_UNREAD: 1}
    assert found.told.of("client") == [Hole("client", None), End("client", StreamEnd.CAPTURE)]
    assert found.told.of("server") == [Data("server", inside_of("server")), End("server")]


@pytest.mark.parametrize("hash_length", [32, 48])
def test_keys_are_renewed_on_either_side_alone(hash_length: int) -> None:
    hand = ByHand(hash_length=hash_length)
    events = hand.shake()
    inside: list[Sent] = []
    sides: tuple[Side, ...] = ("server", "client", "server", "server", "client")
    for number, side in enumerate(sides):
        data = b"piece %d of %s" % (number, side.encode())
        inside.append(Sent(side, data))
        events += [Data(side, hand.sealed(side, 23, data)), Data(side, hand.update(side))]
    events += [Data(side, hand.sealed(side, 21, b"\x01\x00")) for side in sides[:2]]
    assert_whole(read([*events, End("client"), End("server")], hand.key_log), inside)


def test_padding_and_empty_records_are_nothing() -> None:
    hand = ByHand()
    events = hand.shake()
    for content, padding in ((b"one", 0), (b"", 0), (b"", 500), (b"two", 1), (b"three\0\0", 900)):
        events.append(Data("server", hand.sealed("server", 23, content, padding)))
    found = read([*events, End("client"), End("server")], hand.key_log)
    assert found.told.of("server") == [Data("server", b"onetwothree\0\0"), End("server")]


def test_a_record_of_nothing_but_padding_is_no_record() -> None:
    hand = ByHand()
    events = hand.shake()
    events.append(Data("server", hand.sealed("server", 0, b"\0", 5)))
    found = read([*events, End("client"), End("server")], hand.key_log)
    assert found.account.unread == {tls_reader.CHANGED: 1}


# Any split and any order


def _steps(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    pieces, at, number = [], 0, 0
    while at < len(data):
        size = sizes[number % len(sizes)]
        pieces.append(data[at : at + size])
        at, number = at + size, number + 1
    return pieces


MADE = {version: connect(INSIDE, version=version) for version in (TLS12, TLS13)}


@settings(max_examples=60, deadline=None)
@given(
    version=st.sampled_from([TLS12, TLS13]),
    sizes=st.lists(st.sampled_from([1, 2, 3, 4, 5, 6, 100, 1460, 16400, 70000]), min_size=1),
    chance=st.integers(0, 1 << 30).map(random.Random),
)
def test_any_split_and_order_gives_the_same(
    version: int, sizes: list[int], chance: random.Random
) -> None:
    made = MADE[version]
    if min(sizes) < 100:
        sizes = [*sizes, 5000]
    left: dict[Side, list[Event]] = {
        side: [*(Data(side, piece) for piece in _steps(made.bytes_of(side), sizes)), End(side)]
        for side in SIDES
    }
    events: list[Event] = []
    # What the sides sent may be seen in any order between them, within reason.
    while any(left.values()):
        side = chance.choice([side for side, pieces in left.items() if pieces])
        count = chance.randrange(1, 4)
        events += left[side][:count]
        del left[side][:count]
    assert_whole(read(events, made.key_log))


def test_data_have_the_time_of_the_packet_that_completes_them() -> None:
    hand = ByHand()
    events = hand.shake()
    record = hand.sealed("client", 23, b"hello")
    begin = len(events)
    events += [Data("client", record[:3]), Data("client", record[3:9]), Data("client", record[9:])]
    found = read([*events, End("client"), End("server")], hand.key_log)
    assert found.told.times == [begin + 2]


def test_a_position_is_that_of_the_record() -> None:
    hand = ByHand()
    events = hand.shake()
    before = sum(
        len(each.data) for each in events if isinstance(each, Data) and each.side == "client"
    )
    first, second = hand.sealed("client", 23, b"one"), hand.sealed("client", 23, b"two")
    events += [Data("client", (first + second)[:7]), Data("client", (first + second)[7:])]
    found = read([*events, End("client"), End("server")], hand.key_log)
    begin = (0xFFFFFF00 + before) & 0xFFFFFFFF
    expected = [begin, (begin + len(first)) & 0xFFFFFFFF]
    assert found.told.positions == [("client", each) for each in expected]


# Keys


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_without_its_key_a_connection_is_counted_and_not_told(version: int) -> None:
    made = MADE[version]
    other = connect(INSIDE, version=version)
    assert read(made.events, b"").account.unread == {tls_reader.NO_KEYS: 1}
    found = read(made.events, other.key_log)
    assert found.account.unread == {tls_reader.NO_KEY: 1}
    assert found.told.events == []
    assert found.peers.tls is not None
    assert found.peers.sni is not None


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_a_secret_that_does_not_fit_is_named(version: int) -> None:
    made = MADE[version]
    lines = [line.split() for line in made.key_log.splitlines()]
    wrong = b"\n".join(b" ".join([*line[:2], line[2][::-1]]) for line in lines if line)
    found = read(made.events, wrong)
    assert found.account.unread == {tls_reader.WRONG_KEY: 1}
    assert found.told.events == []


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_a_secret_that_comes_late_opens_what_has_waited(version: int) -> None:
    made = MADE[version]
    for late in range(1, 12):

        def give(number: int, keys: KeyLog, late: int = late) -> None:
            if number == late:
                keys.add(made.key_log)

        assert_whole(read(made.events, KeyLog(), before=give))


def test_what_waits_for_a_secret_is_bounded() -> None:
    hand = ByHand()
    events = hand.shake()
    for _ in range(40):
        events.append(Data("server", hand.sealed("server", 23, bytes(16000))))

    def give(number: int, keys: KeyLog) -> None:
        if number == len(events) - 1:
            keys.add(hand.key_log)

    found = read([*events, End("client"), End("server")], KeyLog(), before=give)
    assert found.account.unread == {tls_reader.NO_KEYS: 1}
    assert found.told.bytes_of("server") == b""


# Damage and loss


def test_a_changed_record_ends_the_reading_of_its_side() -> None:
    hand = ByHand()
    events = hand.shake()
    good, bad = hand.sealed("server", 23, b"good"), bytearray(hand.sealed("server", 23, b"bad"))
    bad[-1] ^= 1
    events += [Data("server", good), Data("server", bytes(bad))]
    events += [Data("client", hand.sealed("client", 23, b"other")), End("client"), End("server")]
    found = read(events, hand.key_log)
    assert found.account.unread == {tls_reader.CHANGED: 1}
    assert found.told.of("server") == [
        Data("server", b"good"),
        Hole("server", None),
        End("server", StreamEnd.CAPTURE),
    ]
    assert found.told.of("client") == [Data("client", b"other"), End("client")]


@pytest.mark.parametrize("how", [StreamEnd.FIN, StreamEnd.RESET, StreamEnd.PEER_RESET])
def test_an_end_inside_of_a_record_breaks_off(how: StreamEnd) -> None:
    hand = ByHand()
    events = hand.shake()
    whole, record = (hand.sealed("server", 23, data) for data in (b"whole", b"never whole"))
    events += [Data("server", whole), Data("server", record[:-1])]
    found = read([*events, End("server", how), End("client")], hand.key_log)
    broken = StreamEnd.RESET if how is StreamEnd.FIN else how
    assert found.told.of("server") == [Data("server", b"whole"), End("server", broken)]
    assert found.account.unread == {}


def test_the_end_of_the_capture_is_no_end_of_the_connection() -> None:
    hand = ByHand()
    events = hand.shake()
    whole, record = (hand.sealed("server", 23, data) for data in (b"whole", b"never whole"))
    events += [Data("server", whole), Data("server", record[:-1])]
    events += [End("server", StreamEnd.CAPTURE), End("client", StreamEnd.CAPTURE)]
    found = read(events, hand.key_log)
    expected = [Data("server", b"whole"), End("server", StreamEnd.CAPTURE)]
    assert found.told.of("server") == expected


def test_what_comes_behind_close_notify_is_nothing() -> None:
    hand = ByHand()
    events = hand.shake()
    events += [
        Data("server", hand.sealed("server", 23, b"all")),
        Data("server", hand.sealed("server", 21, b"\x01\x00")),
        Data("server", hand.sealed("server", 23, b"no more")),
        End("server", StreamEnd.RESET),
        End("client"),
    ]
    found = read(events, hand.key_log)
    assert found.told.of("server") == [Data("server", b"all"), End("server")]


def test_a_fatal_alert_breaks_off_and_is_named() -> None:
    hand = ByHand()
    events = hand.shake()
    events += [
        Data("client", hand.sealed("client", 23, b"half")),
        Data("client", hand.sealed("client", 21, b"\x01\x5a")),
        Data("client", hand.sealed("client", 21, b"\x02\x14")),
        End("server"),
        End("client"),
    ]
    found = read(events, hand.key_log)
    assert found.account.unread == {"TLS: the client ended it with bad_record_mac": 1}
    assert found.told.of("client") == [Data("client", b"half"), End("client", StreamEnd.RESET)]


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_a_client_that_does_not_trust_is_named(version: int) -> None:
    client = client_context(version)
    client.set_verify(SSL.VERIFY_PEER)
    made = connect(INSIDE, client=client)
    found = read(made.events, made.key_log)
    assert found.account.unread == {"TLS: the client ended it with unknown_ca": 1}
    assert found.told.events == []


def test_a_capture_that_begins_inside_of_a_connection_is_counted() -> None:
    made = MADE[TLS13]
    for begin in range(1, len(made.events) - 2):
        found = read(made.events[begin:], made.key_log)
        if not found.account.unread:
            assert begin == len(made.events) - 2
        assert found.told.events == []
        assert set(found.account.unread) <= {tls_handshake.BEGUN_BEFORE, tls_reader.NOT_TLS}


@pytest.mark.parametrize("side", ["client", "server"])
def test_one_direction_alone_is_counted(side: Side) -> None:
    made = MADE[TLS13]
    events = [each for each in made.events if each.side == side]
    other: Side = "server" if side == "client" else "client"
    found = read([*events, End(other, StreamEnd.CAPTURE)], made.key_log)
    assert found.account.unread == {tls_handshake.BEGUN_BEFORE: 1}
    assert found.told.bytes_of(side) == b""


def _with_hole(data: bytes, begin: int, length: int, side: Side) -> list[Event]:
    pieces: list[Event] = [Data(side, data[:begin])] if begin else []
    pieces.append(Hole(side, length))
    if data[begin + length :]:
        pieces.append(Data(side, data[begin + length :]))
    return pieces


def test_a_hole_inside_of_a_record_costs_that_record() -> None:
    hand = ByHand()
    events = hand.shake()
    first, lost, last = (hand.sealed("server", 23, bytes([n]) * 5000) for n in (1, 2, 3))
    data = first + lost + last
    for begin, length in ((5, 1), (5, len(lost) - 5), (100, 700), (len(lost) - 1, 1)):
        pieces = _with_hole(data, len(first) + begin, length, "server")
        found = read([*events, *pieces, End("client"), End("server")], hand.key_log)
        assert found.account.unread == {}
        assert found.told.of("server") == [
            Data("server", b"\x01" * 5000),
            Hole("server", 5000),
            Data("server", b"\x03" * 5000),
            End("server"),
        ]


def test_several_holes_inside_of_one_record() -> None:
    hand = ByHand()
    events = hand.shake()
    first, lost, last = (hand.sealed("server", 23, bytes([n]) * 5000) for n in (1, 2, 3))
    events += [
        Data("server", first + lost[:100]),
        Hole("server", 50),
        Data("server", lost[150:170]),
        Data("server", lost[170:200]),
        Hole("server", 1000),
        Data("server", lost[1200:]),
        Data("server", last),
    ]
    found = read([*events, End("client"), End("server")], hand.key_log)
    assert found.told.of("server") == [
        Data("server", b"\x01" * 5000),
        Hole("server", 5000),
        Data("server", b"\x03" * 5000),
        End("server"),
    ]


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_behind_a_hole_over_the_heads_of_records_the_place_is_found_again(version: int) -> None:
    made = MADE[version]
    data = made.bytes_of("server")
    plain = inside_of("server")
    found_again = 0
    for begin in range(len(data) - 90_000, len(data) - 40_000, 7001):
        for length in (1, 4000, 16_384, 33_000):
            events = [each for each in made.events if each.side == "client"]
            client, server = events[:1], events[1:]
            pieces = _with_hole(data, begin, length, "server")
            found = read([*client, *pieces, *server, End("server")], made.key_log)
            told = found.told.of("server")
            assert_subset(told, plain)
            found_again += found.account.unread == {}
    assert found_again >= 20


def assert_subset(told: Sequence[Event], plain: bytes) -> None:
    """All that is told stands where it stood, and holes are as long as what is missing."""
    at = 0
    sure = True
    for each in told:
        if isinstance(each, Data):
            assert sure
            assert plain[at : at + len(each.data)] == each.data
            at += len(each.data)
        elif isinstance(each, Hole):
            if each.length is None:
                sure = False
            else:
                at += each.length
    assert at <= len(plain)
    if told and told[-1] == End(told[-1].side) and sure:
        assert at == len(plain)


def test_a_hole_under_padding_has_no_length() -> None:
    hand = ByHand()
    events = hand.shake()
    first = hand.sealed("server", 23, b"first", 100)
    lost = hand.sealed("server", 23, bytes(3000), 100)
    last = hand.sealed("server", 23, b"last", 100)
    pieces = _with_hole(first + lost + last, len(first) + 10, 50, "server")
    found = read([*events, *pieces, End("client"), End("server")], hand.key_log)
    assert found.account.unread == {tls_reader.BYTES_LOST: 1}
    assert found.told.bytes_of("server") == b"first"


@settings(max_examples=150, deadline=None)
@given(
    version=st.sampled_from([TLS12, TLS13]),
    holes=st.lists(
        st.tuples(st.sampled_from(["client", "server"]), st.floats(0, 1), st.integers(1, 40_000)),
        max_size=4,
    ),
    size=st.sampled_from([500, 1460, 16_384, 65_536]),
    cut=st.floats(0.5, 1.5),
)
def test_loss_invents_nothing(
    version: int, holes: list[tuple[Side, float, int]], size: int, cut: float
) -> None:
    made = MADE[version]
    missing: dict[Side, list[bool]] = {}
    for side in SIDES:
        missing[side] = [False] * len(made.bytes_of(side))
    for side, place, length in holes:
        begin = int(place * len(missing[side]))
        for at in range(begin, min(begin + length, len(missing[side]))):
            missing[side][at] = True
    events: list[Event] = []
    place_of: dict[Side, int] = {"client": 0, "server": 0}
    for each in made.events:
        if not isinstance(each, Data):
            continue
        for piece in _steps(each.data, [size]):
            lost = missing[each.side][place_of[each.side] : place_of[each.side] + len(piece)]
            place_of[each.side] += len(piece)
            here = 0
            while here < len(piece):
                end = here
                while end < len(piece) and lost[end] == lost[here]:
                    end += 1
                if lost[here]:
                    events.append(Hole(each.side, end - here))
                else:
                    events.append(Data(each.side, piece[here:end]))
                here = end
    events = events[: int(len(events) * cut)]
    how = StreamEnd.FIN if cut >= 1 else StreamEnd.CAPTURE
    found = read([*events, End("client", how), End("server", how)], made.key_log)
    for side in SIDES:
        told = found.told.of(side)
        assert_subset(told, inside_of(side))
        if told:
            assert isinstance(told[-1], End)
    if not any(any(each) for each in missing.values()) and cut >= 1:
        assert_whole(found)


# Hostile bytes


@settings(max_examples=150, deadline=None)
@given(data=st.data(), chance=st.integers(0, 1 << 30).map(random.Random))
def test_odd_bytes_raise_nothing(data: st.DataObject, chance: random.Random) -> None:
    made = MADE[data.draw(st.sampled_from([TLS12, TLS13]))]
    events: list[Event] = []
    for each in made.events:
        if isinstance(each, Data):
            odd = bytearray(each.data)
            if chance.random() < 0.3:
                for _ in range(chance.randrange(1, 4)):
                    odd[chance.randrange(len(odd))] = chance.randrange(256)
            events.append(Data(each.side, bytes(odd)))
        else:
            events.append(each)
    found = read(events, made.key_log)
    for side in SIDES:
        assert_subset(found.told.of(side), inside_of(side))


def test_messages_that_are_none_are_counted() -> None:
    for body in (b"", b"\x03\x03", b"\x03\x03" + bytes(32) + b"\xff", bytes(38) + b"\0\7\0\0"):
        hello = message(1, body)
        record = b"\x16\x03\x01" + len(hello).to_bytes(2) + hello
        found = read([Data("client", record), End("client"), End("server")], b"")
        assert found.account.unread == {tls_reader.NOT_TLS: 1}


def test_a_message_longer_than_any_is_none() -> None:
    hello = b"\x01\xff\xff\xff" + bytes(16000)
    record = b"\x16\x03\x01" + len(hello).to_bytes(2) + hello
    found = read([Data("client", record), End("client"), End("server")], b"")
    assert found.account.unread == {tls_reader.NOT_TLS: 1}

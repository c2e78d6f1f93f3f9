import random
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from cos_inspect.captures.wire.tcp_stream import PATIENCE, TcpStream


class _Heard:
    def __init__(self) -> None:
        self.told: list[bytes | int | str | None] = []
        self.positions: list[int] = []

    def data(self, data: bytes, time: float, position: int, acknowledged: int) -> None:
        if self.told and isinstance(self.told[-1], bytes):
            self.told[-1] += data
        else:
            self.told.append(data)
        self.positions.append(position)

    def hole(self, length: int | None, time: float) -> None:
        self.told.append(length)

    def fin(self, time: float) -> None:
        self.told.append("fin")


def _stream(begin: int = 1000) -> tuple[TcpStream, _Heard]:
    heard = _Heard()
    stream = TcpStream(heard)
    stream.begin(begin)
    return stream, heard


@given(
    st.integers(0, 0xFFFFFFFF),
    st.integers(1, 3000),
    st.integers(1, 12),
    st.integers(0, 10_000),
)
@settings(max_examples=200, deadline=None)
def test_any_pieces_in_any_order_are_the_bytes(
    begin: int, size: int, pieces: int, seed: int
) -> None:
    chance = random.Random(seed)
    content = chance.randbytes(size)
    cuts = sorted({0, size, *(chance.randrange(size) for _ in range(pieces))})
    segments = list(pairwise(cuts))
    for _ in range(pieces):
        first = chance.randrange(size)
        segments.append((first, chance.randrange(first, size) + 1))
    chance.shuffle(segments)
    stream, heard = _stream(begin)
    stream.segment((begin + size) & 0xFFFFFFFF, b"", 0, 1.0, 0, True)
    for first, last in segments:
        place = (begin + first) & 0xFFFFFFFF
        stream.segment(place, content[first:last], 0, 1.0, 0, False)
    assert heard.told == [content, "fin"]
    assert heard.positions[0] == begin
    assert stream.held == 0


@given(st.integers(0, 10_000), st.integers(1, 40))
@settings(max_examples=200, deadline=None)
def test_what_is_lost_is_a_hole_of_its_length(seed: int, count: int) -> None:
    chance = random.Random(seed)
    begin = chance.randrange(1 << 32)
    pieces = [chance.randbytes(chance.randrange(1, 50)) for _ in range(count)]
    kept = [chance.random() < 0.7 for _ in pieces]
    stream, heard = _stream(begin)
    at = begin
    whole = b"".join(pieces)
    for piece, there in zip(pieces, kept, strict=True):
        if there:
            stream.segment(at & 0xFFFFFFFF, piece, 0, 1.0, 0, False)
        at += len(piece)
    stream.acknowledge(at & 0xFFFFFFFF, 1)
    stream.flush(2.0)
    place = 0
    for told in heard.told:
        if isinstance(told, bytes):
            assert whole[place : place + len(told)] == told
            place += len(told)
        else:
            assert isinstance(told, int)
            place += told
    assert place == len(whole)
    lost = sum(len(piece) for piece, there in zip(pieces, kept, strict=True) if not there)
    assert sum(told for told in heard.told if isinstance(told, int)) == lost


def test_a_hole_that_was_acknowledged_has_some_patience() -> None:
    stream, heard = _stream()
    stream.segment(1000, b"a", 0, 1.0, 0, False)
    stream.segment(1003, b"d", 0, 1.0, 0, False)
    stream.acknowledge(1004, 1)
    for packet in range(1, PATIENCE + 1):
        stream.ripen(packet)
    assert heard.told == [b"a"]
    stream.ripen(PATIENCE + 1)
    assert heard.told == [b"a", 2, b"d"]


def test_what_comes_in_time_fills_it() -> None:
    stream, heard = _stream()
    stream.segment(1001, b"b", 0, 1.0, 0, False)
    stream.acknowledge(1002, 1)
    stream.ripen(PATIENCE)
    stream.segment(1000, b"a", 0, 1.0, 0, False)
    stream.ripen(2 * PATIENCE)
    assert heard.told == [b"ab"]
    assert not stream.has_gap


def test_a_fin_that_is_acknowledged_is_no_byte() -> None:
    stream, heard = _stream()
    stream.acknowledge(1003, 1)
    stream.segment(1000, b"ab", 0, 1.0, 0, True)
    stream.ripen(1000)
    assert heard.told == [b"ab", "fin"]


def test_a_segment_that_was_cut_has_its_hole() -> None:
    stream, heard = _stream()
    stream.segment(1000, b"ab", 3, 1.0, 0, False)
    stream.segment(1005, b"c", 0, 1.0, 0, False)
    assert heard.told == [b"ab", 3, b"c"]


def test_a_stream_whose_beginning_comes_late() -> None:
    heard = _Heard()
    stream = TcpStream(heard)
    stream.segment(1002, b"c", 0, 1.0, 0, False)
    stream.segment(1000, b"ab", 0, 1.0, 0, False)
    assert heard.told == []
    stream.begin(1000)
    assert heard.told == [b"abc"]


def test_a_stream_without_a_beginning_begins_with_a_hole() -> None:
    heard = _Heard()
    stream = TcpStream(heard)
    stream.segment(2, b"c", 0, 1.0, 0, False)
    stream.segment(0xFFFFFFFF, b"abc", 0, 1.0, 0, False)
    stream.begin_in_the_middle(1.0)
    assert heard.told == [None, b"abcc"]


def test_what_is_far_ahead_is_of_another_connection() -> None:
    stream, heard = _stream()
    stream.segment(1000 + (1 << 30) + 1, b"x", 0, 1.0, 0, False)
    stream.acknowledge(1000 + (1 << 30) + 1, 1)
    stream.flush(1.0)
    assert heard.told == []


def test_what_is_held_can_be_forced() -> None:
    stream, heard = _stream()
    stream.segment(1005, b"x" * 100, 0, 1.0, 0, False)
    assert stream.held >= 100
    stream.force()
    assert stream.held == 0
    assert heard.told == [5, b"x" * 100]


def test_what_has_no_bytes_and_waits_is_held_too() -> None:
    """Of a capture that was cut to the heads of its packets."""
    stream, _ = _stream()
    for number in range(100):
        stream.segment(1005 + number, b"", 1, 1.0, 0, False)
    assert stream.held >= 100 * 100
    stream.flush(1.0)
    assert stream.held == 0

"""Hashing beside the event loop: in order, bounded, and no fault gets out."""

import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from cos_inspect.cos.digest_plan import DigestPlan
from cos_inspect.digests import Bytes
from cos_inspect.exchange import BodyEnd
from cos_inspect.proxy import hashing
from cos_inspect.proxy.hashing import GATHERED, Hashing
from cos_inspect.proxy.taps import Meter, Tap, body_of_content

ALL = DigestPlan(md5=True, crc64=True, sample=8)
THREADS = Hashing(2)


class _Collector:
    def __init__(self) -> None:
        self.chunks: list[bytes] = []

    def feed(self, data: memoryview) -> None:
        self.chunks.append(bytes(data))


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3 * GATHERED)), max_size=12),
    st.booleans(),
)
def test_bodies_side_by_side_keep_their_order(parts: list[tuple[int, int]], ended: bool) -> None:
    taps = [Tap(str(number), Meter(ALL), None, THREADS) for number in range(3)]
    bodies = [bytearray() for _ in taps]
    for place, (which, size) in enumerate(parts):
        chunk = bytes([place]) * size
        assert taps[which](chunk) == chunk
        bodies[which] += chunk
    for tap, body in zip(taps, bodies, strict=True):
        if ended:
            tap(b"")
        met, alone = tap.body(), body_of_content(bytes(body), ALL)
        assert (met.md5, met.crc64, met.size) == (alone.md5, alone.crc64, alone.size)
        assert met.end is (BodyEnd.COMPLETE if ended else BodyEnd.CUT)


def test_small_chunks_are_handed_over_together() -> None:
    met = _Collector()
    lane = Hashing(1).lane(met)
    for _ in range(100):
        lane.put(b"x" * (GATHERED // 10))
    lane.drain()
    assert len(met.chunks) == 10
    assert sum(map(len, met.chunks)) == 100 * (GATHERED // 10)


def test_what_waits_is_bounded() -> None:
    release = threading.Event()
    most = 0

    class _Slow:
        def feed(self, data: memoryview) -> None:
            release.wait(10)

    threads = Hashing(1)
    lane = threads.lane(_Slow())

    def fill() -> None:
        for _ in range(200):
            lane.put(b"x" * GATHERED)

    filler = threading.Thread(target=fill)
    filler.start()
    filler.join(0.5)
    most = lane.waiting
    assert filler.is_alive()
    assert most <= hashing._MOST_WAITING + GATHERED
    release.set()
    filler.join(10)
    lane.drain()
    assert lane.waiting == 0


def test_a_fault_ends_the_hashing_and_nothing_else() -> None:
    class _Broken(Meter):
        def feed(self, data: Bytes) -> None:
            raise RuntimeError("our fault")

    tap = Tap("flow-7", _Broken(ALL), None, THREADS)
    chunk = b"x" * (2 * GATHERED)
    assert [tap(chunk), tap(chunk), tap(b"")] == [chunk, chunk, b""]
    assert tap.ended
    assert tap.body().end is BodyEnd.NOT_CAPTURED


def test_a_cheap_body_is_not_handed_over() -> None:
    class _Nothing(Hashing):
        def lane(self, fed: hashing.Fed) -> hashing.Lane:
            raise AssertionError("CRC-64 alone is cheaper than handing over")

    tap = Tap("id", Meter(DigestPlan(crc64=True)), None, _Nothing(1))
    tap(b"123456789")
    tap(b"")
    assert tap.body().crc64 == 11051210869376104954

"""Hashing beside the event loop: in order, bounded, and no fault gets out."""

import collections
import logging
import threading
import time
from collections.abc import Iterator
from queue import SimpleQueue
from types import SimpleNamespace
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cos_inspect.cos.digest_plan import DigestPlan
from cos_inspect.digests import Bytes
from cos_inspect.model.exchange import Body, BodyEnd
from cos_inspect.recording import hashing_threads as hashing
from cos_inspect.recording.hashing_threads import GATHERED, Hashing, HashingQueue
from cos_inspect.recording.stream_tap import BodyMeter, Tap, body_of_content
from tests.conditions import wait_until

ALL = DigestPlan(md5=True, crc64=True, sample=8)
THREADS = Hashing(2)
LONG = 60.0
"""Seconds until a test that waits for a condition gives up."""


class _Collector:
    is_slow = False

    def __init__(self) -> None:
        self.chunks: list[bytes] = []

    def feed(self, data: memoryview) -> None:
        self.chunks.append(bytes(data))


def queue_of(threads: Hashing, fed: hashing.ByteSink) -> HashingQueue:
    hashed = threads.queue_for(fed)
    assert hashed is not None
    return hashed


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3 * GATHERED)), max_size=12),
    st.booleans(),
)
def test_bodies_side_by_side_keep_their_order(parts: list[tuple[int, int]], ended: bool) -> None:
    taps = [Tap(str(number), BodyMeter(ALL), None, THREADS) for number in range(3)]
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
    hashed = queue_of(Hashing(1), met)
    for _ in range(100):
        hashed.put(b"x" * (GATHERED // 10))
    hashed.drain()
    assert len(met.chunks) == 10
    assert sum(map(len, met.chunks)) == 100 * (GATHERED // 10)


def test_what_takes_long_is_fed_in_steps() -> None:
    met = _Collector()
    met.is_slow = True
    hashed = queue_of(Hashing(1), met)
    body = bytes(range(251)) * (GATHERED // 100)
    hashed.put(body)
    hashed.drain()
    assert b"".join(met.chunks) == body
    assert max(map(len, met.chunks)) <= hashing._STEP


@pytest.fixture(autouse=True)
def no_thread_is_left_standing() -> Iterator[None]:
    yield
    while _Gate.made:
        _Gate.made.pop().open.set()


class _Gate:
    """A feed that stays where it is until it is let go."""

    is_slow = False
    made: ClassVar[list["_Gate"]] = []

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()
        self.made.append(self)

    def feed(self, data: memoryview) -> None:
        self.entered.set()
        self.open.wait(LONG)


def test_what_waits_is_bounded() -> None:
    gate = _Gate()
    hashed = queue_of(Hashing(1), gate)
    handed = 0

    def fill() -> None:
        nonlocal handed
        for _ in range(200):
            hashed.put(b"x" * GATHERED)
            handed += 1

    filler = threading.Thread(target=fill)
    filler.start()
    assert gate.entered.wait(LONG)
    # One that is hashed, those that may wait, and the one that waits to be handed over.
    most = hashing._MOST_WAITING // GATHERED
    wait_until(lambda: handed == most)
    filler.join(0.3)
    assert filler.is_alive()
    assert handed == most
    assert hashed.waiting <= hashing._MOST_WAITING
    gate.open.set()
    filler.join(LONG)
    assert not filler.is_alive()
    hashed.drain()
    assert hashed.waiting == 0
    assert hashed.fault is None


def test_a_fault_ends_the_hashing_and_nothing_else() -> None:
    class _Broken(BodyMeter):
        def feed(self, data: Bytes) -> None:
            raise RuntimeError("our fault")

    tap = Tap("flow-7", _Broken(ALL), None, THREADS)
    chunk = b"x" * (2 * GATHERED)
    assert [tap(chunk), tap(chunk), tap(b"")] == [chunk, chunk, b""]
    assert tap.ended
    assert tap.body() == Body(end=BodyEnd.NOT_INSPECTED, size=4 * GATHERED)


def test_a_cheap_body_is_not_handed_over() -> None:
    class _Nothing(Hashing):
        def queue_for(self, fed: hashing.ByteSink) -> HashingQueue:
            raise AssertionError("CRC-64 alone is cheaper than handing over")

    tap = Tap("id", BodyMeter(DigestPlan(crc64=True)), None, _Nothing(1))
    tap(b"123456789")
    tap(b"")
    assert tap.body().crc64 == 11051210869376104954


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second is enough."""
    monkeypatch.setattr(hashing, "_TICK", 0.02)
    monkeypatch.setattr(hashing, "_PATIENCE", 25)


def _whole(threads: Hashing, *, size: int = 40 * GATHERED, number: int = 1) -> None:
    """So many bodies side by side, more than may wait, have their digests in the end."""
    taps = [Tap(str(at), BodyMeter(ALL), None, threads) for at in range(number)]
    chunk = bytes(range(256)) * 256
    for _ in range(size // len(chunk) // number):
        for tap in taps:
            assert tap(chunk) is chunk
    expected = body_of_content(chunk * (size // len(chunk) // number), ALL)
    for tap in taps:
        tap(b"")
        assert tap.body() == expected


class TestFaults:
    """Threads that do not start, end, or stand still: a wait for them ends, and the bodies
    are hashed here, or said to be not inspected."""

    def test_no_thread_can_be_started(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def refuse(self: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        threads = Hashing(2)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            for _ in range(3):
                _whole(threads)
            assert threads.queue_for(_Collector()) is None
        assert [record.levelno for record in caplog.records] == [logging.WARNING]
        assert "can't start new thread" in caplog.text
        # Later there is room for one again.
        monkeypatch.setattr(hashing, "_RETRY_SECONDS", 0.0)
        threads._retry_at = 0.0
        assert threads.queue_for(_Collector()) is not None
        _whole(threads)

    def test_one_thread_of_two_can_be_started(self, monkeypatch: pytest.MonkeyPatch) -> None:
        start, started = threading.Thread.start, list[threading.Thread]()

        def start_one(self: threading.Thread) -> None:
            if started:
                raise MemoryError
            started.append(self)
            start(self)

        monkeypatch.setattr(threading.Thread, "start", start_one)
        threads = Hashing(2)
        _whole(threads, number=5)
        assert len(started) == 1

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    @pytest.mark.parametrize("jobs", [0, 1, 5])
    def test_a_thread_that_ends_after_some_jobs(
        self, monkeypatch: pytest.MonkeyPatch, jobs: int
    ) -> None:
        """It ends between two bodies, having taken a job's token with it."""
        done = 0

        class _Ending:
            def __init__(self) -> None:
                self._queue: SimpleQueue[HashingQueue] = SimpleQueue()
                self.put = self._queue.put

            def get(self) -> HashingQueue:
                nonlocal done
                hashed = self._queue.get()
                done += 1
                if done == jobs + 1:
                    raise SystemExit
                return hashed

        threads = Hashing(1)
        with monkeypatch.context() as patch:
            patch.setattr(hashing, "queue", SimpleNamespace(SimpleQueue=_Ending))
            first = Tap("first", BodyMeter(ALL), None, threads)
        chunk = b"abcd" * 65536
        for _ in range(200):
            first(chunk)
        first(b"")
        assert first.body() == body_of_content(chunk * 200, ALL)
        assert done == jobs + 1
        # Another thread takes its place.
        _whole(threads, number=3)

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_a_thread_that_ends_as_it_takes_a_job(self) -> None:
        """What it has taken is not taken for hashed."""

        class _Ending(collections.deque[tuple[memoryview, int]]):
            def popleft(self) -> tuple[memoryview, int]:
                super().popleft()
                raise SystemExit

        hashed = queue_of(Hashing(1), _Collector())
        hashed.jobs = _Ending()
        hashed.put(b"x" * GATHERED)
        hashed.drain()
        assert isinstance(hashed.fault, hashing.StalledError)

    @pytest.mark.usefixtures("impatient")
    def test_a_thread_that_keeps_its_lock(self, caplog: pytest.LogCaptureFixture) -> None:
        threads = Hashing(1)
        taps = [Tap(str(at), BodyMeter(ALL), None, threads) for at in range(3)]
        chunk = b"y" * (2 * GATHERED)
        held, may_go = threading.Event(), threading.Event()

        def hold() -> None:
            with threads._helpers[0]._changed:
                held.set()
                may_go.wait(LONG)

        holding = threading.Thread(target=hold)
        holding.start()
        assert held.wait(LONG)
        for tap in taps:
            assert tap(chunk) is chunk
            tap(b"")
            assert tap.body() == Body(end=BodyEnd.NOT_INSPECTED, size=len(chunk))
        assert caplog.text.count("does not get on") == 1
        may_go.set()
        holding.join()
        _whole(threads)

    def test_a_feed_that_would_end_its_thread(self) -> None:
        class _Ending(BodyMeter):
            def feed(self, data: Bytes) -> None:
                raise SystemExit

        threads = Hashing(1)
        tap = Tap("id", _Ending(ALL), None, threads)
        chunk = b"x" * (2 * GATHERED)
        assert tap(chunk) == chunk
        tap(b"")
        assert tap.body().end is BodyEnd.NOT_INSPECTED
        thread = threads._helpers[0]._thread
        _whole(threads)
        assert threads._helpers[0]._thread is thread
        assert thread.is_alive()

    @pytest.mark.usefixtures("impatient")
    def test_a_thread_that_stands_still_in_a_body(self) -> None:
        gate = _Gate()

        class _Stuck(BodyMeter):
            def feed(self, data: Bytes) -> None:
                gate.feed(memoryview(data))
                super().feed(data)

        threads = Hashing(1)
        stuck = Tap("stuck", _Stuck(ALL), None, threads)
        behind = Tap("behind", BodyMeter(ALL), None, threads)
        chunk = b"y" * GATHERED
        stuck(chunk)
        assert gate.entered.wait(LONG)
        # More than may wait for the thread.
        for _ in range(20):
            assert stuck(chunk) is chunk
            assert behind(chunk) is chunk
        stuck(b"")
        behind(b"")
        assert stuck.body() == Body(end=BodyEnd.NOT_INSPECTED, size=21 * GATHERED)
        assert behind.body() == body_of_content(chunk * 20, ALL)
        # Nobody is given to it meanwhile, and it is of use again when it gets on.
        assert threads.queue_for(_Collector()) is None
        _whole(threads)
        gate.open.set()
        wait_until(lambda: threads.queue_for(_Collector()) is not None)
        _whole(threads)
        assert threads._helpers[0]._waiting == 0

    @pytest.mark.usefixtures("impatient")
    def test_a_slow_thread_is_waited_for(self) -> None:
        """Each step comes before patience ends, all of them together long after."""

        class _Slow(BodyMeter):
            is_slow = True

            def feed(self, data: Bytes) -> None:
                time.sleep(0.02)
                super().feed(data)

        tap = Tap("slow", _Slow(ALL), None, Hashing(1))
        body = b"z" * (4 * GATHERED)
        tap(body)
        tap(b"")
        assert tap.body() == body_of_content(body, ALL)

    @pytest.mark.usefixtures("impatient")
    def test_at_scale(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Many bodies on threads of which some die, some stand still, and some raise: each
        body is right or not inspected, and nobody waits for ever."""
        gates = [_Gate() for _ in range(3)]

        class _Faulty(BodyMeter):
            def __init__(self, number: int) -> None:
                super().__init__(ALL)
                self._number = number

            def feed(self, data: Bytes) -> None:
                on_thread = threading.current_thread() is not threading.main_thread()
                if self._number % 20 == 7 and on_thread:
                    gates[self._number // 20 % 3].feed(memoryview(data))
                if self._number % 20 == 13:
                    raise ValueError
                super().feed(data)

        monkeypatch.setattr(hashing, "_RETRY_SECONDS", 0.0)
        threads = Hashing(4)
        chunk = b"abc" * 40_000
        expected = body_of_content(chunk * 6, ALL)
        ends: dict[int, Body] = {}
        for first in range(0, 120, 20):
            taps = {
                number: Tap(str(number), _Faulty(number), None, threads)
                for number in range(first, first + 20)
            }
            for _ in range(6):
                for tap in taps.values():
                    assert tap(chunk) is chunk
            for number, tap in taps.items():
                tap(b"")
                ends[number] = tap.body()
        for number, body in ends.items():
            assert body == expected or (
                body == Body(end=BodyEnd.NOT_INSPECTED, size=len(chunk) * 6)
                and number % 20 in (7, 13)
            ), number
        assert sum(body == expected for body in ends.values()) >= 108

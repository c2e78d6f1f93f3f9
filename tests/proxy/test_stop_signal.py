"""What is noted when the process is told to end, and that others still hear of it."""

import asyncio
import contextlib
import os
import signal
import threading
import types
from collections.abc import Iterator

import pytest
from mitmproxy import ctx

from cos_inspect.proxy.stop_signal import SECONDS, StopSignal

NUMBERS = [signal.SIGINT, signal.SIGTERM]
HANGUP = signal.SIGHUP


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (*NUMBERS, HANGUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_is_noted_before_the_loop_hears_of_it(number: signal.Signals) -> None:
    async def run() -> None:
        heard = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(number, heard.set)
        clock = Clock()
        stop = StopSignal(clock=clock)
        stop.watch()
        noted = [stop.is_recent]
        os.kill(os.getpid(), number)
        noted.append(stop.is_recent)
        assert not heard.is_set()
        await asyncio.wait_for(heard.wait(), 10)
        clock.now += SECONDS
        noted.append(stop.is_recent)
        assert noted == [False, True, False]
        stop.done()
        loop.remove_signal_handler(number)

    asyncio.run(run())


def test_handlers_are_left_as_they_were() -> None:
    calls: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: calls.append(number))
    before = signal.getsignal(signal.SIGTERM)
    first, second = StopSignal(), StopSignal()
    first.watch()
    first.watch()
    os.kill(os.getpid(), signal.SIGTERM)
    assert calls == [signal.SIGTERM]
    first.done()
    assert signal.getsignal(signal.SIGTERM) is before
    second.watch()
    signal.signal(signal.SIGTERM, before)
    second.done()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_terminal_that_is_closed_ends_mitmproxy(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    master = types.SimpleNamespace(
        shutdown=lambda: calls.append("shutdown"), should_exit=asyncio.Event()
    )
    monkeypatch.setattr(ctx, "master", master, raising=False)
    signal.signal(HANGUP, signal.SIG_DFL)
    stop = StopSignal(lambda: calls.append("noted"))
    stop.watch()
    os.kill(os.getpid(), HANGUP)
    assert calls == ["noted", "shutdown"]
    assert stop.is_recent
    stop.done()
    assert signal.getsignal(HANGUP) is signal.SIG_DFL


def test_what_is_to_outlive_its_terminal_does() -> None:
    signal.signal(HANGUP, signal.SIG_IGN)
    stop = StopSignal()
    stop.watch()
    assert signal.getsignal(HANGUP) is signal.SIG_IGN
    stop.done()
    assert signal.getsignal(HANGUP) is signal.SIG_IGN


def test_the_task_that_mitmproxy_runs_in_is_cancelled() -> None:
    async def run() -> list[bool]:
        stop = StopSignal()
        stop.watch()
        task = asyncio.current_task()
        assert task is not None
        found = [stop.is_recent]
        task.cancel()
        found.append(stop.is_recent)
        task.uncancel()
        stop.done()
        return found

    async def outer() -> list[bool]:
        with contextlib.suppress(asyncio.CancelledError):
            return await run()
        return []

    assert asyncio.run(outer()) == [False, True]


def test_a_signal_that_nobody_handles_stays_so() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    stop = StopSignal()
    stop.watch()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    stop.done()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def test_other_threads_handle_no_signals() -> None:
    faults: list[BaseException] = []

    def watch() -> None:
        try:
            StopSignal().watch()
        except BaseException as fault:
            faults.append(fault)

    thread = threading.Thread(target=watch)
    thread.start()
    thread.join()
    assert not faults


def test_an_end_without_a_signal_is_noted_when_it_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    master = types.SimpleNamespace(should_exit=asyncio.Event())
    monkeypatch.setattr(ctx, "master", master, raising=False)
    clock, calls = Clock(), []
    stop = StopSignal(lambda: calls.append(clock.now), clock)
    seen = [stop.is_recent]
    master.should_exit.set()
    seen.append(stop.is_recent)
    clock.now += 10 * SECONDS
    seen.append(stop.is_recent)
    assert seen == [False, True, True], "however long it takes"
    assert calls == [100.0], "but noted once"


def test_an_end_after_a_signal_is_noted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    master = types.SimpleNamespace(should_exit=asyncio.Event())
    monkeypatch.setattr(ctx, "master", master, raising=False)
    signal.signal(signal.SIGTERM, lambda _number, _frame: master.should_exit.set())
    clock, calls = Clock(), []
    stop = StopSignal(lambda: calls.append(clock.now), clock)
    stop.watch()
    os.kill(os.getpid(), signal.SIGTERM)
    clock.now += 10 * SECONDS
    assert stop.is_recent
    assert calls == [100.0]
    stop.done()

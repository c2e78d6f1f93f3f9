"""Flows that wait a moment, and who must not be kept waiting."""

import asyncio
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from mitmproxy import ctx, options
from mitmproxy.test import taddons
from mitmproxy.tools.dump import DumpMaster

from cos_inspect.proxy import flow_batch
from cos_inspect.proxy.flow_batch import FlowBatch, is_looked_at
from cos_inspect.proxy.flow_snapshot import FlowSnapshot
from tests.proxy.inspected import cos_flow


class Receiver:
    """Its clock moves by itself only where a flow takes ``seconds``."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.got: list[list[str]] = []
        self.now, self._seconds = 0.0, seconds
        self._part: list[str] = []
        self._taken = asyncio.Event()
        self.batch = FlowBatch(self.take, self.end, lambda: self.now)

    def take(self, snapshot: FlowSnapshot) -> None:
        self._part.append(snapshot.flow.id)
        self.now += self._seconds

    def end(self) -> None:
        self.got.append(self._part)
        self._part = []
        self._taken.set()

    async def has(self, batches: int) -> None:
        """Returns when so many have come."""
        async with asyncio.timeout(20):
            while len(self.got) < batches:
                self._taken.clear()
                await self._taken.wait()

    def put(self, name: str, size: int = 1) -> None:
        flow = cos_flow(content=b"x" * size)
        flow.id = name
        snapshot = FlowSnapshot(flow, ())
        snapshot.seal()
        self.batch.put(snapshot)


def test_flows_are_handed_on_together_and_in_order() -> None:
    async def run() -> list[list[str]]:
        receiver = Receiver()
        for name in "abc":
            receiver.put(name)
        assert receiver.got == []
        await receiver.has(1)
        receiver.put("d")
        receiver.batch.flush()
        receiver.batch.flush()
        receiver.put("e")
        await receiver.has(3)
        return receiver.got

    assert asyncio.run(run()) == [["a", "b", "c"], ["d"], ["e"]]


def test_a_flow_that_comes_alone_does_not_wait() -> None:
    async def run() -> list[int]:
        receiver, found = Receiver(), []
        receiver.now = 100.0
        for passed in (0.0, flow_batch._SECONDS / 2, 10.0):
            receiver.now += passed
            receiver.put("a")
            await asyncio.sleep(0)
            found.append(len(receiver.got))
            receiver.batch.flush()
        return found

    assert asyncio.run(run()) == [1, 1, 3]


def test_others_get_a_turn_between_flows_that_take_long() -> None:
    """None is lost, their order stays, and they are told of together."""

    async def run() -> tuple[list[list[str]], int]:
        receiver, turns = Receiver(flow_batch._TURN_SECONDS / 2), 0
        for name in "abcdefg":
            receiver.put(name)
        while not receiver.got:
            await asyncio.sleep(0)
            turns += 1
        return receiver.got, turns

    got, turns = asyncio.run(run())
    assert got == [list("abcdefg")]
    assert turns > 3


def test_what_is_flushed_between_two_turns_is_handed_on_once() -> None:
    async def run() -> list[list[str]]:
        receiver = Receiver(flow_batch._TURN_SECONDS)
        for name in "abc":
            receiver.put(name)
        await asyncio.sleep(0)
        receiver.batch.flush()
        for _ in range(5):
            await asyncio.sleep(0)
        return receiver.got

    assert asyncio.run(run()) == [list("abc")]


@pytest.mark.parametrize("size", [1, flow_batch._MOST_BYTES])
def test_many_flows_or_large_ones_do_not_wait(size: int) -> None:
    async def run() -> list[list[str]]:
        receiver = Receiver()
        names = [str(number) for number in range(flow_batch._MOST_FLOWS if size == 1 else 2)]
        for name in names:
            receiver.put(name, size)
        assert receiver.got == []
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert receiver.got == [names]
        return receiver.got

    assert asyncio.run(run())


class Looker:
    def response(self, flow: Any) -> None: ...


def test_who_looks_at_flows(tmp_path: Path) -> None:
    async def run() -> None:
        master = DumpMaster(options.Options(), with_termlog=False, with_dumper=False)
        try:
            assert not is_looked_at()
            script = ModuleType("__mitmproxy_script__.other")
            holder = SimpleNamespace(addons=[script])
            master.addons.chain.append(holder)
            assert not is_looked_at()
            script.addons = [Looker()]  # type: ignore[attr-defined]
            assert is_looked_at()
            script.addons = []  # type: ignore[attr-defined]
            script.error = lambda _flow: None  # type: ignore[attr-defined]
            assert is_looked_at()
            del script.error
            ctx.options.save_stream_file = str(tmp_path / "flows")
            assert is_looked_at()
        finally:
            master._legacy_log_events.uninstall()

    asyncio.run(run())


def test_an_interface_looks() -> None:
    with taddons.context():
        assert is_looked_at()

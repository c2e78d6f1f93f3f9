"""Flows that wait a moment, and who must not be kept waiting."""

import asyncio
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from mitmproxy import ctx, options
from mitmproxy.test import taddons
from mitmproxy.tools.dump import DumpMaster

from cos_inspect.proxy import flow_batch as gathering
from cos_inspect.proxy.flow_batch import FlowBatch, is_looked_at
from cos_inspect.proxy.flow_snapshot import FlowSnapshot
from tests.proxy.inspected import cos_flow


class Desk:
    def __init__(self) -> None:
        self.got: list[list[str]] = []
        self._taken = asyncio.Event()
        self.gathering = FlowBatch(self.take)

    def take(self, snapshots: list[FlowSnapshot]) -> None:
        self.got.append([snapshot.flow.id for snapshot in snapshots])
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
        self.gathering.put(snapshot)


def test_flows_are_handed_on_together_and_in_order() -> None:
    async def run() -> list[list[str]]:
        desk = Desk()
        for name in "abc":
            desk.put(name)
        assert desk.got == []
        await desk.has(1)
        desk.put("d")
        desk.gathering.flush()
        desk.gathering.flush()
        desk.put("e")
        await desk.has(3)
        return desk.got

    assert asyncio.run(run()) == [["a", "b", "c"], ["d"], ["e"]]


@pytest.mark.parametrize("size", [1, gathering._MOST_BYTES])
def test_many_flows_or_large_ones_do_not_wait(size: int) -> None:
    async def run() -> list[list[str]]:
        desk = Desk()
        names = [str(number) for number in range(gathering._MOST_FLOWS if size == 1 else 2)]
        for name in names:
            desk.put(name, size)
        assert desk.got == []
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert desk.got == [names]
        return desk.got

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

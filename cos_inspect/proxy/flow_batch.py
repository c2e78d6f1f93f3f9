"""Finished flows wait a moment and are inspected one behind the other.

Inspected alone, between the proxy's own work, a small flow costs twice as much:
the processor has forgotten our code by then. So where nobody looks at a flow as
soon as it is over, a few of them are gathered.
"""

import asyncio
from collections.abc import Callable
from types import ModuleType
from typing import Any

from mitmproxy import ctx
from mitmproxy.tools.dump import DumpMaster

from cos_inspect.proxy.flow_snapshot import FlowSnapshot

_SECONDS = 0.05
_MOST_FLOWS = 32
"""Some 5 ms of the event loop."""
_MOST_BYTES = 4 * 1024 * 1024
"""Of the bodies that are kept for as long."""


class FlowBatch:
    """Hands flows on in the order in which they came: together, soon."""

    def __init__(self, hand_on: Callable[[list[FlowSnapshot]], None]) -> None:
        self._hand_on = hand_on
        self._snapshots: list[FlowSnapshot] = []
        self._bytes = 0
        self._timer: asyncio.Handle | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether a flow that was just answered may wait."""
        return bool(self._snapshots) or not is_looked_at()

    def put(self, snapshot: FlowSnapshot) -> None:
        """To be called where an event loop runs."""
        self._snapshots.append(snapshot)
        self._bytes += snapshot.kept_bytes
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_SECONDS, self.flush)
        elif len(self._snapshots) == _MOST_FLOWS or self._bytes > _MOST_BYTES:
            self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Hands on what has come so far."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        snapshots, self._snapshots, self._bytes = self._snapshots, [], 0
        if snapshots:
            self._hand_on(snapshots)


def is_looked_at() -> bool:
    """Whether somebody may want a flow's mark and metadata as soon as it is over: an
    interface, a file that flows are saved to, or another script."""
    master = ctx.master
    if not isinstance(master, DumpMaster) or ctx.options.save_stream_file:
        return True
    return any(_looks(addon) for addon in master.addons.chain)


def _looks(addon: Any) -> bool:
    if any(_looks(inner) for inner in getattr(addon, "addons", ())):
        return True
    room = addon.__name__ if isinstance(addon, ModuleType) else type(addon).__module__
    if room.startswith(("mitmproxy.", "cos_inspect.")):
        return False
    return any(hasattr(addon, hook) for hook in ("response", "error"))

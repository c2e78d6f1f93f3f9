"""Finished flows wait a moment and are inspected one behind the other.

Inspected alone, between the proxy's own work, a small flow costs twice as much:
the processor has forgotten our code by then. So where nobody looks at a flow as
soon as it is over, a few of them are gathered. They are inspected for a
millisecond at a time, for other flows wait meanwhile.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from types import ModuleType
from typing import Any

from mitmproxy import ctx
from mitmproxy.tools.dump import DumpMaster

from cos_inspect.proxy.flow_snapshot import FlowSnapshot

_SECONDS = 0.05
_MOST_FLOWS = 32
_MOST_BYTES = 4 * 1024 * 1024
"""Of the bodies that are kept for as long."""
_TURN_SECONDS = 0.001
_BUSY_TURN_SECONDS = 0.005
"""Of the event loop at a time, the latter where flows come faster than they are inspected."""


class FlowBatch:
    """Hands flows on in the order in which they came: together, soon, and at once where the
    last ones were handed on a while ago."""

    def __init__(
        self,
        hand_on: Callable[[FlowSnapshot], None],
        handed_on: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """``handed_on`` is called when none is left."""
        self._hand_on = hand_on
        self._handed_on = handed_on
        self._clock = clock
        self._snapshots: deque[FlowSnapshot] = deque()
        self._bytes = 0
        self._timer: asyncio.Handle | None = None
        self._last = -_SECONDS
        """When the last one was handed on."""

    @property
    def is_wanted(self) -> bool:
        """Whether a flow that was just answered may wait."""
        return bool(self._snapshots) or not is_looked_at()

    def put(self, snapshot: FlowSnapshot) -> None:
        """To be called where an event loop runs."""
        self._snapshots.append(snapshot)
        self._bytes += snapshot.kept_bytes
        if self._timer is None:
            loop = asyncio.get_running_loop()
            if self._clock() - self._last > _SECONDS:
                # An app that asks for something now and then: nothing would be gathered.
                self._timer = loop.call_soon(self._take_turn)
            else:
                self._timer = loop.call_later(_SECONDS, self._take_turn)
        elif len(self._snapshots) == _MOST_FLOWS or self._bytes > _MOST_BYTES:
            self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._timer = None
        is_busy = len(self._snapshots) >= _MOST_FLOWS or self._bytes > _MOST_BYTES
        self._hand_on_for(_BUSY_TURN_SECONDS if is_busy else _TURN_SECONDS)
        if self._snapshots and self._timer is None:
            self._timer = asyncio.get_running_loop().call_soon(self._take_turn)

    def flush(self) -> None:
        """Hands on what has come so far."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._snapshots:
            self._hand_on_for(float("inf"))

    def _hand_on_for(self, seconds: float) -> None:
        """Hands on one at least."""
        snapshots = self._snapshots
        end = self._clock() + seconds
        while snapshots:
            snapshot = snapshots.popleft()
            self._bytes = max(0, self._bytes - snapshot.kept_bytes) if snapshots else 0
            self._hand_on(snapshot)
            self._last = self._clock()
            if self._last >= end:
                break
        if not snapshots:
            self._handed_on()


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

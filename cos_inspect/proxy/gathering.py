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

from cos_inspect.proxy.glance import Glance

_SECONDS = 0.05
_MOST_FLOWS = 32
"""Some 5 ms of the event loop."""
_PATIENT_SECONDS = 0.2
_PATIENT_MOST = 128
"""Where flows are only handed over to another process, which likes many at a time."""
_MANY = 12
_A_WHILE = 5
"""Gatherings: a quarter of a second with more than 240 flows a second."""
_MOST_BYTES = 4 * 1024 * 1024
"""Of the bodies that are kept for as long."""


class Gathering:
    """Hands flows on in the order in which they came: together, soon."""

    def __init__(self, hand_on: Callable[[list[Glance]], None]) -> None:
        self._hand_on = hand_on
        self._glances: list[Glance] = []
        self._bytes = 0
        self._timer: asyncio.Handle | None = None
        self._busy = 0
        self.is_patient = False
        """Whether more may be gathered, as little is done with them here."""

    @property
    def is_wanted(self) -> bool:
        """Whether a flow that was just answered may wait."""
        return bool(self._glances) or not is_looked_at()

    def put(self, glance: Glance) -> None:
        """To be called where an event loop runs."""
        self._glances.append(glance)
        self._bytes += glance.kept_bytes
        if self._timer is None:
            seconds = _PATIENT_SECONDS if self.is_patient else _SECONDS
            self._timer = asyncio.get_running_loop().call_later(seconds, self.flush)
        elif self._is_full():
            self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_soon(self.flush)

    def _is_full(self) -> bool:
        most = _PATIENT_MOST if self.is_patient else _MOST_FLOWS
        return len(self._glances) == most or self._bytes > _MOST_BYTES

    def flush(self) -> None:
        """Hands on what has come so far."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        glances, self._glances, self._bytes = self._glances, [], 0
        self._busy = self._busy + 1 if len(glances) >= _MANY else 0
        if glances:
            self._hand_on(glances)

    @property
    def is_busy(self) -> bool:
        """Whether so many flows came for a while that judging them takes a good part of a
        core."""
        return self._busy >= _A_WHILE


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

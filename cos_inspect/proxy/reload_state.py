"""What a run remembers. It outlives the addon's instance: mitmproxy loads a script anew when its
file was touched, in the middle of traffic, and the run goes on."""

import collections
import weakref
from collections.abc import Callable

from mitmproxy import ctx
from mitmproxy.master import Master

from cos_inspect.proxy.connection_tracker import ConnectionTracker
from cos_inspect.proxy.device_tracker import DeviceTracker
from cos_inspect.proxy.flow_reporter import FlowReporter
from cos_inspect.proxy.flow_snapshot import FlowSnapshot

_REMEMBERED = 4096
"""Finished flows and server connections that are remembered by id."""


class RecentIds:
    """The last ids seen, bounded."""

    def __init__(self) -> None:
        self._ids: collections.OrderedDict[str, None] = collections.OrderedDict()

    def add(self, identity: str) -> bool:
        """False when it was there already."""
        if identity in self._ids:
            return False
        self._ids[identity] = None
        if len(self._ids) > _REMEMBERED:
            self._ids.popitem(last=False)
        return True

    def discard(self, identity: str) -> None:
        """Forgets one, where it was known."""
        self._ids.pop(identity, None)


class ReloadState:
    """What one instance of the addon leaves to the next one."""

    def __init__(self) -> None:
        self.reporting = FlowReporter()
        self.devices = DeviceTracker(self.reporting.note_devices)
        self.connection_tracker = ConnectionTracker(self.reporting.report_connection, self.devices)
        self.finished = RecentIds()
        self.connections = RecentIds()
        self.stopped: dict[str, FlowSnapshot | None] = {}
        """Flows that were under way when the script was loaded anew, as many as the proxy had at
        a time. They were reported then; what becomes of them counts for others. None: that is
        known."""

    def close(self) -> None:
        """Tells what only the end can tell, and returns when all of it is on disk."""
        for snapshot in self.stopped.values():
            if snapshot is not None:
                snapshot.release()
        try:
            self.connection_tracker.finish()
        finally:
            self.reporting.close()


_LEFT: weakref.WeakKeyDictionary[Master, ReloadState] = weakref.WeakKeyDictionary()


def hand_over(memory: ReloadState) -> Callable[[], None]:
    """To be called where an instance ends and the proxy may go on: the next one takes the
    memory at once. What it gives closes the memory where nobody took it."""
    master = ctx.master
    _LEFT[master] = memory

    def close_unless_taken() -> None:
        if _LEFT.get(master) is memory:
            del _LEFT[master]
            memory.close()

    return close_unless_taken


def take_over() -> ReloadState:
    """What the instance before has left, or a new one."""
    master = getattr(ctx, "master", None)
    left = _LEFT.pop(master, None) if master is not None else None
    return left or ReloadState()

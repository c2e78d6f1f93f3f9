"""The lists of objects that came last.

A list is asked what it shows of an object when it comes. Where flows are read in another order
than that of time, the Complete of which nobody heard may come behind the list that shows what
became of it.
"""

from collections import deque
from collections.abc import Iterator

from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.transfers.observation import Observation

_MOST_BYTES = 4 * 1024 * 1024


class RecentLists:
    """``most``: lists; together they hold no more than 4 MiB either."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: deque[tuple[CosExchange, Observation]] = deque()
        self._bytes = 0
        self.dropped_until = 0.0
        """When the newest list was asked for that is held no more."""

    def add(self, cos: CosExchange, seen: Observation) -> None:
        """Keeps one more."""
        self._held.append((cos, seen))
        self._bytes += _size(cos)
        while len(self._held) > self._most or self._bytes > _MOST_BYTES:
            dropped, of = self._held.popleft()
            self._bytes -= _size(dropped)
            self.dropped_until = max(self.dropped_until, of.started)

    def since(self, moment: float) -> Iterator[tuple[CosExchange, Observation]]:
        """Those that were asked for then or later."""
        return ((cos, seen) for cos, seen in self._held if seen.started >= moment)


def _size(cos: CosExchange) -> int:
    sample = cos.response.body.sample if cos.response is not None else None
    return len(sample or b"")

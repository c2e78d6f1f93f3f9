"""Ranges of which the headers came and the bodies are still to come: another one that begins
meanwhile is to be cut where they begin and end, or what both hold could not be told apart."""

from collections import OrderedDict

from cos_inspect.transfers.object_versions import version_name
from cos_inspect.transfers.observation import Observation

_Place = tuple[str, str | None, str | None, str]


class RangesUnderWay:
    """``most``: of more, those that began first are forgotten. Where such a one and another
    overlap, the summary says that they could not be joined."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[str, tuple[_Place, int, int]] = OrderedDict()

    def begin(self, seen: Observation) -> None:
        """Its headers came."""
        if seen.span is None:
            return
        first, last = seen.span
        self._held[seen.flow_id] = (_place(seen), first, last + 1)
        while len(self._held) > self._most:
            self._held.popitem(last=False)

    def over(self, seen: Observation) -> None:
        """It ended."""
        self._held.pop(seen.flow_id, None)

    def edges(self, seen: Observation) -> set[int]:
        """Where others of the same version begin and end, as far as they were announced."""
        place = _place(seen)
        return {
            edge
            for flow_id, (of, first, end) in self._held.items()
            if of == place and flow_id != seen.flow_id
            for edge in (first, end)
        }


def _place(seen: Observation) -> _Place:
    """Of what one client reads of one version of an object."""
    return seen.place, seen.key, seen.client, version_name(seen)

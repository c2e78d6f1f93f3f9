"""The requests of an object, each with all its tries."""

import msgspec

from cos_inspect.transfers.limits import Limits
from cos_inspect.transfers.observation import Observation
from cos_inspect.transfers.retries import MARKED_PAUSE, ChainPosition, RetryHistory
from cos_inspect.transfers.tries import may_be_retried, try_of


class RequestHistory(msgspec.Struct, kw_only=True):
    """What was asked of one object, and how often."""

    by_name: dict[str, RetryHistory] = {}
    """By what is asked for."""
    last: float = 0.0
    """When the last of its exchanges ended."""
    dropped_until: float = 0.0
    """When the newest request ended that was dropped because nobody tried it again."""
    facts: int = 0
    """Tries that are kept in mind."""
    left_out: int = 0
    """Tries that were not kept, to bound memory."""

    def add(self, seen: Observation, limits: Limits, *, judge: bool) -> set[str]:
        """Takes one try in; the flows of which something else is to be said now, where to
        ``judge``."""
        self.last = max(self.last, seen.ended)
        name = seen.same_request
        tries = self.by_name.get(name)
        one = try_of(seen)
        if tries is None:
            if len(self.by_name) >= limits.requests:
                self._forget(limits.requests)
            # It may be what came before one that is known no more.
            self.left_out += may_be_retried(one) and one.started < self.dropped_until
            tries = self.by_name[name] = RetryHistory(
                id=f"retry-{name}", operation=seen.operation, bucket=seen.bucket, key=seen.key
            )
        before = tries.facts
        places = tries.places if judge else {}
        dropped = tries.add(one, limits)
        self.facts += tries.facts - before
        self.left_out += dropped
        if not judge or tries.places == places:
            return set()
        now = tries.places
        touched = {
            flow_id
            for flow_id in places.keys() ^ now.keys()
            if places.get(flow_id) != now.get(flow_id)
        }
        for flow_id in places.keys() & now.keys():
            was, place = places[flow_id], now[flow_id]
            if _said_of(was) != _said_of(place) or place.is_last:
                touched.add(flow_id)
        return touched

    def place_of(self, seen: Observation) -> ChainPosition | None:
        """Where the exchange stands among the tries of its request."""
        tries = self.by_name.get(seen.same_request)
        return tries.places.get(seen.flow_id) if tries else None

    def replaced(self) -> set[str]:
        """Failed tries after which the same was tried again."""
        return {
            flow_id
            for tries in self.by_name.values()
            for flow_id, place in tries.places.items()
            if not place.is_last
        }

    def _forget(self, most: int) -> None:
        """Drops requests that nobody is about to try again; where all may be, the oldest."""
        since = self.last - MARKED_PAUSE
        kept = {
            name: tries
            for name, tries in self.by_name.items()
            if tries.any_failed or tries.last >= since
        }
        if len(kept) > most // 2:
            newest = sorted(kept, key=lambda name: kept[name].last)[-(most // 2 or 1) :]
            kept = {name: kept[name] for name in newest}
        dropped = [tries for name, tries in self.by_name.items() if name not in kept]
        self.facts -= sum(tries.facts for tries in dropped)
        self.left_out += sum(tries.facts for tries in dropped if tries.any_failed)
        self.dropped_until = max(self.dropped_until, *(tries.last for tries in dropped))
        self.by_name = kept


def _said_of(place: ChainPosition) -> tuple[object, ...]:
    """What is said of a try changes with its number, as the last one, as one that was refused
    for the clock, and as one after which another came through."""
    return place.attempt, place.is_last, place.chain.id, place.is_corrected, place.is_healed

"""Takes exchanges into the histories of their objects, and what answers to GetBucket show into
those of objects whose uploads may have been completed."""

from collections.abc import Container, Sequence

from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.inspection.histories import Histories, TrackedHistory
from cos_inspect.inspection.recent_lists import RecentLists
from cos_inspect.inspection.transfer_summary import note_of
from cos_inspect.model.flow_report import FlowReport
from cos_inspect.transfers.history import ObjectHistory, object_name, source_name
from cos_inspect.transfers.limits import Limits
from cos_inspect.transfers.objects import copy_of, listings_of
from cos_inspect.transfers.observation import Observation


class HistoryJoiner:
    """``lists``: answers to GetBucket that are kept for Completes which come late;
    ``wanting_proof``: objects that are looked for in later ones."""

    def __init__(
        self, histories: Histories, limits: Limits, *, lists: int, wanting_proof: int
    ) -> None:
        self._histories = histories
        self._limits = limits
        self._lists = RecentLists(lists)
        self._most_wanting_proof = wanting_proof
        self._wanting_proof: dict[str, None] = {}
        """Histories with a Complete of which it is open whether COS did it."""
        self.left_out = 0
        """Exchanges that were not kept in mind, to bound memory."""

    def add(
        self, alone: FlowReport, seen: Observation, marks: Sequence[tuple[int, int]]
    ) -> set[str]:
        """Takes one exchange in; the flows of which something else is to be said because of it.

        :param alone: its report as the exchange alone gives it.
        :param marks: offsets in the answer's body, and the CRC-64 of the body up to each.
        """
        tracked = self._histories.of(seen)
        left_out = tracked.history.left_out
        touched = tracked.history.add(seen, marks, self._limits)
        self.left_out += tracked.history.left_out - left_out
        note = note_of(alone, seen)
        if note is not None:
            tracked.notes[seen.flow_id] = note
        elif tracked.notes:
            tracked.notes.pop(seen.flow_id, None)
        self._histories.put(tracked)
        if tracked.history.uploads:
            self._note_wish(tracked.history)
        if seen.operation == "CompleteMultipartUpload" and tracked.history.wants_proof:
            touched |= self._ask_lists(tracked.history.name, seen)
        name = source_name(seen) if seen.operation == "PutObjectCopy" else None
        if name is not None and seen.succeeded:
            source = self._histories.get(name) or TrackedHistory(
                ObjectHistory(name=name, bucket=None, key=seen.copy_key)
            )
            left_out = source.history.left_out
            source.history.add_copy(copy_of(seen), self._limits)
            self.left_out += source.history.left_out - left_out
            self._histories.put(source)
        return touched

    def add_list(self, cos: CosExchange, seen: Observation) -> set[str]:
        """Takes in an answer to GetBucket that succeeded; the flows of which something else is
        to be said because of it."""
        self._lists.add(cos, seen)
        return self._add_listings(cos, seen, self._wanting_proof) if self._wanting_proof else set()

    def _note_wish(self, history: ObjectHistory) -> None:
        if not history.wants_proof:
            self._wanting_proof.pop(history.name, None)
        elif len(self._wanting_proof) < self._most_wanting_proof:
            self._wanting_proof[history.name] = None
        else:
            self.left_out += 1

    def _ask_lists(self, name: str, complete: Observation) -> set[str]:
        """What lists that came before a Complete and were made after it show of its object."""
        touched: set[str] = set()
        for cos, seen in self._lists.since(complete.ended):
            touched |= self._add_listings(cos, seen, (name,))
        self.left_out += self._lists.dropped_until >= complete.ended
        return touched

    def _add_listings(
        self, cos: CosExchange, seen: Observation, wanted: Container[str]
    ) -> set[str]:
        """What a list shows of objects whose uploads may have been completed; ``wanted``: the
        names of their histories."""
        touched: set[str] = set()
        for key, listing in listings_of(cos, seen):
            name = object_name(seen.place, key)
            tracked = self._histories.get(name) if name in wanted else None
            if tracked is not None:
                touched |= tracked.history.add_listing(listing, self._limits)
                self._histories.put(tracked)
        return touched

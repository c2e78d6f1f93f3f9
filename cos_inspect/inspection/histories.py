"""Histories of live traffic: in memory those that were used last, the others in a temporary
file.

A history is read from the file as a whole. So that an exchange costs the same however many
transfers are under way, one of whose history lies there waits until it is read anyway: always
where all that is to be said of it is known without (a part of an open upload, of which no try
failed), else where nothing is wrong with it and reading has its share of the effort already.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from cos_inspect.cos.encryption import EtagForm
from cos_inspect.inspection.postponed_exchanges import PostponedExchange, PostponedExchanges
from cos_inspect.inspection.spilled_summaries import SpilledSummaries, worse_of
from cos_inspect.inspection.transfer_summary import HistorySummary, SummaryLists, TransferNote
from cos_inspect.model.spill_map import SpillMap
from cos_inspect.transfers.history import ObjectHistory, history_name
from cos_inspect.transfers.limits import JudgingBudget, Limits
from cos_inspect.transfers.multipart import Step
from cos_inspect.transfers.observation import Observation, belongs_to_upload

_MOST_EXTRACTS = 100_000
_MOST_NAMED = 256
"""Uploads, and requests, that an extract names."""


class TrackedHistory(msgspec.Struct):
    """A history, and what its flows show that counts for transfers."""

    history: ObjectHistory
    notes: dict[str, TransferNote] = {}


class _Open(msgspec.Struct):
    """An upload in the file that nobody tried to complete."""

    room: int
    """How many parts more it may have."""
    begun: dict[str, Step]
    """What says how it is encrypted."""
    etag_form: EtagForm


class _StoredHistory(msgspec.Struct):
    """What is to be known of a history that lies in the file."""

    facts: int
    open: dict[str, _Open]
    """By upload id."""
    failed: frozenset[str]
    """Requests that somebody may try again."""


class ProvisionalLook(NamedTuple):
    """What can be told of an exchange that waits."""

    history: ObjectHistory
    """With nothing else in it."""
    is_all: bool


class Histories:
    """``facts``: exchanges in memory; ``on_disk``: histories; ``put_off``: exchanges that wait,
    in memory; ``small``: facts of a history that is always read at once."""

    def __init__(
        self,
        *,
        facts: int,
        on_disk: int,
        put_off: int,
        small: int,
        limits: Limits,
        list_one: Callable[[TrackedHistory, bool], HistorySummary],
    ) -> None:
        self._limits = limits
        self._list = list_one
        self._small = small
        self._tracked: SpillMap[TrackedHistory] = SpillMap(
            TrackedHistory,
            most_weight=facts,
            most_on_disk=on_disk,
            weight=lambda tracked: 1 + tracked.history.facts,
            on_spill=self._spilled,
            on_return=self._returned,
        )
        self._listings = SpilledSummaries()
        """Of histories that are not in memory."""
        self._extracts: dict[str, _StoredHistory] = {}
        """Of those that are not small."""
        self._waiting = PostponedExchanges(put_off, on_disk)
        self._unsaid: dict[str, None] = {}
        """Histories for which something waits of which not all is said."""
        self._effort = JudgingBudget()
        self._came = 0
        self._touched: set[str] = set()
        self._late: set[str] = set()
        """Those that are touched by what came late."""
        self._settled: set[str] = set()
        self.left_out = 0
        """Exchanges that waited, and were then more than is kept of a history."""

    def of(self, seen: Observation) -> TrackedHistory:
        """The history of an exchange, which may be new."""
        return self.get(history_name(seen)) or TrackedHistory(ObjectHistory.of(seen))

    def get(self, name: str) -> TrackedHistory | None:
        """The history of this name; None where nothing is known of it."""
        return self._tracked.get(name)

    def at_hand(self, name: str) -> TrackedHistory | None:
        """The same where it need not be read from the file, or reading has its share of the
        effort."""
        extract = None if self._tracked.holds(name) else self._extracts.get(name)
        if extract is not None and not self._effort.allows(extract.facts, self._came):
            return None
        return self._tracked.get(name)

    def put(self, tracked: TrackedHistory) -> None:
        """Keeps a history; to be called as well when it has changed."""
        self._tracked.put(tracked.history.name, tracked)

    def put_off(self, waiting: PostponedExchange, *, is_fine: bool) -> ProvisionalLook | None:
        """Lets an exchange wait; None where the whole history is to be asked. ``is_fine``: the
        exchange alone shows nothing wrong."""
        seen = waiting.seen
        self._came += 1
        name = history_name(seen)
        extract = self._extracts.get(name)
        if extract is None or self._tracked.holds(name):
            return None
        is_told = _is_told(extract, seen, waiting.note)
        if not is_told:
            urgent = not is_fine or (
                belongs_to_upload(seen.operation) and seen.operation != "UploadPart"
            )
            if self._effort.allows(extract.facts, self._came) or urgent:
                return None
            self._unsaid[name] = None
        self._waiting.add(name, msgspec.structs.replace(waiting, is_told=is_told))
        alone = ObjectHistory.of(seen)
        if is_told:
            known = extract.open[seen.upload_id or ""]
            known.room -= 1
            alone.expect_upload(seen, known.begun)
        alone.add(seen)
        return ProvisionalLook(alone, is_told)

    def take_touched(self) -> tuple[set[str], set[str]]:
        """Flows of which something else is to be said since their histories were read; and those
        of which it is because of what came late."""
        touched, self._touched = self._touched, set()
        late, self._late = self._late, set()
        return touched, late

    def take_settled(self) -> set[str]:
        """The same since their histories left memory."""
        settled, self._settled = self._settled, set()
        return settled

    def read_waiting(self, *, all_of_it: bool = False) -> Iterator[None]:
        """Reads histories for which something waits of which not all is said, those for which
        there is effort to spare or all. After each, ``take_touched`` is to be asked."""
        for name in list(self._unsaid):
            extract = self._extracts.get(name)
            cost = extract.facts if extract is not None else 0
            if not all_of_it and not self._effort.allows(cost, self._came):
                return
            self._unsaid.pop(name, None)
            self._tracked.get(name)
            yield

    def settle(self) -> set[str]:
        """Judges what was put off in the histories in memory."""
        touched = self.take_settled()
        for _, tracked in list(self._tracked.in_memory()):
            touched |= tracked.history.settle()
        return touched

    def lists(self, *, over: bool) -> SummaryLists:
        """What all of them say together; ``over``: nothing more will come. Before, what waits is
        not in it."""
        lists = SummaryLists()
        told: set[str] = set()
        for name, tracked in self._tracked.in_memory():
            listing, before = self._list(tracked, over), self._listings.get(name)
            told.add(name)
            lists.add(listing if before is None else worse_of(before, listing))
        if over:
            # What is open to the end was given up.
            for name, tracked in self._tracked.marked():
                told.add(name)
                self._catch_up(tracked, self._waiting.take(name))
                lists.add(self._list(tracked, True))
            for name in self._waiting.names():
                waiting = self._waiting.take(name)
                tracked = self._tracked.get(name) or TrackedHistory(
                    ObjectHistory.of(waiting[0].seen)
                )
                self._catch_up(tracked, waiting)
                if name not in told:
                    told.add(name)
                    lists.add(self._list(tracked, True))
        else:
            lists.merge(self._listings.counted())
        for name, listing in self._listings.items():
            if name not in told:
                lists.add(listing)
        return lists

    @property
    def forgotten(self) -> int:
        """Histories, and exchanges of them, that are no longer known."""
        return self._tracked.forgotten + self._waiting.forgotten + self.left_out

    @property
    def is_whole(self) -> bool:
        """Whether what is in no history was not seen."""
        return not self.forgotten

    def close(self) -> None:
        """Gives the files back; what lies in them is gone."""
        self._tracked.close()
        self._waiting.close()

    def _spilled(self, name: str, tracked: TrackedHistory) -> bool:
        history = tracked.history
        self._settled |= history.settle()
        if history.facts > self._small:
            extract = _extract_of(history, self._limits)
            if extract is not None:
                self._extracts[name] = extract
                if len(self._extracts) > _MOST_EXTRACTS:
                    del self._extracts[next(iter(self._extracts))]
        listing, before = self._list(tracked, False), self._listings.get(name)
        self._listings.put(name, listing if before is None else worse_of(before, listing))
        return bool(listing)

    def _returned(self, name: str, tracked: TrackedHistory) -> None:
        self._extracts.pop(name, None)
        self._unsaid.pop(name, None)
        self._listings.take_back(name, lambda: self._list(tracked, False))
        self._catch_up(tracked, self._waiting.take(name))

    def _catch_up(self, tracked: TrackedHistory, waiting: Sequence[PostponedExchange]) -> None:
        """Takes in what waited, and notes the flows of which something else is to be said."""
        history = tracked.history
        left_out = history.left_out
        for each in waiting:
            judge = not each.is_told
            found = history.add(each.seen, each.marks, self._limits, judge=judge)
            if judge and each.is_late:
                self._late |= found
            elif judge:
                self._touched |= found
            if each.note is not None:
                tracked.notes[each.seen.flow_id] = each.note
        self.left_out += history.left_out - left_out


def _extract_of(history: ObjectHistory, limits: Limits) -> _StoredHistory | None:
    """None where it would be large itself."""
    failed = frozenset(name for name, tries in history.requests.by_name.items() if tries.any_failed)
    found = {
        name: _Open(
            limits.parts - upload.facts,
            {
                step.flow_id: step
                for step in upload.steps.values()
                if step.operation == "InitiateMultipartUpload"
            },
            upload.encryption[1],
        )
        for name, upload in history.uploads.items()
        if not upload.completes and not upload.left_out
    }
    if len(failed) + len(found) > _MOST_NAMED:
        return None
    return _StoredHistory(history.facts, found, failed)


def _is_told(extract: _StoredHistory, seen: Observation, note: TransferNote | None) -> bool:
    """Whether the history has no more to say of an exchange than its extract, nor anything else
    of others because of it: a part that was stored, of an upload that is open, and that nobody
    had to send again."""
    if seen.operation != "UploadPart" or not seen.succeeded or seen.no_part_number is not None:
        return False
    upload = extract.open.get(seen.upload_id or "")
    if upload is None or upload.room <= 0 or seen.same_request in extract.failed:
        return False
    return note is None or upload.etag_form != "md5"

"""Joins what all shards have read: which flows count, and what they say together.

Everything here works on one partition at a time, and a partition holds all there is about a
name, so nothing depends on how the flows were spread over captures and shards.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from cos_inspect.analyze.counting import CountedFlows
from cos_inspect.analyze.datasets import Told, told_of, write_told
from cos_inspect.analyze.judging import TransfersJudged
from cos_inspect.analyze.spool import records
from cos_inspect.analyze.spooled import ShardRead, SpooledListing, SpooledObservation
from cos_inspect.captures import places
from cos_inspect.inspection.redaction import KnownSecrets, fault_text, masked_lists
from cos_inspect.inspection.second_look import (
    Revision,
    add_copy,
    masked,
    revision_of,
)
from cos_inspect.inspection.transfer_summary import (
    SummaryLists,
    SummaryListsState,
    TransferNote,
    list_history,
)
from cos_inspect.model.plain_text import packed
from cos_inspect.settings.analysis_settings import AnalysisSettings
from cos_inspect.transfers.history import ObjectHistory, history_name, source_name
from cos_inspect.transfers.objects import copy_of, judge_copy

Flow = tuple[int, int]
"""A shard, and the index of a flow in its spool."""
Marks = Mapping[Flow, tuple[tuple[int, int], ...]]
NO_MARKS: Marks = {}

_MOST_FAULTS = 100
_LARGE = 32 * 1024 * 1024
"""Bytes of a partition above which it is read twice, so that what says nothing together
with anything else is not held in memory."""


class Joined(msgspec.Struct, kw_only=True):
    """What one partition of observations says together."""

    revisions: dict[int, str] = {}
    """For each shard a file of revisions by index."""
    lists: SummaryListsState = msgspec.field(default_factory=SummaryListsState)
    judged: TransfersJudged = msgspec.field(default_factory=TransfersJudged)
    """Of all transfers, also those that ``lists`` has no room for."""
    faults: list[str] = []
    """What could not be told together, in words."""
    overlaps: dict[int, dict[int, list[int]]] = {}
    """Answers, by shard and index, that can be joined with others once the CRC-64 up to
    these offsets in their bodies is known."""
    told: str | None = None
    """A file of all transfers and retries, for a dataset."""


class Partition(msgspec.Struct, frozen=True, kw_only=True):
    """The observations of some names, of all shards."""

    number: int
    paths: list[str]
    listings: list[str]
    """Files of what lists showed of the same objects."""
    folder: str


def partitions(reads: Sequence[ShardRead], folder: str) -> list[Partition]:
    """The observations of all shards, by the partitions that can be joined apart."""
    found: dict[int, list[str]] = {}
    for read in reads:
        for number, path in read.observations.items():
            found.setdefault(number, []).append(path)
    return [
        Partition(
            number=number,
            paths=paths,
            listings=[read.listings[number] for read in reads if number in read.listings],
            folder=folder,
        )
        for number, paths in sorted(found.items())
    ]


def join(
    partition: Partition, counted: CountedFlows, settings: AnalysisSettings, marks: Marks = NO_MARKS
) -> Joined:
    """Second looks at the flows of one partition."""
    joining = _Joining(settings, marks, counted)
    for observed in _observed(partition, counted):
        joining.add(observed)
    for listed in _listed(partition, counted):
        joining.add_listed(listed)
    joined = joining.joined()
    joined.revisions = _write_revisions(partition, joining.revisions(joined))
    if settings.dataset is not None:
        name = f"{partition.number}.{'told-again' if marks else 'told'}"
        joined.told = write_told(places.join(partition.folder, name), joining.told)
    return joined


class _Joining:
    """The histories of one partition. As with single flows, a fault of ours costs what is said
    of one object alone; each flow's own report stays."""

    def __init__(self, settings: AnalysisSettings, marks: Marks, counted: CountedFlows) -> None:
        self._settings = settings
        self._counted = counted
        self._beside_gaps: set[str] = set()
        """Histories of which not all was seen."""
        self._marks = marks
        self._histories: dict[str, ObjectHistory] = {}
        self._notes: dict[str, dict[str, TransferNote]] = {}
        self._echoes: dict[str, KnownSecrets] = {}
        """Secrets that the exchanges of a history repeat."""
        self._observed: list[SpooledObservation] = []
        self._ranges: dict[str, Flow] = {}
        self.told: list[Told] = []
        """All that is listed, for a dataset."""

    def add(self, observed: SpooledObservation) -> None:
        seen, flow = observed.seen, (observed.shard, observed.index)
        if observed.is_copy:
            name = source_name(seen) or ""
            source = self._histories.get(name)
            if source is None:
                source = ObjectHistory(name=name, bucket=None, key=seen.copy_key)
                self._histories[name] = source
            source.add_copy(copy_of(seen))
        else:
            name = history_name(seen)
            history = self._histories.get(name)
            if history is None:
                history = self._histories[name] = ObjectHistory.of(seen)
            history.add(seen, self._marks.get(flow, observed.marks), judge=False)
            if observed.note is not None:
                self._notes.setdefault(name, {})[seen.flow_id] = observed.note
            if seen.span is not None:
                self._ranges[seen.flow_id] = flow
        if self._counted.gaps and self._counted.is_beside_gaps(*flow):
            self._beside_gaps.add(name)
        for value, shown in seen.echoes:
            self._echoes.setdefault(name, KnownSecrets()).learn(value, shown)
        self._observed.append(observed)

    def add_listed(self, listed: SpooledListing) -> None:
        """After all others: what a list shows matters where nobody heard of a Complete."""
        history = self._histories.get(listed.name)
        if history is not None and history.wants_proof:
            history.add_listing(listed.listing)

    def joined(self) -> Joined:
        lists = SummaryLists()
        joined = Joined(faults=[], overlaps={})
        for name, history in list(self._histories.items()):
            try:
                history.settle()
                for flow_id, offsets in history.overlaps():
                    flow = self._ranges.get(flow_id)
                    if flow is not None and flow not in self._marks:
                        joined.overlaps.setdefault(flow[0], {})[flow[1]] = offsets
                listing = list_history(
                    history,
                    self._notes.get(name, {}),
                    ignore=self._settings.ignore,
                    over=True,
                    has_gaps=name in self._beside_gaps,
                )
                if self._settings.redact:
                    listing = masked_lists(listing, self._echoes.get(name))
            except Exception as error:
                self._give_up(name, joined, error)
            else:
                lists.add(listing)
                if self._settings.dataset is not None:
                    self.told += told_of(listing)
                found = (transfer for _, transfer in listing.transfers)
                joined.judged.add(found, self._settings)
        joined.lists = lists.state()
        return joined

    def revisions(self, joined: Joined) -> Iterator[tuple[SpooledObservation, Revision]]:
        for observed in self._observed:
            seen = observed.seen
            name = (source_name(seen) or "") if observed.is_copy else history_name(seen)
            history = self._histories.get(name)
            if history is None:
                continue
            try:
                if observed.is_copy:
                    revision = Revision()
                    add_copy(revision, seen, judge_copy(copy_of(seen), history.events))
                else:
                    revision = revision_of(history, seen)
                revision.findings = [
                    finding
                    for finding in revision.findings
                    if finding.rule not in self._settings.ignore
                ]
                if revision and self._settings.redact:
                    revision = masked(revision, self._echoes.get(name))
            except Exception as error:
                self._give_up(name, joined, error)
                continue
            if revision:
                yield observed, revision

    def _give_up(self, name: str, joined: Joined, error: Exception) -> None:
        del self._histories[name]
        what = f"what flows say together of one object cannot be told ({fault_text(error)})"
        if what not in joined.faults and len(joined.faults) < _MOST_FAULTS:
            joined.faults.append(what)


_Revisions = list[tuple[int, bool, Revision]]
"""Index, whether it comes from the history of what was copied, and the revision."""


def _write_revisions(
    partition: Partition, revisions: Iterable[tuple[SpooledObservation, Revision]]
) -> dict[int, str]:
    by_shard: dict[int, _Revisions] = {}
    for observed, revision in revisions:
        entry = (observed.index, observed.is_copy, revision)
        by_shard.setdefault(observed.shard, []).append(entry)
    paths: dict[int, str] = {}
    for shard, found in by_shard.items():
        path = places.join(partition.folder, f"{shard}.revisions.{partition.number}")
        places.write(path, packed(found))
        paths[shard] = path
    return paths


def _observed(partition: Partition, counted: CountedFlows) -> Iterator[SpooledObservation]:
    decoder = msgspec.msgpack.Decoder(SpooledObservation)
    size = sum(places.size_of(path) for path in partition.paths)
    matters = _RelevantFlows(partition, counted, decoder) if size > _LARGE else None
    for path in partition.paths:
        for observed in records(path, decoder):
            if counted.is_dropped(observed.shard, observed.index):
                continue
            if matters is None or matters.is_of_use(observed):
                yield observed


def _listed(partition: Partition, counted: CountedFlows) -> Iterator[SpooledListing]:
    decoder = msgspec.msgpack.Decoder(SpooledListing)
    for path in partition.listings:
        for listed in records(path, decoder):
            if not counted.is_dropped(listed.shard, listed.index):
                yield listed


class _RelevantFlows:
    """Tells plain reads of objects that nobody writes, of requests that nobody tries again:
    most of the traffic in large captures, and of no use to anything else."""

    def __init__(
        self,
        partition: Partition,
        counted: CountedFlows,
        decoder: "msgspec.msgpack.Decoder[SpooledObservation]",
    ) -> None:
        self._names: set[str] = set()
        self._requests: set[str] = set()
        for path in partition.paths:
            for observed in records(path, decoder):
                if counted.is_dropped(observed.shard, observed.index):
                    continue
                seen = observed.seen
                if observed.is_copy:
                    self._names.add(source_name(seen) or "")
                elif not _is_plain_read(observed):
                    self._names.add(history_name(seen))
                    if not seen.succeeded:
                        self._requests.add(seen.same_request)

    def is_of_use(self, observed: SpooledObservation) -> bool:
        seen = observed.seen
        name = source_name(seen) if observed.is_copy else history_name(seen)
        return name in self._names or seen.same_request in self._requests


def _is_plain_read(observed: SpooledObservation) -> bool:
    seen = observed.seen
    return (
        seen.succeeded
        and (seen.describes_object or seen.key is None)
        and seen.span is None
        and seen.upload_id is None
        and not seen.appendable
        and not observed.is_copy
        # Another read may say why what seems wrong with one is not.
        and observed.note is None
        and not seen.appendable
    )


def read_revisions(paths: Iterable[str]) -> dict[int, Revision]:
    """Of one shard, by index; those of a copy's target and source together."""
    decoder = msgspec.msgpack.Decoder(_Revisions)
    found: dict[int, Revision] = {}
    of_sources: list[tuple[int, Revision]] = []
    for path in paths:
        for index, is_copy, revision in decoder.decode(places.read(path)):
            if is_copy:
                of_sources.append((index, revision))
            else:
                found[index] = revision
    for index, revision in of_sources:
        own = found.setdefault(index, Revision())
        own.checks += revision.checks
        own.findings += revision.findings
    return found


def merge_lists(joined: Iterable[Joined]) -> SummaryLists:
    """The lists of all partitions as one."""
    lists = SummaryLists()
    for each in joined:
        lists.merge(each.lists)
    return lists

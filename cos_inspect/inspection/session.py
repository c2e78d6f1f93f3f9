"""Live traffic across exchanges: first looks as they come, second looks as they become
possible.

A later exchange may change what is to be said of an earlier one; then that one's report comes
out again, whole and revised. What is in mind is bounded in memory; what is older lies in a
temporary file, and what is beyond that is forgotten and counted. No clock, no log.
"""

from collections import OrderedDict
from collections.abc import Container, Iterable, Mapping, Sequence
from math import inf

import msgspec

from cos_inspect.cos.cos_exchange import CosExchange, Recognised, read_exchange
from cos_inspect.inspection.first_look import FirstLook, first_look, revise
from cos_inspect.inspection.histories import Histories, TrackedHistory
from cos_inspect.inspection.postponed_exchanges import PostponedExchange
from cos_inspect.inspection.recent_lists import RecentLists
from cos_inspect.inspection.redaction import Echo, KnownSecrets, masked_lists
from cos_inspect.inspection.said_once import SaidOnce, said_once_names, say_once
from cos_inspect.inspection.second_look import (
    Revision,
    add_copy,
    add_pending,
    masked,
    revision_of,
)
from cos_inspect.inspection.secret_ids import SecretIds
from cos_inspect.inspection.transfer_summary import HistorySummary, list_history, note_of
from cos_inspect.model.exchange import Exchange
from cos_inspect.model.flow_report import FlowReport, Verdict
from cos_inspect.model.spill_map import SpillMap
from cos_inspect.model.summary import SessionSummary
from cos_inspect.rules.rule import PendingFinding
from cos_inspect.transfers.history import ObjectHistory, history_name, object_name, source_name
from cos_inspect.transfers.limits import LIVE, Limits
from cos_inspect.transfers.objects import copy_of, judge_copy, listings_of
from cos_inspect.transfers.observation import Observation
from cos_inspect.transfers.observe import observe
from cos_inspect.transfers.ranges_under_way import RangesUnderWay

_OF_SEVERAL = frozenset({"range-crc64", "append-crc64", "multipart-crc64", "multipart-etags"})
"""Checks of what several exchanges brought: one that was under way for long may change them."""
_NO_KEYS: Mapping[str, str] = {}


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How much is in mind at once, and in the temporary file."""

    facts: int = 120_000
    """Exchanges of all histories together, in memory."""
    histories: int = 1_000_000
    """On disk."""
    put_off: int = 10_000
    """Exchanges of histories on disk that wait until these are read, in memory."""
    small: int = 16
    """Facts of a history on disk that is always read at once."""
    reports: int = 512
    """That can be revised, in memory; some 20 KB each."""
    old_reports: int = 50_000
    """On disk."""
    secret_ids: int = 4096
    lists: int = 64
    """Answers to GetBucket that are kept for Completes which come late."""
    under_way: int = 1024
    """Ranges whose bodies are still to come."""
    echoes: int = 256
    """Secrets that their exchanges repeat."""
    waiting: int = 1024
    """Flows that wait for what another one shows of one SecretId."""


class RevisedReport(msgspec.Struct, frozen=True):
    """A report that takes the place of an earlier one of the same flow."""

    report: FlowReport
    verdict_before: Verdict
    rules_before: frozenset[str]


class InspectionResult(msgspec.Struct, frozen=True):
    """What one more exchange brought."""

    cos: CosExchange
    report: FlowReport
    revised: list[RevisedReport]
    """Of earlier flows."""
    repeats_secrets: bool = False
    """A secret stands elsewhere than where it is named."""


class _RevisableFlow(msgspec.Struct):
    """A flow that may be revised."""

    alone: FlowReport
    """As the exchange alone gives it."""
    seen: Observation
    pending: tuple[PendingFinding, ...]
    shown: FlowReport | None = None
    """As it was reported last; None: as alone."""
    waits: bool = False
    """What its history says of it is not known yet."""

    @property
    def report(self) -> FlowReport:
        return self.shown or self.alone


def _is_revisable(held: _RevisableFlow) -> bool:
    """Whether an old flow may have to be revised. What is clean and whole is not: no later
    exchange takes anything back of it."""
    seen = held.seen
    return bool(
        held.report.findings
        or held.pending
        or held.waits
        or not seen.succeeded
        or seen.copy_place
        or seen.listed is not None
        or (seen.span is not None and seen.total is None)
        or any(
            check.check in _OF_SEVERAL or check.reason == "unseen-parts"
            for check in held.report.checks
        )
    )


class Session:
    """All traffic of one run. ``ignore`` are rule ids to leave out, ``keys`` SecretKeys by
    SecretId to recompute signatures with."""

    def __init__(
        self,
        *,
        hosts: Sequence[str] = (),
        ignore: frozenset[str] = frozenset(),
        redact: bool = True,
        keys: Mapping[str, str] = _NO_KEYS,
        limits: Limits = LIVE,
        bounds: Bounds | None = None,
    ) -> None:
        self._hosts = hosts
        self._ignore = ignore
        self._redact = redact
        self._keys = keys
        self._limits = limits
        self._bounds = bounds = bounds or Bounds()
        self._histories = Histories(
            facts=bounds.facts,
            on_disk=bounds.histories,
            put_off=bounds.put_off,
            small=bounds.small,
            limits=limits,
            list_one=self._list,
        )
        self._held = self._new_held()
        self._secret_ids = SecretIds(most=bounds.secret_ids, most_waiting=bounds.waiting)
        self._said_once: SpillMap[SaidOnce] = SpillMap(SaidOnce, most_weight=bounds.secret_ids)
        self._wanting_proof: dict[str, None] = {}
        """Histories with a Complete of which it is open whether COS did it."""
        self._lists = RecentLists(bounds.lists)
        self._under_way = RangesUnderWay(bounds.under_way)
        self._held_until = 0.0
        """When the newest flow ended whose report is held no more, as nothing was to be taken
        back of it, or added."""
        self._newest = 0.0
        """When the newest flow ended."""
        self._not_joined = 0
        """Exchanges that were not kept in mind, to bound memory."""
        self._echoed: OrderedDict[bytes, str] = OrderedDict()
        """Secrets that their exchanges repeat, and what is shown in their place."""
        self._echoes: KnownSecrets | None = None
        self._counted_anew: set[str] = set()
        """Flows whose finding stands for more flows than it says, and those that were judged
        anew at last."""

    def use(
        self,
        *,
        hosts: Sequence[str],
        ignore: frozenset[str],
        redact: bool,
        keys: Mapping[str, str],
    ) -> None:
        """Goes on with other settings. Reports that may hold secrets are not given out again
        once secrets are to be masked."""
        if redact and not self._redact:
            self._held.close()
            self._held = self._new_held()
        self._hosts, self._ignore, self._redact, self._keys = hosts, ignore, redact, keys

    def inspect(
        self,
        exchange: Exchange,
        *,
        recognised: Recognised | None = None,
        marks: Sequence[tuple[int, int]] = (),
    ) -> InspectionResult | None:
        """Reads one finished exchange; None when it is not COS traffic.

        ``recognised`` is what the request's head said, where it was read before.
        ``marks`` are offsets in the answer's body, as ``boundaries`` asked for them, and
        the CRC-64 of the body up to each.
        """
        look = self._look(exchange, recognised)
        if look is None:
            return None
        seen = look.seen
        held = _RevisableFlow(look.report, seen, look.pending)
        touched = self._secret_ids.add(seen, waits=bool(look.pending))
        alone = None
        self._under_way.over(seen)
        if seen.is_dated:
            # What has no time has no place among others.
            note = note_of(held.alone, seen)
            is_fine = held.alone.verdict in ("ok", "notice")
            # Of one that waits it is not known what will be held when its turn comes.
            came_behind = seen.ended < self._newest
            self._newest = max(self._newest, seen.ended)
            waiting = PostponedExchange(seen, tuple(marks), note, is_late=came_behind)
            alone = self._histories.put_off(waiting, is_fine=is_fine)
            if alone is None:
                touched |= self._add_to_history(held, marks)
            else:
                held.waits = not alone.is_all
            if seen.operation == "GetBucket" and seen.succeeded:
                self._lists.add(look.cos, seen)
                if self._wanting_proof:
                    touched |= self._add_listings(look.cos, seen, self._wanting_proof)
            self._add_to_said_once(held)
        waited, behind = self._histories.take_touched()
        touched |= waited | behind
        touched.discard(seen.flow_id)
        self._revise(held, alone.history if alone is not None else None)
        self._held.put(seen.flow_id, held)
        revised = self._revise_all(touched, behind, seen.ended) if touched else []
        return InspectionResult(look.cos, held.report, revised, bool(seen.echoes))

    def learn(
        self,
        exchange: Exchange,
        *,
        recognised: Recognised | None = None,
        marks: Sequence[tuple[int, int]] = (),
    ) -> list[RevisedReport]:
        """Takes in what became of an exchange that was inspected as a stopped one: its report
        stays, those of others may change."""
        look = self._look(exchange, recognised)
        known = self._held.get(look.seen.flow_id) if look is not None else None
        if look is None or known is None or not known.seen.stopped or not look.seen.is_dated:
            return []
        touched = self._add_to_history(_RevisableFlow(look.report, look.seen, ()), marks)
        return self._revise_all(touched) + self._revise_waited()

    def boundaries(self, exchange: Exchange) -> list[int]:
        """Offsets in the body of an answer at which a running CRC-64 is worth noting, so
        that it can be joined with other ranges which it overlaps: those that came before, and
        those whose bodies are still to come. To be asked when the answer's headers have come;
        its body does not matter."""
        response = exchange.response
        if response is None or "content-range" not in response.headers:
            return []
        cos = read_exchange(exchange, self._hosts)
        if cos is None:
            return []
        seen = observe(cos)
        if seen.span is None or not seen.describes_object:
            return []
        first, last = seen.span
        tracked = self._histories.at_hand(history_name(seen))
        found = self._under_way.edges(seen)
        if tracked is not None:
            found |= tracked.history.boundaries(seen)
        self._under_way.begin(seen)
        return sorted(at - first for at in found if first < at <= last)

    def renew(self) -> list[RevisedReport]:
        """Reports that must be replaced, of which that can wait for a moment."""
        found: list[RevisedReport] = []
        for _ in self._histories.read_waiting():
            found += self._revise_waited()
        touched = self._counted_anew | self._histories.take_settled()
        self._counted_anew = set()
        return found + self._revise_all(touched)

    def settle(self) -> list[RevisedReport]:
        """At the end, before ``close``: reports that must be replaced."""
        found: list[RevisedReport] = []
        for _ in self._histories.read_waiting(all_of_it=True):
            found += self._revise_waited()
        touched = self._counted_anew | self._histories.settle()
        self._counted_anew = set()
        return found + self._revise_all(touched)

    def summary(self) -> SessionSummary:
        """What is known so far."""
        return self._summary(over=False)

    def close(self) -> SessionSummary:
        """The same when nothing more will come."""
        summary = self._summary(over=True)
        for held in (self._histories, self._held, self._secret_ids, self._said_once):
            held.close()
        return summary

    def _look(self, exchange: Exchange, recognised: Recognised | None) -> FirstLook | None:
        look = first_look(
            exchange,
            recognised=recognised,
            hosts=self._hosts,
            ignore=self._ignore,
            redact=self._redact,
            keys=self._keys,
        )
        if look is not None and look.seen.echoes:
            self._note_echoes(look.seen.echoes)
        return look

    def _new_held(self) -> SpillMap[_RevisableFlow]:
        return SpillMap(
            _RevisableFlow,
            most_weight=self._bounds.reports,
            most_on_disk=self._bounds.old_reports,
            is_worth_it=self._is_revisable,
        )

    def _is_revisable(self, held: _RevisableFlow) -> bool:
        if _is_revisable(held):
            return True
        self._held_until = max(self._held_until, held.seen.ended)
        return False

    def _revise_waited(self) -> list[RevisedReport]:
        """What else is to be said since histories were read."""
        waited, behind = self._histories.take_touched()
        return self._revise_all(waited | behind, behind)

    def _add_to_history(self, held: _RevisableFlow, marks: Sequence[tuple[int, int]]) -> set[str]:
        seen = held.seen
        tracked = self._histories.of(seen)
        left_out = tracked.history.left_out
        touched = tracked.history.add(seen, marks, self._limits)
        self._not_joined += tracked.history.left_out - left_out
        note = note_of(held.alone, seen)
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
            self._not_joined += source.history.left_out - left_out
            self._histories.put(source)
        return touched

    def _note_wish(self, history: ObjectHistory) -> None:
        if not history.wants_proof:
            self._wanting_proof.pop(history.name, None)
        elif len(self._wanting_proof) < self._bounds.secret_ids:
            self._wanting_proof[history.name] = None
        else:
            self._not_joined += 1

    def _ask_lists(self, name: str, complete: Observation) -> set[str]:
        """What lists that came before a Complete and were made after it show of its object."""
        touched: set[str] = set()
        for cos, seen in self._lists.since(complete.ended):
            touched |= self._add_listings(cos, seen, (name,))
        self._not_joined += self._lists.dropped_until >= complete.ended
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

    def _add_to_said_once(self, held: _RevisableFlow) -> None:
        for _, name in said_once_names(held.alone.findings, held.seen):
            known = self._said_once.get(name)
            if known is None:
                known = SaidOnce.of(held.seen)
            else:
                self._counted_anew.add(known.earliest[1])
                known.add(held.seen)
            self._said_once.put(name, known)

    def _revise_all(
        self, flow_ids: Iterable[str], behind: Container[str] = (), ended: float = inf
    ) -> list[RevisedReport]:
        """``behind``: those that are touched by what came behind later ones; ``ended``: when that
        ended which touches all of them."""
        found = []
        for flow_id in sorted(flow_ids):
            held = self._held.get(flow_id)
            if held is None:
                # It was clean and whole, and what comes in order of time changes nothing of that.
                self._not_joined += flow_id in behind or ended < self._held_until
                continue
            before = held.report
            held.waits = False
            if self._revise(held):
                self._held.put(flow_id, held)
                rules = frozenset(finding.rule for finding in before.findings)
                found.append(RevisedReport(held.report, before.verdict, rules))
        return found

    def _revise(self, held: _RevisableFlow, history: ObjectHistory | None = None) -> bool:
        """Whether the report says something else than it did. ``history``: what is known, where
        that of its object is not to be asked."""
        alone, shown = held.alone, held.report
        revision = self._revision(held, history)
        if not revision and held.shown is None:
            return False
        revision.findings = [
            finding for finding in revision.findings if finding.rule not in self._ignore
        ]
        if self._redact and revision:
            revision = masked(revision, self._echoes)
        report = revise(alone, revision)
        if report == shown:
            return False
        held.shown = report
        return True

    def _revision(self, held: _RevisableFlow, history: ObjectHistory | None) -> Revision:
        seen = held.seen
        if history is None and seen.is_dated:
            tracked = self._histories.get(history_name(seen))
            history = tracked.history if tracked is not None else None
        revision = revision_of(history, seen) if history is not None else Revision()
        if seen.operation == "PutObjectCopy" and seen.succeeded and seen.is_dated:
            source = self._histories.get(source_name(seen) or "")
            if source is not None:
                add_copy(revision, seen, judge_copy(copy_of(seen), source.history.events))
        for pending in held.pending:
            if self._secret_ids.holds(pending, seen.secret_id):
                add_pending(revision, pending)
        say_once(revision, held.alone.findings, seen, self._said_once.get)
        return revision

    def _note_echoes(self, echoes: tuple[Echo, ...]) -> None:
        """What an exchange repeats of its secrets may be told of other exchanges, too."""
        are_new = False
        for value, shown in echoes:
            are_new = are_new or value not in self._echoed
            self._echoed[value] = shown
            self._echoed.move_to_end(value)
        if not are_new:
            return
        while len(self._echoed) > self._bounds.echoes:
            self._echoed.popitem(last=False)
        self._echoes = KnownSecrets(most=self._bounds.echoes)
        for value, shown in self._echoed.items():
            self._echoes.learn(value, shown)

    def _summary(self, *, over: bool) -> SessionSummary:
        summary = self._histories.lists(over=over).summary(forgotten=self._forgotten)
        return masked_lists(summary, self._echoes) if self._redact else summary

    @property
    def _forgotten(self) -> int:
        maps = (self._histories, self._held, self._secret_ids, self._said_once)
        return self._not_joined + sum(each.forgotten for each in maps)

    def _list(self, tracked: TrackedHistory, over: bool) -> HistorySummary:
        return list_history(
            tracked.history,
            tracked.notes,
            ignore=self._ignore,
            over=over,
            is_whole=self._histories.is_whole,
        )

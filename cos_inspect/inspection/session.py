"""Live traffic across exchanges: first looks as they come, second looks as they become
possible.

A later exchange may change what is to be said of an earlier one; then that one's report comes
out again, whole and revised. What is in mind is bounded in memory; what is older lies in a
temporary file, and what is beyond that is forgotten and counted. No clock, no log.
"""

from collections.abc import Mapping, Sequence

import msgspec

from cos_inspect.cos.cos_exchange import CosExchange, Recognised, read_exchange
from cos_inspect.inspection.first_look import FirstLook, first_look
from cos_inspect.inspection.histories import Histories, TrackedHistory
from cos_inspect.inspection.history_joiner import HistoryJoiner
from cos_inspect.inspection.postponed_exchanges import PostponedExchange
from cos_inspect.inspection.redaction import masked_lists
from cos_inspect.inspection.repeated_secrets import RepeatedSecrets
from cos_inspect.inspection.revisable_flows import RevisableFlow, RevisableFlows, RevisedReport
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
from cos_inspect.model.exchange import EchoTrace, Exchange
from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.spill_map import SpillMap
from cos_inspect.model.summary import SessionSummary
from cos_inspect.transfers.history import ObjectHistory, history_name, source_name
from cos_inspect.transfers.limits import LIVE, Limits
from cos_inspect.transfers.objects import copy_of, judge_copy
from cos_inspect.transfers.observe import observe
from cos_inspect.transfers.ranges_under_way import RangesUnderWay

_NO_KEYS: Mapping[str, str] = {}


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How much is in mind at once, and in the temporary file."""

    facts: int = 10_000
    """Exchanges of all histories together, in memory; some 3 KB each where nearly every one has
    an object of its own."""
    histories: int = 1_000_000
    """On disk."""
    put_off: int = 2_000
    """Exchanges of histories on disk that wait until these are read, in memory. As many are
    written to the file at once, some 5 us each."""
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


class InspectionResult(msgspec.Struct, frozen=True):
    """What one more exchange brought."""

    cos: CosExchange
    report: FlowReport
    revised: list[RevisedReport]
    """Of earlier flows."""
    traces: tuple[EchoTrace, ...] = ()
    """Of secrets that stand elsewhere than where they are named."""


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
        bounds = bounds or Bounds()
        self._histories = Histories(
            facts=bounds.facts,
            on_disk=bounds.histories,
            put_off=bounds.put_off,
            small=bounds.small,
            limits=limits,
            list_one=self._list,
        )
        self._joiner = HistoryJoiner(
            self._histories, limits, lists=bounds.lists, wanting_proof=bounds.secret_ids
        )
        self._flows = RevisableFlows(
            self._second_look, reports=bounds.reports, old_reports=bounds.old_reports
        )
        self._secret_ids = SecretIds(most=bounds.secret_ids, most_waiting=bounds.waiting)
        self._said_once: SpillMap[SaidOnce] = SpillMap(SaidOnce, most_weight=bounds.secret_ids)
        self._under_way = RangesUnderWay(bounds.under_way)
        self._newest = 0.0
        """When the newest flow ended."""
        self._repeated_secrets = RepeatedSecrets(bounds.echoes)
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
            self._flows.clear()
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
        flow = RevisableFlow(look.report, seen, look.pending)
        touched = self._secret_ids.add(seen, waits=bool(look.pending))
        alone = None
        self._under_way.over(seen)
        if seen.is_dated:
            # What has no time has no place among others.
            note = note_of(flow.alone, seen)
            is_fine = flow.alone.verdict in ("ok", "notice")
            # Of one that waits it is not known what will be held when its turn comes.
            came_behind = seen.ended < self._newest
            self._newest = max(self._newest, seen.ended)
            waiting = PostponedExchange(seen, tuple(marks), note, is_late=came_behind)
            alone = self._histories.put_off(waiting, is_fine=is_fine)
            if alone is None:
                touched |= self._joiner.add(flow.alone, seen, marks)
            else:
                flow.waits = not alone.is_all
            if seen.operation == "GetBucket" and seen.succeeded:
                touched |= self._joiner.add_list(look.cos, seen)
            self._add_to_said_once(flow)
        waited, behind = self._histories.take_touched()
        touched |= waited | behind
        touched.discard(seen.flow_id)
        report = self._flows.add(flow, alone.history if alone is not None else None)
        revised = self._flows.revise(touched, behind, seen.ended) if touched else []
        return InspectionResult(look.cos, report, revised, look.traces)

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
        known = self._flows.get(look.seen.flow_id) if look is not None else None
        if look is None or known is None or not known.seen.stopped or not look.seen.is_dated:
            return []
        touched = self._joiner.add(look.report, look.seen, marks)
        return self._flows.revise(touched) + self._revise_waited()

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
        return found + self._flows.revise(touched)

    def settle(self) -> list[RevisedReport]:
        """At the end, before ``close``: reports that must be replaced."""
        found: list[RevisedReport] = []
        for _ in self._histories.read_waiting(all_of_it=True):
            found += self._revise_waited()
        touched = self._counted_anew | self._histories.settle()
        self._counted_anew = set()
        return found + self._flows.revise(touched)

    def summary(self) -> SessionSummary:
        """What is known so far."""
        return self._summary(over=False)

    def close(self) -> SessionSummary:
        """The same when nothing more will come."""
        summary = self._summary(over=True)
        for held in (self._histories, self._flows, self._secret_ids, self._said_once):
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
            self._repeated_secrets.add(look.seen.echoes)
        return look

    def _revise_waited(self) -> list[RevisedReport]:
        """What else is to be said since histories were read."""
        waited, behind = self._histories.take_touched()
        return self._flows.revise(waited | behind, behind)

    def _add_to_said_once(self, flow: RevisableFlow) -> None:
        for _, name in said_once_names(flow.alone.findings, flow.seen):
            known = self._said_once.get(name)
            if known is None:
                known = SaidOnce.of(flow.seen)
            else:
                self._counted_anew.add(known.earliest[1])
                known.add(flow.seen)
            self._said_once.put(name, known)

    def _second_look(self, flow: RevisableFlow, history: ObjectHistory | None) -> Revision | None:
        """``history``: what is known, where that of its object is not to be asked."""
        seen = flow.seen
        if history is None and seen.is_dated:
            tracked = self._histories.get(history_name(seen))
            history = tracked.history if tracked is not None else None
        revision = revision_of(history, seen) if history is not None else Revision()
        if seen.operation == "PutObjectCopy" and seen.succeeded and seen.is_dated:
            source = self._histories.get(source_name(seen) or "")
            if source is not None:
                add_copy(revision, seen, judge_copy(copy_of(seen), source.history.events))
        for pending in flow.pending:
            if self._secret_ids.holds(pending, seen.secret_id):
                add_pending(revision, pending)
        say_once(revision, flow.alone.findings, seen, self._said_once.get)
        if not revision:
            return None
        revision.findings = [
            finding for finding in revision.findings if finding.rule not in self._ignore
        ]
        return masked(revision, self._repeated_secrets.known) if self._redact else revision

    def _summary(self, *, over: bool) -> SessionSummary:
        summary = self._histories.lists(over=over).summary(forgotten=self._forgotten)
        return masked_lists(summary, self._repeated_secrets.known) if self._redact else summary

    @property
    def _forgotten(self) -> int:
        held = (self._histories, self._flows, self._secret_ids, self._said_once)
        return self._joiner.left_out + sum(each.forgotten for each in held)

    def _list(self, tracked: TrackedHistory, over: bool) -> HistorySummary:
        return list_history(
            tracked.history,
            tracked.notes,
            ignore=self._ignore,
            over=over,
            is_whole=self._histories.is_whole,
        )

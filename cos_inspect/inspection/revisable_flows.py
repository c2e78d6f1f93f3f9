"""Reports that may be revised: as each exchange alone gives it, and as it was reported last."""

from collections.abc import Callable, Container, Iterable
from math import inf

import msgspec

from cos_inspect.inspection.first_look import revise
from cos_inspect.inspection.second_look import Revision
from cos_inspect.model.flow_report import FlowReport, Verdict
from cos_inspect.model.spill_map import SpillMap
from cos_inspect.rules.rule import PendingFinding
from cos_inspect.transfers.history import ObjectHistory
from cos_inspect.transfers.observation import Observation

_OF_SEVERAL = frozenset({"range-crc64", "append-crc64", "multipart-crc64", "multipart-etags"})
"""Checks of what several exchanges brought: one that was under way for long may change them."""


class RevisedReport(msgspec.Struct, frozen=True):
    """A report that takes the place of an earlier one of the same flow."""

    report: FlowReport
    verdict_before: Verdict
    rules_before: frozenset[str]


class RevisableFlow(msgspec.Struct):
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
        """As it is reported now."""
        return self.shown or self.alone


class RevisableFlows:
    """``reports``: how many are in memory; ``old_reports``: how many in the temporary file, where
    only those are kept of which a later exchange may take something back."""

    def __init__(
        self,
        second_look: Callable[[RevisableFlow, ObjectHistory | None], Revision | None],
        *,
        reports: int,
        old_reports: int,
    ) -> None:
        """
        :param second_look: what is to be changed in the report that an exchange alone gives,
            None: nothing. It is given what is known of the object, None: it is to be looked up.
        """
        self._second_look = second_look
        self._reports = reports
        self._old_reports = old_reports
        self._flows = self._new_flows()
        self._whole_until = 0.0
        """When the newest flow ended that is held no more, as nothing was to be taken back of its
        report, or added."""
        self._not_revised = 0
        """Reports that are not held any more, of which something else might be said."""

    def add(self, flow: RevisableFlow, history: ObjectHistory | None) -> FlowReport:
        """Holds one more flow; its report."""
        self._revise(flow, history)
        self._flows.put(flow.seen.flow_id, flow)
        return flow.report

    def get(self, flow_id: str) -> RevisableFlow | None:
        """The flow, where it is still held."""
        return self._flows.get(flow_id)

    def revise(
        self, flow_ids: Iterable[str], behind: Container[str] = (), ended: float = inf
    ) -> list[RevisedReport]:
        """Takes a second look at these flows, and gives the reports that changed.

        :param behind: those that are touched by what came behind later ones.
        :param ended: when that ended which touches all of them, in seconds since the epoch.
        """
        found = []
        for flow_id in sorted(flow_ids):
            flow = self._flows.get(flow_id)
            if flow is None:
                # It was clean and whole, and what comes in order of time changes nothing of that.
                self._not_revised += flow_id in behind or ended < self._whole_until
                continue
            before = flow.report
            flow.waits = False
            if self._revise(flow):
                self._flows.put(flow_id, flow)
                rules = frozenset(finding.rule for finding in before.findings)
                found.append(RevisedReport(flow.report, before.verdict, rules))
        return found

    @property
    def forgotten(self) -> int:
        """Flows that are held no more although their reports might change."""
        return self._flows.forgotten + self._not_revised

    def clear(self) -> None:
        """Holds none of them any more."""
        self._flows.close()
        self._flows = self._new_flows()

    def close(self) -> None:
        """Gives the temporary file back; what lies in it is gone."""
        self._flows.close()

    def _new_flows(self) -> SpillMap[RevisableFlow]:
        return SpillMap(
            RevisableFlow,
            most_weight=self._reports,
            most_on_disk=self._old_reports,
            is_worth_it=self._is_worth_it,
        )

    def _is_worth_it(self, flow: RevisableFlow) -> bool:
        if is_revisable(flow):
            return True
        self._whole_until = max(self._whole_until, flow.seen.ended)
        return False

    def _revise(self, flow: RevisableFlow, history: ObjectHistory | None = None) -> bool:
        """Whether the report says something else than it did."""
        revision = self._second_look(flow, history)
        if revision is None and flow.shown is None:
            return False
        report = flow.alone if revision is None else revise(flow.alone, revision)
        if report == flow.report:
            return False
        flow.shown = report
        return True


def is_revisable(flow: RevisableFlow) -> bool:
    """Whether an old flow may have to be revised. What is clean and whole is not: no later
    exchange takes anything back of it."""
    seen = flow.seen
    return bool(
        flow.report.findings
        or flow.pending
        or flow.waits
        or not seen.succeeded
        or seen.copy_place
        or seen.listed is not None
        or (seen.span is not None and seen.total is None)
        or any(
            check.check in _OF_SEVERAL or check.reason == "unseen-parts"
            for check in flow.report.checks
        )
    )

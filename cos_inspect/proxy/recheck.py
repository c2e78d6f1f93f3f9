"""Looks again at a flow that is over: after it was edited, or when its report is forgotten."""

from collections.abc import Callable, Iterator

from mitmproxy import flow, http

from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.moments import utc_text
from cos_inspect.proxy import annotations
from cos_inspect.proxy.flow_reporter import FlowReporter
from cos_inspect.proxy.flow_snapshot import FlowSnapshot
from cos_inspect.proxy.options import Settings


class Recheck:
    """What content view and commands ask for. ``settings`` are those of now."""

    def __init__(
        self, reporting: FlowReporter, catch_up: Callable[[], None] = lambda: None
    ) -> None:
        self._reporting = reporting
        self._catch_up = catch_up
        """Has flows reported that are over."""
        self.settings = Settings()

    def page_of(self, flow_id: str) -> str | None:
        """The address of a flow's page, where there are live pages."""
        return self._reporting.page_of(flow_id)

    def summary_text(self) -> str:
        """What the run has seen so far, in a few lines."""
        self._catch_up()
        return self._reporting.summary_text()

    def report_of(self, asked: flow.Flow | None) -> FlowReport | None:
        """The report of a flow, from memory, or made again from what the flow holds, as
        where a person edited it; None for a flow that is under way, or is no COS traffic."""
        if not isinstance(asked, http.HTTPFlow):
            return None
        self._catch_up()
        known = self._reporting.report_of(asked.id)
        if known is not None and not asked.modified() and _is_of(asked, known):  # type: ignore[no-untyped-call]
            return known
        if not _is_over(asked):
            return None
        edited = asked.modified()  # type: ignore[no-untyped-call]
        found = FlowSnapshot(asked, self.settings.hosts, as_it_is=edited).read()
        return None if found is None else self._reporting.judge_again(found)

    def others(self, flow_id: str) -> Iterator[FlowReport]:
        """The reports that are remembered of other flows, the newest first."""
        self._catch_up()
        return (each for each in self._reporting.remembered() if each.flow_id != flow_id)

    def recheck(self, asked: flow.Flow) -> FlowReport | None:
        """Judges a flow by what it holds now, alone, without the flows around it, and renews
        its marker and comment, unless a person set them. Nothing is written to the reports."""
        if not isinstance(asked, http.HTTPFlow) or not _is_over(asked):
            return None
        self._catch_up()
        found = FlowSnapshot(asked, self.settings.hosts, as_it_is=True).read()
        if found is None:
            return None
        exchange = found.exchange
        report = self._reporting.judge_again(found)
        if report is not None:
            annotations.write(
                asked,
                report,
                visibly=self.settings.annotate,
                request_body=exchange.request.body,
                response_body=exchange.response.body if exchange.response else None,
                received=annotations.saved(asked).get("received"),
                stopped=exchange.stopped,
                page=self.page_of(asked.id),
            )
            self._reporting.remember(report)
        return report


def _is_of(asked: http.HTTPFlow, report: FlowReport) -> bool:
    """False where a replay was reverted: the flow holds what came before it again."""
    return report.started == utc_text(asked.request.timestamp_start)


def _is_over(asked: http.HTTPFlow) -> bool:
    return not asked.live and (asked.response is not None or asked.error is not None)

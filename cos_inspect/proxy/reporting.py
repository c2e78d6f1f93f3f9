"""From a finished flow's exchange to what is told of it: annotations, terminal, files."""

import asyncio
import collections
import itertools
import logging
import time
import weakref
from collections.abc import Iterable, Sequence

from mitmproxy import ctx, http
from mitmproxy.hooks import UpdateHook

from cos_inspect.cos.cos_exchange import Recognised
from cos_inspect.exchange import Exchange
from cos_inspect.inspection import inspect
from cos_inspect.proxy import annotations, options
from cos_inspect.proxy.terminal import closing_lines
from cos_inspect.proxy.terminal_log import FlowMessage
from cos_inspect.report.model import FlowReport
from cos_inspect.report.summary import ConnectionTrouble, TransferSummary
from cos_inspect.report.writer import ReportWriter
from cos_inspect.session import Session

logger = logging.getLogger(__name__)

_RENEWAL_SECONDS = 2.0
"""How often the transfers in the summary are renewed while traffic goes on."""
_LONGEST_RENEWAL = 0.05
"""Seconds of the event loop; beyond, the transfers are told at the end only."""
_REMEMBERED = 1024
"""Newest reports that are kept to be shown; the session keeps the same."""


class Reporting:
    """Owns the session, the writer, and the count of verdicts."""

    def __init__(self) -> None:
        self._settings = options.Settings()
        self._session = self._new_session()
        self._writer: ReportWriter | None = None
        self._verdicts: collections.Counter[str] = collections.Counter()
        self._others = 0
        self._untold: list[FlowReport] = []
        self._flows: weakref.WeakValueDictionary[str, http.HTTPFlow] = weakref.WeakValueDictionary()
        self._rules: collections.Counter[str] = collections.Counter()
        self._shown: collections.OrderedDict[str, tuple[str, frozenset[str]]] = (
            collections.OrderedDict()
        )
        """Verdicts and rules of the flows that may still be revised."""
        self._reports: collections.OrderedDict[str, FlowReport] = collections.OrderedDict()
        self._transfers: list[TransferSummary] = []
        """What sessions that are over have seen."""
        self._renewal: asyncio.TimerHandle | None = None
        self._renews = True

    def use(self, settings: options.Settings) -> None:
        """Goes on with other settings; what was seen so far is told first."""
        before, self._settings = self._settings, settings
        if before == settings:
            return
        self._tell_session(over=True)
        if (settings.report_dir, settings.formats) != (before.report_dir, before.formats):
            self._close_writer()
        self._session = self._new_session()

    def _new_session(self) -> Session:
        settings = self._settings
        return Session(
            hosts=settings.hosts,
            ignore=settings.ignore,
            redact=settings.redact,
            keys=settings.keys,
        )

    def boundaries(self, exchange: Exchange) -> list[int]:
        """Offsets in an answer's body at which its running CRC-64 is wanted."""
        return self._session.boundaries(exchange)

    def report(
        self,
        flow: http.HTTPFlow,
        exchange: Exchange,
        *,
        recognised: Recognised | None = None,
        marks: Sequence[tuple[int, int]] = (),
    ) -> None:
        """Has a finished flow inspected; ``tell`` then says what was found."""
        inspected = self._session.inspect(exchange, recognised=recognised, marks=marks)
        if inspected is None:
            self.count_other()
            return
        report = inspected.report
        annotations.leave(
            flow,
            report,
            visibly=self._settings.annotate,
            request_body=exchange.request.body,
            response_body=exchange.response.body if exchange.response else None,
        )
        self._flows[flow.id] = flow
        self._count(report)
        self._untold.append(report)
        writer = self._open_writer()
        if writer is not None:
            writer.submit(report)
        self._revise(inspected.revised)
        if flow.live:
            self._plan_renewal()

    def report_of(self, flow_id: str) -> FlowReport | None:
        """What was reported of a flow last, unless that is long ago."""
        return self._reports.get(flow_id)

    def judge_again(self, exchange: Exchange) -> FlowReport | None:
        """A flow's report as it would be alone, from what the flow holds now; nothing is
        written or counted. None when it is not COS traffic."""
        settings = self._settings
        inspected = inspect(
            exchange,
            hosts=settings.hosts,
            ignore=settings.ignore,
            redact=settings.redact,
            keys=settings.keys,
        )
        return inspected.report if inspected else None

    def remember(self, report: FlowReport) -> None:
        """Has ``report_of`` answer with this one from now on."""
        self._reports[report.flow_id] = report
        self._reports.move_to_end(report.flow_id)
        if len(self._reports) > _REMEMBERED:
            self._reports.popitem(last=False)

    def summary_text(self) -> str:
        """What the run has seen so far, in a few lines."""
        return self._summary_text([*self._transfers, *self._session.summary().transfers])

    def _summary_text(self, transfers: Sequence[TransferSummary]) -> str:
        directory = self._settings.report_dir
        if directory is not None and "html" in self._settings.formats:
            directory /= "index.html"
        return closing_lines(
            verdicts=self._verdicts,
            rules=self._rules,
            transfers=transfers,
            others=self._others,
            reports=None if directory is None else str(directory),
        )

    def count_other(self) -> None:
        """Counts a flow that was not COS traffic."""
        self._others += 1
        writer = self._open_writer()
        if writer is not None:
            writer.count_other()

    def report_connection(self, trouble: ConnectionTrouble) -> None:
        writer = self._open_writer()
        if writer is not None:
            writer.submit_connection(trouble)

    def close(self) -> None:
        """Tells what only the end can tell, and returns when all of it is on disk."""
        if self._renewal is not None:
            self._renewal.cancel()
        self._tell_session(over=True)
        if self._verdicts or self._others:
            logger.info(self._summary_text(self._transfers))
        self._close_writer()

    def reaches(self, fail_on: str) -> bool:
        """A finding of this severity or a higher one was made."""
        return options.reaches(self._verdicts, fail_on)

    def _count(self, report: FlowReport) -> None:
        before = self._shown.pop(report.flow_id, None)
        if before is not None:
            _take_away(self._verdicts, before[:1])
            _take_away(self._rules, before[1])
        rules = frozenset(finding.rule for finding in report.findings)
        self._verdicts[report.verdict] += 1
        self._rules.update(rules)
        self._shown[report.flow_id] = report.verdict, rules
        self.remember(report)
        if len(self._shown) > 4096:
            self._shown.popitem(last=False)

    def _revise(self, reports: Sequence[FlowReport]) -> None:
        """Puts later knowledge in the place of what was said of earlier flows."""
        flows = []
        for report in reports:
            self._count(report)
            flow = self._flows.get(report.flow_id)
            if flow is not None:
                annotations.revise(flow, report, visibly=self._settings.annotate)
                flows.append(flow)
            if self._writer is not None:
                self._writer.revise(report)
        if flows and self._settings.annotate:
            ctx.master.addons.trigger(UpdateHook(flows))

    def tell(self) -> None:
        """Logs the flows that were reported since the last call."""
        untold, self._untold = self._untold, []
        for level, reports in itertools.groupby(untold, _level):
            if logger.isEnabledFor(level):
                logger.log(level, FlowMessage(tuple(reports)))

    def _plan_renewal(self) -> None:
        if self._renewal is None and self._renews and self._writer is not None:
            loop = asyncio.get_running_loop()
            self._renewal = loop.call_later(_RENEWAL_SECONDS, self._renew)

    def _renew(self) -> None:
        self._renewal = None
        began = time.perf_counter()
        try:
            self._tell_session(over=False)
        except Exception:
            logger.exception("the COS transfers cannot be summed up")
            self._renews = False
        if time.perf_counter() - began > _LONGEST_RENEWAL:
            self._renews = False

    def _tell_session(self, *, over: bool) -> None:
        if over:
            self._revise(self._session.settle())
            told = self._session.close()
            self._transfers += told.transfers
        elif self._writer is None:
            return
        else:
            told = self._session.summary()
        if self._writer is not None:
            self._writer.submit_session(told)

    def _open_writer(self) -> ReportWriter | None:
        if self._writer is None and self._settings.report_dir is not None:
            self._writer = ReportWriter(self._settings.report_dir, self._settings.formats)
        return self._writer

    def _close_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _level(report: FlowReport) -> int:
    # Never at level ERROR: while a capture is read, that ends mitmdump.
    return logging.WARNING if report.verdict in ("warning", "error") else logging.INFO


def _take_away(counter: collections.Counter[str], names: Iterable[str]) -> None:
    for name in names:
        counter[name] -= 1
        if not counter[name]:
            del counter[name]

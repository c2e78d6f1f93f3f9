"""From a finished flow's exchange to what is told of it: annotations, terminal, files."""

import asyncio
import collections
import contextlib
import logging
import time
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from mitmproxy import ctx, http
from mitmproxy.hooks import UpdateHook

from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.inspection.first_look import FirstLook, first_look, redactor_of
from cos_inspect.inspection.redaction import Redactor
from cos_inspect.inspection.revisable_flows import RevisedReport
from cos_inspect.inspection.session import InspectionResult
from cos_inspect.model.devices import ConnectionFailureSummary, DeviceTally
from cos_inspect.model.exchange import BodyEnd, Exchange
from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.summary import SessionSummary
from cos_inspect.proxy import annotations, options
from cos_inspect.proxy.capture_metadata import metadata_for_capture
from cos_inspect.proxy.flow_lines import FlowLines
from cos_inspect.proxy.live_session import LiveSession, LiveSettings
from cos_inspect.proxy.setup import where_to_connect
from cos_inspect.recording.recorded_flow import FlowRead
from cos_inspect.report.nothing_seen import nothing_seen
from cos_inspect.report.writer_thread import LIVE

logger = logging.getLogger(__name__)

_RENEWAL_SECONDS = 2.0
"""How often the transfers in the summary are renewed while traffic goes on."""
_RENEWAL_RARITY = 40
"""How many times as long as a renewal takes passes before the next one: it holds up the event
loop, and takes longer with more transfers."""
_TOOLS = {"DumpMaster": "mitmdump", "WebMaster": "mitmweb", "ConsoleMaster": "mitmproxy"}
"""What the summary calls a run, by the class of mitmproxy's master."""
_REMEMBERED = 512
"""Newest reports that are kept to be shown; the session keeps the same."""


class FlowReporter:
    """Has flows judged, and leaves on each what was found."""

    def __init__(self) -> None:
        self._settings = options.Settings()
        self._live_session = LiveSession(_live_settings(self._settings))
        self._unlogged: list[FlowReport] = []
        self._lines = FlowLines(self._live_session.new_numbers)
        self._flows: weakref.WeakValueDictionary[str, http.HTTPFlow] = weakref.WeakValueDictionary()
        self._reports: collections.OrderedDict[str, FlowReport] = collections.OrderedDict()
        self._renewal: asyncio.TimerHandle | None = None
        self._renewal_seconds = _RENEWAL_SECONDS
        self.page_of: Callable[[str], str | None] = lambda _flow_id: None
        """The address of a flow's page, where there are live pages."""

    def use(self, settings: options.Settings) -> None:
        """Goes on with other settings."""
        before, self._settings = self._settings, settings
        self._lines.problems_only = settings.show == "problems"
        self._live_session.run_name = _TOOLS.get(type(ctx.master).__name__, LIVE)
        if before != settings:
            self._show_revised(self._live_session.use(_live_settings(settings)))

    @property
    def trouble(self) -> str | None:
        """Why no report can be written at present, in one line."""
        return self._live_session.trouble

    def boundaries(self, exchange: Exchange) -> list[int]:
        """Offsets in an answer's body at which its running CRC-64 is wanted."""
        return self._live_session.session.boundaries(exchange)

    def report(
        self,
        flow: http.HTTPFlow,
        found: FlowRead,
        *,
        as_it_came: bool = False,
        answer_changes: bool = False,
    ) -> None:
        """Has a finished flow inspected; ``log_reported`` then says what was found. ``as_it_came``:
        the flow holds all that came; ``answer_changes``: but others may change the answer
        before it is saved."""
        exchange, marks = found.exchange, found.marks
        inspected = self._live_session.inspect(exchange, recognised=found.recognised, marks=marks)
        if inspected is None:
            return
        received = None
        echoes = inspected.traces
        if answer_changes or not as_it_came or echoes:
            received = metadata_for_capture(
                flow,
                exchange,
                inspected.report,
                inspected.cos.operation,
                self._redactor_of(inspected.cos),
                marks=marks,
                answer_changes=answer_changes,
                echoes=echoes,
            )
        self._show(flow, inspected, received)

    def _redactor_of(self, cos: CosExchange) -> Redactor | None:
        settings = self._settings
        return redactor_of(cos, settings.keys) if settings.redact else None

    def learn(self, found: FlowRead) -> None:
        """What became of a flow that was reported when the script was loaded anew."""
        self._show_revised(
            self._live_session.learn(found.exchange, recognised=found.recognised, marks=found.marks)
        )

    def _show(
        self, flow: http.HTTPFlow, inspected: InspectionResult, received: dict[str, Any] | None
    ) -> None:
        report, exchange = inspected.report, inspected.cos.exchange
        annotations.write(
            flow,
            report,
            visibly=self._settings.annotate,
            request_body=exchange.request.body,
            response_body=exchange.response.body if exchange.response else None,
            received=received,
            stopped=exchange.stopped,
            page=self.page_of(flow.id),
        )
        self._flows[flow.id] = flow
        self.remember(report)
        self._unlogged.append(report)
        if inspected.revised:
            self._show_revised(inspected.revised)
        if flow.live:
            self._plan_renewal()

    def annotate_early(self, flow: http.HTTPFlow, found: FlowRead) -> None:
        """Leaves on a flow what is known before it is over; it is reported later. Of a body
        that is still under way nothing is left."""
        exchange = found.exchange
        look = self._look_alone(found, redact=self._settings.redact)
        if look is None:
            return
        sent, answer = exchange.request.body, exchange.response
        annotations.write(
            flow,
            look.report,
            visibly=self._settings.annotate,
            request_body=None if sent.end is BodyEnd.NOT_CAPTURED else sent,
            response_body=answer.body if answer else None,
            received=metadata_for_capture(
                flow,
                exchange,
                look.report,
                look.cos.operation,
                self._redactor_of(look.cos),
                echoes=look.traces,
            ),
            stopped=exchange.stopped,
            page=self.page_of(flow.id),
        )

    def log_reported(self) -> None:
        """Logs the flows that were reported since the last call."""
        unlogged, self._unlogged = self._unlogged, []
        if unlogged:
            self._lines.add(unlogged, numbered=self._settings.report_dir is not None)

    def report_of(self, flow_id: str) -> FlowReport | None:
        """What was reported of a flow last, unless that is long ago."""
        return self._reports.get(flow_id)

    def remembered(self) -> Iterable[FlowReport]:
        """What was reported of the newest flows, the newest first."""
        return reversed(self._reports.values())

    def judge_again(self, found: FlowRead) -> FlowReport | None:
        """A flow's report as it would be alone, from what the flow holds now; nothing is
        written or counted. None when it is not COS traffic."""
        look = self._look_alone(found, redact=self._settings.redact)
        return look.report if look else None

    def _look_alone(self, found: FlowRead, *, redact: bool) -> FirstLook | None:
        settings = self._settings
        return first_look(
            found.exchange,
            recognised=found.recognised,
            hosts=settings.hosts,
            ignore=settings.ignore,
            redact=redact,
            keys=settings.keys,
        )

    def remember(self, report: FlowReport) -> None:
        """Has ``report_of`` answer with this one from now on."""
        self._reports[report.flow_id] = report
        self._reports.move_to_end(report.flow_id)
        if len(self._reports) > _REMEMBERED:
            self._reports.popitem(last=False)

    def summary_text(self) -> str:
        """What the run has seen so far, in a few lines."""
        return self._live_session.summary_text(over=False)

    def count_other(self, host: str | None = None) -> None:
        """Counts a flow that was not COS traffic, and who was asked in it."""
        self._live_session.count_other(host)

    def note_devices(self, devices: DeviceTally) -> None:
        """What came to be known of who is connected."""
        self._live_session.note_devices(devices)

    def lose(self, reason: str, count: int = 1) -> None:
        """Counts flows of COS that have no report, and why, in a few plain words."""
        self._live_session.lose(reason, count)

    def report_connection(self, trouble: ConnectionFailureSummary) -> None:
        """Puts a connection that failed into the summary."""
        self._live_session.report_connection(trouble)

    def close(self) -> None:
        """Tells what only the end can tell, and returns when all of it is on disk."""
        if self._renewal is not None:
            self._renewal.cancel()
        live_session = self._live_session
        self._show_revised(live_session.end_session())
        # Only then it is known what could not be written.
        live_session.close()
        self._lines.close()
        self._lines.log_transfers(
            SessionSummary(transfers=live_session.transfers, retries=live_session.retries),
            over=True,
        )
        nothing = (
            ()
            if live_session.verdicts
            else nothing_seen(
                live_session.other_hosts,
                option="--set cos_hosts='{}'",
                came=bool(
                    live_session.others or live_session.connections or live_session.lost.count
                ),
                proxy=None if getattr(ctx.options, "rfile", None) else where_to_connect(),
            )
        )
        failed = live_session.why_failed(self._settings.fail_on)
        logger.info("%s", live_session.summary_text(over=True, nothing=nothing, failed=failed))

    def reaches(self, fail_on: str) -> bool:
        """A finding of this severity or a higher one was made, or one may have been: a
        report is lost."""
        return self._live_session.why_failed(fail_on) is not None

    def _show_revised(self, found: Iterable[RevisedReport]) -> None:
        """Puts later knowledge in the place of what earlier flows show."""
        flows = []
        for revised in found:
            report = revised.report
            known = self._reports.get(report.flow_id)
            if known is not None and known.started != report.started:
                # The flow was replayed since, and shows the replay.
                continue
            self.remember(report)
            flow = self._flows.get(report.flow_id)
            if flow is not None:
                page = self.page_of(flow.id)
                annotations.revise(flow, report, visibly=self._settings.annotate, page=page)
                flows.append(flow)
        if flows and self._settings.annotate:
            ctx.master.addons.trigger(UpdateHook(flows))

    def _plan_renewal(self) -> None:
        if self._renewal is None:
            with contextlib.suppress(RuntimeError):
                # No loop runs any more: all of it is told in a moment.
                loop = asyncio.get_running_loop()
                self._renewal = loop.call_later(self._renewal_seconds, self._renew)

    def _renew(self) -> None:
        self._renewal = None
        began = time.perf_counter()
        try:
            self._show_revised(self._live_session.renew())
            if self._lines.problems_only:
                self._lines.log_transfers(self._live_session.session.summary(), over=False)
        except Exception:
            logger.exception("the COS transfers cannot be summed up")
        took = time.perf_counter() - began
        self._renewal_seconds = max(_RENEWAL_SECONDS, took * _RENEWAL_RARITY)


def _live_settings(settings: options.Settings) -> LiveSettings:
    return LiveSettings(
        report_dir=settings.report_dir,
        formats=settings.formats,
        hosts=settings.hosts,
        ignore=settings.ignore,
        redact=settings.redact,
        keys=settings.keys,
        otel=settings.otel,
    )

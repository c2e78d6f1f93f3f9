"""The addon: follows each flow's hooks and has it inspected once, when it is over."""

import asyncio
import collections
import logging
import sys

from mitmproxy import ctx, http
from mitmproxy.addonmanager import Loader
from mitmproxy.hooks import UpdateHook

from cos_inspect.cos.cos_exchange import find_endpoint
from cos_inspect.inspection import inspect
from cos_inspect.proxy import annotations, options
from cos_inspect.proxy.flows import exchange_of, headers_of, request_place
from cos_inspect.proxy.terminal import flow_line
from cos_inspect.proxy.watch import Watch
from cos_inspect.report.model import FlowReport
from cos_inspect.report.writer import ReportWriter

logger = logging.getLogger(__name__)

_REMEMBERED = 4096
"""Finished flows and server connections that are remembered by id."""
_REFUSED_UPLOAD_SECONDS = 0.3
"""How long an upload that was refused early may take to end before it is reported."""


class _Recent:
    """The last ids seen, bounded."""

    def __init__(self) -> None:
        self._ids: collections.OrderedDict[str, None] = collections.OrderedDict()

    def add(self, identity: str) -> bool:
        """False when it was there already."""
        if identity in self._ids:
            return False
        self._ids[identity] = None
        if len(self._ids) > _REMEMBERED:
            self._ids.popitem(last=False)
        return True

    def discard(self, identity: str) -> None:
        self._ids.pop(identity, None)


class ExitStatus:
    """Ends mitmdump with exit status 1 when a finding was as bad as ``cos_fail_on``."""

    name = "cos-inspect-exit-status"

    def __init__(self, inspector: "CosInspect") -> None:
        self._inspector = inspector

    def done(self) -> None:
        if self._inspector.is_failure:
            sys.exit(1)


class CosInspect:
    """Recognises COS flows, checks them as they pass, and reports each one once."""

    def __init__(self) -> None:
        self._settings = options.Settings()
        self._writer: ReportWriter | None = None
        self._watches: dict[str, Watch] = {}
        self._finished = _Recent()
        self._connections = _Recent()
        self._verdicts: collections.Counter[str] = collections.Counter()
        self._pending: dict[str, asyncio.TimerHandle] = {}
        self._others = 0

    def load(self, loader: Loader) -> None:
        options.declare(loader)
        # Behind every other addon, so that its exit skips nobody's last words.
        addons = loader.master.addons
        before = addons.get(ExitStatus.name)
        if before is not None:
            # The script was changed and loaded anew.
            addons.remove(before)
        addons.add(ExitStatus(self))

    def configure(self, updated: set[str]) -> None:
        if not updated & options.OPTION_NAMES:
            return
        settings = options.settings_of(ctx.options)
        options.refuse_unfinished(ctx.options)
        if (settings.report_dir, settings.formats) != (
            self._settings.report_dir,
            self._settings.formats,
        ):
            self._close_writer()
        self._settings = settings

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        try:
            self._begin(flow)
        except Exception:
            self._failed(flow)

    def _begin(self, flow: http.HTTPFlow) -> None:
        if flow.is_replay == "request":
            annotations.forget(flow)
            self._finished.discard(flow.id)
        settings = self._settings
        headers = headers_of(flow.request)
        endpoint = find_endpoint(
            request_place(flow.request)[0], flow.request.path, headers, None, settings.hosts
        )
        if endpoint is None:
            return
        watch = Watch(flow, headers, endpoint)
        self._watches[flow.id] = watch
        if flow.live:
            watch.tap_request(settings.stream_above)

    def request(self, flow: http.HTTPFlow) -> None:
        if flow.id in self._pending:
            self._finish_now(flow)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        try:
            self._answered(flow)
        except Exception:
            self._failed(flow)

    def _answered(self, flow: http.HTTPFlow) -> None:
        settings = self._settings
        watch = self._watches.get(flow.id)
        if flow.response is None:
            return
        headers = headers_of(flow.response)
        if watch is None:
            request_headers = headers_of(flow.request)
            endpoint = find_endpoint(
                request_place(flow.request)[0],
                flow.request.path,
                request_headers,
                headers,
                settings.hosts,
            )
            if endpoint is None:
                return
            watch = Watch(flow, request_headers, endpoint)
            self._watches[flow.id] = watch
        watch.response_headers = headers
        if flow.live:
            watch.tap_response(settings.stream_above)

    def response(self, flow: http.HTTPFlow) -> None:
        watch = self._watches.get(flow.id)
        if flow.live and watch is not None and watch.upload_under_way:
            # The upload may go on, end, or be cut; nobody tells when the last happens.
            loop = asyncio.get_running_loop()
            self._pending[flow.id] = loop.call_later(
                _REFUSED_UPLOAD_SECONDS, self._finish_now, flow
            )
            return
        self._finish(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        self._finish(flow)

    def done(self) -> None:
        for flow_id in list(self._watches):
            watch = self._watches[flow_id]
            self._finish(watch.flow)
        if self._verdicts or self._others:
            logger.info(self._closing_line())
        self._close_writer()

    @property
    def is_failure(self) -> bool:
        """A finding of the severity of ``cos_fail_on`` or a higher one was made."""
        return options.reaches(self._verdicts, self._settings.fail_on)

    def _finish_now(self, flow: http.HTTPFlow) -> None:
        """Reports a flow outside the hook that ended it, and has the interfaces refreshed."""
        timer = self._pending.pop(flow.id, None)
        if timer is not None:
            timer.cancel()
        self._finish(flow)
        ctx.master.addons.trigger(UpdateHook([flow]))

    def _finish(self, flow: http.HTTPFlow) -> None:
        timer = self._pending.pop(flow.id, None)
        if timer is not None:
            timer.cancel()
        watch = self._watches.pop(flow.id, None)
        # A cut flow that is read from a file fires both response and error.
        if not self._finished.add(flow.id):
            return
        if watch is None:
            self._count_other()
            return
        try:
            self._report(flow, watch)
        except Exception:
            self._failed(flow)

    def _report(self, flow: http.HTTPFlow, watch: Watch) -> None:
        settings = self._settings
        request_body = watch.request_body()
        response_body = watch.response_body()
        server = flow.server_conn
        exchange = exchange_of(
            flow,
            request_headers=watch.request_headers,
            response_headers=watch.response_headers,
            request_body=request_body,
            response_body=response_body,
            dropped_headers=watch.dropped_headers,
            opened_connection=server is not None and self._connections.add(server.id),
        )
        inspection = inspect(
            exchange,
            hosts=settings.hosts,
            ignore=settings.ignore,
            redact=settings.redact,
        )
        if inspection is None:
            self._count_other()
            return
        report = inspection.report
        annotations.leave(
            flow,
            report,
            visibly=settings.annotate,
            request_body=request_body,
            response_body=response_body,
        )
        self._verdicts[report.verdict] += 1
        self._tell(report)
        writer = self._open_writer()
        if writer is not None:
            writer.submit(report)

    def _tell(self, report: FlowReport) -> None:
        # Never at level ERROR: while a capture is read, that ends mitmdump.
        level = logging.WARNING if report.verdict in ("warning", "error") else logging.INFO
        if logger.isEnabledFor(level):
            logger.log(level, flow_line(report))

    def _count_other(self) -> None:
        self._others += 1
        writer = self._open_writer()
        if writer is not None:
            writer.count_other()

    def _failed(self, flow: http.HTTPFlow) -> None:
        """Tells a fault of ours once; the flow goes on without us."""
        self._watches.pop(flow.id, None)
        level = logging.ERROR if flow.live else logging.WARNING
        logger.log(level, "flow %s: not inspected, the inspection failed", flow.id, exc_info=True)

    def _open_writer(self) -> ReportWriter | None:
        if self._writer is None and self._settings.report_dir is not None:
            self._writer = ReportWriter(self._settings.report_dir, self._settings.formats)
        return self._writer

    def _close_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _closing_line(self) -> str:
        total = sum(self._verdicts.values())
        parts = [
            f"{self._verdicts[verdict]} {verdict}"
            for verdict in ("error", "warning", "notice", "ok")
            if self._verdicts[verdict]
        ]
        line = f"{total} COS flows among {total + self._others}"
        if parts:
            line += f": {', '.join(parts)}"
        if self._settings.report_dir is not None:
            line += f"; reports in {self._settings.report_dir}"
        return line

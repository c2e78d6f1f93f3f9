"""The addon: follows each flow's hooks and has it inspected once, when it is over."""

import asyncio
import collections
import logging
from pathlib import Path

from mitmproxy import connection, contentviews, ctx, exceptions, http
from mitmproxy.addonmanager import Loader
from mitmproxy.hooks import UpdateHook
from mitmproxy.proxy.mode_specs import ReverseMode
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from cos_inspect.exchange import EMPTY_BODY
from cos_inspect.proxy import annotations, options
from cos_inspect.proxy.again import Again
from cos_inspect.proxy.commands import Commands
from cos_inspect.proxy.connections import ConnectionWatch
from cos_inspect.proxy.contentview import CosContentview
from cos_inspect.proxy.flows import exchange_of, headers_of
from cos_inspect.proxy.gathering import Gathering
from cos_inspect.proxy.live_pages import LivePages
from cos_inspect.proxy.reporting import Reporting
from cos_inspect.proxy.terminal_log import TerminalLog
from cos_inspect.proxy.watch import Watch, watch_of

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


class FailOnReached(SystemExit):
    """A finding as bad as ``cos_fail_on`` was made."""


class ExitStatus:
    """Ends mitmdump with exit status 1 when a finding was as bad as ``cos_fail_on``."""

    name = "cos-inspect-exit-status"

    def __init__(self, inspector: "CosInspect") -> None:
        self._inspector = inspector

    def done(self) -> None:
        if self._inspector.is_failure:
            raise FailOnReached(1)


class CosInspect:
    """Recognises COS flows, checks them as they pass, and reports each one once."""

    def __init__(self) -> None:
        self._settings = options.Settings()
        self._reporting = Reporting()
        self._watches: dict[str, Watch] = {}
        self._finished = _Recent()
        self._connections = _Recent()
        self._pending: dict[str, asyncio.TimerHandle | None] = {}
        """Flows that were answered while their upload was under way."""
        self._connection_watch = ConnectionWatch(self._reporting.report_connection)
        self._gathering = Gathering(self._report)
        self._again = Again(self._reporting, self._gathering.flush)
        self.addons = [
            self._connection_watch,
            Commands(self._again),
            LivePages(self._pages),
            TerminalLog(),
        ]
        """mitmproxy feeds them with every hook as well."""

    def load(self, loader: Loader) -> None:
        options.declare(loader)
        contentviews.add(CosContentview(self._again))
        for complaint in options.repeated(ctx.options):
            logger.error(complaint)
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
        self._gathering.flush()
        try:
            settings = options.settings_of(ctx.options)
        except exceptions.OptionsError as error:
            if "scripts" not in updated:
                raise
            # All names at once: this script was just loaded, and mitmproxy would print a
            # traceback. An error in the log ends the start-up as well.
            logger.error("%s", error)
            settings = options.Settings(report_dir=None, annotate=False)
        self._settings = settings
        self._reporting.use(settings)
        self._connection_watch.use(settings.hosts, settings.ignore)
        self._again.settings = settings

    def _pages(self) -> tuple[Path | None, bool]:
        return self._settings.report_dir, "html" in self._settings.formats

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        try:
            self._begin(flow)
        except Exception:
            self._failed(flow)

    def _begin(self, flow: http.HTTPFlow) -> None:
        if flow.is_replay == "request":
            self._gathering.flush()
            annotations.forget(flow)
            self._finished.discard(flow.id)
        watch = watch_of(flow, self._settings.hosts, host_rewritten=_host_is_rewritten(flow))
        if watch is None:
            return
        self._watches[flow.id] = watch
        # mitmproxy crashes where a request is streamed that an addon has answered by now.
        if flow.live and flow.response is None:
            watch.tap_request(self._settings.stream_above)

    def request(self, flow: http.HTTPFlow) -> None:
        if flow.id in self._pending:
            self._finish_now(flow)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        try:
            self._answered(flow)
        except Exception:
            self._failed(flow)

    def _answered(self, flow: http.HTTPFlow) -> None:
        if flow.response is None:
            return
        watch = self._watches.get(flow.id)
        if watch is not None:
            watch.response_headers = headers_of(flow.response)
        else:
            # Of a custom domain the answer alone may tell.
            watch = watch_of(flow, self._settings.hosts, host_rewritten=_host_is_rewritten(flow))
            if watch is None:
                return
            self._watches[flow.id] = watch
        watch.marks_wanted = self._boundaries(flow, watch)
        if flow.live:
            watch.tap_response(self._settings.stream_above)

    def _boundaries(self, flow: http.HTTPFlow, watch: Watch) -> list[int]:
        """Where the CRC-64 of a range is to be noted, to join it with earlier ranges."""
        if flow.response is None or flow.response.status_code != 206:
            return []
        self._gathering.flush()
        return self._reporting.boundaries(
            exchange_of(
                flow,
                watch.line,
                request_headers=watch.request_headers,
                response_headers=watch.response_headers,
                request_body=EMPTY_BODY,
                response_body=EMPTY_BODY,
            )
        )

    def response(self, flow: http.HTTPFlow) -> None:
        watch = self._watches.get(flow.id)
        if flow.live and watch is not None and watch.upload_under_way:
            # The upload may go on, end, or be cut; no hook of the flow tells of the last.
            self._pending[flow.id] = None
            if flow.response is not None and flow.response.status_code >= 300:
                loop = asyncio.get_running_loop()
                self._pending[flow.id] = loop.call_later(
                    _REFUSED_UPLOAD_SECONDS, self._finish_now, flow
                )
            return
        self._finish(flow, may_wait=flow.live and self._gathering.is_wanted)

    def error(self, flow: http.HTTPFlow) -> None:
        self._finish(flow)

    def client_disconnected(self, client: connection.Client) -> None:
        self._finish_cut_uploads(client.id)

    def server_disconnected(self, data: ServerConnectionHookData) -> None:
        self._finish_cut_uploads(data.client.id)

    def _finish_cut_uploads(self, client_id: str) -> None:
        for flow_id in list(self._pending):
            watch = self._watches.get(flow_id)
            if watch is not None and watch.flow.client_conn.id == client_id:
                self._finish_now(watch.flow)

    def done(self) -> None:
        for flow_id in list(self._watches):
            watch = self._watches[flow_id]
            self._finish(watch.flow)
        self._gathering.flush()
        self._connection_watch.finish()
        self._reporting.close()

    @property
    def is_failure(self) -> bool:
        """A finding of the severity of ``cos_fail_on`` or a higher one was made."""
        fail_on = self._settings.fail_on
        return self._reporting.reaches(fail_on) or (
            self._connection_watch.has_errors and options.reaches(("error",), fail_on)
        )

    def _finish_now(self, flow: http.HTTPFlow) -> None:
        """Reports a flow outside the hook that ended it, and has the interfaces refreshed."""
        timer = self._pending.pop(flow.id, None)
        if timer is not None:
            timer.cancel()
        self._finish(flow)
        ctx.master.addons.trigger(UpdateHook([flow]))

    def _finish(self, flow: http.HTTPFlow, *, may_wait: bool = False) -> None:
        """``may_wait``: the flow may be reported a moment later, together with others."""
        timer = self._pending.pop(flow.id, None)
        if timer is not None:
            timer.cancel()
        watch = self._watches.pop(flow.id, None)
        # A cut flow that is read from a file fires both response and error.
        if not self._finished.add(flow.id):
            return
        if watch is None:
            self._reporting.count_other()
            return
        watch.seal()
        if may_wait:
            self._gathering.put(watch)
        else:
            self._gathering.flush()
            self._report([watch])

    def _report(self, watches: list[Watch]) -> None:
        for watch in watches:
            try:
                self._report_one(watch)
            except Exception:
                self._failed(watch.flow)
        self._reporting.tell()

    def _report_one(self, watch: Watch) -> None:
        server = watch.flow.server_conn
        opened = server is not None and self._connections.add(server.id)
        exchange = watch.exchange(opened_connection=opened)
        self._reporting.report(watch.flow, exchange, recognised=watch.recognised, marks=watch.marks)

    def _failed(self, flow: http.HTTPFlow) -> None:
        """Tells a fault of ours once; the flow goes on without us."""
        self._watches.pop(flow.id, None)
        level = logging.ERROR if flow.live else logging.WARNING
        logger.log(level, "flow %s: not inspected, the inspection failed", flow.id, exc_info=True)


def _host_is_rewritten(flow: http.HTTPFlow) -> bool:
    """In reverse mode mitmproxy puts the upstream's name in the Host header."""
    return (
        flow.live
        and isinstance(flow.client_conn.proxy_mode, ReverseMode)
        and not ctx.options.keep_host_header
    )

"""The addon: follows each flow's hooks and has it inspected once, when it is over."""

import asyncio
import collections
import logging
from pathlib import Path
from typing import Any

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
from cos_inspect.proxy.flows import exchange_of
from cos_inspect.proxy.gathering import Gathering
from cos_inspect.proxy.glance import Glance
from cos_inspect.proxy.live_pages import LivePages
from cos_inspect.proxy.reporting import Reporting
from cos_inspect.proxy.streaming import Streaming
from cos_inspect.proxy.terminal_log import TerminalLog
from cos_inspect.proxy.watch import Watch, length_is_known, take_tap_off

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
        self._terminal_log = TerminalLog()
        self._reporting = Reporting()
        self._glances: dict[str, Glance] = {}
        """Flows under way."""
        self._is_running = False
        self._finished = _Recent()
        self._connections = _Recent()
        self._pending: dict[str, asyncio.TimerHandle | None] = {}
        """Flows that were answered while their upload was under way."""
        self._connection_watch = ConnectionWatch(self._reporting.report_connection)
        self._gathering = Gathering(self._report)
        self._again = Again(self._reporting, self._gathering.flush)
        self._live_pages = LivePages(self._pages)
        self._streaming = Streaming(self, self._stream_request, self._stream_response)
        self.addons = [Commands(self._again)]
        """Few: mitmproxy asks each of them for every hook of every flow."""
        connections = self._connection_watch
        self.http_connect = connections.http_connect
        self.http_connect_error = connections.http_connect_error
        self.server_connect_error = connections.server_connect_error
        self.tls_clienthello = connections.tls_clienthello
        self.tls_established_client = connections.tls_established_client
        self.tls_failed_client = connections.tls_failed_client
        self.tls_failed_server = connections.tls_failed_server

    def load(self, loader: Loader) -> None:
        options.declare(loader)
        contentviews.add(CosContentview(self._again))
        self._terminal_log.load()
        for complaint in options.repeated(ctx.options):
            logger.error(complaint)

    def running(self) -> None:
        self._is_running = True
        self._prepare_exit()
        self._streaming.steps_back()
        self._live_pages.running()

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
        if self._is_running:
            self._prepare_exit()
        self._reporting.use(settings)
        self._connection_watch.use(settings.hosts, settings.ignore)
        self._again.settings = settings

    def _prepare_exit(self) -> None:
        """Where a finding may fail the run, puts an addon behind every other one, so that its
        exit skips nobody's last words."""
        addons: Any = ctx.master.addons
        before = addons.get(ExitStatus.name)
        if before is not None:
            # Also that of a script which was changed and loaded anew.
            addons.remove(before)
        if self._settings.fail_on != "never":
            addons.add(ExitStatus(self))

    def _pages(self) -> tuple[Path | None, bool]:
        return self._settings.report_dir, "html" in self._settings.formats

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        try:
            self._begin(flow)
        except Exception:
            self._failed(flow)
        self._connection_watch.requestheaders(flow)

    def _begin(self, flow: http.HTTPFlow) -> None:
        if flow.is_replay == "request":
            self._gathering.flush()
            self._finished.discard(flow.id)
            # A saved flow says so as well, of what is over.
            if flow.live:
                annotations.forget(flow)
                take_tap_off(flow.request)
        self._glance(flow)
        if not self._streaming.is_behind:
            self._stream_request(flow)

    def _stream_request(self, flow: http.HTTPFlow) -> None:
        """Where its body is large or streamed by others."""
        glance = self._glances.get(flow.id)
        # mitmproxy crashes where a request is streamed that an addon has answered by now.
        if glance is None or not flow.live or flow.response or not glance.sends_body:
            return
        watch = glance.watch()
        if watch is None:
            return
        wanted = bool(flow.request.stream)
        if not wanted and not watch.is_large_request(self._settings.stream_above):
            return
        if self._streaming.steps_back():
            return
        known = length_is_known(watch.request_headers)
        if wanted or self._streaming.may_stream(flow, "request", length_known=known):
            watch.tap_request(self._settings.most_copied)

    def _glance(self, flow: http.HTTPFlow) -> Glance:
        glance = Glance(flow, self._settings.hosts, host_rewritten=_host_is_rewritten(flow))
        self._glances[flow.id] = glance
        return glance

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
        glance = self._glances.get(flow.id)
        if glance is None:
            glance = self._glance(flow)
        else:
            glance.note_answer()
        if not self._streaming.is_behind:
            self._stream_response(flow)

    def _stream_response(self, flow: http.HTTPFlow) -> None:
        """The same for the answer."""
        glance, response = self._glances.get(flow.id), flow.response
        limit = self._settings.stream_above
        if glance is None or response is None or glance.is_kept_whole(limit):
            return
        watch = glance.watch()
        if watch is None or watch.response_headers is None:
            return
        wanted = bool(response.stream)
        if flow.live and (wanted or watch.is_large_response(limit)):
            if self._streaming.steps_back():
                return
            known = length_is_known(watch.response_headers)
            wanted = wanted or self._streaming.may_stream(flow, "response", length_known=known)
        else:
            wanted = False
        watch.marks_wanted = self._boundaries(flow, watch)
        if wanted:
            watch.tap_response(self._settings.most_copied)

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
        glance = self._glances.get(flow.id)
        watch = glance.known if glance else None
        if flow.live and watch is not None and watch.upload_under_way:
            # The upload may go on, end, or be cut; no hook of the flow tells of the last.
            watch.put_copies_back()
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
        self._connection_watch.error(flow)

    def client_disconnected(self, client: connection.Client) -> None:
        self._finish_cut_uploads(client.id)
        self._connection_watch.client_disconnected(client)

    def server_disconnected(self, data: ServerConnectionHookData) -> None:
        self._finish_cut_uploads(data.client.id)

    def _finish_cut_uploads(self, client_id: str) -> None:
        for flow_id in list(self._pending):
            glance = self._glances.get(flow_id)
            if glance is not None and glance.flow.client_conn.id == client_id:
                self._finish_now(glance.flow)

    def done(self) -> None:
        for glance in list(self._glances.values()):
            self._finish(glance.flow)
        self._gathering.flush()
        self._connection_watch.finish()
        self._streaming.done()
        self._reporting.close()
        self._terminal_log.done()

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
        glance = self._glances.pop(flow.id, None)
        # A cut flow that is read from a file fires both response and error.
        if not self._finished.add(flow.id):
            return
        if glance is None:
            self._reporting.count_other()
            return
        glance.seal()
        if may_wait:
            self._gathering.put(glance)
        else:
            self._gathering.flush()
            self._report([glance], looked_at=True)

    def _report(self, glances: list[Glance], *, looked_at: bool = False) -> None:
        for glance in glances:
            try:
                self._report_one(glance, looked_at=looked_at)
            except Exception:
                self._failed(glance.flow)
        try:
            self._reporting.tell()
        except Exception:
            logger.warning("COS flows cannot be told of", exc_info=True)

    def _report_one(self, glance: Glance, *, looked_at: bool) -> None:
        """``looked_at``: the flow may be saved at once."""
        flow = glance.flow
        changes = looked_at and bool(flow.live) and self._streaming.acts_on_answer(flow)
        server = flow.server_conn
        opened = server is not None and self._connections.add(server.id)
        kept = glance.kept(opened_connection=opened)
        if kept is not None:
            self._reporting.report_kept(flow, kept, answer_changes=changes)
            return
        watch = glance.watch()
        if watch is None:
            self._reporting.count_other()
            return
        exchange = watch.exchange(opened_connection=opened)
        self._reporting.report(
            flow,
            exchange,
            recognised=watch.recognised,
            marks=watch.marks,
            answer_changes=changes,
        )

    def _failed(self, flow: http.HTTPFlow) -> None:
        """Tells a fault of ours once; the flow goes on without us."""
        self._glances.pop(flow.id, None)
        level = logging.ERROR if flow.live else logging.WARNING
        logger.log(level, "flow %s: not inspected, the inspection failed", flow.id, exc_info=True)


def _host_is_rewritten(flow: http.HTTPFlow) -> bool:
    """In reverse mode mitmproxy puts the upstream's name in the Host header."""
    return (
        flow.live
        and isinstance(flow.client_conn.proxy_mode, ReverseMode)
        and not ctx.options.keep_host_header
    )

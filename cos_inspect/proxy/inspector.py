"""The addon: follows each flow's hooks and has it inspected once, when it is over.

What it rests on, of mitmproxy 12:

=================== ======================= ===================================================
hook                after                   what holds then
=================== ======================= ===================================================
requestheaders      client_connected        the head as it came, ``Expect`` included; the last
                                            moment to stream the request
request             requestheaders          the body is whole; of a streamed request it may come
                                            after ``response``, or never
responseheaders     requestheaders          the last moment to stream the answer
response            responseheaders         mitmproxy's Save runs after it, and writes the flow
                                            as it is then: what is to be saved stands on it now
error               requestheaders          in place of ``response``; of a cut flow that is read
                                            from a file both come
client_disconnected any of them             an upload that was answered early may be cut, and no
                                            hook of its flow tells
done                any of them             flows under way get no further hook of this instance
=================== ======================= ===================================================

A script stands before map_remote, modify_headers, Save and the interfaces: what they change is
changed after it looked. A stream's callable that raises loses its chunk without a word.
"""

import asyncio
import contextlib
import functools
import logging
from pathlib import Path

from mitmproxy import connection, contentviews, ctx, exceptions, http
from mitmproxy.addonmanager import Loader
from mitmproxy.hooks import UpdateHook
from mitmproxy.proxy.mode_specs import ReverseMode
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from cos_inspect.inspection.redaction import Redactor
from cos_inspect.model.exchange import Actor
from cos_inspect.proxy import annotations, options
from cos_inspect.proxy.commands import Commands
from cos_inspect.proxy.connection_hooks import ConnectionHooks
from cos_inspect.proxy.contentview import CosContentview
from cos_inspect.proxy.exit_status import prepare_exit
from cos_inspect.proxy.flow_batch import FlowBatch
from cos_inspect.proxy.flow_recorder import take_tap_off
from cos_inspect.proxy.flow_secrets import redactor_of
from cos_inspect.proxy.flow_snapshot import FlowSnapshot, length_is_known
from cos_inspect.proxy.flows import read_request
from cos_inspect.proxy.guard import guarded, harmless, name_of
from cos_inspect.proxy.live_pages import LivePages
from cos_inspect.proxy.log_guard import LogGuard, about_secrets
from cos_inspect.proxy.recheck import Recheck
from cos_inspect.proxy.reload_state import leave, take
from cos_inspect.proxy.startup import REFUSAL, show_comments, spare_startup
from cos_inspect.proxy.stop_signal import SECONDS, StopSignal
from cos_inspect.proxy.streaming import Streaming
from cos_inspect.proxy.terminal_log import TerminalLog

logger = logging.getLogger(__name__)

_REFUSED_UPLOAD_SECONDS = 0.3
"""How long an upload that was refused early may take to end before it is reported."""


_NAME = "cosinspect"
_OF_TUNNELS = frozenset({"http_connect", "http_connect_error"})
"""Hooks whose flows are not inspected."""


@guarded
class CosInspect(ConnectionHooks):
    """Recognises COS flows, checks them as they pass, and reports each one once."""

    def __init__(self) -> None:
        self._settings = options.Settings()
        self._terminal_log = TerminalLog()
        self._log_guard = LogGuard()
        self._memory = memory = take()
        super().__init__(memory.connection_watch)
        self._reporting = memory.reporting
        self._snapshots = {name: each for name, each in memory.stopped.items() if each}
        """Flows under way."""
        self._is_running = False
        self.is_over = False
        """From now on nothing comes to it."""
        self._stop_signal = StopSignal(memory.connection_watch.note_half_closed)
        memory.connection_watch.may_judge = lambda: self.judges_failures
        self._pending: dict[str, asyncio.TimerHandle | None] = {}
        """Flows that were answered while their upload was under way."""
        self._held: set[str] = set()
        """Flows that broke when the proxy was told to end."""
        self._gathering = FlowBatch(self._report, self._tell)
        self._again = Recheck(self._reporting, self._gathering.flush)
        self._live_pages = LivePages(self._pages, lambda: self._reporting.trouble)
        self._streaming = Streaming(
            self,
            harmless(self._stream_request, self._failed),
            harmless(self._stream_response, self._failed),
        )
        self._own_addons = [Commands(self._again)]
        """Few: mitmproxy asks each of them for every hook of every flow."""

    @functools.cached_property
    def name(self) -> str:
        """By which mitmproxy knows it; it refuses a second addon of the same name with a
        traceback. Asked first when the addon is given to it."""
        before = ctx.master.addons.get(_NAME)  # type: ignore[no-untyped-call]
        return _NAME if before in (None, self) else f"{_NAME}-{id(self)}"

    @property
    def _is_second(self) -> bool:
        return self.name != _NAME

    @property
    def addons(self) -> list[Commands]:
        """What mitmproxy is to load with this one: the commands."""
        return [] if self._is_second else self._own_addons

    def load(self, loader: Loader) -> None:
        """Declares the options and guards the log; a second instance does nothing."""
        if self._is_second:
            self.is_over = True
            logger.warning("cos_inspect was loaded twice; the second one does nothing")
            return
        spare_startup()
        self._log_guard.install()
        options.declare(loader)
        contentviews.add(CosContentview(self._again))
        self._terminal_log.load()
        for complaint in options.repeated(ctx.options):
            logger.error(complaint, extra=REFUSAL)

    def running(self) -> None:
        """Does what needs the interface's own addons, which are there now."""
        self._is_running = True
        self._prepare_exit()
        self._stop_signal.watch()
        self._streaming.steps_back()
        self._live_pages.running()
        self._reporting.page_of = self._live_pages.page_of
        show_comments()

    def configure(self, updated: set[str]) -> None:
        """Takes the options as they are now; OptionsError refuses a wrong one."""
        if self.is_over or not updated & options.OPTION_NAMES:
            return
        self._gathering.flush()
        try:
            settings = options.settings_of(ctx.options)
        except exceptions.OptionsError as error:
            if "scripts" not in updated:
                raise
            # All names at once: this script was just loaded, and mitmproxy would print a
            # traceback. An error in the log ends the start-up as well.
            logger.error("%s", error, extra=REFUSAL)
            settings = options.Settings(report_dir=None, annotate=False)
        self._settings = settings
        if self._is_running:
            self._prepare_exit()
        self._reporting.use(settings)
        self._log_guard.is_on = settings.redact
        self._connection_tracker.use(settings.hosts, settings.ignore, redact=settings.redact)
        self._again.settings = settings

    def _prepare_exit(self) -> None:
        prepare_exit(lambda: self.is_failure, wanted=self._settings.fail_on != "never")

    def _pages(self) -> tuple[Path | None, bool]:
        return self._settings.report_dir, "html" in self._settings.formats

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Begins to follow a flow, and streams its request where that is wanted."""
        try:
            self._begin(flow)
        finally:
            self._connection_tracker.requestheaders(flow)

    def _begin(self, flow: http.HTTPFlow) -> None:
        if flow.is_replay == "request":
            self._gathering.flush()
            self._memory.finished.discard(flow.id)
            self._memory.stopped.pop(flow.id, None)
            # A saved flow says so as well, of what is over.
            if flow.live:
                annotations.forget(flow)
                take_tap_off(flow.request)
        self._snapshot(flow)
        if not self._streaming.is_behind:
            self._stream_request(flow)

    def _stream_request(self, flow: http.HTTPFlow) -> None:
        """Where its body is large or streamed by others."""
        snapshot = self._snapshots.get(flow.id)
        # mitmproxy crashes where a request is streamed that an addon has answered by now.
        if snapshot is None or not flow.live or flow.response or not snapshot.sends_body:
            return
        if snapshot.is_request_kept_whole(self._settings.stream_above):
            return
        heads = snapshot.heads()
        if heads is None:
            return
        wanted = bool(flow.request.stream)
        if not wanted and not snapshot.is_large_request(heads, self._settings.stream_above):
            return
        if self._streaming.steps_back():
            return
        known = length_is_known(heads.request.headers)
        if wanted or self._streaming.may_stream(flow, "request", length_known=known):
            snapshot.tap_request(heads, self._settings.most_copied)

    def _snapshot(self, flow: http.HTTPFlow) -> FlowSnapshot:
        snapshot = FlowSnapshot(flow, self._settings.hosts, host_rewritten=_host_is_rewritten(flow))
        self._snapshots[flow.id] = snapshot
        return snapshot

    def request(self, flow: http.HTTPFlow) -> None:
        """Notes the body as it came; ends a flow whose answer came first."""
        snapshot = self._snapshots.get(flow.id)
        if snapshot is not None:
            snapshot.note_content()
        if flow.id in self._pending:
            self._finish_now(flow)
        elif not flow.live and flow.response is None and flow.error is None:
            # It was under way when it was saved; no other hook will come.
            self._finish(flow)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Notes the answer's head, and streams it where that is wanted."""
        self._answered(flow)

    def _answered(self, flow: http.HTTPFlow) -> None:
        if flow.response is None:
            return
        snapshot = self._snapshots.get(flow.id)
        if snapshot is None:
            snapshot = self._snapshot(flow)
        else:
            snapshot.note_answer()
        if not self._streaming.is_behind:
            self._stream_response(flow)

    def _stream_response(self, flow: http.HTTPFlow) -> None:
        """The same for the answer."""
        snapshot, response = self._snapshots.get(flow.id), flow.response
        limit = self._settings.stream_above
        if snapshot is None or response is None or snapshot.is_kept_whole(limit):
            return
        heads = snapshot.heads()
        if heads is None or heads.answer is None:
            return
        wanted = bool(response.stream)
        if flow.live and (wanted or snapshot.is_large_response(heads, limit)):
            if self._streaming.steps_back():
                return
            known = length_is_known(heads.answer)
            wanted = wanted or self._streaming.may_stream(flow, "response", length_known=known)
        else:
            wanted = False
        snapshot.marks_wanted = self._boundaries(snapshot, response.status_code)
        if wanted:
            snapshot.tap_response(heads, self._settings.most_copied)

    def _boundaries(self, snapshot: FlowSnapshot, status: int) -> list[int]:
        """Where the CRC-64 of a range is to be noted, to join it with earlier ranges."""
        if status != 206:
            return []
        self._gathering.flush()
        found = snapshot.read_before_bodies()
        return [] if found is None else self._reporting.boundaries(found.exchange)

    def response(self, flow: http.HTTPFlow) -> None:
        """Has the flow inspected, or waits for the rest of an upload that was answered early."""
        if self._was_stopped(flow):
            return
        snapshot = self._snapshots.get(flow.id)
        recorder = snapshot.recorder if snapshot else None
        if flow.live and snapshot and recorder is not None and recorder.upload_under_way:
            # The upload may go on, end, or be cut; no hook of the flow tells of the last.
            recorder.put_copies_back()
            self._pending[flow.id] = None
            if flow.response is not None and flow.response.status_code >= 300:
                loop = asyncio.get_running_loop()
                self._pending[flow.id] = loop.call_later(
                    _REFUSED_UPLOAD_SECONDS, self._finish_now, flow
                )
            # Flows are saved after this hook, and never again.
            snapshot.note_changes()
            found = snapshot.read_answered()
            if found is not None:
                self._reporting.leave_for_now(flow, found)
            return
        self._finish(flow, may_wait=flow.live and self._gathering.is_wanted)

    def error(self, flow: http.HTTPFlow) -> None:
        """Has a flow inspected that broke off."""
        snapshot = self._snapshots.get(flow.id)
        if snapshot is not None:
            snapshot.note_end()
        if self._was_stopped(flow):
            return
        if flow.live and self._stop_signal.is_recent:
            self._stop(flow)
            return
        try:
            self._finish(flow)
        finally:
            self._connection_tracker.error(flow)

    def _was_stopped(self, flow: http.HTTPFlow) -> bool:
        """It was reported when the script was loaded anew. What it has become says no more of
        itself, but something of others: a part of an upload was stored, or what came later
        was a try anew."""
        if flow.id not in self._memory.stopped:
            return False
        snapshot, self._memory.stopped[flow.id] = self._memory.stopped[flow.id], None
        self._snapshots.pop(flow.id, None)
        is_over = flow.error is None or not self._stop_signal.is_recent
        if snapshot is not None and is_over:
            self._learn(snapshot)
        return True

    def _learn(self, snapshot: FlowSnapshot) -> None:
        recorder = snapshot.recorder
        is_broken = snapshot.flow.error is not None
        if recorder is not None and recorder.upload_under_way and not is_broken:
            return
        self._gathering.flush()
        snapshot.go_on()
        found = snapshot.read()
        if found is not None:
            self._reporting.learn(found)

    def _stop(self, flow: http.HTTPFlow) -> None:
        """A flow that broke when the proxy was told to end. Should it go on, the flow is
        reported as a broken one."""
        snapshot = self._snapshots.get(flow.id)
        if snapshot is None:
            return
        self._held.add(flow.id)
        asyncio.get_running_loop().call_later(SECONDS, self._finish_now, flow)
        found = snapshot.read_stopped()
        if found is not None and flow.id not in self._pending:
            self._reporting.leave_for_now(flow, found)

    def client_disconnected(self, client: connection.Client) -> None:
        """Ends uploads of this client that are under way, for no hook of their flows tells it."""
        try:
            self._finish_cut_uploads(client.id, "client")
        finally:
            if self.judges_failures:
                self._connection_tracker.client_disconnected(client)

    def server_disconnected(self, data: ServerConnectionHookData) -> None:
        """The same of uploads to this server."""
        self._finish_cut_uploads(data.client.id, "server")

    def _finish_cut_uploads(self, client_id: str, by: Actor) -> None:
        for flow_id in list(self._pending):
            snapshot = self._snapshots.get(flow_id)
            if snapshot is None or snapshot.flow.client_conn.id != client_id:
                continue
            snapshot.note_end(by)
            if self._stop_signal.is_recent:
                self._stop(snapshot.flow)
            else:
                self._finish_now(snapshot.flow)

    def done(self) -> None:
        """Reports what is under way, and writes the end of the run."""
        try:
            self._stop_all()
        finally:
            self.is_over = True
            self._end()

    def _stop_all(self) -> None:
        """Reports what is under way: the proxy ends, or another instance will not know how it
        began."""
        if self.judges_failures:
            self._connection_tracker.note_half_closed()
        for snapshot in list(self._snapshots.values()):
            flow = snapshot.flow
            if flow.id in self._memory.stopped:
                continue
            if flow.live or flow.id in self._held or flow.id in self._pending:
                snapshot.stop()
                self._memory.stopped[flow.id] = snapshot
            self._finish(flow)
        self._gathering.flush()

    def _end(self) -> None:
        self._stop_signal.done()
        self._streaming.done()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if loop is None or ctx.master.should_exit.is_set():
            self._memory.close()
        else:
            # A script that is loaded anew is there before the loop's next turn.
            loop.call_soon(leave(self._memory))
        self._terminal_log.done()

    @property
    def judges_failures(self) -> bool:
        """Connections end with the proxy, which says nothing of them."""
        return not self._stop_signal.is_recent

    @property
    def is_failure(self) -> bool:
        """A finding of the severity of ``cos_fail_on`` or a higher one was made."""
        fail_on = self._settings.fail_on
        return self._reporting.reaches(fail_on) or (
            self._connection_tracker.has_errors and options.reaches(("error",), fail_on)
        )

    def _finish_now(self, flow: http.HTTPFlow) -> None:
        """Reports a flow outside the hook that ended it, and has the interfaces refreshed."""
        timer = self._pending.pop(flow.id, None)
        if timer is not None:
            timer.cancel()
        self._held.discard(flow.id)
        if not self.is_over:
            self._finish(flow)
            ctx.master.addons.trigger(UpdateHook([flow]))

    def _finish(self, flow: http.HTTPFlow, *, may_wait: bool = False) -> None:
        """``may_wait``: the flow may be reported a moment later, together with others."""
        timer = self._pending.pop(flow.id, None)
        if timer is not None:
            timer.cancel()
        snapshot = self._snapshots.pop(flow.id, None)
        # A cut flow that is read from a file fires both response and error.
        if not self._memory.finished.add(flow.id):
            return
        if snapshot is None:
            # The addon was loaded while the flow was under way.
            snapshot = FlowSnapshot(flow, self._settings.hosts, is_late=True)
            snapshot.note_end()
        snapshot.seal()
        if may_wait:
            self._gathering.put(snapshot)
        else:
            self._gathering.flush()
            self._report(snapshot, looked_at=True)
            self._tell()

    def _report(self, snapshot: FlowSnapshot, *, looked_at: bool = False) -> None:
        try:
            self._report_one(snapshot, looked_at=looked_at)
        except Exception:
            self._failed(snapshot.flow)

    def _tell(self) -> None:
        try:
            self._reporting.tell()
        except Exception:
            logger.warning("COS flows cannot be told of", exc_info=True)

    def _report_one(self, snapshot: FlowSnapshot, *, looked_at: bool) -> None:
        """``looked_at``: the flow may be saved at once."""
        flow = snapshot.flow
        changes = looked_at and bool(flow.live) and self._streaming.acts_on_answer(flow)
        server = flow.server_conn
        opened = server is not None and self._memory.connections.add(server.id)
        found = snapshot.read(opened_connection=opened)
        if found is None:
            host = read_request(flow.request).host
            self._memory.devices.other_flow(flow, host)
            self._reporting.count_other(host)
            return
        self._reporting.report(flow, found, as_it_came=snapshot.holds_all, answer_changes=changes)

    def hook_failed(self, hook: str, about: object) -> None:
        """Called where a hook of this class raised; the traffic goes on without us."""
        if isinstance(about, http.HTTPFlow) and hook not in _OF_TUNNELS:
            self._failed(about)
        else:
            logger.error("%s: the hook %s failed", name_of(about), hook, exc_info=True)

    def _failed(self, flow: http.HTTPFlow) -> None:
        """Tells a fault of ours once; the flow goes on without us."""
        text = "flow %s: not inspected, the inspection failed"
        logger.error(text, flow.id, exc_info=True, extra=about_secrets(_secrets_of(flow)))
        with contextlib.suppress(Exception):
            self._snapshots.pop(flow.id, None)
            self._memory.finished.add(flow.id)
            self._reporting.lose("the inspection failed")


def _secrets_of(flow: http.HTTPFlow) -> Redactor | None:
    try:
        return redactor_of(flow)
    except Exception:
        # Then the log says less.
        return None


def _host_is_rewritten(flow: http.HTTPFlow) -> bool:
    """In reverse mode mitmproxy puts the upstream's name in the Host header."""
    return (
        flow.live
        and isinstance(flow.client_conn.proxy_mode, ReverseMode)
        and not ctx.options.keep_host_header
    )

"""The addon's hooks of flows: follows each flow, and has it inspected once, when it is over.

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
import logging

from mitmproxy import connection, ctx, http
from mitmproxy.hooks import UpdateHook
from mitmproxy.proxy.mode_specs import ReverseMode
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from cos_inspect.inspection.redaction import Redactor
from cos_inspect.model.exchange import Actor
from cos_inspect.proxy import annotations, options
from cos_inspect.proxy.connection_hooks import ConnectionHooks
from cos_inspect.proxy.flow_batch import FlowBatch
from cos_inspect.proxy.flow_recorder import take_tap_off
from cos_inspect.proxy.flow_secrets import redactor_of
from cos_inspect.proxy.flow_snapshot import FlowSnapshot
from cos_inspect.proxy.flows import read_request
from cos_inspect.proxy.left_open import close_left_open
from cos_inspect.proxy.log_guard import about_secrets
from cos_inspect.proxy.reload_state import ReloadState
from cos_inspect.proxy.stop_signal import SECONDS, StopSignal
from cos_inspect.proxy.stream_setup import StreamSetup

logger = logging.getLogger(__name__)

_REFUSED_UPLOAD_SECONDS = 0.3
"""How long an upload that was refused early may take to end before it is reported."""


class FlowHooks(ConnectionHooks):
    """Those hooks, to be inherited by the addon, which sets ``_settings``."""

    def __init__(self, memory: ReloadState) -> None:
        super().__init__(memory.connection_tracker)
        self._settings = options.Settings()
        self._memory = memory
        self._reporting = memory.reporting
        self._snapshots = {name: each for name, each in memory.stopped.items() if each}
        """Flows under way."""
        self.is_over = False
        """From now on nothing comes to it."""
        self._stop_signal = StopSignal(memory.connection_tracker.note_half_closed)
        self._pending: dict[str, asyncio.TimerHandle | None] = {}
        """Flows that were answered while their upload was under way."""
        self._held: set[str] = set()
        """Flows that broke when the proxy was told to end."""
        self._batch = FlowBatch(self._report, self._log_reported)
        self._stream_setup = StreamSetup(self, self._snapshots, self._boundaries, self._failed)
        self._streaming = self._stream_setup.streaming

    @property
    def judges_failures(self) -> bool:
        """Connections end with the proxy, which says nothing of them."""
        return not self._stop_signal.is_recent

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Begins to follow a flow, and streams its request where that is wanted."""
        try:
            self._begin(flow)
        finally:
            self._connection_tracker.requestheaders(flow)

    def _begin(self, flow: http.HTTPFlow) -> None:
        if flow.is_replay == "request":
            self._batch.flush()
            self._memory.finished.discard(flow.id)
            self._memory.stopped.pop(flow.id, None)
            # A saved flow says so as well, of what is over.
            if flow.live:
                annotations.forget(flow)
                take_tap_off(flow.request)
        self._snapshot(flow)
        self._stream_setup.of_request(flow)

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
        self._stream_setup.of_response(flow)

    def _boundaries(self, snapshot: FlowSnapshot) -> list[int]:
        self._batch.flush()
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
                self._reporting.annotate_early(flow, found)
            return
        self._finish(flow, may_wait=flow.live and self._batch.is_wanted)

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
        self._batch.flush()
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
        asyncio.get_running_loop().call_later(SECONDS, self._finish_unless_ending, flow)
        found = snapshot.read_stopped()
        if found is not None and flow.id not in self._pending:
            self._reporting.annotate_early(flow, found)

    def _finish_unless_ending(self, flow: http.HTTPFlow) -> None:
        if self._stop_signal.is_recent and not self.is_over:
            # Others keep the proxy from its end; ``done`` comes.
            asyncio.get_running_loop().call_later(SECONDS, self._finish_unless_ending, flow)
        else:
            self._finish_now(flow)

    def client_disconnected(self, client: connection.Client) -> None:
        """Ends uploads of this client that are under way, for no hook of their flows tells it."""
        close_left_open(client)
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
            with _printed_or_not():
                self._finish(flow)
        with _printed_or_not():
            self._batch.flush()

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
            self._batch.put(snapshot)
        else:
            self._batch.flush()
            self._report(snapshot, looked_at=True)
            self._log_reported()

    def _report(self, snapshot: FlowSnapshot, *, looked_at: bool = False) -> None:
        try:
            self._report_one(snapshot, looked_at=looked_at)
        except Exception:
            self._failed(snapshot.flow)

    def _log_reported(self) -> None:
        try:
            self._reporting.log_reported()
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

    def _failed(self, flow: http.HTTPFlow) -> None:
        """Tells a fault of ours once; the flow goes on without us."""
        text = "flow %s: not inspected, the inspection failed"
        logger.error(text, flow.id, exc_info=True, extra=about_secrets(_secrets_of(flow)))
        with contextlib.suppress(Exception):
            self._snapshots.pop(flow.id, None)
            self._memory.finished.add(flow.id)
            self._reporting.lose("the inspection failed")


def _printed_or_not() -> contextlib.AbstractContextManager[None]:
    """mitmproxy's log ends the process where it cannot print; when all ends anyway, what is
    still to be reported comes first."""
    return contextlib.suppress(SystemExit)


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

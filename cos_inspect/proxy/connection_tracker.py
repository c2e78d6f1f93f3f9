"""Connections to COS hosts on which no flow ever came, or whose flow does not say why.

Certificates that a client refuses, hosts that the proxy cannot reach: mitmproxy
tells of them by hooks that carry connections. What belongs together is kept by
the client connection's id until that connection ends.

====================== ==================== ===============================================
hook                   after                what holds then
====================== ==================== ===============================================
http_connect           client_connected     a tunnel is asked for, with the client's User-Agent
http_connect_error     http_connect         the proxy, or the one behind it, refused it
server_connect_error   client_connected     no connection to the server; mitmproxy's words for
                                            it stand in its ``error``
tls_clienthello        client_connected     the name that the client wants (SNI)
tls_established_client tls_clienthello      the client trusts the certificate, as far as TLS
                                            1.3 tells; a request may follow, or none
tls_failed_client      tls_clienthello      it does not, or broke off
tls_failed_server      client_connected     the server's certificate or protocol does not do
requestheaders         client_connected     the client uses the connection
client_disconnected    any of them          what never came to a request is judged
====================== ==================== ===============================================
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

import msgspec
from mitmproxy import connection, dns, http, tcp, tls, udp
from mitmproxy.connection import ConnectionState
from mitmproxy.proxy.layer import NextLayer
from mitmproxy.proxy.mode_specs import UpstreamMode
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from cos_inspect.inspection.redaction import Redactor
from cos_inspect.model.devices import ConnectionFailureSummary
from cos_inspect.proxy.connection_failures import ConnectionFailure, ConnectionFailures
from cos_inspect.proxy.connection_text import (
    client_failure,
    connect_failure,
    is_own_gateway_error,
    quic_failure,
    server_failure,
)
from cos_inspect.proxy.device_tracker import DeviceTracker
from cos_inspect.proxy.flows import read_request
from cos_inspect.proxy.open_connections import OpenConnection, OpenConnections, plain_host
from cos_inspect.proxy.unread_connections import is_passed_on, name_in, reason, refused_host
from cos_inspect.recording.actors import is_address
from cos_inspect.recording.message_heads import first_value, headers_of
from cos_inspect.rules.connection_cause import Failure

logger = logging.getLogger(__name__)

_QUICK_SECONDS = 5.0
"""A client that pins hangs up at once; a spare connection is kept for longer."""
_PATIENCE_SECONDS = 3.0
"""A client that leaves later than this, while the proxy still connects, gave up waiting."""
_LONGEST_TEXT = 500

_LEFT = ("client disconnected", "connection cancelled")
_LOOK_SECONDS = 2.0


class ConnectionTracker:
    """Has hooks of its own, which the addon hands to mitmproxy.

    ``report`` gets what the summary has to add. Memory is bounded.
    """

    def __init__(
        self,
        report: Callable[[ConnectionFailureSummary], None],
        devices: DeviceTracker | None = None,
    ) -> None:
        self._failures = ConnectionFailures(report)
        self._devices = devices or DeviceTracker(lambda _: None)
        self._redact = True
        self._open = OpenConnections()
        self._looks_again = False
        self._finished = False
        self.may_judge: Callable[[], bool] = lambda: True
        """Whether a connection that ends now says something: none does when everything ends."""

    def use(
        self, patterns: tuple[str, ...], ignored: frozenset[str], *, redact: bool = True
    ) -> None:
        """``patterns`` of further COS hosts, ids of rules to leave out, whether secrets are
        masked in what is told."""
        self._open.patterns = patterns
        self._redact = redact
        self._failures.ignored = ignored

    @property
    def has_errors(self) -> bool:
        """Whether a finding was made and not taken back; all of them are errors."""
        return self._failures.has_errors

    def http_connect(self, flow: http.HTTPFlow) -> None:
        """Notes who asks for a tunnel to a COS host, and by which program."""
        self._devices.seen(flow.client_conn)
        host = plain_host(flow.request.host)
        if self._open.is_cos(host):
            entry = self._open.begin(flow.client_conn, host)
            entry.fields = fields = flow.request.headers.fields
            agent = first_value(fields, b"user-agent")
            entry.user_agent = None if agent is None else agent.decode("utf-8", "replace")

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        """Notes which COS host is wanted, by the name in the ClientHello, else by the address."""
        client = data.context.client
        self._devices.seen(client)
        entry = self._open.of_hello(data)
        if entry is None:
            return
        entry.hello = True
        self._soon(self._after_hello, data)

    def _after_hello(self, data: tls.ClientHelloData) -> None:
        """When all addons have seen it: one of them may have it handed on."""
        if data.ignore_connection:
            entry = self._open.get(data.context.client)
            if entry is not None:
                self._passes_unread(data.context.client, data.context.server, entry.host)

    def next_layer(self, decision: NextLayer) -> None:
        """What mitmproxy makes of the connection is known when all addons have been asked."""
        self._soon(self._decided, decision)

    def _decided(self, decision: NextLayer) -> None:
        refused = refused_host(decision)
        if refused is not None and self._open.is_cos(refused):
            peer = decision.context.client.peername
            self._failures.add(
                ConnectionFailure(
                    host=refused,
                    client=peer[0] if peer else None,
                    failed="upstream-dns",
                    said="mitmproxy answers 400: a part of the host's name is empty",
                    refused_tunnel=True,
                )
            )
        if not is_passed_on(decision.layer):
            return
        client, server = decision.context.client, decision.context.server
        host = self._open.host_of(client, server, name_in(decision))
        if host is not None:
            self._passes_unread(client, server, host)

    def raw_start(self, flow: tcp.TCPFlow | udp.UDPFlow) -> None:
        """A stream that is not read as HTTP."""
        client, server = flow.client_conn, flow.server_conn
        host = self._open.host_of(client, server, client.sni) if flow.live else None
        if host is None:
            return
        entry = self._open.get(client)
        if entry is not None:
            entry.requested = True
            self._failures.requested(entry.host, entry.client)
        self._passes_unread(client, server, host)

    def dns_response(self, flow: dns.DNSFlow) -> None:
        """Notes the addresses of COS hosts, as the proxy answered them."""
        self._open.resolved.add(flow)
        question = flow.request.questions[0] if flow.request.questions else None
        if question is not None and self._open.is_cos(plain_host(question.name)):
            self._devices.resolved(flow.client_conn)

    def _passes_unread(
        self, client: connection.Client, server: connection.Server | None, host: str
    ) -> None:
        if client.transport_protocol == "udp":
            self._devices.quic(client.peername[0] if client.peername else None, host)
        self._failures.passes_unread(
            ConnectionFailure(
                host=host,
                client=client.peername[0] if client.peername else None,
                failed="passes-unread",
                said=reason(client, server, host),
            )
        )

    def _soon[T](self, call: Callable[[T], None], about: T) -> None:
        """Within the same turn of the event loop every addon is asked; after it, this."""

        def guarded() -> None:
            try:
                call(about)
            except Exception:
                logger.warning("a COS connection cannot be told of", exc_info=True)

        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop().call_soon(guarded)

    def tls_established_client(self, data: tls.TlsData) -> None:
        """Notes a handshake that succeeded; whether a request follows is looked at later."""
        entry = self._open.get(data.conn)
        if entry is not None:
            entry.established = True
            self._look_later()

    def _look_later(self) -> None:
        if self._looks_again or self._finished:
            return
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._look)
            self._looks_again = True

    def _look(self) -> None:
        """Now and then, as long as there is a connection without a request. A JVM that pins
        closes its side alone, and mitmproxy tells nobody as long as the other is open."""
        self._looks_again = False
        if self._finished:
            return
        try:
            if self.may_judge():
                self.note_half_closed()
                self._count_half_closed()
            if any(entry.is_unused for entry in self._open):
                self._look_later()
        except Exception:
            logger.warning("COS connections cannot be looked at", exc_info=True)

    def note_half_closed(self) -> None:
        """Notes when clients have closed their side; safe within a signal's handler."""
        now = time.time()
        for entry in tuple(self._open):
            client = entry.connection
            if client is None or not entry.is_unused or entry.closed_at is not None:
                continue
            if not client.state & ConnectionState.CAN_READ:
                entry.closed_at = now

    def _count_half_closed(self) -> None:
        for entry in tuple(self._open):
            if entry.is_unused and entry.closed_at is not None:
                self._closed_unused(entry, entry.closed_at - _LOOK_SECONDS)

    def _closed_unused(self, entry: OpenConnection, ended: float | None) -> None:
        entry.counted = True
        began = entry.connection.timestamp_tls_setup if entry.connection else None
        quickly = bool(began and ended and ended - began < _QUICK_SECONDS)
        failure = self._failure(entry, "client-closed-after-handshake", None)
        self._failures.closed_unused(failure, quickly=quickly)
        if quickly:
            self._devices.doubted(entry.client, entry.host)

    def tls_failed_client(self, data: tls.TlsData) -> None:
        """Tells why the client did not accept the certificate of the proxy."""
        entry = self._open.get(data.conn)
        if entry is None:
            self._refused_other(data)
            return
        text, hello = data.conn.error or "", entry.hello
        is_quic = data.conn.transport_protocol == "udp"
        failed = quic_failure(text, hello=hello) if is_quic else client_failure(text, hello=hello)
        if failed is not None:
            self._failures.add(self._failure(entry, failed, data.conn.error))
        if is_quic:
            self._devices.quic(entry.client, entry.host)

    def _refused_other(self, data: tls.TlsData) -> None:
        """A host that is not known as one of COS: a custom domain may be among them."""
        client = data.context.client
        host = plain_host(client.sni)
        failed = client_failure(data.conn.error or "", hello=bool(host))
        if host and failed == "client-refused-certificate":
            self._devices.refused_other(client, host)

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Notes that the connection is used: whoever sends a request trusts the CA."""
        entry = self._open.get(flow.client_conn)
        if entry is None or entry.requested:
            return
        entry.requested = True
        if entry.established and entry.host:
            self._failures.requested(entry.host, entry.client)
            self._devices.trusted(entry.client)

    def tls_failed_server(self, data: tls.TlsData) -> None:
        """Notes why there is no TLS with the server."""
        server = data.conn
        if isinstance(server, connection.Server):
            text = server.error or ""
            is_quic = server.transport_protocol == "udp"
            self._upstream_failed(
                data.context.client, server, server_failure(text, is_quic=is_quic)
            )

    def server_connect_error(self, data: ServerConnectionHookData) -> None:
        """Notes why the server is not reached; a client that left may have waited for it."""
        client, server = data.client, data.server
        text = server.error or ""
        if text not in _LEFT:
            self._upstream_failed(client, server, connect_failure(text))
            return
        entry = self._open.left(client)
        began, ended = server.timestamp_start, client.timestamp_end
        if entry and began and ended and ended - began >= _PATIENCE_SECONDS:
            waited = f"the client gave up after {ended - began:.0f} s"
            self._failures.add(self._failure(entry, "upstream-timeout", waited))

    def http_connect_error(self, flow: http.HTTPFlow) -> None:
        """Tells of a tunnel that was refused, by this proxy or by the one behind it."""
        entry = self._open.get(flow.client_conn)
        if entry is None:
            return
        if entry.upstream is not None:
            self._failures.add(msgspec.structs.replace(entry.upstream, refused_tunnel=True))
            entry.upstream = None
        elif flow.response is not None and not is_own_gateway_error(flow.response):
            status, reason = flow.response.status_code, flow.response.reason
            failed: Failure = "proxy-password" if status in (401, 407) else "proxy-refused"
            self._failures.add(self._failure(entry, failed, f"{status} {reason}"))

    def error(self, flow: http.HTTPFlow) -> None:
        """Relates a flow to the trouble that it failed by; its own report has the finding."""
        entry = self._open.get(flow.client_conn)
        if entry is None or entry.upstream is None or flow.error is None:
            return
        host = read_request(flow.request).host
        if flow.error.msg == entry.upstream_error and self._open.is_cos(host):
            host = entry.upstream.host or host
            failure = msgspec.structs.replace(entry.upstream, flow=flow.id, host=host)
            if entry.related:
                self._failures.add_flow(failure)
            else:
                entry.related = True
                self._failures.add(failure)

    def client_disconnected(self, client: connection.Client) -> None:
        """Judges a connection that came to no request."""
        entry = self._open.end(client)
        if entry is None:
            return
        if entry.upstream is not None:
            self._tell_upstream(entry)
        elif entry.is_unused:
            self._closed_unused(entry, client.timestamp_end)
        elif not entry.hello:
            self._open.leave(client, entry)

    def finish(self) -> None:
        """To be called once, at the end: tells what was held back, and the totals."""
        self._finished = True
        for entry in self._open:
            self._tell_upstream(entry)
        self._count_half_closed()
        self._failures.finish()

    def _failure(
        self, entry: OpenConnection, failed: Failure, said: str | None, *, host: str | None = None
    ) -> ConnectionFailure:
        """With no secret in its texts."""
        user_agent = entry.user_agent
        if self._redact:
            redactor = Redactor()
            redactor.learn_head("", headers_of(entry.fields))
            said, user_agent = (text and redactor.text(text) for text in (said, user_agent))
        return ConnectionFailure(
            host=entry.host if host is None else host,
            client=entry.client,
            failed=failed,
            said=said[:_LONGEST_TEXT] if said else None,
            user_agent=user_agent,
        )

    def _upstream_failed(
        self, client: connection.Client, server: connection.Server, failed: Failure
    ) -> None:
        entry = self._open.get(client)
        host = self._open.host_of(client, server, server.sni)
        address = server.address[0] if server.address else ""
        if host is None and failed == "upstream-certificate" and is_address(address):
            # The request's Host may tell.
            host, failed = "", "upstream-by-address"
            self._devices.went_by_address(client)
        if host is None:
            return
        mode = client.proxy_mode
        if isinstance(mode, UpstreamMode) and server.address == mode.address:
            failed = "upstream-proxy"
        if entry is None:
            entry = self._open.begin(client, host)
        self._tell_upstream(entry)
        entry.related = False
        entry.upstream = self._failure(entry, failed, server.error, host=host)
        entry.upstream_error = server.error

    def _tell_upstream(self, entry: OpenConnection) -> None:
        """Trouble with the server that no flow has told."""
        if entry.upstream is not None and entry.upstream.host and not entry.related:
            self._failures.add(entry.upstream)
        entry.upstream = None

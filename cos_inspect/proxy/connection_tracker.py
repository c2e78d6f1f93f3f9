"""Connections to COS hosts on which no flow ever came, or whose flow does not say why.

Certificates that a client refuses, hosts that the proxy cannot reach: mitmproxy
tells of them by hooks that carry connections. What belongs together is kept by
the client connection's id until that connection ends.
"""

import collections
import re
from collections.abc import Callable

import msgspec
from mitmproxy import connection, http, tls
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from cos_inspect.cos.endpoint import read_endpoint
from cos_inspect.model.summary import ConnectionFailureSummary
from cos_inspect.proxy.connection_failures import ConnectionFailure, ConnectionFailures
from cos_inspect.proxy.flows import read_request
from cos_inspect.rules.connection_cause import Failure, failure_of

_MOST_OPEN = 4096
_MOST_LEFT = 256
_QUICK_SECONDS = 5.0
"""A client that pins hangs up at once; a spare connection is kept for longer."""
_PATIENCE_SECONDS = 3.0
"""A client that leaves later than this, while the proxy still connects, gave up waiting."""
_LONGEST_TEXT = 500

_LEFT = ("client disconnected", "connection cancelled")
_CERTIFICATE_ALERT = re.compile(r"alert [a-z ]{0,40}certificate|unknown ca")


class _Open(msgspec.Struct):
    """A client's connection that is meant for COS."""

    host: str
    client: str | None
    user_agent: str | None = None
    hello: bool = False
    established: bool = False
    requested: bool = False
    upstream: ConnectionFailure | None = None
    """Trouble with the server that no flow has told yet."""
    related: bool = False
    """A flow told it."""


class ConnectionTracker:
    """Has hooks of its own, which the addon hands to mitmproxy.

    ``report`` gets what the summary has to add. Memory is bounded.
    """

    def __init__(self, report: Callable[[ConnectionFailureSummary], None]) -> None:
        self._ledger = ConnectionFailures(report)
        self._open: collections.OrderedDict[str, _Open] = collections.OrderedDict()
        self._left: collections.OrderedDict[str, _Open] = collections.OrderedDict()
        """Clients that left while the proxy may have been connecting for them."""
        self._patterns: tuple[str, ...] = ()

    def use(self, patterns: tuple[str, ...], ignored: frozenset[str]) -> None:
        """``patterns`` of further COS hosts, ids of rules to leave out."""
        self._patterns = patterns
        self._ledger.ignored = ignored

    @property
    def has_errors(self) -> bool:
        """Whether a finding was made and not taken back; all of them are errors."""
        return self._ledger.has_errors

    def http_connect(self, flow: http.HTTPFlow) -> None:
        host = _plain(flow.request.host)
        if self._is_cos(host):
            entry = self._entry(flow.client_conn, host)
            entry.user_agent = flow.request.headers.get("user-agent")

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        client = data.context.client
        entry = self._open.get(client.id)
        name = _plain(data.client_hello.sni)
        if self._is_cos(name):
            entry = self._entry(client, name)
        elif entry is None:
            address = data.context.server.address
            host = _plain(address[0] if address else None)
            if not self._is_cos(host):
                return
            entry = self._entry(client, host)
        entry.hello = True

    def tls_established_client(self, data: tls.TlsData) -> None:
        entry = self._open.get(data.conn.id)
        if entry is not None:
            entry.established = True

    def tls_failed_client(self, data: tls.TlsData) -> None:
        entry = self._open.get(data.conn.id)
        if entry is None:
            return
        failed = _client_failure(data.conn.error or "", entry.hello)
        if failed is not None:
            self._ledger.saw(_sighting(entry, failed, data.conn.error))

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        entry = self._open.get(flow.client_conn.id)
        if entry is None or entry.requested:
            return
        entry.requested = True
        if entry.established:
            self._ledger.requested(entry.host, entry.client)

    def tls_failed_server(self, data: tls.TlsData) -> None:
        server = data.conn
        if isinstance(server, connection.Server):
            text = server.error or ""
            unverified = "certificate verify failed" in text.lower()
            failed: Failure = "upstream-certificate" if unverified else "upstream-tls"
            self._upstream_failed(data.context.client, server, failed)

    def server_connect_error(self, data: ServerConnectionHookData) -> None:
        client, server = data.client, data.server
        text = server.error or ""
        if text not in _LEFT:
            self._upstream_failed(client, server, _connect_failure(text))
            return
        entry = self._left.pop(client.id, None)
        began, ended = server.timestamp_start, client.timestamp_end
        if entry and began and ended and ended - began >= _PATIENCE_SECONDS:
            waited = f"the client gave up after {ended - began:.0f} s"
            self._ledger.saw(_sighting(entry, "upstream-timeout", waited))

    def http_connect_error(self, flow: http.HTTPFlow) -> None:
        entry = self._open.get(flow.client_conn.id)
        if entry is not None and entry.upstream is not None:
            self._ledger.saw(msgspec.structs.replace(entry.upstream, refused_tunnel=True))
            entry.upstream = None

    def error(self, flow: http.HTTPFlow) -> None:
        """Relates a flow to the trouble that it failed by; its own report has the finding."""
        entry = self._open.get(flow.client_conn.id)
        if entry is None or entry.upstream is None or flow.error is None:
            return
        if flow.error.msg == entry.upstream.said and self._is_cos(read_request(flow.request).host):
            sighting = msgspec.structs.replace(entry.upstream, flow=flow.id)
            if entry.related:
                self._ledger.relates(sighting)
            else:
                entry.related = True
                self._ledger.saw(sighting)

    def client_disconnected(self, client: connection.Client) -> None:
        entry = self._open.pop(client.id, None)
        if entry is None:
            return
        if entry.upstream is not None:
            self._tell_upstream(entry)
        elif entry.established and not entry.requested:
            began, ended = client.timestamp_tls_setup, client.timestamp_end
            quickly = bool(began and ended and ended - began < _QUICK_SECONDS)
            sighting = _sighting(entry, "client-closed-after-handshake", None)
            self._ledger.closed_unused(sighting, quickly=quickly)
        elif not entry.hello:
            self._left[client.id] = entry
            if len(self._left) > _MOST_LEFT:
                self._left.popitem(last=False)

    def finish(self) -> None:
        """To be called once, at the end: tells what was held back, and the totals."""
        for entry in self._open.values():
            self._tell_upstream(entry)
        self._ledger.finish()

    def _upstream_failed(
        self, client: connection.Client, server: connection.Server, failed: Failure
    ) -> None:
        entry = self._open.get(client.id)
        names = (
            _plain(server.sni),
            _plain(server.address[0] if server.address else None),
            entry.host if entry else "",
        )
        host = next((name for name in names if self._is_cos(name)), None)
        if host is None:
            return
        if entry is None:
            entry = self._entry(client, host)
        self._tell_upstream(entry)
        said = server.error[:_LONGEST_TEXT] if server.error else None
        entry.related = False
        entry.upstream = ConnectionFailure(
            host=host, client=entry.client, failed=failed, said=said, user_agent=entry.user_agent
        )

    def _tell_upstream(self, entry: _Open) -> None:
        """Trouble with the server that no flow has told."""
        if entry.upstream is not None and not entry.related:
            self._ledger.saw(entry.upstream)
        entry.upstream = None

    def _is_cos(self, host: str) -> bool:
        return bool(host) and read_endpoint(host, "/", self._patterns) is not None

    def _entry(self, client: connection.Client, host: str) -> _Open:
        entry = self._open.get(client.id)
        if entry is None:
            address = client.peername[0] if client.peername else None
            entry = self._open[client.id] = _Open(host, address)
            if len(self._open) > _MOST_OPEN:
                self._open.popitem(last=False)
        entry.host = host
        return entry


def _plain(host: str | None) -> str:
    """As hosts are compared; empty for none, and for one that no name server could know."""
    return host.lower().removesuffix(".") if host and host.isprintable() else ""


def _sighting(entry: _Open, failed: Failure, said: str | None) -> ConnectionFailure:
    return ConnectionFailure(
        host=entry.host,
        client=entry.client,
        failed=failed,
        said=said[:_LONGEST_TEXT] if said else None,
        user_agent=entry.user_agent,
    )


def _client_failure(text: str, hello: bool) -> Failure | None:
    """What mitmproxy's words mean; None where they say nothing of the certificate."""
    words = text.lower()
    if "disconnected during the handshake" in words:
        # Before its hello was whole the client has seen no certificate.
        return "client-closed-in-handshake" if hello else None
    if "closed early" in words:
        return None
    if "does not trust the proxy's certificate" in words or _CERTIFICATE_ALERT.search(words):
        return "client-refused-certificate"
    return "client-handshake"


def _connect_failure(text: str) -> Failure:
    failed = failure_of(text)
    if failed is not None:
        return failed
    return "upstream-timeout" if "timed out" in text.lower() else "upstream-connect"

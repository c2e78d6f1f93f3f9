"""The addon's hooks of connections, which hand on to their tracker."""

from mitmproxy import dns, http, tcp, tls, udp
from mitmproxy.proxy.layer import NextLayer
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from cos_inspect.proxy.connection_tracker import ConnectionTracker


class ConnectionHooks:
    """Those hooks, to be inherited by the addon."""

    def __init__(self, tracker: ConnectionTracker) -> None:
        self._connection_tracker = tracker

    @property
    def judges_failures(self) -> bool:
        """Whether a connection that fails now says something."""
        return True

    def http_connect(self, flow: http.HTTPFlow) -> None:
        """A tunnel is asked for."""
        self._connection_tracker.http_connect(flow)

    def http_connect_error(self, flow: http.HTTPFlow) -> None:
        """A tunnel was refused."""
        if self.judges_failures:
            self._connection_tracker.http_connect_error(flow)

    def server_connect_error(self, data: ServerConnectionHookData) -> None:
        """The server was not reached."""
        if self.judges_failures:
            self._connection_tracker.server_connect_error(data)

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        """The client begins TLS."""
        self._connection_tracker.tls_clienthello(data)

    def tls_established_client(self, data: tls.TlsData) -> None:
        """TLS with the client stands."""
        self._connection_tracker.tls_established_client(data)

    def tls_failed_client(self, data: tls.TlsData) -> None:
        """It does not."""
        if self.judges_failures:
            self._connection_tracker.tls_failed_client(data)

    def tls_failed_server(self, data: tls.TlsData) -> None:
        """There is no TLS with the server."""
        if self.judges_failures:
            self._connection_tracker.tls_failed_server(data)

    def next_layer(self, decision: NextLayer) -> None:
        """mitmproxy asks what a connection speaks."""
        self._connection_tracker.next_layer(decision)

    def tcp_start(self, flow: tcp.TCPFlow) -> None:
        """A TCP stream that is not read as HTTP begins."""
        self._connection_tracker.raw_start(flow)

    def udp_start(self, flow: udp.UDPFlow) -> None:
        """The same of UDP."""
        self._connection_tracker.raw_start(flow)

    def dns_response(self, flow: dns.DNSFlow) -> None:
        """The proxy answers a question for a name."""
        self._connection_tracker.dns_response(flow)

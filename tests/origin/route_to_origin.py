"""A mitmproxy script that sends every connection to the server for tests.

Its ports come from COS_TEST_ORIGIN_HTTP, COS_TEST_ORIGIN_HTTPS and
COS_TEST_ORIGIN_HTTP3; what was meant for port 443 goes to the TLS one. What
was meant for the host COS_TEST_HTTP2_HOST goes to COS_TEST_ORIGIN_HTTP2, and a
connection to the port COS_TEST_UPSTREAM_PROXY is left alone. The loopback
address is there only while the connection is made: mitmproxy takes the URL of
HTTPS requests, the server name, and the choice of a connection to use again
from the address.
"""

import os

from mitmproxy.connection import Address, Server
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

HTTP_PORT = int(os.environ.get("COS_TEST_ORIGIN_HTTP", "0"))
HTTPS_PORT = int(os.environ.get("COS_TEST_ORIGIN_HTTPS", "0"))
HTTP3_PORT = int(os.environ.get("COS_TEST_ORIGIN_HTTP3", "0"))
HTTP2_HOST = os.environ.get("COS_TEST_HTTP2_HOST", "")
HTTP2_PORT = int(os.environ.get("COS_TEST_ORIGIN_HTTP2", "0"))
UPSTREAM_PROXY = ("127.0.0.1", int(os.environ.get("COS_TEST_UPSTREAM_PROXY", "0")))

_meant: dict[str, Address] = {}


def server_connect(data: ServerConnectionHookData) -> None:
    address = data.server.address
    if address is None or address == UPSTREAM_PROXY:
        return
    _meant[data.server.id] = address
    if data.server.transport_protocol == "udp":
        port = HTTP3_PORT
    elif address[0] == HTTP2_HOST:
        port = HTTP2_PORT
    else:
        port = HTTPS_PORT if data.server.tls or address[1] == 443 else HTTP_PORT
    data.server.address = ("127.0.0.1", port)


def server_connected(data: ServerConnectionHookData) -> None:
    _restore(data.server)


def server_connect_error(data: ServerConnectionHookData) -> None:
    _restore(data.server)


def _restore(server: Server) -> None:
    """Past the guard that keeps the address of an open connection from being changed."""
    address = _meant.pop(server.id, None)
    if address is not None:
        object.__setattr__(server, "address", address)

"""A mitmproxy script that sends every connection to the server for tests.

Its ports come from COS_TEST_ORIGIN_HTTP and COS_TEST_ORIGIN_HTTPS; what was
meant for port 443 goes to the TLS one. The loopback address is there only
while the connection is made: mitmproxy takes the URL of HTTPS requests, the
server name, and the choice of a connection to use again from the address.
"""

import os

from mitmproxy.connection import Address, Server
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

HTTP_PORT = int(os.environ["COS_TEST_ORIGIN_HTTP"])
HTTPS_PORT = int(os.environ["COS_TEST_ORIGIN_HTTPS"])

_meant: dict[str, Address] = {}


def server_connect(data: ServerConnectionHookData) -> None:
    address = data.server.address
    if address is None:
        return
    _meant[data.server.id] = address
    secure = data.server.tls or address[1] == 443
    data.server.address = ("127.0.0.1", HTTPS_PORT if secure else HTTP_PORT)


def server_connected(data: ServerConnectionHookData) -> None:
    _restore(data.server)


def server_connect_error(data: ServerConnectionHookData) -> None:
    _restore(data.server)


def _restore(server: Server) -> None:
    """Past the guard that keeps the address of an open connection from being changed."""
    address = _meant.pop(server.id, None)
    if address is not None:
        object.__setattr__(server, "address", address)

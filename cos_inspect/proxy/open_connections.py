"""Connections of clients that are meant for COS hosts, while they are open; memory is bounded."""

from collections import OrderedDict
from collections.abc import Iterator

import msgspec
from mitmproxy import connection, tls
from mitmproxy.connection import Client

from cos_inspect.cos.endpoint import read_endpoint
from cos_inspect.proxy.connection_failures import ConnectionFailure
from cos_inspect.proxy.resolved_names import ResolvedNames
from cos_inspect.recording.message_heads import Fields

_MOST_OPEN = 4096
_MOST_LEFT = 256


class OpenConnection(msgspec.Struct):
    """A client's connection that is meant for COS."""

    host: str
    client: str | None
    connection: Client | None = None
    user_agent: str | None = None
    fields: Fields = ()
    """The CONNECT's headers."""
    hello: bool = False
    established: bool = False
    requested: bool = False
    """A request came, or what is none of HTTP."""
    closed_at: float | None = None
    """When it was seen that the client had closed its side, while mitmproxy keeps the other."""
    counted: bool = False
    """As one that carried no request."""
    upstream: ConnectionFailure | None = None
    """Trouble with the server that no flow has told yet."""
    upstream_error: str | None = None
    """Of that, the text of mitmproxy as it is."""
    related: bool = False
    """A flow told it."""

    @property
    def is_unused(self) -> bool:
        """Its handshake was finished, and no request came."""
        return self.established and not self.requested and not self.counted and bool(self.host)


class OpenConnections:
    """By client connection. What is beyond a bound is forgotten, the oldest first."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, OpenConnection] = OrderedDict()
        self._left: OrderedDict[str, OpenConnection] = OrderedDict()
        """Clients that left while the proxy may have been connecting for them."""
        self.resolved = ResolvedNames()
        self.patterns: tuple[str, ...] = ()
        """Of further COS hosts."""

    def __iter__(self) -> Iterator[OpenConnection]:
        """Those that are open, as they are now."""
        return iter(tuple(self._open.values()))

    def get(self, client: connection.Connection) -> OpenConnection | None:
        """What is known of an open connection; None where it is not meant for COS."""
        return self._open.get(client.id)

    def begin(self, client: Client, host: str) -> OpenConnection:
        """That of a client, which is known now to be meant for this host."""
        entry = self._open.get(client.id)
        if entry is None:
            address = client.peername[0] if client.peername else None
            entry = self._open[client.id] = OpenConnection(host, address, client)
            if len(self._open) > _MOST_OPEN:
                self._open.popitem(last=False)
        entry.host = host
        return entry

    def of_hello(self, data: tls.ClientHelloData) -> OpenConnection | None:
        """That of a client that says hello: by the name in it, else by the address."""
        client = data.context.client
        name = plain_host(data.client_hello.sni)
        if self.is_cos(name):
            return self.begin(client, name)
        known = self.get(client)
        if known is not None:
            return known
        address = data.context.server.address
        host = plain_host(address[0] if address else None)
        if not self.is_cos(host):
            host = self.resolved.of(host)
        return self.begin(client, host) if self.is_cos(host) else None

    def end(self, client: Client) -> OpenConnection | None:
        """It is open no more."""
        return self._open.pop(client.id, None)

    def leave(self, client: Client, entry: OpenConnection) -> None:
        """The client left, and the proxy may still be connecting for it."""
        self._left[client.id] = entry
        if len(self._left) > _MOST_LEFT:
            self._left.popitem(last=False)

    def left(self, client: Client) -> OpenConnection | None:
        """The connection of a client that left; once."""
        return self._left.pop(client.id, None)

    def is_cos(self, host: str) -> bool:
        """Whether a host is one of COS; a plain one, as ``plain_host`` gives it."""
        return bool(host) and read_endpoint(host, "/", self.patterns) is not None

    def host_of(
        self, client: connection.Client, server: connection.Server | None, name: str | None
    ) -> str | None:
        """The COS host that a connection is meant for, by all that is known."""
        entry = self.get(client)
        address = server.address[0] if server is not None and server.address else None
        names = (
            plain_host(name),
            plain_host(server.sni if server is not None else None),
            plain_host(address),
            entry.host if entry else "",
            self.resolved.of(address),
        )
        return next((each for each in names if self.is_cos(each)), None)


def plain_host(host: str | None) -> str:
    """As hosts are compared; empty for none, and for one that no name server could know."""
    return host.lower().removesuffix(".") if host and host.isprintable() else ""

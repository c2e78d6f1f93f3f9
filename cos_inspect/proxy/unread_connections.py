"""Connections to COS hosts that pass without being read, and why.

``ignore_hosts``, ``allow_hosts`` and other addons have mitmproxy hand the bytes of a
connection on; ``tcp_hosts`` and reverse mode with another protocol than HTTP make raw
streams of them. No flow tells of the first, and none of HTTP of the others.
"""

import re
from collections.abc import Sequence

from mitmproxy import connection, ctx
from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy import layers
from mitmproxy.proxy.layer import Layer, NextLayer
from mitmproxy.proxy.layers.quic import quic_parse_client_hello_from_datagrams
from mitmproxy.proxy.layers.tls import parse_client_hello
from mitmproxy.proxy.mode_specs import ReverseMode

_HTTP_SCHEMES = frozenset({"http", "https", "http3"})
_HOST = re.compile(rb"\r\nhost:[ \t]*([^\r\n]{1,256})", re.IGNORECASE)
_MOST_BYTES = 16_384


def is_passed_on(layer: Layer | None) -> bool:
    """Whether a layer hands bytes on and tells no addon of them."""
    return isinstance(layer, layers.TCPLayer | layers.UDPLayer) and layer.flow is None


def name_in(decision: NextLayer) -> str | None:
    """The server's name in a ClientHello, or the Host of a plain request, of the first bytes
    of a connection; None where they do not show one."""
    data: bytes = decision.data_client()[:_MOST_BYTES]  # type: ignore[no-untyped-call]
    try:
        if decision.context.client.transport_protocol == "udp":
            hello = quic_parse_client_hello_from_datagrams([data])
            return hello.sni if hello else None
        if starts_like_tls_record(data):
            told = parse_client_hello(data)
            return told.sni if told else None
    except ValueError:
        return None
    found = _HOST.search(data)
    host = found[1].decode("latin-1").strip() if found else None
    return host.rpartition(":")[0] if host and re.search(r":\d+$", host) else host


_REFUSED = re.compile(
    rb"(?:CONNECT |[A-Z]{3,8} https?://)([a-z0-9.-]{1,250}\.\.[a-z0-9.-]{1,250})", re.IGNORECASE
)
"""A request whose host has an empty label: mitmproxy answers 400, and no flow tells of it."""


def refused_host(decision: NextLayer) -> str | None:
    """The host of a request to the proxy itself that mitmproxy does not take for one."""
    if decision.context.server.address is not None:
        return None
    data: bytes = decision.data_client()[:1024]  # type: ignore[no-untyped-call]
    found = _REFUSED.match(data) if b".." in data else None
    return found[1].decode("ascii").lower() if found else None


def reason(client: connection.Client, server: connection.Server | None, host: str) -> str:
    """Why a connection passes unread, to follow on ``because``."""
    options, mode = ctx.options, client.proxy_mode
    names = _names(server, host)
    if options.allow_hosts and not _matches(options.allow_hosts, names):
        return "the option allow_hosts names other hosts alone"
    if _matches(options.ignore_hosts, names):
        return "the option ignore_hosts names them"
    if isinstance(mode, ReverseMode) and mode.scheme not in _HTTP_SCHEMES:
        better = "reverse:http3" if mode.scheme in ("quic", "udp", "dtls") else "reverse:https"
        return (
            f"the mode reverse:{mode.scheme} hands streams on without reading them"
            f" ({better} reads them)"
        )
    for option in ("tcp_hosts", "udp_hosts"):
        if _matches(getattr(options, option), names):
            return f"the option {option} names them"
    return "another addon, or a protocol that is not HTTP, has them handed on"


def _names(server: connection.Server | None, host: str) -> list[str]:
    places = [server.address, server.peername] if server is not None else []
    names = [f"{place[0]}:{place[1]}" for place in places if place]
    port = next((place[1] for place in places if place), 443)
    return [*names, f"{host}:{port}"]


def _matches(patterns: Sequence[str], names: list[str]) -> bool:
    return any(re.search(pattern, name, re.IGNORECASE) for pattern in patterns for name in names)

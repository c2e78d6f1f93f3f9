"""From mitmproxy's flow to plain data."""

from mitmproxy import http
from mitmproxy.proxy.mode_specs import ProxyMode

from cos_inspect.model.exchange import Request, Timing
from cos_inspect.model.moments import known_moment
from cos_inspect.recording.actors import Peers, peer_name
from cos_inspect.recording.message_heads import RequestHead, headers_of, request_of
from cos_inspect.recording.recorded_flow import connection_times


def request_head(request: http.Request) -> RequestHead:
    """The head as mitmproxy holds it now."""
    data = request.data
    return RequestHead(
        data.headers.fields,
        data.method,
        data.scheme,
        data.authority,
        data.host,
        data.port,
        data.path,
        data.http_version,
    )


def read_request(request: http.Request) -> Request:
    """The request as it is now, without its body."""
    head = request_head(request)
    return request_of(head, headers_of(head.fields))


def address_of(peer: tuple[str, int] | tuple[str, int, int, int] | None) -> str | None:
    """The IP address of a peer's name."""
    return peer[0] if peer else None


def peers_of(flow: http.HTTPFlow) -> Peers:
    """The connections of a flow."""
    client, server = flow.client_conn, flow.server_conn
    mode = client.proxy_mode
    return Peers(
        client=peer_name(client.peername),
        server=peer_name(server.peername) if server is not None else None,
        sni=client.sni,
        tls=client.tls_version,
        mode=mode.type_name if isinstance(mode, ProxyMode) else "regular",
    )


def place_text(place: tuple[str, int]) -> str:
    """Host and port as one text."""
    return f"{place[0]}:{place[1]}"


def timing_of(flow: http.HTTPFlow, *, opened_connection: bool) -> Timing:
    """``opened_connection``: the flow is the first on its connection to the server."""
    request, response, server = flow.request, flow.response, flow.server_conn
    connect_ms = tls_ms = None
    if opened_connection and server is not None:
        connect_ms, tls_ms = connection_times(
            server.timestamp_start, server.timestamp_tcp_setup, server.timestamp_tls_setup
        )
    return Timing(
        request_start=known_moment(request.timestamp_start),
        request_end=known_moment(request.timestamp_end),
        response_start=known_moment(response.timestamp_start) if response else None,
        response_end=known_moment(response.timestamp_end) if response else None,
        failed=known_moment(flow.error.timestamp) if flow.error else None,
        connect_ms=connect_ms,
        tls_ms=tls_ms,
    )

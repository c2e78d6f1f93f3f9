"""From mitmproxy's flow to an exchange."""

from functools import lru_cache

from mitmproxy import http
from mitmproxy.net.http import url

from cos_inspect.exchange import Body, Exchange, Headers, Request, Response, Timing


def headers_of(message: http.Message) -> Headers:
    """Header fields in wire order; bytes that are no UTF-8 become surrogates' replacement."""
    return Headers(
        (name.decode("utf-8", "replace"), value.decode("utf-8", "replace"))
        for name, value in message.headers.fields
    )


def _text(value: str) -> str:
    """Bytes that are no UTF-8 become U+FFFD; mitmproxy has surrogates for them, which
    cannot be written."""
    if value.isascii():
        return value
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


_DEFAULT_PORTS = {"http": 80, "https": 443}


def request_place(request: http.Request) -> tuple[str, int]:
    """Host (lower case, without final dot) and port that the client means, by its Host
    header; inside a tunnel the request's own host and port are those of the upstream
    connection, which a script may have led elsewhere."""
    authority = request.host_header
    if authority:
        host, port = _parsed_authority(authority)
        return host, port or _DEFAULT_PORTS.get(request.scheme, request.port)
    return _text(request.host).lower().removesuffix("."), request.port


@lru_cache(maxsize=512)
def _parsed_authority(authority: str) -> tuple[str, int | None]:
    host, port = url.parse_authority(authority, check=False)
    return _text(host).lower().removesuffix("."), port


def exchange_of(
    flow: http.HTTPFlow,
    *,
    request_headers: Headers,
    response_headers: Headers | None,
    request_body: Body,
    response_body: Body | None,
    dropped_headers: tuple[tuple[str, str], ...] = (),
    opened_connection: bool = False,
) -> Exchange:
    """The finished flow as plain data; the bodies' facts come from whoever met them.

    ``opened_connection``: the flow is the first on its connection to the server.
    """
    request, response = flow.request, flow.response
    host, port = request_place(request)
    return Exchange(
        flow_id=flow.id,
        request=Request(
            method=_text(request.method),
            scheme=request.scheme,
            host=host,
            port=port,
            target=_text(request.path),
            http_version=request.http_version,
            headers=request_headers,
            body=request_body,
            dropped_headers=dropped_headers,
        ),
        response=None
        if response is None or response_headers is None or response_body is None
        else Response(
            status=response.status_code,
            reason=response.reason,
            http_version=response.http_version,
            headers=response_headers,
            body=response_body,
        ),
        timing=_timing(flow, opened_connection),
        error=flow.error.msg if flow.error else None,
        client_address=_address(flow.client_conn.peername),
        server_address=_address(flow.server_conn.peername) if flow.server_conn else None,
    )


def _address(peer: tuple[str, int] | tuple[str, int, int, int] | None) -> str | None:
    return peer[0] if peer else None


def _timing(flow: http.HTTPFlow, opened_connection: bool) -> Timing:
    request, response, server = flow.request, flow.response, flow.server_conn
    connect_ms = tls_ms = None
    if opened_connection and server is not None:
        connect_ms = _between(server.timestamp_start, server.timestamp_tcp_setup)
        tls_ms = _between(server.timestamp_tcp_setup, server.timestamp_tls_setup)
    return Timing(
        request_start=request.timestamp_start,
        request_end=request.timestamp_end,
        response_start=response.timestamp_start if response else None,
        response_end=response.timestamp_end if response else None,
        connect_ms=connect_ms,
        tls_ms=tls_ms,
    )


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else round((end - start) * 1000, 3)

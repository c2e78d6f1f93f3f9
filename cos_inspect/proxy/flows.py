"""From mitmproxy's flow to an exchange."""

from functools import lru_cache
from typing import NamedTuple

import msgspec
from mitmproxy import http
from mitmproxy.net.http import url

from cos_inspect.exchange import Body, Exchange, Headers, Request, Response, Timing


def headers_of(message: http.Message) -> Headers:
    """Header fields in wire order; bytes that are no UTF-8 become surrogates' replacement."""
    fields = message.headers.fields
    names = _names(tuple([name for name, _ in fields]))
    values = [value.decode("utf-8", "replace") for _, value in fields]
    if names.distinct:
        return Headers.of_distinct(names.shown, names.lower, values)
    return Headers(zip(names.shown, values, strict=True))


class _Names(NamedTuple):
    shown: tuple[str, ...]
    lower: tuple[str, ...]
    distinct: bool


@lru_cache(maxsize=256)
def _names(raw: tuple[bytes, ...]) -> _Names:
    """A client or server sends the same names again and again."""
    shown = tuple(name.decode("utf-8", "replace") for name in raw)
    lower = tuple(name.lower() for name in shown)
    return _Names(shown, lower, len(set(lower)) == len(lower))


def _text(value: str) -> str:
    """Bytes that are no UTF-8 become U+FFFD; mitmproxy has surrogates for them, which
    cannot be written."""
    if value.isascii():
        return value
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


_DEFAULT_PORTS = {"http": 80, "https": 443}


class RequestLine(msgspec.Struct, frozen=True, gc=False):
    """What a request asks for, and of whom, as the client means it."""

    method: str
    scheme: str
    host: str
    """By the Host header, in lower case, without final dot; inside a tunnel the request's
    own host and port are those of the upstream connection, which a script may have led
    elsewhere."""
    port: int
    target: str
    http_version: str


def request_line(request: http.Request) -> RequestLine:
    scheme, port = request.scheme, request.port
    authority = request.host_header
    if authority:
        host, named_port = _parsed_authority(authority)
        port = named_port or _DEFAULT_PORTS.get(scheme, port)
    else:
        host = _text(request.host).lower().removesuffix(".")
    return RequestLine(
        _text(request.method), scheme, host, port, _text(request.path), request.http_version
    )


@lru_cache(maxsize=512)
def _parsed_authority(authority: str) -> tuple[str, int | None]:
    host, port = url.parse_authority(authority, check=False)
    return _text(host).lower().removesuffix("."), port


def exchange_of(
    flow: http.HTTPFlow,
    line: RequestLine,
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
    response = flow.response
    return Exchange(
        flow_id=flow.id,
        request=Request(
            method=line.method,
            scheme=line.scheme,
            host=line.host,
            port=line.port,
            target=line.target,
            http_version=line.http_version,
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

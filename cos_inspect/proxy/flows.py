"""From mitmproxy's flow to plain data."""

from mitmproxy import http

from cos_inspect.model.exchange import (
    Body,
    Exchange,
    Headers,
    Request,
    Response,
    Timing,
    known_moment,
)
from cos_inspect.recording.buffered_flow import BufferedFlow
from cos_inspect.recording.message_heads import (
    Fields,
    RequestHead,
    RequestLine,
    headers_of,
    request_line,
)


def request_head(request: http.Request) -> RequestHead:
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


def place_of(request: http.Request) -> RequestLine:
    """The same, of a request as it is now."""
    head = request_head(request)
    return request_line(head, headers_of(head.fields))


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
    stopped: bool = False,
) -> Exchange:
    """The finished flow as plain data; the bodies' facts come from whoever met them.

    ``opened_connection``: the flow is the first on its connection to the server.
    ``stopped``: the proxy ended before the flow did, so a failure may be its doing.
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
        timing=timing_of(flow, opened_connection=opened_connection),
        error=flow.error.msg if flow.error and not stopped else None,
        client_address=address_of(flow.client_conn.peername),
        server_address=address_of(flow.server_conn.peername) if flow.server_conn else None,
        is_replay=flow.is_replay == "request",
    )


def buffered_flow(
    flow: http.HTTPFlow,
    head: RequestHead,
    answer: Fields,
    contents: tuple[bytes, bytes],
    *,
    opened_connection: bool,
    host_rewritten: bool,
) -> BufferedFlow:
    """An answered flow whose bodies were kept whole, with the heads that it came with."""
    response, server = flow.response, flow.server_conn
    assert response is not None
    data = response.data
    return BufferedFlow(
        flow_id=flow.id,
        head=head,
        answer=answer,
        status=data.status_code,
        reason=data.reason,
        http_version=data.http_version,
        sent=contents[0],
        received=contents[1],
        timing=timing_of(flow, opened_connection=opened_connection),
        client_address=address_of(flow.client_conn.peername),
        server_address=address_of(server.peername) if server else None,
        live=bool(flow.live),
        is_replay=flow.is_replay == "request",
        host_rewritten=host_rewritten,
    )


def address_of(peer: tuple[str, int] | tuple[str, int, int, int] | None) -> str | None:
    return peer[0] if peer else None


def timing_of(flow: http.HTTPFlow, *, opened_connection: bool) -> Timing:
    request, response, server = flow.request, flow.response, flow.server_conn
    connect_ms = tls_ms = None
    if opened_connection and server is not None:
        connect_ms = _between(server.timestamp_start, server.timestamp_tcp_setup)
        tls_ms = _between(server.timestamp_tcp_setup, server.timestamp_tls_setup)
    return Timing(
        request_start=known_moment(request.timestamp_start),
        request_end=known_moment(request.timestamp_end),
        response_start=known_moment(response.timestamp_start) if response else None,
        response_end=known_moment(response.timestamp_end) if response else None,
        failed=known_moment(flow.error.timestamp) if flow.error else None,
        connect_ms=connect_ms,
        tls_ms=tls_ms,
    )


def _between(start: float | None, end: float | None) -> float | None:
    """Milliseconds; what a saved flow says of its times may be anything."""
    begin, stop = known_moment(start), known_moment(end)
    return None if begin is None or stop is None else round((stop - begin) * 1000, 3)

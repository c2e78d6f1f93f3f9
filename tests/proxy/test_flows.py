"""From mitmproxy's flow to an exchange."""

from mitmproxy.http import Headers as MitmHeaders
from mitmproxy.http import Request
from mitmproxy.test import tflow, tutils

from cos_inspect.model.exchange import Body
from cos_inspect.proxy.flows import exchange_of, place_of, timing_of
from cos_inspect.recording.message_heads import headers_of


def place(request: Request) -> tuple[str, int]:
    line = place_of(request)
    return line.host, line.port


def test_the_host_header_tells_the_place() -> None:
    request = tutils.treq(
        host="127.0.0.1",
        port=9000,
        scheme=b"https",
        headers=MitmHeaders(((b"Host", b"B-1250000000.COS.ap-beijing.myqcloud.com."),)),
    )
    assert place(request) == ("b-1250000000.cos.ap-beijing.myqcloud.com", 443)
    request.headers["host"] = "h.example:8443"
    assert place(request) == ("h.example", 8443)


def test_without_a_host_header_the_connection_tells() -> None:
    request = tutils.treq(host="h.example", port=81, headers=MitmHeaders())
    assert place(request) == ("h.example", 81)


def test_headers_keep_order_case_and_odd_bytes() -> None:
    response = tutils.tresp(headers=MitmHeaders(((b"B", b"1"), (b"a", b"2"), (b"B", b"\xff"))))
    assert headers_of(response.headers.fields).fields == (
        ("B", "1"),
        ("a", "2"),
        ("B", "\N{REPLACEMENT CHARACTER}"),
    )


def test_an_exchange_has_times_and_addresses() -> None:
    flow = tflow.tflow(resp=True)
    assert flow.response is not None
    exchange = exchange_of(
        flow,
        place_of(flow.request),
        request_headers=headers_of(flow.request.headers.fields),
        response_headers=headers_of(flow.response.headers.fields),
        request_body=Body(),
        response_body=Body(),
        opened_connection=True,
    )
    assert exchange.flow_id == flow.id
    assert exchange.timing.request_start == 946681200
    assert exchange.timing.response_end == 946681203
    assert exchange.timing.connect_ms == 1000
    assert exchange.client_address == "127.0.0.1"
    assert exchange.error is None


def test_a_flow_ends_with_its_failure_and_odd_times_are_unknown() -> None:
    flow = tflow.tflow(err=True)
    assert flow.error is not None
    flow.error.timestamp = 946681232.0
    flow.server_conn.timestamp_start = float("nan")
    timing = timing_of(flow, opened_connection=True)
    assert (timing.request_start, timing.end) == (946681200, 946681232)
    assert timing.connect_ms is None
    flow.request.timestamp_start = 1e308
    assert timing_of(flow, opened_connection=False).request_start is None


def test_a_reused_connection_cost_nothing() -> None:
    flow = tflow.tflow(err=True)
    exchange = exchange_of(
        flow,
        place_of(flow.request),
        request_headers=headers_of(flow.request.headers.fields),
        response_headers=None,
        request_body=Body(),
        response_body=None,
    )
    assert exchange.timing.connect_ms is None
    assert exchange.response is None
    assert exchange.error == "error"

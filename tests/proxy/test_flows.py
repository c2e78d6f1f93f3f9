"""From mitmproxy's flow to an exchange."""

from mitmproxy.http import Headers as MitmHeaders
from mitmproxy.http import Request
from mitmproxy.test import tflow, tutils

from cos_inspect.proxy.flows import address_of, read_request, timing_of
from cos_inspect.recording.message_heads import headers_of


def place(request: Request) -> tuple[str, int]:
    line = read_request(request)
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


def test_a_flow_has_times_and_addresses() -> None:
    flow = tflow.tflow(resp=True)
    timing = timing_of(flow, opened_connection=True)
    assert timing.request_start == 946681200
    assert timing.response_end == 946681203
    assert timing.connect_ms == 1000
    assert address_of(flow.client_conn.peername) == "127.0.0.1"
    assert address_of(None) is None


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
    assert timing_of(tflow.tflow(err=True), opened_connection=False).connect_ms is None

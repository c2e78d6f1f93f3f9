"""What came is read again from a flow that was changed, saved and loaded."""

import io
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy import io as flow_io

from cos_inspect.cos.operation import Operation
from cos_inspect.inspection.first_look import first_look
from cos_inspect.model.exchange import Body, Exchange
from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.headers import Headers
from cos_inspect.proxy import annotations, capture_metadata
from cos_inspect.proxy.flow_snapshot import FlowSnapshot
from tests.proxy.inspected import HOST, cos_flow

FIELDS = st.lists(
    st.tuples(
        st.sampled_from([b"x-cos-meta-a", b"X-Cos-Meta-A", b"x-cos-meta-b", b"Expect", b"Via"]),
        st.sampled_from([b"1", b"2", b"", "值".encode(), b"a b"]),
    ),
    max_size=6,
).map(tuple)
DOWNLOAD = Operation("GetObject", "object", answer="object")


def _seen(flow: http.HTTPFlow) -> tuple[Exchange, FlowReport]:
    read = FlowSnapshot(flow, ()).read()
    assert read is not None
    found = first_look(read.exchange)
    assert found is not None
    return read.exchange, found.report


def _leave(
    flow: http.HTTPFlow, exchange: Exchange, report: FlowReport, *, changes: bool = False
) -> None:
    annotations.write(
        flow,
        report,
        visibly=False,
        request_body=exchange.request.body,
        response_body=exchange.response.body if exchange.response else None,
        received=capture_metadata.metadata_for_capture(
            flow, exchange, report, DOWNLOAD, None, marks=[(7, 2**64 - 1)], answer_changes=changes
        ),
    )


def _reloaded(flow: http.HTTPFlow) -> http.HTTPFlow:
    file = io.BytesIO()
    flow_io.FlowWriter(file).add(flow)
    file.seek(0)
    (loaded,) = flow_io.FlowReader(file).stream()
    assert isinstance(loaded, http.HTTPFlow)
    return loaded


def _with(flow: http.HTTPFlow, sent: Any, answered: Any) -> http.HTTPFlow:
    assert flow.response is not None
    flow.request.headers.fields = (*flow.request.headers.fields, *sent)
    flow.response.headers.fields = (*answered, *flow.response.headers.fields)
    return flow


@given(FIELDS, FIELDS, FIELDS, FIELDS, FIELDS, st.booleans())
def test_heads_are_those_that_came(
    sent: Any, sent_on: Any, answered: Any, answered_on: Any, saved: Any, changes: bool
) -> None:
    exchange, report = _seen(_with(cos_flow(), sent, answered))
    flow = _with(cos_flow(), sent_on, answered_on)
    _leave(flow, exchange, report, changes=changes)
    if changes:
        # Somebody behind us.
        assert flow.response is not None
        flow.response.headers.fields = saved
    again, _ = _seen(_reloaded(flow))
    assert again.request.headers == exchange.request.headers
    assert again.response is not None
    assert exchange.response is not None
    assert again.response.headers == exchange.response.headers


def test_the_line_is_the_one_that_came() -> None:
    flow = cos_flow()
    exchange, report = _seen(flow)
    flow.request.url = "http://otherbucket-1250000000.cos.ap-beijing.myqcloud.com:81/b?c=d"
    flow.request.method = "POST"
    _leave(flow, exchange, report)
    again, later = _seen(_reloaded(flow))
    assert later.request.url == report.request.url == f"https://{HOST.decode()}/a.txt"
    assert msgspec.structs.replace(again.request, body=Body()) == msgspec.structs.replace(
        exchange.request, body=Body()
    )


def test_nothing_is_left_where_the_flow_holds_all() -> None:
    flow = cos_flow()
    exchange, report = _seen(flow)
    assert capture_metadata.metadata_for_capture(flow, exchange, report, DOWNLOAD, None) is None


def test_what_was_edited_later_counts() -> None:
    flow = cos_flow()
    exchange, report = _seen(_with(cos_flow(), ((b"Expect", b"100-continue"),), ()))
    _leave(flow, exchange, report)
    loaded = _reloaded(flow)
    assert _seen(loaded)[0].request.headers.get("expect") == "100-continue"
    loaded.request.headers["x-cos-meta-a"] = "edited"
    again, _ = _seen(loaded)
    assert again.request.headers.get("x-cos-meta-a") == "edited"
    assert "expect" not in again.request.headers


def test_marks_of_a_streamed_range() -> None:
    flow = cos_flow()
    exchange, report = _seen(flow)
    _leave(flow, exchange, report)
    assert flow.response is not None
    flow.response.raw_content = None
    read = FlowSnapshot(_reloaded(flow), ()).read()
    assert read is not None
    assert read.marks == [(7, 2**64 - 1)]


def test_no_secret_is_left() -> None:
    secret = "a-token-that-is-made-up-0123456789"
    came = _with(cos_flow(), ((b"x-cos-security-token", secret.encode()),), ())
    came.request.path = f"/a.txt?x-cos-security-token={secret}&b=c"
    exchange, report = _seen(came)
    flow = cos_flow()
    flow.request.path = "/b.txt"
    _leave(flow, exchange, report)
    assert "[masked:" in repr(flow.metadata)
    assert secret not in repr(flow.metadata)


def test_facts_of_an_answer_that_was_changed_behind_the_addon() -> None:
    flow = cos_flow()
    exchange, report = _seen(flow)
    assert report.verdict == "ok"
    _leave(flow, exchange, report)
    assert flow.response is not None
    for content in (b"changed", b"[OBJECT CONTENT]"):
        flow.response.raw_content = content
        assert _seen(_reloaded(flow))[1].verdict == "ok"
        read = FlowSnapshot(flow, (), as_it_is=True).read()
        assert read is not None
        found = first_look(read.exchange)
        assert found is not None
        assert found.report.verdict == "error"


def test_facts_of_a_request_that_was_sent_before_count_no_more() -> None:
    flow = cos_flow()
    exchange, report = _seen(flow)
    _leave(flow, exchange, report)
    flow.request.timestamp_start += 1
    assert annotations.saved(flow) == {}
    assert isinstance(exchange.request.headers, Headers)

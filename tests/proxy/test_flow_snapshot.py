"""Heads that are read when a flow is over, and flows that are read as plain data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy.flow import Error
from mitmproxy.test import tflow

from cos_inspect.model.exchange import Exchange
from cos_inspect.proxy.flow_snapshot import FlowSnapshot
from cos_inspect.recording.message_heads import announced_length, headers_of
from tests.proxy.inspected import HOST, cos_flow


def by_kept(flow: http.HTTPFlow, *, opened: bool = False) -> Exchange | None:
    snapshot = FlowSnapshot(flow, ())
    snapshot.seal()
    kept = snapshot.kept(opened_connection=opened)
    assert kept is not None
    read = kept.read(())
    return read[0] if read else None


def by_watch(flow: http.HTTPFlow, *, opened: bool = False) -> Exchange | None:
    watch = FlowSnapshot(flow, ()).watch()
    return watch.exchange(opened_connection=opened) if watch else None


def uploaded(content: bytes, *headers: tuple[bytes, bytes]) -> http.HTTPFlow:
    flow = cos_flow()
    flow.request.method = "PUT"
    flow.request.content = content
    flow.request.headers = http.Headers((*flow.request.headers.fields, *headers))
    return flow


CHUNKED = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"


@pytest.mark.parametrize("opened", [False, True])
@pytest.mark.parametrize(
    "flow",
    [
        cos_flow(),
        cos_flow(content=b"", status=404),
        cos_flow(status=204, content=b""),
        cos_flow(host=b"www.example.com"),
        uploaded(b"[Object Content]", (b"Content-MD5", b"7o3pGNBWQBRbGPcPTDqmAg==")),
        uploaded(b"", (b"Expect", b"100-continue")),
        uploaded(
            CHUNKED,
            (b"Content-Encoding", b"aws-chunked"),
            (b"x-amz-content-sha256", b"STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
            (b"x-amz-decoded-content-length", b"5"),
        ),
    ],
    ids=["get", "missing", "no-body", "custom", "put", "expect", "aws-chunked"],
)
def test_both_ways_of_reading_a_flow_agree(flow: http.HTTPFlow, opened: bool) -> None:
    for live in (False, True):
        flow.live = live
        found = by_kept(flow, opened=opened)
        assert found == by_watch(flow, opened=opened)
        assert found is not None


_NAMES = st.sampled_from([b"Host", b"host", b"ETag", b"Content-Length", b"x-cos-meta-a", b"\xff"])


@given(
    fields=st.lists(st.tuples(_NAMES, st.binary(max_size=12)), max_size=8),
    path=st.binary(max_size=20),
    method=st.sampled_from([b"GET", b"put", b"POST", b"\xfe"]),
    version=st.sampled_from([b"HTTP/1.1", b"HTTP/2.0"]),
    authority=st.sampled_from([b"", HOST, b"h:1", b"\xff"]),
    content=st.binary(max_size=9),
)
def test_both_ways_agree_on_odd_bytes(
    fields: list[tuple[bytes, bytes]],
    path: bytes,
    method: bytes,
    version: bytes,
    authority: bytes,
    content: bytes,
) -> None:
    flow = cos_flow(content=content)
    data = flow.request.data
    data.headers = http.Headers(tuple(fields))
    data.path, data.method, data.http_version, data.authority = path, method, version, authority
    assert flow.response is not None
    flow.response.headers = http.Headers((*flow.response.headers.fields, *fields))
    assert by_kept(flow) == by_watch(flow)


def test_what_is_no_cos_traffic_is_told_so() -> None:
    flow = tflow.tflow(resp=True)
    assert by_kept(flow) is None
    assert FlowSnapshot(flow, ()).watch() is None


def test_what_came_stays_whatever_is_done_to_the_flow() -> None:
    flow = cos_flow()
    snapshot = FlowSnapshot(flow, ())
    snapshot.seal()
    before = by_watch(cos_flow())
    flow.request.path, flow.request.headers["host"] = "/other", "www.example.com"
    assert flow.response is not None
    flow.response.headers["etag"] = '"other"'
    kept = snapshot.kept(opened_connection=False)
    flow.response.content = b"other"
    assert kept is not None
    read = kept.read(())
    assert read is not None
    assert before is not None
    assert read[0].request == before.request
    assert read[0].response == before.response


def test_an_answer_may_make_a_custom_domain_known() -> None:
    flow = cos_flow(host=b"files.example.com")
    del flow.request.headers["authorization"]
    answer, flow.response = flow.response, None
    snapshot = FlowSnapshot(flow, ())
    assert snapshot.watch() is None
    flow.response = answer
    snapshot.note_answer()
    watch = snapshot.watch()
    assert watch is not None
    assert watch.response_headers is not None


@pytest.mark.parametrize(
    ("change", "whole"),
    [
        ({}, False),
        ({"content-length": "10"}, True),
        ({"content-length": "11"}, False),
        ({"content-length": "many"}, False),
        ({"content-length": "-1"}, False),
        ({"status": 204}, True),
        ({"status": 304}, True),
        ({"status": 206, "content-length": "3"}, False),
        ({"method": "HEAD"}, True),
        ({"stream": True, "content-length": "3"}, False),
    ],
)
def test_when_nothing_is_to_be_done_while_the_body_comes(
    change: dict[str, object], whole: bool
) -> None:
    flow = cos_flow()
    assert flow.response is not None
    flow.response.headers.pop("content-length", None)
    flow.request.method = str(change.get("method", "GET"))
    flow.response.status_code = int(str(change.get("status", 200)))
    flow.response.stream = bool(change.get("stream"))
    if "content-length" in change:
        flow.response.headers["content-length"] = str(change["content-length"])
    assert FlowSnapshot(flow, ()).is_kept_whole(10) is whole
    if "stream" not in change and change.get("status") != 206:
        assert FlowSnapshot(flow, ()).is_kept_whole(None)


def test_flows_without_both_bodies_are_not_kept() -> None:
    cut, unanswered, streamed, looked_into = (cos_flow() for _ in range(4))
    cut.error = Error("connection lost")
    unanswered.response = None
    streamed.request.raw_content = None
    for flow in (cut, unanswered, streamed, looked_into):
        snapshot = FlowSnapshot(flow, ())
        snapshot.seal()
        if flow is looked_into:
            assert snapshot.watch() is not None
        assert snapshot.kept(opened_connection=False) is None


def test_bytes_that_are_kept_are_counted() -> None:
    flow = cos_flow(content=b"12345")
    flow.request.content = b"123"
    snapshot = FlowSnapshot(flow, ())
    assert snapshot.kept_bytes == 0
    snapshot.seal()
    assert snapshot.kept_bytes == 8


def test_lengths() -> None:
    assert announced_length(((b"content-length", b"7"), (b"Content-Length", b"8"))) == 7
    assert announced_length(((b"a", b"7"),)) is None
    assert announced_length(((b"Content-Length", b"9" * 30),)) is None
    assert headers_of(((b"A", b"1"), (b"a", b"2"))).all("a") == ("1", "2")

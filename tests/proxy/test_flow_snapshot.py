"""Heads that are read when a flow is over, and flows that are read as plain data."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy.io import FlowWriter
from mitmproxy.test import tflow

from cos_inspect.captures.captured_flow import InputRemarks
from cos_inspect.captures.mitm import FlowFile
from cos_inspect.captures.source import Stream
from cos_inspect.model.exchange import Exchange
from cos_inspect.proxy.flow_snapshot import FlowSnapshot
from cos_inspect.recording.message_heads import announced_length, headers_of
from tests.proxy.inspected import HOST, cos_flow


def by_hooks(flow: http.HTTPFlow, *, opened: bool = False) -> Exchange | None:
    snapshot = FlowSnapshot(flow, ())
    snapshot.seal()
    found = snapshot.read(opened_connection=opened)
    return found.exchange if found else None


def by_file(flow: http.HTTPFlow, path: Path) -> Exchange | None:
    """As mitmproxy saves it, and the reader of its files has it."""
    with path.open("wb") as file:
        FlowWriter(file).add(flow)
    stream = Stream(str(path))
    (found,) = FlowFile(stream, ()).saved(InputRemarks(str(path)))
    stream.close()
    return found.exchange


def uploaded(content: bytes, *headers: tuple[bytes, bytes]) -> http.HTTPFlow:
    flow = cos_flow()
    flow.request.method = "PUT"
    flow.request.content = content
    flow.request.headers = http.Headers((*flow.request.headers.fields, *headers))
    return flow


_LENGTHS = st.sampled_from([b"0", b"16", b"17", b"9" * 20, b"9" * 21, b"-1", b"1,6", b"", b"\xb2"])


@given(
    st.lists(st.tuples(st.sampled_from([b"Content-Length", b"CONTENT-LENGTH"]), _LENGTHS)),
    st.booleans(),
    st.sampled_from([None, 0, 16, 1 << 70]),
    st.booleans(),
)
def test_what_is_kept_whole_is_not_large(
    lengths: list[tuple[bytes, bytes]], chunked: bool, limit: int | None, streamed: bool
) -> None:
    flow = uploaded(b"[Object Content]")
    other = [(b"Transfer-Encoding", b"chunked")] if chunked else []
    flow.request.headers = http.Headers([(b"Host", HOST), *lengths, *other])
    flow.request.stream = streamed
    snapshot = FlowSnapshot(flow, ())
    heads = snapshot.heads()
    assert heads is not None
    if snapshot.is_request_kept_whole(limit):
        assert not snapshot.is_large_request(heads, limit)
        assert not streamed
    elif not streamed:
        assert snapshot.is_large_request(heads, limit)


CHUNKED = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"


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
def test_a_flow_and_its_file_give_one_exchange(flow: http.HTTPFlow, tmp_path: Path) -> None:
    found = by_hooks(flow, opened=True)
    assert found is not None
    assert found == by_file(flow, tmp_path / "saved.mitm")


@pytest.mark.parametrize("live", [False, True])
def test_expect_is_dropped_by_a_proxy_and_stands_in_a_file(live: bool) -> None:
    flow = uploaded(b"", (b"Expect", b"100-continue"))
    flow.live = live
    found = by_hooks(flow)
    assert found is not None
    assert found.request.dropped_headers == ((("Expect", "100-continue"),) if live else ())


_NAMES = st.sampled_from([b"Host", b"host", b"ETag", b"Content-Length", b"x-cos-meta-a", b"\xff"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fields=st.lists(st.tuples(_NAMES, st.binary(max_size=12)), max_size=8),
    path=st.binary(max_size=20),
    method=st.sampled_from([b"GET", b"put", b"POST", b"\xfe"]),
    version=st.sampled_from([b"HTTP/1.1", b"HTTP/2.0"]),
    authority=st.sampled_from([b"", HOST, b"h:1", b"\xff"]),
    content=st.binary(max_size=9),
)
def test_a_flow_and_its_file_agree_on_odd_bytes(
    tmp_path: Path,
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
    assert by_hooks(flow, opened=True) == by_file(flow, tmp_path / "saved.mitm")


def test_what_is_no_cos_traffic_is_told_so() -> None:
    flow = tflow.tflow(resp=True)
    assert by_hooks(flow) is None
    assert FlowSnapshot(flow, ()).heads() is None


def test_what_came_stays_whatever_is_done_to_the_flow() -> None:
    flow = cos_flow()
    snapshot = FlowSnapshot(flow, ())
    snapshot.seal()
    before = by_hooks(cos_flow())
    assert snapshot.holds_all
    flow.request.path, flow.request.headers["host"] = "/other", "www.example.com"
    assert flow.response is not None
    flow.response.headers["etag"] = '"other"'
    flow.response.content = b"other"
    found = snapshot.read()
    assert found is not None
    assert before is not None
    assert found.exchange.request == before.request
    assert found.exchange.response == before.response
    assert not snapshot.holds_all


def test_an_answer_may_make_a_custom_domain_known() -> None:
    flow = cos_flow(host=b"files.example.com")
    del flow.request.headers["authorization"]
    answer, flow.response = flow.response, None
    snapshot = FlowSnapshot(flow, ())
    assert snapshot.heads() is None
    flow.response = answer
    snapshot.note_answer()
    heads = snapshot.heads()
    assert heads is not None
    assert heads.answer is not None


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


def test_what_a_flow_does_not_hold() -> None:
    unanswered, streamed, ranged, rewritten = (cos_flow() for _ in range(4))
    unanswered.response = None
    streamed.request.raw_content = None
    for flow in (unanswered, streamed, ranged, rewritten):
        snapshot = FlowSnapshot(flow, (), host_rewritten=flow is rewritten)
        if flow is ranged:
            snapshot.marks_wanted = [3]
        snapshot.seal()
        assert not snapshot.holds_all


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

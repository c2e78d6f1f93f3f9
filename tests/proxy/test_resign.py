"""When a flow is signed anew, and what is said where it is not."""

import pytest
from mitmproxy import http

from cos_inspect.proxy import annotations
from cos_inspect.proxy.resign import ResignError, resign
from cos_inspect.recording.flow_metadata import METADATA_KEY
from cos_inspect.recording.resigned import RESIGNED_KEY
from tests.proxy.inspected import cos_flow

NOW = 1_795_000_000
OTHER = {"AKIDother": "key", "AKIDthird": "key"}


def _refused(flow: http.HTTPFlow, keys: dict[str, str]) -> str:
    before = (flow.request.data.headers.fields, flow.request.path, dict(flow.metadata))
    with pytest.raises(ResignError) as found:
        resign(flow, keys, (), NOW)
    now = (flow.request.data.headers.fields, flow.request.path, dict(flow.metadata))
    assert now == before
    return str(found.value)


def test_each_refusal_is_one_line_that_says_why() -> None:
    assert "cos_credentials" in _refused(cos_flow(), {})
    assert "2 keys" in _refused(cos_flow(), OTHER)
    other = cos_flow(host=b"www.example.org")
    assert other.response is not None
    other.response.headers.clear()
    other.request.headers.pop("authorization")
    assert "no COS" in _refused(other, {"a": "b"})
    under_way = cos_flow()
    under_way.response = None
    assert "under way" in _refused(under_way, {"a": "b"})
    streamed = cos_flow()
    streamed.request.raw_content = None
    assert "cos_stream" in _refused(streamed, {"a": "b"})
    emptied = cos_flow()
    emptied.metadata[METADATA_KEY] = {
        "version": 1,
        "started": emptied.request.timestamp_start,
        "request_body": {"size": 7},
    }
    emptied.request.raw_content = b""
    assert annotations.saved(emptied)
    assert "cos_stream" in _refused(emptied, {"a": "b"})
    of_s3 = cos_flow()
    of_s3.request.headers["authorization"] = "AWS4-HMAC-SHA256 Credential=a/b"
    assert "another scheme" in _refused(of_s3, {"a": "b"})


def test_the_way_back_is_kept() -> None:
    flow = cos_flow()
    before = flow.request.headers["authorization"]
    said = resign(flow, {"AKIDother": "key"}, (), NOW)
    assert "AKIDother" in said
    assert flow.modified()
    assert flow.metadata[RESIGNED_KEY]["at"] == NOW
    assert "q-ak=AKIDother" in flow.request.headers["authorization"]
    flow.revert()
    assert flow.request.headers["authorization"] == before


def test_an_unsigned_request_is_signed_in_its_header() -> None:
    flow = cos_flow()
    del flow.request.headers["authorization"]
    resign(flow, {"AKIDother": "key"}, (), NOW)
    assert f"q-sign-time={NOW - 60};{NOW + 3600}" in flow.request.headers["authorization"]

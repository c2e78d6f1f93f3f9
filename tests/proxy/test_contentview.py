"""The content view: what it shows, when it is chosen, and that it never raises."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import contentviews, http
from mitmproxy.contentviews import Metadata
from mitmproxy.test import tflow

from cos_inspect.inspection.redaction import Redactor
from cos_inspect.proxy.contentview import CosContentview
from cos_inspect.proxy.flow_reporter import FlowReporter
from cos_inspect.proxy.recheck import Recheck
from tests.proxy.inspected import SENT, SIGNATURE, cos_flow, inspected

DAMAGED = b"[Object Content)"


def _shown(flow: http.HTTPFlow, view: str = "cos", side: str = "response") -> Any:
    return contentviews.prettify_message(getattr(flow, side), flow, view)


def test_it_tells_what_was_found_and_shows_the_body() -> None:
    flow = cos_flow(content=DAMAGED)
    with inspected(flow):
        text = _shown(flow).text
    lines = [line.strip() for line in text.splitlines()]
    assert lines[0] == "COS error: GetObject 200"
    assert "object:      examplebucket-1250000000/a.txt" in lines
    assert "error: crc64-mismatch:" in lines
    assert any(line.startswith("cause: ") for line in lines)
    assert any(line.startswith("fix: ") for line in lines)
    assert "MISMATCH  crc64 of the response:" in lines
    assert "expected 16749565679157681890" in lines
    assert "skipped   signature of the request: no-credentials" in lines
    assert text.endswith("[Object Content)")


def test_mitmproxy_chooses_it_only_where_something_was_found() -> None:
    good, bad = cos_flow(), cos_flow(content=DAMAGED)
    with inspected(good, bad):
        assert _shown(bad, "auto").view_name == "COS"
        assert _shown(good, "auto").view_name == "Raw"


def test_json_stays_json() -> None:
    flow = cos_flow(content=b'{"a":1}', status=206, content_type=b"application/json")
    with inspected(flow):
        assert _shown(flow, "auto").view_name == "JSON"
        text = _shown(flow).text
    assert "shown as JSON" in text
    assert json.loads(text[text.rindex("{") :]) == {"a": 1}


@pytest.mark.parametrize("redact", ["true", "false"])
def test_secrets_that_the_body_echoes_are_masked(redact: str) -> None:
    body = (
        "<Error><Code>SignatureDoesNotMatch</Code>"
        f"<SignatureProvided>{SIGNATURE}</SignatureProvided></Error>"
    ).encode()
    flow = cos_flow(content=body, status=403, content_type=b"application/xml")
    with inspected(flow, cos_redact=redact):
        text = _shown(flow).text
    assert "SignatureDoesNotMatch" in text
    assert (SIGNATURE in text) == (redact == "false")
    assert ("[masked:" in text) == (redact == "true")


def test_an_echo_is_masked_when_its_header_was_deleted_later() -> None:
    """By somebody at the flow, and the addon is another one by then."""
    token = "d3Zq81fKpQ0vXr7LtYbN5mWc"
    body = f"<Error><Code>AccessDenied</Code><Message>not {token}</Message></Error>".encode()
    flow = cos_flow(content=body, status=403, content_type=b"application/xml")
    flow.request.headers["x-cos-security-token"] = token
    with inspected(flow):
        flow.backup()
        del flow.request.headers["x-cos-security-token"]
        assert token not in _shown(flow).text
    with inspected():
        text = _shown(flow).text
    assert "AccessDenied" in text
    assert token not in text


def test_a_flow_that_nobody_remembers_is_judged_again() -> None:
    flow = cos_flow(content=DAMAGED)
    with inspected(flow):
        before = _shown(flow).text
    flow.metadata.clear()
    with inspected():
        assert _shown(flow).text == before


def test_a_saved_flow_whose_body_is_gone_is_judged_by_what_was_saved() -> None:
    flow = cos_flow(content=DAMAGED)
    with inspected(flow):
        pass
    state = flow.get_state()
    state["response"]["content"] = None
    loaded = http.HTTPFlow.from_state(state)
    assert isinstance(loaded, http.HTTPFlow)
    with inspected():
        assert "MISMATCH  crc64 of the response:" in _shown(loaded, side="request").text


def test_an_edited_flow_is_shown_as_it_is_now() -> None:
    flow = cos_flow()
    with inspected(flow):
        assert "MISMATCH" not in _shown(flow).text
        flow.backup()
        assert flow.response is not None
        flow.response.content = DAMAGED
        text = _shown(flow).text
    assert "MISMATCH" in text
    assert "was edited" in text


def test_a_reverted_replay_is_shown_as_what_the_flow_holds_again() -> None:
    flow = cos_flow()
    with inspected(flow) as addon:
        flow.backup()
        flow.is_replay = "request"
        flow.live = True
        flow.request.timestamp_start = SENT + 60
        answer, flow.response = flow.response, None
        addon.requestheaders(flow)
        addon.request(flow)
        assert answer is not None
        answer.content = DAMAGED
        answer.timestamp_start, answer.timestamp_end = SENT + 60, None
        flow.response = answer
        addon.responseheaders(flow)
        answer.timestamp_end = SENT + 60
        addon.response(flow)
        flow.live = False
        assert "MISMATCH" in _shown(flow).text
        flow.revert()
        assert _shown(flow).text.startswith("COS ok: GetObject 200\n")


def test_a_flow_under_way_says_so() -> None:
    flow = cos_flow()
    flow.live = True
    flow.response = None
    with inspected():
        assert _shown(flow, side="request").text.startswith("COS: still under way.")


@pytest.mark.parametrize("data", [b"", b"\0\xff" * 300_000, b"a" * 300_000, b"{" * 300_000])
def test_large_bodies_are_shortened(data: bytes) -> None:
    flow = cos_flow(content=data)
    with inspected(flow):
        text = _shown(flow).text
    assert "body of the response" in text
    assert ("the first" in text) == (len(data) > 65_536)
    assert len(text) < 100_000


def test_a_view_that_may_hang_is_not_asked() -> None:
    """WBXML's own took 87 s of the event loop for this body."""
    data = b"\x03\x01\x6a\x00" + b"\x45" * 1_000_000
    flow = cos_flow(content=data, status=403, content_type=b"application/vnd.wap.wbxml")
    with inspected(flow):
        text = _shown(flow).text
    assert "shown as Hex Dump" in text or "shown as Raw" in text


def test_no_more_of_a_body_is_read_than_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    learn_from = Redactor.learn_from

    def spy(self: Redactor, text: str) -> None:
        read.append(len(text))
        learn_from(self, text)

    monkeypatch.setattr(Redactor, "learn_from", spy)
    body = (b"token=%s " % SIGNATURE.encode()) + b"%25" * 400_000
    flow = cos_flow(content=body, status=403)
    with inspected(flow):
        read.clear()
        text = _shown(flow).text
    assert read
    assert max(read) <= 65_536
    assert SIGNATURE not in text


def test_other_flows_are_left_to_other_views() -> None:
    view = CosContentview(Recheck(FlowReporter()))
    for metadata in (Metadata(), Metadata(flow=tflow.ttcpflow()), Metadata(flow=cos_flow())):
        assert view.render_priority(b"", metadata) < 0
        assert "no COS traffic" in view.prettify(b"x", metadata) or metadata.flow is not None


@given(
    content=st.binary(max_size=300),
    status=st.sampled_from([200, 206, 304, 404, 503]),
    kind=st.sampled_from([b"application/xml", b"application/json", b"image/png", b"\xff"]),
    saved=st.dictionaries(
        st.sampled_from(["version", "verdict", "request_body", "response_body"]),
        st.none() | st.integers() | st.text(max_size=5) | st.dictionaries(st.text(), st.text()),
    ),
)
def test_it_never_raises(content: bytes, status: int, kind: bytes, saved: dict[str, Any]) -> None:
    flow = cos_flow(content=content, status=status, content_type=kind)
    flow.metadata["cos"] = saved
    view = CosContentview(Recheck(FlowReporter()))
    metadata = Metadata(flow=flow, http_message=flow.response)
    assert isinstance(view.render_priority(content, metadata), float)
    text = view.prettify(content, metadata)
    assert text.startswith("COS ")
    assert "failed:" not in text

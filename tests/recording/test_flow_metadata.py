"""What an earlier run left is read where it can be; anything may stand there."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.model.exchange import Body, BodyEnd, Change
from cos_inspect.proxy.flow_snapshot import FlowSnapshot
from cos_inspect.proxy.flows import request_head
from cos_inspect.recording.flow_metadata import (
    Received,
    fingerprint,
    read_flow_metadata,
    saved_data,
)
from tests.proxy.inspected import cos_flow

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
MEMBERS = st.sampled_from([field.name for field in msgspec.structs.fields(Received)])


@given(st.dictionaries(MEMBERS, JSON) | JSON)
def test_anything_may_stand_there(data: Any) -> None:
    flow = cos_flow()
    head = request_head(flow.request)
    given_data = {"received": data, "request_body": data, "proxy_stopped": data}
    left = read_flow_metadata(given_data, head, None)
    assert isinstance(left.received.request_head(head).fields, tuple)
    flow.metadata["cos"] = given_data | {"version": 1, "started": data}
    FlowSnapshot(flow, ()).read()
    if isinstance(data, dict):
        data["of_request"] = fingerprint(*head)
        FlowSnapshot(flow, ()).read()


def test_only_what_was_left_of_this_very_request_counts() -> None:
    data = {"version": 1, "started": 7.0, "verdict": "ok"}
    assert saved_data({"cos": data}, 7.0) == data
    assert saved_data({"cos": data}, 8.0) == {}
    assert saved_data({"cos": data | {"version": 2}}, 7.0) == {}
    assert saved_data({"cos": "x"}, 7.0) == saved_data({}, None) == {}


@pytest.mark.parametrize("edited", [False, True])
def test_heads_count_until_the_flow_is_edited(edited: bool) -> None:
    head = request_head(cos_flow().request)
    received = {
        "request": [("Expect", "100-continue"), ("host", None)],
        "line": {"method": "PUT"},
        "of_request": fingerprint(*head),
    }
    held = head._replace(path=b"/edited") if edited else head
    left = read_flow_metadata({"received": received}, held, None)
    names = [name for name, _ in left.received.request_head(held).fields]
    assert (names[0] == b"Expect") is not edited
    assert left.received.line == ({} if edited else {"method": "PUT"})


def test_samples_and_marks() -> None:
    left = Received(
        sample="<a/>", sample_is_whole=True, marks=[(3, "12"), (4, "1e9"), (5, "9" * 30)]
    )
    assert left.crc_marks() == [(3, 12)]
    body = left.with_sample(Body(end=BodyEnd.COMPLETE, size=4))
    assert body.text == b"<a/>"
    own = Body(size=1, sample=b"x")
    assert left.with_sample(own) is own


def test_what_was_sent_is_read_from_the_flow_where_it_was_masked() -> None:
    flow = cos_flow()
    flow.request.headers["X-Token"] = "abcdefgh"
    flow.request.path = "/a?token=abcdefgh"
    changes = (
        Change(part="header", name="x-token", client="[masked:0]", sent="[masked:1]", by="script"),
        Change(part="header", name="X-Token", client="[masked:0]", sent=None, by="script"),
        Change(part="url", client="/a", sent="/a?token=[masked:1]", by="script"),
        Change(part="url", client="/a", sent="http://h:81/a?token=[masked:1]", by="script"),
        Change(part="header", name="gone", client=None, sent="[masked:1]", by="script"),
    )
    data = {"received": {"changes": msgspec.to_builtins(changes)}}
    read = read_flow_metadata(data, request_head(flow.request), None).received.changes
    url = "/a?token=abcdefgh"
    assert [change.sent for change in read] == [
        "abcdefgh",
        None,
        url,
        f"http://h:81{url}",
        "[masked:1]",
    ]
    assert [change.client for change in read] == [change.client for change in changes]

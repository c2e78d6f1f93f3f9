"""What exchanges of one shape have in common."""

import msgspec
import pytest

from cos_inspect.cos.cos_exchange import recognise
from cos_inspect.inspection.shape_names import Shaped, shaped
from cos_inspect.model.exchange import Body, BodyEnd, Connection, Exchange
from tests.rules.exchanges import CONTENT, REQUEST_ID, TRACE_ID, exchange

replace = msgspec.structs.replace
ERROR = (
    "<Error><Code>NoSuchKey</Code><Message>none</Message><Resource>{}</Resource>"
    f"<RequestId>{REQUEST_ID}</RequestId><TraceId>{TRACE_ID}</TraceId></Error>"
)


def shape_of(one: Exchange) -> Shaped | None:
    one = replace(one, connection=Connection(client="127.0.0.1:50000"))
    request = one.request
    found = recognise(request.host, request.method, request.target, request.headers)
    return None if found is None else shaped(one, found, (), frozenset())


def refused(document: str) -> Exchange:
    return exchange(status=404, answer=document.encode(), answer_headers=(("A", "b"),))


def test_values_are_no_part_of_the_name() -> None:
    first = shape_of(exchange(target="/a", answer=CONTENT, answer_headers=(("ETag", "1"),)))
    second = shape_of(exchange(target="/b/c", answer=CONTENT, answer_headers=(("ETag", "2"),)))
    assert first is not None
    assert second is not None
    assert first.name == second.name
    assert (first.key, second.key) == ("a", "b/c")


@pytest.mark.parametrize(
    "other",
    [
        exchange(answer=CONTENT, headers=(("X", "2"),)),
        exchange(answer=CONTENT, headers=(("x", "1"),)),
        exchange(answer=CONTENT, headers=(("X", "1"),), scheme="http"),
        exchange("PUT", body=CONTENT, answer=CONTENT, headers=(("X", "1"),)),
        exchange(status=404, headers=(("X", "1"),)),
    ],
)
def test_all_else_is(other: Exchange) -> None:
    base = shape_of(exchange(answer=CONTENT, headers=(("X", "1"),)))
    found = shape_of(other)
    assert base is not None
    assert found is None or found.name != base.name


def test_the_values_of_an_error_document() -> None:
    first, second = shape_of(refused(ERROR.format("/a"))), shape_of(refused(ERROR.format("/b")))
    assert first is not None
    assert second is not None
    assert first.name == second.name
    assert first.error is not None
    assert first.error._asdict() == {
        "resource": "/a",
        "request_id": REQUEST_ID,
        "trace_id": TRACE_ID,
    }
    assert second.error is not None
    assert second.error.resource == "/b"


@pytest.mark.parametrize(
    "document",
    [
        ERROR.format("/a&amp;b"),
        ERROR.format("/a<!-- -->"),
        ERROR.format("/a</Resource><Resource>/b"),
        ERROR.format("/a").replace("<Code>", "<Region>ap-beijing</Region><Code>"),
        ERROR.format("/a").replace("none", "<![CDATA[none]]>"),
        ERROR.format("/a").replace("Resource", "b:Resource"),
        ERROR.format("/a") + "<!-- -->",
        "<Error/>",
        "Not Found",
    ],
)
def test_other_documents_have_no_shape(document: str) -> None:
    assert shape_of(refused(ERROR.format("/a"))) is not None
    assert shape_of(refused(document)) is None


@pytest.mark.parametrize(
    "other",
    [
        exchange(status=500),
        exchange(status=None, error="reset"),
        exchange(target="/a?acl"),
        exchange("DELETE", status=200),
        exchange(headers=(("X", "1"), ("X", "1"))),
        exchange(answer=CONTENT, answer_end=BodyEnd.CUT),
        exchange(headers=(("Authorization", "AWS a:b"),)),
    ],
)
def test_what_has_none(other: Exchange) -> None:
    assert shape_of(other) is None


def test_an_error_of_which_only_the_beginning_is_known_has_none() -> None:
    one = refused(ERROR.format("/a"))
    assert one.response is not None
    body = Body(size=4096, sample=one.response.body.sample)
    assert shape_of(replace(one, response=replace(one.response, body=body))) is None

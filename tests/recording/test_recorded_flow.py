"""The exchange that a recorded flow is: what is held of it, and why nothing is of the rest."""

import hashlib
from typing import Any

import pytest

from cos_inspect.model.exchange import Body, BodyEnd, Timing
from cos_inspect.recording.actors import Peers
from cos_inspect.recording.message_heads import AnswerHead, RequestHead
from cos_inspect.recording.recorded_flow import FlowRead, RecordedFlow, connection_times

HOST = b"examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com"
CONTENT = b"0123456789" * 10
ETAG = f'"{hashlib.md5(CONTENT).hexdigest()}"'.encode()
ENDED = Timing(request_start=1.0, request_end=2.0, response_start=3.0, response_end=4.0)
HAR = Peers(client="127.0.0.1:0", server=None, sni=None, tls=None, mode="regular")


def _head(method: bytes, *fields: tuple[bytes, bytes]) -> RequestHead:
    line = (method, b"https", b"", HOST.decode(), 443, b"/a.txt", b"HTTP/1.1")
    return RequestHead(((b"Host", HOST), *fields), *line)


def _read(head: RequestHead, etag: bytes = ETAG, **held: Any) -> FlowRead:
    answer = AnswerHead(((b"ETag", etag),), 200, b"OK", b"HTTP/1.1")
    given: dict[str, Any] = {"answer": answer, "sent": b"", "received": b"", "timing": ENDED} | held
    flow = RecordedFlow(flow_id="a", head=head, **given)
    heads = flow.heads(())
    assert heads is not None
    return flow.read(heads)


def _answer(found: FlowRead) -> Body:
    assert found.exchange.response is not None
    return found.exchange.response.body


def test_times_of_a_connection() -> None:
    assert connection_times(1.0, 1.5, 1.75) == (500.0, 250.0)
    assert connection_times(None, 1.5, "x") == (None, None)


def test_bodies_that_are_held_are_measured() -> None:
    put = _read(_head(b"PUT"), sent=CONTENT).exchange.request.body
    got = _answer(_read(_head(b"GET"), received=CONTENT))
    for body in (put, got):
        assert (body.size, body.end) == (100, BodyEnd.COMPLETE)
        assert f'"{body.md5}"'.encode() == ETAG


@pytest.mark.parametrize(
    ("held", "end"),
    [
        ({}, BodyEnd.NOT_CAPTURED),
        ({"live": True, "timing": Timing(request_start=1.0)}, BodyEnd.CUT),
        ({"live": True, "timing": Timing(request_start=1.0), "stopped": True}, BodyEnd.STOPPED),
    ],
)
def test_of_a_body_that_is_not_held_it_is_said_why(held: dict[str, Any], end: BodyEnd) -> None:
    given: dict[str, Any] = {"sent": None, "answer": None, "received": None} | held
    assert _read(_head(b"PUT"), **given).exchange.request.body == Body(end=end, size=None)


def test_where_there_can_be_no_body_it_is_empty() -> None:
    assert _read(_head(b"GET"), sent=None).exchange.request.body.size == 0
    assert _answer(_read(_head(b"HEAD"), received=None)).size == 0


def test_a_head_that_the_proxy_answers_itself_is_told_of_live_traffic_alone() -> None:
    asked = _head(b"PUT", (b"Expect", b"100-Continue"))
    assert _read(asked).exchange.request.dropped_headers == ()
    told = _read(asked, live=True, host_rewritten=True).exchange.request.dropped_headers
    assert told == (("Expect", "100-Continue"), ("Host", ""))


@pytest.mark.parametrize(
    ("etag", "content", "end"),
    [
        (ETAG, CONTENT, BodyEnd.COMPLETE),
        (b'"other"', CONTENT, BodyEnd.RE_ENCODED),
        (b'"other"', b"", BodyEnd.NOT_CAPTURED),
    ],
)
def test_of_a_har_that_mitmproxy_has_read_only_what_has_its_digest_is_whole(
    etag: bytes, content: bytes, end: BodyEnd
) -> None:
    body = _answer(_read(_head(b"GET"), etag, received=content, peers=HAR))
    assert body.end is end
    assert (body.md5 is None) == (end is not BodyEnd.COMPLETE)


@pytest.mark.parametrize(
    ("status", "told"),
    [(100, 100), (999, 999), (0, 999), (99, 999), (-200, 999), (1000, 999), (10**400, 999)],
)
def test_a_number_that_is_no_status_is_an_error(status: int, told: int) -> None:
    """mitmproxy takes any number, which would stand in the names of files."""
    answer = AnswerHead((), status, b"", b"HTTP/1.1")
    response = _read(_head(b"GET"), answer=answer, live=True).exchange.response
    assert response is not None
    assert response.status == told

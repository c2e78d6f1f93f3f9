"""A flow as a proxy holds or saves it, as plain data, and the exchange that it is."""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol

import msgspec

from cos_inspect.cos.cos_exchange import Recognised
from cos_inspect.cos.digest_plan import DigestPlan, plan_request
from cos_inspect.cos.payload import PayloadReader
from cos_inspect.model.exchange import (
    EMPTY_BODY,
    Body,
    BodyEnd,
    BrokeOff,
    Change,
    Connection,
    Exchange,
    Request,
    Response,
    Timing,
)
from cos_inspect.model.headers import Headers
from cos_inspect.model.moments import known_moment
from cos_inspect.model.target_bounds import error_within, reason_within, status_within
from cos_inspect.recording.actors import Peers, is_by_address
from cos_inspect.recording.break_off import received_of, refusal_of
from cos_inspect.recording.flow_heads import Heads, object_reader, plan_of_answer, read_heads
from cos_inspect.recording.flow_metadata import FlowMetadata
from cos_inspect.recording.hashing_threads import HASHING
from cos_inspect.recording.message_heads import (
    AnswerHead,
    RequestHead,
    word,
)
from cos_inspect.recording.resigned import RESIGNED_KEY, resigned_of
from cos_inspect.recording.stream_tap import BodyMeter, Tap, body_of_content, meter_content

Marks = list[tuple[int, int]]
"""Offsets in an answer's body, and its CRC-64 up to each."""

_NOT_CAPTURED = Body(end=BodyEnd.NOT_CAPTURED, size=None)
_CLIENT_OF_HAR = "127.0.0.1:0"
"""What mitmproxy puts in the client's place."""


class LargeBody(Protocol):
    """A body that lies where it can be read in pieces."""

    def chunks(self) -> Iterator[bytes]:
        """The body from its first byte, in pieces of any size."""


class FlowRead(NamedTuple):
    """A flow of COS traffic, read."""

    exchange: Exchange
    recognised: Recognised
    marks: Marks
    """Those that were asked for, as far as they are known."""


class RecordedFlow(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """All that is held of a flow, unread."""

    flow_id: str
    head: RequestHead
    answer: AnswerHead | None
    sent: bytes | LargeBody | None
    """The request's body; None where it is not held."""
    received: bytes | LargeBody | None
    """The answer's."""
    timing: Timing
    error: str | None = None
    """What ended the flow early, in the proxy's words."""
    client_address: str | None = None
    server_address: str | None = None
    upstream_proxy: str | None = None
    """Host and port of the proxy that this one sends everything through."""
    live: bool = False
    """It passed just now, and was not saved."""
    is_replay: bool = False
    """Its request was sent again under the same id."""
    stopped: bool = False
    """The proxy ended, or was loaded anew, before the flow did."""
    host_rewritten: bool = False
    """The proxy replaced the Host header."""
    answer_replaced: bool = False
    """Another addon has put another body in the place of the answer's."""
    changes: tuple[Change, ...] = ()
    """What the proxy made of the request before it went to the server."""
    answered_by: str | None = None
    """The option of the proxy, or the addon, that answered in the server's place."""
    broke_off: BrokeOff | None = None
    """Who ended the flow early."""
    peers: Peers | None = None
    metadata: Mapping[Any, Any] | None = None
    """All that is left on the flow beside what ``left`` holds, of whomever."""
    left: FlowMetadata | None = None
    """What an earlier run left on a saved flow. Heads that it names are in their place already
    in ``head`` and ``answer``."""

    def heads(self, patterns: Sequence[str]) -> Heads | None:
        """None when it is no COS traffic; ``patterns`` are those of further hosts."""
        fields = None if self.answer is None else self.answer.fields
        return read_heads(self.head, fields, patterns, self.left)

    def read(
        self,
        heads: Heads,
        *,
        request_body: Body | None = None,
        response_body: Body | None = None,
        marks_wanted: Sequence[int] = (),
    ) -> FlowRead:
        """The exchange. Bodies that somebody has met as they passed are given as facts;
        ``marks_wanted``: offsets in the answer's body at which its CRC-64 is wanted."""
        answer, marks = self.answer, Marks()
        request = msgspec.structs.replace(
            heads.request,
            body=request_body or self._request_body(heads),
            dropped_headers=self._dropped_headers(heads.request.headers),
            changes=self.changes if self.left is None else self.left.received.changes,
        )
        if self.metadata and RESIGNED_KEY in self.metadata:
            resigned = resigned_of(self.metadata, request)
            request = msgspec.structs.replace(request, resigned=resigned)
        response = self._refusal(request.http_version)
        if self._is_from_har:
            # What got no answer has the status 0 there.
            answer = answer if answer is not None and answer.status else None
        if response is None and answer is not None and heads.answer is not None:
            if response_body is None:
                response_body, marks = self._response_body(heads, answer, marks_wanted)
            answered_by = self._answered_by
            response = Response(
                status=status_within(answer.status),
                reason=reason_within(answer.reason.decode("iso-8859-1")),
                http_version=word(answer.http_version),
                headers=heads.answer,
                body=response_body,
                by="server" if answered_by is None else "proxy",
                option=answered_by,
            )
        exchange = Exchange(
            flow_id=self.flow_id,
            request=request,
            response=response,
            timing=self.timing,
            error=None if self._was_stopped or self.error is None else error_within(self.error),
            client_address=self.client_address,
            server_address=self.server_address,
            upstream_proxy=self.upstream_proxy,
            is_replay=self.is_replay,
            connection=self._connection(heads.request),
            broke_off=None if self._was_stopped else self._broke_off,
            echoes=() if self.left is None else self.left.received.echoes,
        )
        return FlowRead(exchange, heads.recognised, marks)

    @property
    def _answered_by(self) -> str | None:
        left = None if self.left is None else self.left.received.answered_by
        return left or self.answered_by

    @property
    def _broke_off(self) -> BrokeOff | None:
        left = None if self.left is None else self.left.received.broke_off
        return left or self.broke_off

    def _refusal(self, http_version: str) -> Response | None:
        """The page that mitmproxy sent in place of a message that it did not pass on; it stands
        on no flow."""
        found = None if self._was_stopped else refusal_of(self.error)
        if found is None:
            return None
        option, status = found
        return Response(
            status=status,
            reason=HTTPStatus(status).phrase,
            http_version=http_version,
            headers=Headers(),
            body=_NOT_CAPTURED,
            by="proxy",
            option=option,
        )

    def _connection(self, request: Request) -> Connection | None:
        peers = self.peers
        if peers is None:
            return None
        by_address = is_by_address(peers, self.head, request)
        if self.left is not None:
            by_address |= self.left.received.by_address
        return Connection(
            client=peers.client,
            server=peers.server,
            sni=peers.sni,
            tls=peers.tls,
            by_address=by_address,
        )

    @property
    def _is_from_har(self) -> bool:
        """mitmproxy itself has read it from a HAR (12.2, ``io/har.py``): bodies that the HAR
        leaves out are empty then, what was text or had a content coding may have other bytes,
        and Content-Length is counted anew."""
        client = None if self.peers is None else self.peers.client
        return not self.live and client == _CLIENT_OF_HAR

    @property
    def _was_stopped(self) -> bool:
        return self.stopped or (self.left is not None and self.left.stopped)

    def _dropped_headers(self, headers: Headers) -> tuple[tuple[str, str], ...]:
        """What the client sent and the proxy did not pass on as it came."""
        if self.left is not None and self.left.received.dropped is not None:
            return tuple(self.left.received.dropped)
        dropped: tuple[tuple[str, str], ...] = ()
        expect = headers.get("expect")
        if expect is not None and expect.lower() == "100-continue" and self.live:
            # mitmproxy answers this one itself.
            dropped = (("Expect", expect),)
        if self.host_rewritten:
            # What the client sent is gone before the first hook.
            dropped = (*dropped, ("Host", ""))
        return dropped

    def _request_body(self, heads: Heads) -> Body:
        request, sent, operation = heads.request, self.sent, heads.recognised.operation
        if sent is not None:
            payload = object_reader(operation, request.headers) if sent else None
            plan = plan_request(operation, request.headers, framed=payload is not None)
            body = self._met(sent, plan, payload)[0]
            if not self._is_from_har:
                return body
            return _of_har(body, heads.answer, may_have=_may_have_body(request))
        if self.left is not None and self.left.request_body is not None:
            return self.left.request_body
        if not _may_have_body(request):
            return EMPTY_BODY
        # There is none when the body had not ended, or was streamed by somebody else: then the
        # answer may have come before its end.
        under_way = self.live and self.timing.request_end is None
        is_cut = under_way and (self.answer is None or self.error is not None)
        return self._broken() if is_cut else _NOT_CAPTURED

    def _response_body(
        self, heads: Heads, answer: AnswerHead, marks_wanted: Sequence[int]
    ) -> tuple[Body, Marks]:
        if self.answer_replaced:
            return _NOT_CAPTURED, []
        left = self.left
        stored = None if left is None else left.response_body
        plan = plan_of_answer(heads, answer.status)
        if self._is_from_har and isinstance(self.received, bytes):
            body = body_of_content(self.received, plan)
            may_have = heads.request.method != "HEAD" and answer.status not in (204, 304)
            return _of_har(body, heads.answer, may_have=may_have), []
        if isinstance(self.received, bytes):
            # What had come of a body that was streamed, when the flow failed.
            complete = self.error is None or self.timing.response_end is not None
            body, marks = _body_of(self.received, plan, marks_wanted, complete=complete)
            if stored is not None and left is not None and not left.as_it_is:
                body = _as_it_came(stored, body)
            return body, marks
        if self.received is not None:
            return self._met(self.received, plan, None, marks_wanted)
        if stored is not None and left is not None:
            return left.received.with_sample(stored), left.received.crc_marks()
        if self.error is not None:
            return self._broken(), []
        if heads.request.method == "HEAD" or answer.status in (204, 304):
            return EMPTY_BODY, []
        # mitmproxy saves flows that are under way when it ends.
        ended = self.timing.response_end is not None
        return (_NOT_CAPTURED if ended else Body(end=BodyEnd.STOPPED, size=None)), []

    def _broken(self) -> Body:
        """Of a body that did not end, and of which nothing is held."""
        if self._was_stopped:
            return Body(end=BodyEnd.STOPPED, size=None)
        return Body(end=BodyEnd.CUT, size=received_of(self.error))

    def _met(
        self,
        content: bytes | LargeBody,
        plan: DigestPlan,
        payload: PayloadReader | None,
        marks_wanted: Sequence[int] = (),
    ) -> tuple[Body, Marks]:
        """The facts of a body that is held whole."""
        if isinstance(content, bytes):
            if payload is None:
                return _body_of(content, plan, marks_wanted, complete=True)
            meter = meter_content(content, plan, payload, marks_wanted)
            return meter.body(complete=True), meter.marks
        tap = Tap(self.flow_id, BodyMeter(plan, payload, marks_wanted), None, HASHING)
        for chunk in content.chunks():
            tap(chunk)
        tap(b"")
        return tap.body(), tap.marks


def _body_of(
    content: bytes, plan: DigestPlan, marks_wanted: Sequence[int], *, complete: bool
) -> tuple[Body, Marks]:
    if not marks_wanted:
        return body_of_content(content, plan, complete=complete), []
    meter = meter_content(content, plan, None, marks_wanted)
    return meter.body(complete=complete), meter.marks


def _of_har(body: Body, answer: Headers | None, *, may_have: bool) -> Body:
    """A body as mitmproxy's reader of HAR files gives it. Where the answer names its digest it
    has the bytes of the wire; else nothing can be said of them."""
    named = Headers() if answer is None else answer
    etag = (named.get("etag") or "").strip('"').lower()
    crc64 = named.get("x-cos-hash-crc64ecma")
    if etag == body.md5 or (body.crc64 is not None and crc64 == str(body.crc64)):
        return body
    if not body.size:
        return _NOT_CAPTURED if may_have else EMPTY_BODY
    return Body(
        end=BodyEnd.RE_ENCODED,
        size=body.size,
        sample=body.sample,
        sample_is_whole=body.sample_is_whole,
    )


def connection_times(
    start: object, connected: object, secured: object
) -> tuple[float | None, float | None]:
    """Milliseconds of the TCP connect and of the TLS handshake, of moments in seconds; what a
    saved flow says of them may be anything."""
    return _milliseconds(start, connected), _milliseconds(connected, secured)


def _milliseconds(start: object, end: object) -> float | None:
    begin, stop = known_moment(start), known_moment(end)
    return None if begin is None or stop is None else round((stop - begin) * 1000, 3)


def _as_it_came(stored: Body, held: Body) -> Body:
    """A saved body's facts, unless it was changed behind the addon that met it."""
    if stored.end is BodyEnd.NOT_CAPTURED:
        return stored
    if stored.end is held.end:
        known = ((stored.size, held.size), (stored.md5, held.md5), (stored.crc64, held.crc64))
        if all(one is None or other is None or one == other for one, other in known):
            return held
    return msgspec.structs.replace(stored, sample=held.sample, sample_is_whole=held.sample_is_whole)


def _may_have_body(request: Request) -> bool:
    headers = request.headers
    return (
        request.method in ("PUT", "POST")
        or "transfer-encoding" in headers
        or headers.get("content-length") not in (None, "0")
    )

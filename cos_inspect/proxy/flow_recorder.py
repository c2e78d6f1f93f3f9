"""What is held of one flow from its first header to its last byte."""

import msgspec
from mitmproxy import http

from cos_inspect.cos.cos_exchange import Recognised
from cos_inspect.cos.digest_plan import (
    DigestPlan,
    is_control_answer,
    is_control_request,
    plan_request,
    plan_response,
)
from cos_inspect.model.exchange import EMPTY_BODY, Body, BodyEnd, Exchange, Headers
from cos_inspect.proxy.annotations import saved_as_stopped, saved_body
from cos_inspect.proxy.flows import exchange_of
from cos_inspect.proxy.received import NOTHING, marks_of, with_sample
from cos_inspect.recording.buffered_flow import dropped_headers, object_reader, request_body
from cos_inspect.recording.hashing_threads import HASHING
from cos_inspect.recording.message_heads import LONGEST_NUMBER, RequestLine
from cos_inspect.recording.stream_tap import BodyMeter, Tap, meter_content


class FlowRecorder:
    """A COS flow under way: its headers as they came, and the taps on its bodies."""

    __slots__ = (
        "_request_tap",
        "_response_tap",
        "answer_replaced",
        "as_it_is",
        "contents",
        "dropped_headers",
        "flow",
        "line",
        "marks",
        "marks_wanted",
        "operation",
        "received",
        "recognised",
        "request_headers",
        "response_headers",
        "stopped",
    )

    def __init__(
        self,
        flow: http.HTTPFlow,
        line: RequestLine,
        headers: Headers,
        recognised: Recognised,
        response_headers: Headers | None,
        *,
        host_rewritten: bool = False,
    ) -> None:
        self.flow = flow
        self.line = line
        self.request_headers = headers
        self.response_headers = response_headers
        self.recognised = recognised
        self.operation = recognised.operation
        self.dropped_headers = dropped_headers(
            headers, live=bool(flow.live), host_rewritten=host_rewritten
        )
        self.received = NOTHING
        """What an earlier run left on a saved flow."""
        self.as_it_is = False
        """Judge the bodies that a saved flow holds, whatever an earlier run has met."""
        self.answer_replaced = False
        """Another addon has put another body in the place of the answer's."""
        self.marks_wanted: list[int] = []
        """Offsets in the response's body at which its CRC-64 is to be noted."""
        self.marks: list[tuple[int, int]] = []
        """What was noted there; known with the response's body."""
        self._request_tap: Tap | None = None
        self._response_tap: Tap | None = None
        self.contents: tuple[bytes | None, bytes | None] | None = None
        """The bodies that are kept whole, of request and answer, once the flow is over; before,
        they are looked up."""
        self.stopped = saved_as_stopped(flow)
        """The proxy ended, or was loaded anew, before the flow did."""

    def is_large_request(self, limit: int | None) -> bool:
        """Whether the request's body has more than ``limit`` bytes or an unknown length, and
        can be streamed."""
        request = self.flow.request
        if not _streams(self.request_headers, limit):
            return False
        # mitmproxy passes such a body on without any framing; the server refuses it by
        # its head, and an answer while an HTTP/2 upload streams makes mitmproxy stumble.
        framed = not request.http_version.startswith(("HTTP/2", "HTTP/3"))
        return framed or "content-length" in self.request_headers

    def is_large_response(self, limit: int | None) -> bool:
        """The same of the answer's body."""
        return self.response_headers is not None and _streams(self.response_headers, limit)

    def tap_request(self, most_copied: int = 0) -> None:
        """Streams the request's body past a tap. Where it is no object's, the tap makes a copy
        of so many bytes, and of as many as are read of one."""
        request, headers = self.flow.request, self.request_headers
        payload = object_reader(self.operation, headers)
        plan = plan_request(self.operation, headers, framed=payload is not None)
        copied = is_control_request(self.operation, headers)
        most_copied = max(most_copied, plan.sample) if copied else 0
        self._request_tap = self._tap(request, BodyMeter(plan, payload), most_copied)
        request.stream = self._request_tap

    def tap_response(self, most_copied: int = 0) -> None:
        """The same for the answer's body."""
        response, headers = self.flow.response, self.response_headers
        if response is None or headers is None:
            return
        plan = self._response_plan()
        copied = is_control_answer(self.operation, response.status_code, headers)
        most_copied = max(most_copied, plan.sample) if copied else 0
        meter = BodyMeter(plan, None, self.marks_wanted)
        self._response_tap = self._tap(response, meter, most_copied)
        response.stream = self._response_tap

    def _tap(self, message: http.Message, meter: BodyMeter, most_copied: int) -> Tap:
        inner = message.stream if callable(message.stream) else None
        # What somebody else makes of the bytes is not what came.
        most_copied = 0 if inner is not None else most_copied
        return Tap(self.flow.id, meter, inner, HASHING, most_copied=most_copied)

    def put_copies_back(self) -> None:
        """Gives the flow the bodies that passed and were copied, as if they had been kept:
        the answer's as far as it came."""
        request, response = self.flow.request, self.flow.response
        tap = self._request_tap
        if tap is not None and tap.ended and request.raw_content is None:
            request.raw_content = tap.copied
        tap = self._response_tap
        if tap is not None and response is not None and response.raw_content is None:
            response.raw_content = tap.copied

    @property
    def upload_under_way(self) -> bool:
        """The answer came before the request's body had ended."""
        tap = self._request_tap
        return tap is not None and not tap.ended and self.flow.request.timestamp_end is None

    def exchange(self, *, opened_connection: bool = False) -> Exchange:
        """All that is known of the flow now, as plain data; to be asked once it is over.

        ``opened_connection``: the flow is the first on its connection to the server.
        """
        return exchange_of(
            self.flow,
            self.line,
            request_headers=self.request_headers,
            response_headers=self.response_headers,
            request_body=self.request_body(),
            response_body=self.response_body(),
            dropped_headers=self.dropped_headers,
            opened_connection=opened_connection,
            stopped=self.stopped,
        )

    def answered_exchange(self) -> Exchange:
        """The same when the answer is whole and the upload still under way."""
        unknown = Body(end=BodyEnd.NOT_CAPTURED, size=None)
        return self._early_exchange(unknown, self.response_body(), stopped=False)

    def stopped_exchange(self) -> Exchange:
        """The same when all is under way, and nothing more will be seen of it."""
        unknown = Body(end=BodyEnd.STOPPED, size=None)
        return self._early_exchange(unknown, unknown, stopped=True)

    def _early_exchange(
        self, request_body: Body, response_body: Body | None, *, stopped: bool
    ) -> Exchange:
        return exchange_of(
            self.flow,
            self.line,
            request_headers=self.request_headers,
            response_headers=self.response_headers,
            request_body=request_body,
            response_body=response_body,
            dropped_headers=self.dropped_headers,
            stopped=stopped,
        )

    def release(self) -> None:
        """Lets go of the bodies that are still to come; they pass as they would."""
        for tap in (self._request_tap, self._response_tap):
            if tap is not None:
                tap.release()

    def request_body(self) -> Body:
        flow = self.flow
        content = self.contents[0] if self.contents else flow.request.raw_content
        tap = self._request_tap
        if tap is not None and (tap.called or content is None):
            return self._facts(tap, flow.request)
        if content is not None:
            return request_body(content, self.operation, self.request_headers)
        stored = saved_body(flow, "request")
        if stored is not None:
            return stored
        if not _may_have_body(flow.request.method, self.request_headers):
            return EMPTY_BODY
        # Content is None when the body had not ended, or was streamed by somebody else.
        cut = flow.live and flow.request.timestamp_end is None
        return Body(end=self._cut if cut else BodyEnd.NOT_CAPTURED, size=None)

    def response_body(self) -> Body | None:
        flow = self.flow
        response = flow.response
        if response is None:
            return None
        content = self.contents[1] if self.contents else response.raw_content
        tap = self._response_tap
        # A tap that was not called although there is content: another addon has answered.
        if tap is not None and (tap.called or content is None):
            self.marks = tap.marks
            return self._facts(tap, response)
        if self.answer_replaced:
            return Body(end=BodyEnd.NOT_CAPTURED, size=None)
        stored = saved_body(flow, "response")
        if content is not None:
            meter = meter_content(content, self._response_plan(), None, self.marks_wanted)
            self.marks = meter.marks
            # What had come of a body that was streamed, when the flow failed.
            cut = flow.error is not None and response.timestamp_end is None
            body = meter.body(complete=not cut)
            if stored is None or self.as_it_is or flow.live:
                return body
            return _as_it_came(stored, body)
        if stored is not None:
            self.marks = marks_of(self.received)
            return with_sample(self.received, stored)
        if flow.error is not None:
            return Body(end=self._cut, size=None)
        if flow.request.method == "HEAD" or response.status_code in (204, 304):
            return EMPTY_BODY
        # mitmproxy saves flows that are under way when it ends.
        ended = response.timestamp_end is not None
        return Body(end=BodyEnd.NOT_CAPTURED if ended else BodyEnd.STOPPED, size=None)

    @property
    def _cut(self) -> BodyEnd:
        """What it means that a body did not end."""
        return BodyEnd.STOPPED if self.stopped else BodyEnd.CUT

    def _facts(self, tap: Tap, message: http.Message) -> Body:
        """What a tap has met, unless a later addon put a callable of its own in its place."""
        if not tap.called and message.stream is not tap:
            return Body(end=BodyEnd.NOT_CAPTURED, size=None)
        body = tap.body()
        if self.stopped and body.end is BodyEnd.CUT:
            body = msgspec.structs.replace(body, end=BodyEnd.STOPPED)
        return body

    def _response_plan(self) -> DigestPlan:
        response, headers = self.flow.response, self.response_headers
        if response is None or headers is None:
            return DigestPlan()
        return plan_response(
            self.operation, self.flow.request.method, response.status_code, headers
        )


def take_tap_off(message: http.Message) -> None:
    """A request that is replayed has the tap of the time before."""
    if isinstance(message.stream, Tap):
        message.stream = message.stream.inner or False


def _as_it_came(stored: Body, held: Body) -> Body:
    """A saved body's facts, unless it was changed behind the addon that met it."""
    if stored.end is BodyEnd.NOT_CAPTURED:
        return stored
    if stored.end is held.end:
        known = ((stored.size, held.size), (stored.md5, held.md5), (stored.crc64, held.crc64))
        if all(one is None or other is None or one == other for one, other in known):
            return held
    return msgspec.structs.replace(stored, sample=held.sample, sample_is_whole=held.sample_is_whole)


def _may_have_body(method: str, headers: Headers) -> bool:
    return (
        method in ("PUT", "POST")
        or "transfer-encoding" in headers
        or headers.get("content-length") not in (None, "0")
    )


def length_is_known(headers: Headers) -> bool:
    """Whether the message announces how long its body is."""
    return _length(headers) is not None


def _streams(headers: Headers, limit: int | None) -> bool:
    """Whether a body is longer than ``limit`` bytes, or of unknown length."""
    if limit is None:
        return False
    length = _length(headers)
    return length is None or length > limit


def _length(headers: Headers) -> int | None:
    length = headers.get("content-length")
    if length is None or "transfer-encoding" in headers or len(length) > LONGEST_NUMBER:
        return None
    return int(length) if length.isascii() and length.isdigit() else None

"""The taps on a flow's bodies, of which mitmproxy keeps nothing where it streams them."""

import msgspec
from mitmproxy import ctx, http

from cos_inspect.cos.digest_plan import (
    XML_SAMPLE,
    is_control_answer,
    is_control_request,
    plan_request,
)
from cos_inspect.model.exchange import Body, BodyEnd
from cos_inspect.recording.flow_heads import Heads, object_reader, plan_of_answer
from cos_inspect.recording.hashing_threads import HASHING
from cos_inspect.recording.recorded_flow import Marks
from cos_inspect.recording.stream_tap import BodyMeter, Tap


class FlowRecorder:
    """Taps the bodies of one flow of COS traffic that are streamed, and knows their facts."""

    __slots__ = ("_flow", "_request", "_request_tap", "_response", "_response_tap")

    def __init__(self, flow: http.HTTPFlow) -> None:
        self._flow = flow
        self._request_tap: Tap | None = None
        self._response_tap: Tap | None = None
        # The messages that they were put on.
        self._request: http.Request | None = None
        self._response: http.Response | None = None

    def tap_request(self, heads: Heads, most_copied: int = 0) -> None:
        """Streams the request's body past a tap. Where it is no object's, the tap makes a copy
        of so many bytes, and of as many as are read of one."""
        request, operation = self._flow.request, heads.recognised.operation
        headers = heads.request.headers
        payload = object_reader(operation, headers)
        plan = plan_request(operation, headers, framed=payload is not None)
        copied = is_control_request(operation, headers)
        most_copied = max(most_copied, plan.sample) if copied else 0
        self._request_tap = self._tap(request, BodyMeter(plan, payload), most_copied)
        request.stream = self._request_tap
        self._request = request

    def tap_response(
        self, heads: Heads, most_copied: int = 0, marks_wanted: list[int] | None = None
    ) -> None:
        """The same for the answer's body; ``marks_wanted``: offsets at which its CRC-64 is to
        be noted."""
        response = self._flow.response
        if response is None or heads.answer is None:
            return
        plan = plan_of_answer(heads, response.status_code)
        operation = heads.recognised.operation
        copied = is_control_answer(operation, response.status_code, heads.answer)
        # Of lists more is read than is kept for others to see.
        most_copied = max(most_copied, min(plan.sample, XML_SAMPLE)) if copied else 0
        meter = BodyMeter(plan, None, marks_wanted or ())
        self._response_tap = self._tap(response, meter, most_copied)
        response.stream = self._response_tap
        self._response = response

    def _tap(self, message: http.Message, meter: BodyMeter, most_copied: int) -> Tap:
        inner = message.stream if callable(message.stream) else None
        # What somebody else makes of the bytes is not what came.
        most_copied = 0 if inner is not None else most_copied
        return Tap(self._flow.id, meter, inner, HASHING, most_copied=most_copied)

    def put_copies_back(self) -> None:
        """Gives the flow the bodies that passed and were copied, as if they had been kept:
        the answer's as far as it came."""
        request, response = self._flow.request, self._flow.response
        tap = self._request_tap
        if tap is not None and tap.ended and request.raw_content is None:
            request.raw_content = tap.copied
        tap = self._response_tap
        if tap is None or response is None or _was_taken_off(tap, response):
            return
        if response.raw_content is None:
            response.raw_content = tap.copied

    @property
    def upload_under_way(self) -> bool:
        """The answer came before the request's body had ended."""
        tap = self._request_tap
        return tap is not None and not tap.ended and self._flow.request.timestamp_end is None

    def release(self) -> None:
        """Lets go of the bodies that are still to come; they pass as they would."""
        for tap in (self._request_tap, self._response_tap):
            if tap is not None:
                tap.release()

    def request_body(self, *, is_held: bool, stopped: bool) -> Body | None:
        """The facts of the request's body; None where no tap has met it.

        :param is_held: the flow holds the body; a tap that was not called says nothing then.
        :param stopped: the proxy ended before the flow did.
        """
        tap, request = self._request_tap, self._flow.request
        return _facts(tap, self._request, request, is_held=is_held, stopped=stopped)

    def response_body(self, *, is_held: bool, stopped: bool) -> tuple[Body | None, Marks]:
        """The same of the answer's body, and the CRC-64 at the offsets that were asked for. A
        tap that was not called although the flow holds a body: another addon has answered."""
        tap, response = self._response_tap, self._flow.response
        body = None
        if response is not None:
            body = _facts(tap, self._response, response, is_held=is_held, stopped=stopped)
        return body, [] if tap is None or body is None else tap.marks


def _facts(
    tap: Tap | None,
    tapped: http.Message | None,
    message: http.Message,
    *,
    is_held: bool,
    stopped: bool,
) -> Body | None:
    """What a tap has met, unless it was put out of its place before it had met all. ``tapped``:
    the message that it was put on."""
    if tap is None:
        return None
    if is_held and not tap.called:
        return None if message is tapped else _of_another()
    if _was_taken_off(tap, message):
        return Body(end=BodyEnd.NOT_CAPTURED, size=None)
    body = tap.body()
    if stopped and body.end is BodyEnd.CUT:
        body = msgspec.structs.replace(body, end=BodyEnd.STOPPED)
    return body


def _of_another() -> Body | None:
    """Of a body in a message that came into the place of the one that was tapped. What mitmproxy
    stores of a body that it streams may be its end alone."""
    if ctx.options.store_streamed_bodies:
        return Body(end=BodyEnd.NOT_CAPTURED, size=None)
    return None


def _was_taken_off(tap: Tap, message: http.Message) -> bool:
    """Whether bytes went past it: a later addon put a callable of its own in its place, or the
    flow was reverted in the midst, for which mitmproxy makes its messages anew."""
    if message.stream is tap or tap.ended:
        return False
    return not tap.called or message.timestamp_end is not None


def take_tap_off(message: http.Message) -> None:
    """A request that is replayed has the tap of the time before."""
    if isinstance(message.stream, Tap):
        message.stream = message.stream.inner or False

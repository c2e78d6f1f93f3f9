"""A flow's heads, taken before other addons can change them; most are read when the flow is
over, together with others."""

from collections.abc import Sequence
from typing import Any

from mitmproxy import http

from cos_inspect.model.exchange import EMPTY_BODY, Actor, Body, BodyEnd, BrokeOff, Change
from cos_inspect.model.headers import Headers
from cos_inspect.proxy.actors import answered_by, broke_off, was_killed
from cos_inspect.proxy.annotations import saved
from cos_inspect.proxy.changes import changes_of
from cos_inspect.proxy.flow_recorder import FlowRecorder
from cos_inspect.proxy.flows import address_of, peers_of, place_text, request_head, timing_of
from cos_inspect.recording.actors import is_address
from cos_inspect.recording.break_off import broke_off_by_words
from cos_inspect.recording.flow_heads import Heads, read_heads
from cos_inspect.recording.flow_metadata import FlowMetadata, read_flow_metadata
from cos_inspect.recording.message_heads import (
    LONGEST_NUMBER,
    AnswerHead,
    Fields,
    announced_length,
    framing_length,
    may_have_body,
)
from cos_inspect.recording.recorded_flow import FlowRead, Marks, RecordedFlow

_BODILESS = frozenset({204, 304})


class FlowSnapshot:
    """Holds what other addons may change of one flow, and reads it on demand.

    ``note_answer`` is to be called when the answer's headers have come, ``seal`` when the flow
    is over, and then ``read``.
    """

    __slots__ = (
        "_answer",
        "_answer_replaced",
        "_answered_by",
        "_broke_off",
        "_came",
        "_changes",
        "_contents",
        "_head",
        "_heads",
        "_heads_are_read",
        "_host_rewritten",
        "_left",
        "_live",
        "_patterns",
        "_stopped",
        "flow",
        "marks_wanted",
        "recorder",
    )

    def __init__(
        self,
        flow: http.HTTPFlow,
        patterns: Sequence[str],
        *,
        host_rewritten: bool = False,
        as_it_is: bool = False,
        is_late: bool = False,
    ) -> None:
        """``as_it_is``: take what a saved flow holds now, where that was changed since it
        was seen; ``is_late``: its begin was missed."""
        self.flow = flow
        self.recorder: FlowRecorder | None = None
        """Of a flow of which a body is streamed."""
        self.marks_wanted: list[int] = []
        """Offsets in the answer's body at which its CRC-64 is to be noted."""
        self._patterns = patterns
        self._host_rewritten = host_rewritten
        self._live = bool(flow.live) or was_killed(flow)
        self._head = request_head(flow.request)
        self._left = None if self._live else _left(flow, as_it_is=as_it_is)
        if self._left is not None:
            self._head = self._left.received.request_head(self._head)
        self._answer: Fields | None = None
        self._stopped = False
        self._contents: tuple[bytes | None, bytes | None] | None = None
        self._answer_replaced = False
        self._heads: Heads | None = None
        self._heads_are_read = False
        self._came: bytes | None = None
        """The request's body as it came, where it is kept whole."""
        self._changes: tuple[Change, ...] = ()
        self._answered_by: str | None = None
        self._broke_off: BrokeOff | None = None
        if not self._live and flow.error is not None:
            self._broke_off = broke_off_by_words(
                flow.error.msg,
                request_whole=flow.request.timestamp_end is not None,
                announced=announced_length(self._head.fields),
                answered=flow.response is not None,
                blocked=flow.metadata.get("blocklisted") is True,
            )
        if flow.response is not None:
            self.note_answer(is_late=is_late)

    def note_answer(self, *, is_late: bool = False) -> None:
        """Takes the answer's headers. ``is_late``: they had come before."""
        response = self.flow.response
        if response is not None:
            fields = response.headers.fields
            left = self._left
            self._answer = fields if left is None else left.received.answer_fields(fields)
            self._heads_are_read = False
            self._answered_by = answered_by(self.flow, is_late=is_late)

    def note_content(self) -> None:
        """To be called when the request is whole, before others change its body."""
        if self._live:
            self._came = self.flow.request.raw_content

    def note_changes(self) -> None:
        """To be called when the request was sent."""
        if self._live:
            self._changes = changes_of(
                self.flow, self._head, self._came, host_rewritten=self._host_rewritten
            )

    def note_end(self, by: Actor | None = None) -> None:
        """To be called in the hook in which the flow ended early. ``by``: where that is known."""
        if by is not None:
            self._broke_off = BrokeOff(by=by)
        elif self._live:
            announced = announced_length(self._head.fields)
            self._broke_off = broke_off(self.flow, announced=announced)

    def stop(self) -> None:
        """The proxy ends, or is loaded anew, before the flow does."""
        self._stopped = True

    def go_on(self) -> None:
        """The flow has gone on after it was stopped, and is over now: what is known of it is
        to be looked up anew."""
        self._stopped, self._contents = False, None

    def release(self) -> None:
        """To be called when nobody waits for the rest of a flow that was stopped."""
        if self._stopped and self.recorder is not None:
            self.recorder.release()

    def seal(self) -> None:
        """Keeps the bodies as they are now."""
        response = self.flow.response
        if self.recorder is not None:
            self.recorder.put_copies_back()
        self.note_changes()
        if self._left is None:
            self._note_replaced_bodies()
        self._contents = (self.flow.request.raw_content, response.raw_content if response else None)

    def _note_replaced_bodies(self) -> None:
        """Another addon, or a person at a breakpoint, gave the message another body; mitmproxy
        then corrects its length. COS got the request's new one. What came of an answer is
        gone."""
        request, response = self.flow.request, self.flow.response
        fields = request.headers.fields
        if fields is not self._head.fields and request.raw_content is not None:
            came, now = announced_length(self._head.fields), announced_length(fields)
            if came is not None and now is not None and came != now:
                self._head = self._head._replace(fields=_with_length(self._head.fields, now))
                self._heads, self._heads_are_read = None, False
        if response is None or self._answer is None or response.raw_content is None:
            return
        fields = response.headers.fields
        if fields is not self._answer:
            came, now = announced_length(self._answer), announced_length(fields)
            self._answer_replaced = came is not None and now is not None and came != now

    @property
    def kept_bytes(self) -> int:
        """Of the bodies that are kept whole; 0 before ``seal``."""
        return sum(len(content) for content in self._contents or () if content)

    @property
    def sends_body(self) -> bool:
        """Whether the request may have a body, or somebody wants it streamed."""
        return may_have_body(self._head) or bool(self.flow.request.stream)

    def is_request_kept_whole(self, limit: int | None) -> bool:
        """Whether nothing is to be done while the request's body comes: it has a known length of
        at most ``limit`` bytes, and nobody streams it."""
        if self.flow.request.stream:
            return False
        length = None if limit is None else framing_length(self._head.fields)
        return limit is None or (length is not None and length <= limit)

    def is_kept_whole(self, limit: int | None) -> bool:
        """Whether nothing is to be done while the answer's body comes: it has none, or a
        known length of at most ``limit`` bytes, and is no range of an object."""
        response = self.flow.response
        if response is None or self._answer is None or response.stream:
            return False
        status = response.status_code
        if status == 206:
            return False
        if limit is None or status in _BODILESS or self._head.method == b"HEAD":
            return True
        length = announced_length(self._answer)
        return length is not None and length <= limit

    def is_large_request(self, heads: Heads, limit: int | None) -> bool:
        """Whether the request's body has more than ``limit`` bytes or an unknown length, and
        can be streamed."""
        headers = heads.request.headers
        if not _is_large(headers, limit):
            return False
        # mitmproxy passes such a body on without any framing; the server refuses it by
        # its head, and an answer while an HTTP/2 upload streams makes mitmproxy stumble.
        framed = not self.flow.request.http_version.startswith(("HTTP/2", "HTTP/3"))
        return framed or "content-length" in headers

    def is_large_response(self, heads: Heads, limit: int | None) -> bool:
        """The same of the answer's body."""
        return heads.answer is not None and _is_large(heads.answer, limit)

    def tap_request(self, heads: Heads, most_copied: int) -> None:
        """Has the request's body streamed, and met as it passes."""
        self._record().tap_request(heads, most_copied)

    def tap_response(self, heads: Heads, most_copied: int) -> None:
        """The same for the answer's body."""
        self._record().tap_response(heads, most_copied, self.marks_wanted)

    def _record(self) -> FlowRecorder:
        if self.recorder is None:
            self.recorder = FlowRecorder(self.flow)
        return self.recorder

    @property
    def holds_all(self) -> bool:
        """Whether the flow holds all that came, as it came. To be asked after ``seal``."""
        response, contents = self.flow.response, self._contents
        return (
            self._left is None
            and self.recorder is None
            and not self._host_rewritten
            and not self._changes
            and self._answered_by is None
            and self._broke_off is None
            and not is_address(self._head.host)
            and not self._answer_replaced
            and not self.marks_wanted
            and contents is not None
            and None not in contents
            and response is not None
            and request_head(self.flow.request) == self._head
            and response.headers.fields == self._answer
        )

    def heads(self) -> Heads | None:
        """None when the flow is no COS traffic, as far as it has come. Of a custom domain
        the answer alone may tell."""
        if not self._heads_are_read:
            self._heads_are_read = True
            before = self._heads
            self._heads = read_heads(self._head, self._answer, self._patterns, self._left, before)
        return self._heads

    def read(self, *, opened_connection: bool = False) -> FlowRead | None:
        """All that is known of the flow now; to be asked once it is over. None when it is no
        COS traffic.

        :param opened_connection: the flow is the first on its connection to the server.
        """
        heads = self.heads()
        if heads is None:
            return None
        sent, received = self._contents or _contents(self.flow)
        request_body, response_body, marks = None, None, Marks()
        recorder, stopped = self.recorder, self._stopped
        if recorder is not None:
            request_body = recorder.request_body(is_held=sent is not None, stopped=stopped)
            response_body, marks = recorder.response_body(
                is_held=received is not None, stopped=stopped
            )
        flow = self._recorded(sent, received, opened_connection=opened_connection, stopped=stopped)
        found = flow.read(
            heads,
            request_body=request_body,
            response_body=response_body,
            marks_wanted=self.marks_wanted,
        )
        return found._replace(marks=marks) if response_body is not None else found

    def read_answered(self) -> FlowRead | None:
        """The same when the answer is whole and the upload still under way."""
        return self._read_early(Body(end=BodyEnd.NOT_CAPTURED, size=None))

    def read_stopped(self) -> FlowRead | None:
        """The same when all is under way, and nothing more will be seen of it."""
        unknown = Body(end=BodyEnd.STOPPED, size=None)
        return self._read_early(unknown, unknown, stopped=True)

    def read_before_bodies(self) -> FlowRead | None:
        """The same when the answer's headers have come; the bodies are given as empty ones."""
        return self._read_early(EMPTY_BODY, EMPTY_BODY)

    def _read_early(
        self, request_body: Body, response_body: Body | None = None, *, stopped: bool = False
    ) -> FlowRead | None:
        heads = self.heads()
        if heads is None:
            return None
        sent, received = _contents(self.flow)
        if response_body is None and self.recorder is not None:
            is_held = received is not None
            response_body, _ = self.recorder.response_body(is_held=is_held, stopped=False)
        flow = self._recorded(sent, received, opened_connection=False, stopped=stopped)
        return flow.read(heads, request_body=request_body, response_body=response_body)

    def _recorded(
        self,
        sent: bytes | None,
        received: bytes | None,
        *,
        opened_connection: bool,
        stopped: bool,
    ) -> RecordedFlow:
        flow = self.flow
        answer, response, server = None, flow.response, flow.server_conn
        if response is not None and self._answer is not None:
            data = response.data
            answer = AnswerHead(self._answer, data.status_code, data.reason, data.http_version)
        return RecordedFlow(
            flow_id=flow.id,
            head=self._head,
            answer=answer,
            sent=sent,
            received=received,
            timing=timing_of(flow, opened_connection=opened_connection),
            error=flow.error.msg if flow.error else None,
            client_address=address_of(flow.client_conn.peername),
            server_address=address_of(server.peername) if server else None,
            upstream_proxy=place_text(server.via[1]) if server and server.via else None,
            live=self._live,
            is_replay=flow.is_replay == "request",
            stopped=stopped,
            host_rewritten=self._host_rewritten,
            answer_replaced=self._answer_replaced,
            changes=self._changes,
            answered_by=self._answered_by,
            broke_off=self._broke_off,
            peers=peers_of(flow),
            metadata=flow.metadata,
            left=self._left,
        )


def _left(flow: http.HTTPFlow, *, as_it_is: bool) -> FlowMetadata | None:
    data: dict[str, Any] = saved(flow)
    if not data:
        return None
    answer = flow.response.headers.fields if flow.response else None
    return read_flow_metadata(data, request_head(flow.request), answer, as_it_is=as_it_is)


def _contents(flow: http.HTTPFlow) -> tuple[bytes | None, bytes | None]:
    return flow.request.raw_content, flow.response.raw_content if flow.response else None


def _with_length(fields: Fields, length: int) -> Fields:
    value = str(length).encode()
    return tuple(
        (name, value if name.lower() == b"content-length" else old) for name, old in fields
    )


def length_is_known(headers: Headers) -> bool:
    """Whether the message announces how long its body is."""
    return _length(headers) is not None


def _is_large(headers: Headers, limit: int | None) -> bool:
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

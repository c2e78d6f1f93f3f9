"""A flow's heads as they came, unread: most flows are read when they are over, together."""

from collections.abc import Sequence

import msgspec
from mitmproxy import http

from cos_inspect.cos.cos_exchange import recognise
from cos_inspect.proxy import annotations, received
from cos_inspect.proxy.flow_recorder import FlowRecorder
from cos_inspect.proxy.flows import buffered_flow, request_head
from cos_inspect.proxy.received import NOTHING
from cos_inspect.recording.buffered_flow import BufferedFlow
from cos_inspect.recording.message_heads import (
    Fields,
    RequestHead,
    announced_length,
    headers_of,
    may_have_body,
    request_line,
)

_BODILESS = frozenset({204, 304})


class FlowSnapshot:
    """Keeps what other addons may change, and has it read on demand."""

    __slots__ = (
        "_answer",
        "_answer_replaced",
        "_as_it_is",
        "_contents",
        "_head",
        "_host_rewritten",
        "_patterns",
        "_read",
        "_received",
        "_saved",
        "flow",
        "known",
        "stopped",
    )

    def __init__(
        self,
        flow: http.HTTPFlow,
        patterns: Sequence[str],
        *,
        host_rewritten: bool = False,
        as_it_is: bool = False,
    ) -> None:
        """``as_it_is``: take what a saved flow holds now, where that was changed since it
        was seen."""
        self.flow = flow
        self._as_it_is = as_it_is
        self.known: FlowRecorder | None = None
        """What ``watch`` has found."""
        self._patterns = patterns
        self._host_rewritten = host_rewritten
        self._saved = {} if flow.live else annotations.saved(flow)
        """What an earlier run left on the flow."""
        self._received = NOTHING
        head = request_head(flow.request)
        if self._saved:
            left = self._saved.get("received")
            self._received = received.of_saved(flow, left, as_it_is=as_it_is)
            fields = received.fields_as_they_came(self._received.request, head.fields)
            head = head._replace(fields=fields)
        self._head: RequestHead = head
        self._answer: Fields | None = None
        self.stopped = False
        self._contents: tuple[bytes | None, bytes | None] | None = None
        self._read = False
        self._answer_replaced = False
        if flow.response is not None:
            self.note_answer()

    def note_answer(self) -> None:
        """To be called when the answer's headers have come."""
        response = self.flow.response
        if response is not None:
            fields = response.headers.fields
            self._answer = received.fields_as_they_came(self._received.answer, fields)
            self._read = False

    def stop(self) -> None:
        """The proxy ends, or is loaded anew, before the flow does."""
        self.stopped = True

    def go_on(self) -> None:
        """The flow has gone on after it was stopped, and is over now: what is known of it is
        to be looked up anew."""
        self.stopped, self._contents = False, None
        if self.known is not None:
            self.known.stopped, self.known.contents = False, None

    def release(self) -> None:
        """To be called when nobody waits for the rest of a flow that was stopped."""
        if self.stopped and self.known is not None:
            self.known.release()

    def seal(self) -> None:
        """Keeps the bodies as they are now; to be called when the flow is over."""
        response = self.flow.response
        if self.known is not None:
            self.known.put_copies_back()
        if not self._saved:
            self._note_replaced_bodies()
        self._contents = (self.flow.request.raw_content, response.raw_content if response else None)
        if self.known is not None:
            self.known.contents = self._contents
            self.known.stopped |= self.stopped

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
                if self.known is not None:
                    self.known.request_headers = headers_of(self._head.fields)
        if response is None or self._answer is None or response.raw_content is None:
            return
        fields = response.headers.fields
        if fields is not self._answer:
            came, now = announced_length(self._answer), announced_length(fields)
            self._answer_replaced = came is not None and now is not None and came != now
            if self.known is not None:
                self.known.answer_replaced = self._answer_replaced

    @property
    def kept_bytes(self) -> int:
        """Of the bodies that are kept whole; 0 before ``seal``."""
        return sum(len(content) for content in self._contents or () if content)

    @property
    def sends_body(self) -> bool:
        """Whether the request may have a body, or somebody wants it streamed."""
        return may_have_body(self._head) or bool(self.flow.request.stream)

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

    def kept(self, *, opened_connection: bool) -> BufferedFlow | None:
        """The flow as plain data, unread; None unless it was answered, both bodies were kept
        whole, and nobody had to look into it before. To be asked after ``seal``."""
        contents = self._contents
        if (
            self._saved
            or self._answer_replaced
            or self.known is not None
            or self._answer is None
            or contents is None
            or contents[0] is None
            or contents[1] is None
            or self.flow.error is not None
        ):
            return None
        return buffered_flow(
            self.flow,
            self._head,
            self._answer,
            (contents[0], contents[1]),
            opened_connection=opened_connection,
            host_rewritten=self._host_rewritten,
        )

    def watch(self) -> FlowRecorder | None:
        """None when the flow is no COS traffic, as far as it has come. Of a custom domain
        the answer alone may tell."""
        if not self._read:
            self._read = True
            if self.known is None:
                self._recognise()
            elif self._answer is not None:
                self.known.response_headers = headers_of(self._answer)
        return self.known

    def _recognise(self) -> None:
        headers = headers_of(self._head.fields)
        line = request_line(self._head, headers)
        if self._received.line:
            line = msgspec.structs.replace(line, **self._received.line)
        answer = None if self._answer is None else headers_of(self._answer)
        found = recognise(line.host, line.method, line.target, headers, answer, self._patterns)
        if found is None:
            return
        self.known = FlowRecorder(
            self.flow, line, headers, found, answer, host_rewritten=self._host_rewritten
        )
        self.known.contents = self._contents
        self.known.received = self._received
        self.known.as_it_is = self._as_it_is
        self.known.answer_replaced = self._answer_replaced
        self.known.stopped |= self.stopped
        if self._received.dropped is not None:
            self.known.dropped_headers = tuple(self._received.dropped)


def _with_length(fields: Fields, length: int) -> Fields:
    value = str(length).encode()
    return tuple(
        (name, value if name.lower() == b"content-length" else old) for name, old in fields
    )

"""A flow's heads as they came, unread: most flows are read when they are over, together."""

from collections.abc import Sequence

from mitmproxy import http

from cos_inspect.cos.cos_exchange import recognise
from cos_inspect.proxy.flows import kept_of, request_head
from cos_inspect.proxy.heads import (
    Fields,
    RequestHead,
    announced_length,
    headers_of,
    may_have_body,
    request_line,
)
from cos_inspect.proxy.kept import Kept
from cos_inspect.proxy.watch import Watch

_BODILESS = frozenset({204, 304})


class Glance:
    """Keeps what other addons may change, and has it read on demand."""

    __slots__ = (
        "_answer",
        "_contents",
        "_head",
        "_host_rewritten",
        "_patterns",
        "_read",
        "flow",
        "known",
    )

    def __init__(
        self, flow: http.HTTPFlow, patterns: Sequence[str], *, host_rewritten: bool = False
    ) -> None:
        self.flow = flow
        self.known: Watch | None = None
        """What ``watch`` has found."""
        self._patterns = patterns
        self._host_rewritten = host_rewritten
        self._head: RequestHead = request_head(flow.request)
        self._answer: Fields | None = None
        self._contents: tuple[bytes | None, bytes | None] | None = None
        self._read = False
        if flow.response is not None:
            self.note_answer()

    def note_answer(self) -> None:
        """To be called when the answer's headers have come."""
        response = self.flow.response
        if response is not None:
            self._answer = response.headers.fields
            self._read = False

    def seal(self) -> None:
        """Keeps the bodies as they are now; to be called when the flow is over."""
        response = self.flow.response
        if self.known is not None:
            self.known.put_copies_back()
        self._contents = (self.flow.request.raw_content, response.raw_content if response else None)
        if self.known is not None:
            self.known.contents = self._contents

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

    def kept(self, *, opened_connection: bool) -> Kept | None:
        """The flow as plain data, unread; None unless it was answered, both bodies were kept
        whole, and nobody had to look into it before. To be asked after ``seal``."""
        contents = self._contents
        if (
            self.known is not None
            or self._answer is None
            or contents is None
            or contents[0] is None
            or contents[1] is None
            or self.flow.error is not None
        ):
            return None
        return kept_of(
            self.flow,
            self._head,
            self._answer,
            (contents[0], contents[1]),
            opened_connection=opened_connection,
            host_rewritten=self._host_rewritten,
        )

    def watch(self) -> Watch | None:
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
        answer = None if self._answer is None else headers_of(self._answer)
        found = recognise(line.host, line.method, line.target, headers, answer, self._patterns)
        if found is None:
            return
        self.known = Watch(
            self.flow, line, headers, found, answer, host_rewritten=self._host_rewritten
        )
        self.known.contents = self._contents

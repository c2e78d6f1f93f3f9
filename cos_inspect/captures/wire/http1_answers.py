"""What the server sends on an HTTP/1 connection: answers, and what comes where one was lost."""

from collections import deque
from collections.abc import Callable

from cos_inspect.captures.wire.context import WireContext
from cos_inspect.captures.wire.events import (
    SEQUENCE_HALF,
    SEQUENCE_MASK,
    End,
    Hole,
    Segment,
    StreamEnd,
    StreamEvent,
    StreamReader,
    cost_of,
    tell,
)
from cos_inspect.captures.wire.http1_messages import (
    Framing,
    PartialHead,
    answer_framing,
    read_answer_head,
)
from cos_inspect.captures.wire.http1_pairing import PendingRequests, Recognition
from cos_inspect.captures.wire.http1_requests import RequestReader
from cos_inspect.captures.wire.open_exchange import Ending, OpenExchange
from cos_inspect.model.capture_account import UPGRADED
from cos_inspect.model.exchange import BodyEnd

_MOST_HELD = 8 * 1024 * 1024
"""Bytes of answers whose requests did not come yet: captures reorder."""
_SWITCHING = 101


class AnswerReader:
    """Reads the server's side of one connection, by the requests that wait for answers."""

    def __init__(
        self,
        context: WireContext,
        pending: PendingRequests,
        recognition: Recognition,
        requests: RequestReader,
        open_tunnel: Callable[[], StreamReader],
    ) -> None:
        """``open_tunnel``: makes who reads what is inside of a CONNECT."""
        self._account = context.account
        self._pending = pending
        self._recognition = recognition
        self._requests = requests
        self._open_tunnel = open_tunnel
        self.tunnel: StreamReader | None = None
        self._head = PartialHead()
        self._answering: OpenExchange | None = None
        self._framing: Framing | None = None
        self._has_lost = False
        """The place of the next head is not known."""
        self._held: deque[StreamEvent] = deque()
        """What came before the request that it may belong to."""
        self._held_bytes = 0

    def data(self, data: bytes, time: float, position: int, acknowledged: int) -> None:
        """The next bytes."""
        framing = self._framing
        if framing is None or self._held or self._answering is None:
            self.take(Segment(data, time, position, acknowledged))
            return
        # The way of nearly all bytes.
        used = framing.take(data, self._answering.receive)
        if used == len(data) and not framing.done:
            return
        if used < 0:
            self._lose()
        else:
            self._answered(time)
            if used < len(data):
                self._put_back(Segment(data, time, position, acknowledged).behind(used))
        self.read_on()

    def take(self, event: StreamEvent) -> None:
        """What comes next."""
        self._held.append(event)
        self._held_bytes += cost_of(event)
        self.read_on()
        if self._held_bytes > _MOST_HELD:
            # Its request does not come any more.
            self._has_lost = True
            self._recognition.lost_heads()
            self.read_on()

    @property
    def held(self) -> int:
        """Bytes of memory that what waits takes, about."""
        inside = 0 if self.tunnel is None else self.tunnel.held
        return self._held_bytes + len(self._head.data) + inside

    @property
    def early(self) -> StreamEvent | None:
        """What came first of an answer that waits for its request."""
        if self._has_lost or self._answering is not None or not self._held:
            return None
        return self._held[0]

    def read_on(self) -> None:
        """Reads what can be read by the requests that are known."""
        while self._held and not self._recognition.is_given_up and self.tunnel is None:
            event = self._held[0]
            waits = self._answering is None and not self._has_lost
            if waits and not self._pending and not isinstance(event, End):
                if self._requests.end is None:
                    return
                # Answers without a request.
                self._lose()
            if self._has_lost and self._may_be_asked_for(event):
                return
            self._held.popleft()
            self._held_bytes -= cost_of(event)
            if isinstance(event, Segment):
                self._take_segment(event)
            elif isinstance(event, Hole):
                self._take_hole(event)
            else:
                self._take_end(event)
        if self.tunnel is not None:
            held, self._held = self._held, deque()
            self._held_bytes = 0
            for event in held:
                tell(self.tunnel, "server", event)
        elif self._recognition.is_given_up:
            self._held.clear()
            self._held_bytes = 0

    def _put_back(self, segment: Segment) -> None:
        self._held.appendleft(segment)
        self._held_bytes += cost_of(segment)

    def _may_be_asked_for(self, event: StreamEvent) -> bool:
        """Whether the request may still come whose answer begins there."""
        if not isinstance(event, Segment) or self._requests.end is not None:
            return False
        if self._held_bytes > _MOST_HELD or self._pending.is_answered_at(event.position):
            return False
        known = self._requests.acknowledged
        if known is None or known < 0:
            return True
        return ((known - event.position - 1) & SEQUENCE_MASK) >= SEQUENCE_HALF

    def _take_segment(self, segment: Segment) -> None:
        at, size = 0, len(segment.data)
        while at < size and not self._recognition.is_given_up and self.tunnel is None:
            position = (segment.position + at) & SEQUENCE_MASK
            if self._has_lost:
                data = segment.data[at:] if at else segment.data
                if not self._pending.found_again(data, position):
                    return
                self._has_lost = False
            framing = self._framing
            if framing is not None and self._answering is not None:
                data = segment.data[at:] if at else segment.data
                used = framing.take(data, self._answering.receive)
                if used < 0:
                    self._lose()
                    return
                at += used
                if framing.done:
                    self._answered(segment.time)
                continue
            if not self._pending:
                self._put_back(segment.behind(at))
                if self._requests.end is not None:
                    self._lose()
                return
            if not self._head.data and not self._pending.is_next_known(position):
                self._has_lost = True
                continue
            at = self._head.add(segment, at)
            if at < 0:
                self._lose()
                return
            if self._head.is_whole and not self._answer(segment, at):
                return

    def _answer(self, segment: Segment, at: int) -> bool:
        """An answer's head is whole; ``at`` is where the rest of the segment begins. False where
        nothing more is to be read of it."""
        head = read_answer_head(self._head.taken())
        if head is None:
            self._lose()
            return False
        if head.status < 200 and head.status != _SWITCHING:
            return True
        asked = self._pending.next()
        if asked.is_connect:
            return self._connected(head.status, segment.behind(at))
        exchange = asked.exchange
        if exchange is None:
            return False
        if head.status == _SWITCHING:
            exchange.drop()
            self._account.leave_out(UPGRADED, hides=exchange.may_be_cos)
            self._pending.give_up()
            self._recognition.is_given_up = True
            return False
        exchange.answer(head, segment.time)
        self._answering = exchange
        self._framing = answer_framing(head, exchange.method)
        if self._framing is None:
            self._answered(segment.time)
        return True

    def _answered(self, time: float | None) -> None:
        exchange = self._answering
        self._answering = self._framing = None
        if exchange is not None and exchange.received is not None:
            exchange.received.end(BodyEnd.COMPLETE, time)
            if exchange.is_whole:
                exchange.finish()

    def _connected(self, status: int, rest: Segment) -> bool:
        """The answer to a CONNECT."""
        kept = self._requests.kept()
        if 200 <= status < 300:
            self.tunnel = self._open_tunnel()
            for event in kept:
                tell(self.tunnel, "client", event)
            if rest.data:
                tell(self.tunnel, "server", rest)
            return False
        self._account.leave_out(UPGRADED, hides=False)
        for event in kept:
            self._requests.take(event)
        return True

    def _take_hole(self, hole: Hole) -> None:
        framing, exchange = self._framing, self._answering
        if framing is not None and exchange is not None and framing.hole(hole.length):
            if exchange.received is not None:
                exchange.received.hole(hole.length)
            if framing.done:
                self._answered(hole.time)
            return
        self._lose()

    def _lose(self) -> None:
        """Nobody knows what the server sent here."""
        exchange = self._answering
        if exchange is not None:
            if exchange.received is not None:
                exchange.received.hole(None)
            self._answered(None)
        elif self._head.taken() and self._pending:
            first = self._pending.next().exchange
            if first is not None:
                first.leave_out("answer-lost")
        self._has_lost = True
        self._recognition.lost_heads()

    def _take_end(self, end: End) -> None:
        if self._answering is not None:
            self._end_answering(end)
        if end.how is StreamEnd.CAPTURE and not self._has_lost:
            self._pending.leave_open()
        elif not self._has_lost:
            for asked in self._pending:
                if asked.exchange is None:
                    # Behind it nobody knows who was answered.
                    if asked.is_connect:
                        self._account.leave_out(UPGRADED, hides=False)
                    break
                self._break_off(asked.exchange, end)
        self._pending.forget()
        self._head.taken()

    def _end_answering(self, end: End) -> None:
        exchange, framing = self._answering, self._framing
        self._answering = self._framing = None
        if exchange is None or exchange.received is None:
            return
        if framing is not None and framing.ends_with_stream and end.how is StreamEnd.FIN:
            exchange.received.end(BodyEnd.COMPLETE, end.time)
            if exchange.is_whole:
                exchange.finish()
        elif end.how is StreamEnd.CAPTURE:
            exchange.leave_out()
        else:
            self._break_off(exchange, end)

    def _break_off(self, exchange: OpenExchange, end: End) -> None:
        """The connection ended inside of an exchange; by whom, the order tells."""
        if end.how is StreamEnd.PEER_RESET:
            exchange.break_off("client", "reset", end.time)
        elif self._requests.end is StreamEnd.FIN:
            exchange.break_off("client", "closed", end.time)
        else:
            how: Ending = "reset" if end.how is StreamEnd.RESET else "closed"
            exchange.break_off("server", how, end.time)

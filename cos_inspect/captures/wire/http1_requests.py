"""What the client sends on an HTTP/1 connection: requests, and holes between them."""

import sys
from collections.abc import Callable

from cos_inspect.captures.wire.context import WireContext
from cos_inspect.captures.wire.events import (
    COST,
    End,
    Hole,
    Peers,
    Segment,
    StreamEnd,
    StreamEvent,
    cost_of,
)
from cos_inspect.captures.wire.http1_messages import (
    Framing,
    PartialHead,
    begins_request,
    read_request_head,
)
from cos_inspect.captures.wire.http1_pairing import (
    Asked,
    PendingRequests,
    Recognition,
    has_heard_an_answer,
)
from cos_inspect.captures.wire.open_exchange import OpenExchange
from cos_inspect.model.capture_account import STILL_OPEN, TOO_MANY_OPEN
from cos_inspect.model.exchange import BodyEnd

_MOST_ASKED = 1000
"""Requests of a connection that wait for their answers."""
_MOST_HELD = 8 * 1024 * 1024
"""Bytes of a tunnel that nobody has granted as yet: captures reorder."""
_ROOM_OF_TWO = 1.5
"""Heads of the shortest that the client sent: two of them may be shorter than two of these."""


class RequestReader:
    """Reads the client's side of one connection, and adds its requests to those that wait."""

    def __init__(
        self,
        context: WireContext,
        peers: Peers,
        scheme: str,
        pending: PendingRequests,
        recognition: Recognition,
        early_answer: Callable[[], StreamEvent | None],
    ) -> None:
        """``early_answer``: what came of an answer before any request that it may belong to."""
        self._context = context
        self._peers = peers
        self._scheme = scheme
        self._pending = pending
        self._recognition = recognition
        self._early_answer = early_answer
        host, _, port = peers.server.rpartition(":")
        self._server = host.strip("[]"), int(port)
        self._connection: str | None = None
        self._head = PartialHead()
        self._sending: OpenExchange | None = None
        self._framing: Framing | None = None
        self.acknowledged: int | None = None
        """Up to where the client had received the other side at its latest segment."""
        self._has_lost = False
        """The place of the next head is not known."""
        self._lost_bytes = 0
        """Of those since, that may have held requests."""
        self._shortest_head = sys.maxsize
        """Bytes, of the client's requests so far."""
        self._heard: int | None = None
        """As ``acknowledged``; behind a hole where the answer begins to what was lost, or the
        server's next segment, and None until then."""
        self._tunnel_events: list[StreamEvent] | None = None
        """It asked for a tunnel, and what it sent since waits for the answer."""
        self._tunnel_bytes = 0
        self.end: StreamEnd | None = None

    def hear(self, position: int) -> None:
        """The server sends something that begins there."""
        if self._has_lost and self._heard is None:
            self._heard = position

    @property
    def held(self) -> int:
        """Bytes of memory that what waits takes, about."""
        return self._tunnel_bytes + len(self._head.data) + len(self._pending) * COST

    def _keep(self, event: StreamEvent) -> None:
        """Of what comes before the answer to a CONNECT."""
        if self._tunnel_events is not None:
            self._tunnel_events.append(event)
            self._tunnel_bytes += cost_of(event)
            if self._tunnel_bytes > _MOST_HELD:
                self._give_up()

    def kept(self) -> list[StreamEvent]:
        """What came since a tunnel was asked for, once; then it is read on."""
        events, self._tunnel_events = self._tunnel_events or [], None
        self._tunnel_bytes = 0
        return events

    def take(self, event: StreamEvent) -> None:
        """What comes next."""
        if self._tunnel_events is not None:
            self._keep(event)
            if isinstance(event, End):
                self.end = event.how
        elif isinstance(event, Segment):
            self._take_segment(event)
        elif isinstance(event, Hole):
            self._take_hole(event)
        else:
            self._take_end(event)

    def _take_segment(self, segment: Segment) -> None:
        heard, self._heard = self._heard, segment.acknowledged
        self.acknowledged = segment.acknowledged
        if self._has_lost:
            if not has_heard_an_answer(heard, segment.acknowledged):
                return
            if not begins_request(segment.data):
                return
            if self._may_be_of_several(segment.data):
                # Then the answer may be that to a lost one. With the next request it is known.
                self._lost_bytes = 0
                return
            self._has_lost = False
        at, size = 0, len(segment.data)
        while at < size:
            if self._tunnel_events is not None:
                self._keep(segment.behind(at))
                return
            if self._framing is not None and self._sending is not None:
                data = segment.data[at:] if at else segment.data
                used = self._framing.take(data, self._sending.sent.feed)
                if used < 0:
                    self._lose(segment.time)
                    return
                at += used
                if self._framing.done:
                    self._sent(segment.time)
                continue
            at = self._head.add(segment, at)
            if at < 0:
                self._refuse()
                return
            if self._head.is_whole and not self._ask(segment.time):
                return

    def _ask(self, time: float) -> bool:
        """A request's head is whole. False where it is none."""
        head = self._head
        position, started, acknowledged = head.position, head.time, head.acknowledged
        self._lost_bytes = 0
        self._shortest_head = min(self._shortest_head, len(head.data))
        read = read_request_head(head.taken(), self._scheme, self._server)
        if read is None:
            self._refuse()
            return False
        self._recognition.met_head()
        if read.head.method == b"CONNECT":
            self._pending.add(Asked(None, acknowledged, is_connect=True))
            self._tunnel_events = []
            return True
        connection = self._connection_name(position)
        exchange = OpenExchange(
            self._context, self._peers, read.head, position, started, connection=connection
        )
        self._pending.add(Asked(exchange, acknowledged))
        self._sending, self._framing = exchange, read.framing
        if read.framing is None:
            self._sent(time)
        if len(self._pending) > _MOST_ASKED or self._context.is_full:
            self._give_up()
            return False
        return True

    def _give_up(self) -> None:
        """There is no room for what this connection wants to have held."""
        self._context.account.give_up(TOO_MANY_OPEN)
        self._lose(0.0)
        self._pending.give_up()
        self._recognition.is_given_up = True
        self._tunnel_events, self._tunnel_bytes = None, 0

    def _connection_name(self, position: int) -> str:
        """For the flows of this connection, so that only the first of them has opened it."""
        if self._connection is None:
            self._connection = f"{self._peers.client} {self._peers.server} {position}"
        return self._connection

    def _may_be_of_several(self, data: bytes) -> bool:
        """Whether a request behind lost bytes may have been asked in one breath with another one
        that is lost: where two have room there."""
        end = data.find(b"\r\n\r\n")
        self._shortest_head = min(self._shortest_head, end if end > 0 else len(data))
        return self._lost_bytes >= _ROOM_OF_TWO * self._shortest_head

    def _sent(self, time: float) -> None:
        exchange = self._sending
        self._sending = self._framing = None
        if exchange is not None:
            exchange.sent.end(BodyEnd.COMPLETE, time)
            if exchange.is_whole:
                exchange.finish()

    def _take_hole(self, hole: Hole) -> None:
        self._heard = None
        framing, exchange = self._framing, self._sending
        if framing is not None and exchange is not None and framing.hole(hole.length):
            exchange.sent.hole(hole.length)
            if framing.done:
                self._sent(hole.time)
            return
        self._lost_bytes += hole.length or 0
        self._lose(hole.time)

    def _lose(self, time: float) -> None:
        """Nobody knows what the client sent here."""
        if self._sending is not None:
            # Its body ended somewhere in there.
            self._sending.sent.hole(None)
            self._sent(time)
        self._head.taken()
        self._recognition.lost_heads()
        self._pending.forget_order()
        early = None if self._pending else self._early_answer()
        if early is not None:
            self._heard = early.position if isinstance(early, Segment) else None
        if not self._has_lost:
            self._has_lost = True
            self._pending.add_unknown()

    def _take_end(self, end: End) -> None:
        self.end = end.how
        exchange = self._sending
        if end.how is StreamEnd.CAPTURE:
            if self._head.data:
                self._context.account.leave_out(STILL_OPEN)
            if exchange is not None and exchange.received is not None:
                exchange.leave_out()
        elif exchange is not None:
            exchange.sent.end(BodyEnd.CUT, end.time)
            if exchange.is_whole:
                # The server had answered before it had all: it is not the client that failed.
                exchange.finish()
        self._sending = self._framing = None
        self._head.taken()

    def _refuse(self) -> None:
        """What the client sent is no request."""
        self._recognition.refuse()
        self._lose(0.0)

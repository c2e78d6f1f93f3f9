"""HTTP/1 from the two directions of a connection: which answer belongs to which request.

The n-th answer belongs to the n-th request, as long as no head was lost. Behind a hole that may
hold one, a request counts again when its client had heard an answer right before it, and its
answer is what begins at the very byte up to which the client had received the other side. What
cannot be paired so is counted, never guessed.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from cos_inspect.captures.wire.context import WireContext
from cos_inspect.captures.wire.events import Peers, Side, StreamEnd, StreamReader
from cos_inspect.captures.wire.http1_messages import (
    HEAD_END,
    LARGEST_HEAD,
    Framing,
    answer_framing,
    begins_answer,
    begins_request,
    read_answer_head,
    read_request_head,
)
from cos_inspect.captures.wire.open_exchange import OpenExchange
from cos_inspect.model.capture_account import (
    NOT_HTTP,
    REQUEST_LOST,
    STILL_OPEN,
    UPGRADED,
)
from cos_inspect.model.exchange import BodyEnd

_MASK, _HALF = (1 << 32) - 1, 1 << 31
_MOST_ASKED = 1000
"""Requests of a connection that wait for their answers."""
_MOST_HELD = 8 * 1024 * 1024
"""Bytes of answers whose requests did not come yet: captures reorder."""
_SWITCHING = 101
_LONGEST_INTERIM = 128
"""Bytes of a ``100 Continue``; most have 25."""


class _Asked(NamedTuple):
    """A request whose answer has not come; without an exchange: CONNECT, or some unknown number of
    requests that the capture has not."""

    exchange: OpenExchange | None
    acknowledged: int = -1
    """Up to where the client had received the other side when it asked."""
    is_connect: bool = False


class _Segment(NamedTuple):
    data: bytes
    time: float
    position: int
    acknowledged: int


class _Gap(NamedTuple):
    length: int | None
    time: float


class _End(NamedTuple):
    how: StreamEnd
    time: float


class _Head:
    """Bytes of a head that is not whole yet, and where it begins."""

    __slots__ = ("acknowledged", "data", "is_whole", "position", "time")

    def __init__(self) -> None:
        self.data = bytearray()
        self.position = 0
        self.acknowledged = -1
        self.time = 0.0
        self.is_whole = False
        """It ended in the piece that was added last."""

    def add(self, piece: _Segment, at: int) -> int:
        """Takes what is of the head from a piece; where in it the rest begins, or -1 where the
        head is longer than any."""
        data = piece.data
        if not self.data:
            while data[at : at + 1] in (b"\r", b"\n"):
                at += 1
            self.position = (piece.position + at) & _MASK
            self.acknowledged = piece.acknowledged
            self.time = piece.time
        before = len(self.data)
        self.data += data[at:]
        found = HEAD_END.search(self.data, max(0, before - 2))
        if found is None:
            self.is_whole = False
            return -1 if len(self.data) > LARGEST_HEAD else len(data)
        self.is_whole = True
        rest = len(self.data) - found.end()
        del self.data[found.start() :]
        return len(data) - rest

    def taken(self) -> bytes:
        """The head, once."""
        data = bytes(self.data)
        self.data.clear()
        return data


class Http1Reader:
    """Reads one connection."""

    def __init__(
        self,
        context: WireContext,
        peers: Peers,
        scheme: str,
        open_tunnel: Callable[[Peers], StreamReader],
        *,
        is_sure: bool = True,
    ) -> None:
        """
        :param open_tunnel: makes who reads what is inside of a CONNECT.
        :param is_sure: False where the capture begins inside of a connection that may speak
            anything: it counts as HTTP from the first head on.
        """
        self._context = context
        self._peers = peers
        self._scheme = scheme
        self._open_tunnel = open_tunnel
        host, _, port = peers.server.rpartition(":")
        self._server = host.strip("[]"), int(port)
        self._connection: str | None = None
        self._asked: deque[_Asked] = deque()
        self._tunnel: StreamReader | None = None
        self._ignores = False
        """Nothing more of it is read."""
        self._is_sure = is_sure
        self._has_lost = False
        """Heads may have been lost."""
        self._ends = 0
        self._refused = False

        self._request_head = _Head()
        self._sending: OpenExchange | None = None
        self._sending_framing: Framing | None = None
        self._client_lost = False
        self._acknowledged: int | None = None
        """Up to where the client had received the other side at its latest piece."""
        self._heard: int | None = None
        """The same; behind a hole where the answer begins to what was lost, or the server's next
        piece, and None until then."""
        self._asked_before: _Asked | None = None
        """The request before the next one."""
        self._pipelines = False
        """The client asks before it has heard an answer: behind a lost head nothing tells then
        which answer is whose."""
        self._client_waits = False
        """It asked for a tunnel."""
        self._client_held: list[_Segment | _Gap | _End] = []
        self._client_end: StreamEnd | None = None

        self._answer_head = _Head()
        self._answering: OpenExchange | None = None
        self._answering_framing: Framing | None = None
        self._server_lost = False
        self._lost_at: int | None = None
        """Where the answer to a request begins that the capture has not."""
        self._held: deque[_Segment | _Gap | _End] = deque()
        self._held_bytes = 0
        self._strange_answers = 0
        """That were met while the place was lost, and belong to no request that is known."""

    # What is told by the stream.

    def data(self, side: Side, data: bytes, time: float, position: int, acknowledged: int) -> None:
        """As in ``StreamReader``."""
        if self._tunnel is not None:
            self._tunnel.data(side, data, time, position, acknowledged)
        elif self._ignores:
            return
        elif side == "server":
            if self._client_lost and self._heard is None:
                self._heard = position
            framing = self._answering_framing
            if framing is not None and not self._held and self._answering is not None:
                # The way of nearly all bytes.
                used = framing.take(data, self._answering.receive)
                if used == len(data) and not framing.done:
                    return
                self._after_answer_body(_Segment(data, time, position, acknowledged), used)
                self._pump()
                return
            self._hold(_Segment(data, time, position, acknowledged))
        elif self._client_waits:
            self._client_held.append(_Segment(data, time, position, acknowledged))
        else:
            self._client_piece(_Segment(data, time, position, acknowledged), 0)
            if self._held:
                self._pump()

    def hole(self, side: Side, length: int | None, time: float) -> None:
        """As in ``StreamReader``."""
        if self._tunnel is not None:
            self._tunnel.hole(side, length, time)
        elif self._ignores:
            return
        elif side == "server":
            self._hold(_Gap(length, time))
        elif self._client_waits:
            self._client_held.append(_Gap(length, time))
        else:
            self._client_hole(_Gap(length, time))
            self._pump()

    def end(self, side: Side, how: StreamEnd, time: float) -> None:
        """As in ``StreamReader``."""
        if self._tunnel is not None:
            self._tunnel.end(side, how, time)
        elif self._ignores:
            return
        else:
            self._ends += 1
            if side == "server":
                self._hold(_End(how, time))
            elif self._client_waits:
                self._client_held.append(_End(how, time))
                self._client_end = how
                self._pump()
            else:
                self._client_ended(_End(how, time))
                self._pump()
            if self._ends == 2 and not self._is_sure:
                self._context.account.give_up(NOT_HTTP, hides=False)

    # The client's side.

    def _client_piece(self, piece: _Segment, at: int) -> None:
        heard, self._heard = self._heard, piece.acknowledged
        self._acknowledged = piece.acknowledged
        if self._client_lost:
            if not _has_heard_an_answer(heard, piece.acknowledged):
                return
            if not begins_request(piece.data):
                return
            self._client_lost = False
        size = len(piece.data)
        while at < size:
            if self._client_waits:
                self._client_held.append(_rest_of(piece, at))
                return
            if self._sending_framing is not None and self._sending is not None:
                used = self._sending_framing.take(
                    piece.data[at:] if at else piece.data, self._sending.sent.feed
                )
                if used < 0:
                    self._lose_client(piece.time)
                    return
                at += used
                if self._sending_framing.done:
                    self._sent(piece.time)
                continue
            at = self._request_head.add(piece, at)
            if at < 0:
                self._refuse()
                return
            if self._request_head.is_whole and not self._ask(piece.time):
                return

    def _ask(self, time: float) -> bool:
        """A request's head is whole. False where it is none."""
        head = self._request_head
        begin = head.position, head.time, head.acknowledged
        read = read_request_head(head.taken(), self._scheme, self._server)
        if read is None:
            self._refuse()
            return False
        self._recognise()
        position, started, acknowledged = begin
        if read.head.method == b"CONNECT":
            self._asked.append(_Asked(None, acknowledged, is_connect=True))
            self._client_waits = True
            return True
        exchange = OpenExchange(
            self._context,
            self._peers,
            read.head,
            position,
            started,
            connection=self._connection_name(),
        )
        asked = _Asked(exchange, acknowledged)
        self._pipelines |= self._has_not_heard(asked)
        self._asked_before = asked
        self._asked.append(asked)
        self._sending, self._sending_framing = exchange, read.framing
        if read.framing is None:
            self._sent(time)
        if len(self._asked) > _MOST_ASKED:
            self._refuse()
            self._leave_out_all()
            self._ignores = True
            return False
        return True

    def _has_not_heard(self, asked: _Asked) -> bool:
        """Whether the client asks without having heard an answer to what it asked before."""
        before = self._asked_before
        if before is None or before.exchange is None or before.acknowledged < 0:
            return False
        heard = (asked.acknowledged - before.acknowledged) & _MASK
        return heard < (_LONGEST_INTERIM if before.exchange.expects_interim else 1)

    def _connection_name(self) -> str:
        """For the flows of this connection, so that only the first of them has opened it."""
        if self._connection is None:
            peers, position = self._peers, self._request_head.position
            self._connection = f"{peers.client} {peers.server} {position}"
        return self._connection

    def _sent(self, time: float) -> None:
        exchange = self._sending
        self._sending = self._sending_framing = None
        if exchange is not None:
            exchange.sent.end(BodyEnd.COMPLETE, time)
            if exchange.is_whole:
                exchange.finish()

    def _client_hole(self, hole: _Gap) -> None:
        self._heard = None
        framing, exchange = self._sending_framing, self._sending
        if framing is not None and exchange is not None and framing.hole(hole.length):
            exchange.sent.hole(hole.length)
            if framing.done:
                self._sent(hole.time)
            return
        self._lose_client(hole.time)

    def _lose_client(self, time: float) -> None:
        """Nobody knows what the client sent here."""
        exchange = self._sending
        self._sending = self._sending_framing = None
        if exchange is not None:
            # Its body ended somewhere in there.
            exchange.sent.hole(None)
            exchange.sent.end(BodyEnd.COMPLETE, time)
            if exchange.is_whole:
                exchange.finish()
        self._request_head.taken()
        self._lose_heads()
        self._asked_before = None
        if not self._server_lost and not self._asked and self._answering is None and self._held:
            first = self._held[0]
            self._heard = first.position if isinstance(first, _Segment) else None
        if not self._client_lost:
            self._client_lost = True
            self._asked.append(_Asked(None))

    def _client_ended(self, end: _End) -> None:
        self._client_end = end.how
        exchange = self._sending
        if end.how is StreamEnd.CAPTURE:
            if self._request_head.data:
                self._context.account.leave_out(STILL_OPEN)
            if exchange is not None and exchange.received is not None:
                exchange.leave_out()
        elif exchange is not None:
            exchange.sent.end(BodyEnd.CUT, end.time)
            if exchange.is_whole:
                # The server had answered before it had all: it is not the client that failed.
                exchange.finish()
        self._sending = self._sending_framing = None
        self._request_head.taken()

    # The server's side.

    def _hold(self, event: _Segment | _Gap | _End) -> None:
        self._held.append(event)
        if isinstance(event, _Segment):
            self._held_bytes += len(event.data)
        self._pump()
        if self._held_bytes > _MOST_HELD:
            # Its request does not come any more.
            self._server_lost = True
            self._lose_heads()
            self._pump()

    def _pump(self) -> None:
        """Reads of the server's side what can be read by the requests that are known."""
        while self._held and not self._ignores and self._tunnel is None:
            event = self._held[0]
            waits = self._answering is None and not self._server_lost
            if waits and not self._asked and not isinstance(event, _End):
                if self._client_end is None:
                    return
                # Answers without a request.
                self._lose_server()
            if self._server_lost and self._may_be_asked_for(event):
                return
            self._held.popleft()
            if isinstance(event, _Segment):
                self._held_bytes -= len(event.data)
                self._server_piece(event)
            elif isinstance(event, _Gap):
                self._server_hole(event)
            else:
                self._server_ended(event)
        if self._tunnel is not None:
            held, self._held = self._held, deque()
            for event in held:
                _tell(self._tunnel, "server", event)

    def _may_be_asked_for(self, event: _Segment | _Gap | _End) -> bool:
        """Whether the request may still come whose answer begins there."""
        if not isinstance(event, _Segment) or self._client_end is not None:
            return False
        if self._held_bytes > _MOST_HELD:
            return False
        if any(asked.acknowledged == event.position for asked in self._asked):
            return False
        known = self._acknowledged
        return known is None or known < 0 or ((known - event.position - 1) & _MASK) >= _HALF

    def _server_piece(self, piece: _Segment) -> None:
        at, size = 0, len(piece.data)
        while at < size and not self._ignores and self._tunnel is None:
            if self._server_lost and not self._found_again(piece, at):
                return
            framing = self._answering_framing
            if framing is not None and self._answering is not None:
                used = framing.take(piece.data[at:] if at else piece.data, self._answering.receive)
                if used < 0:
                    self._lose_server()
                    return
                at += used
                if framing.done:
                    self._answered(piece.time)
                continue
            if not self._asked:
                self._held.appendleft(_rest_of(piece, at))
                self._held_bytes += size - at
                if self._client_end is not None:
                    self._lose_server()
                return
            if not self._answer_head.data and not self._is_next_known():
                self._server_lost = True
                self._lost_at = (piece.position + at) & _MASK
                continue
            at = self._answer_head.add(piece, at)
            if at < 0:
                self._lose_server()
                return
            if self._answer_head.is_whole and not self._answer(piece, at):
                return

    def _after_answer_body(self, piece: _Segment, used: int) -> None:
        """The body ended in this piece, or its framing is broken."""
        framing = self._answering_framing
        if used < 0:
            self._lose_server()
        elif framing is not None and framing.done:
            self._answered(piece.time)
            if used < len(piece.data):
                self._held.appendleft(_rest_of(piece, used))
                self._held_bytes += len(piece.data) - used

    def _is_next_known(self) -> bool:
        """Whether the next answer is that of a request which is known."""
        asked = self._asked[0]
        if asked.exchange is None and not asked.is_connect:
            self._asked.popleft()
            return False
        return True

    def _answer(self, piece: _Segment, at: int) -> bool:
        """An answer's head is whole; ``at`` is where the rest of the piece begins. False where
        nothing more is to be read of the piece."""
        head = read_answer_head(self._answer_head.taken())
        if head is None:
            self._lose_server()
            return False
        if head.status < 200 and head.status != _SWITCHING:
            return True
        asked = self._asked.popleft()
        if asked.is_connect:
            return self._connected(head.status, piece, at)
        exchange = asked.exchange
        if exchange is None:
            return False
        if head.status == _SWITCHING:
            exchange.over = True
            self._context.account.leave_out(UPGRADED, hides=exchange.may_be_cos)
            self._leave_out_all()
            self._ignores = True
            return False
        exchange.answer(head, piece.time)
        self._answering = exchange
        self._answering_framing = answer_framing(head, exchange.method)
        if self._answering_framing is None:
            self._answered(piece.time)
        return True

    def _answered(self, time: float | None) -> None:
        exchange = self._answering
        self._answering = self._answering_framing = None
        if exchange is not None and exchange.received is not None:
            exchange.received.end(BodyEnd.COMPLETE, time)
            if exchange.is_whole:
                exchange.finish()

    def _connected(self, status: int, piece: _Segment, at: int) -> bool:
        """The answer to a CONNECT."""
        self._client_waits = False
        held, self._client_held = self._client_held, []
        if 200 <= status < 300:
            self._tunnel = self._open_tunnel(self._peers)
            for event in held:
                _tell(self._tunnel, "client", event)
            if at < len(piece.data):
                _tell(self._tunnel, "server", _rest_of(piece, at))
            return False
        self._context.account.leave_out(UPGRADED, hides=False)
        for event in held:
            if isinstance(event, _Segment):
                self._client_piece(event, 0)
            elif isinstance(event, _Gap):
                self._client_hole(event)
            else:
                self._client_ended(event)
        return True

    def _server_hole(self, hole: _Gap) -> None:
        framing, exchange = self._answering_framing, self._answering
        if framing is not None and exchange is not None and framing.hole(hole.length):
            if exchange.received is not None:
                exchange.received.hole(hole.length)
            if framing.done:
                self._answered(hole.time)
            return
        self._lose_server()

    def _lose_server(self) -> None:
        """Nobody knows what the server sent here."""
        exchange = self._answering
        if exchange is not None:
            if exchange.received is not None:
                exchange.received.hole(None)
            self._answered(None)
        elif self._answer_head.taken() and self._asked:
            first = self._asked.popleft()
            if first.exchange is not None:
                first.exchange.leave_out("answer-lost")
        self._server_lost = True
        self._lose_heads()

    def _found_again(self, piece: _Segment, at: int) -> bool:
        """Whether an answer begins here whose request is known."""
        data = piece.data[at:] if at else piece.data
        if not data.startswith(b"HTTP/1."):
            return False
        position = (piece.position + at) & _MASK
        known = next(
            (
                number
                for number, asked in enumerate(self._asked)
                if asked.acknowledged == position and asked.exchange is not None
            ),
            None,
        )
        if known is None or self._pipelines or position == self._lost_at:
            if begins_answer(data):
                self._recognise()
                self._strange_answers += 1
            return False
        self._forget(known)
        self._server_lost = False
        return True

    def _forget(self, count: int | None = None) -> None:
        """The first ones of those who wait have no answer that is known; all of them without a
        number."""
        lost = 0
        for _ in range(len(self._asked) if count is None else count):
            exchange = self._asked.popleft().exchange
            if exchange is not None and not exchange.over:
                lost += 1
                exchange.leave_out("answer-lost")
        # Some of the strange answers were theirs.
        self._context.account.leave_out(REQUEST_LOST, max(0, self._strange_answers - lost))
        self._strange_answers = 0

    def _server_ended(self, end: _End) -> None:
        if self._answering is not None:
            self._end_answering(end)
        if self._server_lost or end.how is StreamEnd.CAPTURE:
            self._end_unknown()
        else:
            for asked in self._asked:
                if asked.exchange is None:
                    # Behind it nobody knows who was answered.
                    if asked.is_connect:
                        self._context.account.leave_out(UPGRADED, hides=False)
                    break
                self._break_off(asked.exchange, end)
            self._forget()
        self._answer_head.taken()

    def _end_unknown(self) -> None:
        if not self._server_lost:
            for asked in self._asked:
                if asked.exchange is not None:
                    asked.exchange.leave_out()
        self._forget()

    def _end_answering(self, end: _End) -> None:
        exchange, framing = self._answering, self._answering_framing
        self._answering = self._answering_framing = None
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

    def _break_off(self, exchange: OpenExchange, end: _End) -> None:
        """The connection ended inside of an exchange; by whom, the order tells."""
        if end.how is StreamEnd.PEER_RESET:
            exchange.break_off("client", "reset", end.time)
        elif self._client_end is StreamEnd.FIN:
            exchange.break_off("client", "closed", end.time)
        else:
            how = "reset" if end.how is StreamEnd.RESET else "closed"
            exchange.break_off("server", "reset" if how == "reset" else "closed", end.time)

    # What is not HTTP after all.

    def _refuse(self) -> None:
        """What the client sent is no request."""
        if not self._refused:
            self._refused = True
            self._context.account.give_up(NOT_HTTP)
        self._lose_client(0.0)

    def _lose_heads(self) -> None:
        """Some may have been in what is not there."""
        self._has_lost = True
        self._context.account.hides_exchanges |= self._is_sure

    def _recognise(self) -> None:
        """A head was met."""
        if not self._is_sure:
            self._is_sure = True
            self._context.account.hides_exchanges |= self._has_lost

    def _leave_out_all(self) -> None:
        for asked in self._asked:
            if asked.exchange is not None:
                asked.exchange.leave_out("answer-lost")
        self._asked.clear()


def _has_heard_an_answer(before: int | None, now: int) -> bool:
    """Whether between two sequence numbers lies more than what is interim."""
    if before is None or before < 0 or now < 0:
        return False
    return _LONGEST_INTERIM <= ((now - before) & _MASK) < _HALF


def _rest_of(piece: _Segment, at: int) -> _Segment:
    return _Segment(piece.data[at:], piece.time, (piece.position + at) & _MASK, piece.acknowledged)


def _tell(reader: StreamReader, side: Side, event: _Segment | _Gap | _End) -> None:
    if isinstance(event, _Segment):
        reader.data(side, *event)
    elif isinstance(event, _Gap):
        reader.hole(side, *event)
    else:
        reader.end(side, *event)

"""HTTP/2 from the two directions of a connection: streams become exchanges (RFC 9113).

It only reads: it never answers, and takes for good what both sides took for good. Header fields
are packed with a memory of all that came before (RFC 7541), so that behind bytes that the capture
has lost nothing more of the connection can be read, unless these were of a body.
"""

from collections import OrderedDict
from typing import NamedTuple

from hpack.exceptions import HPACKError
from hyperframe.frame import (
    ContinuationFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PushPromiseFrame,
    RstStreamFrame,
)

from cos_inspect.captures.wire.context import WireContext
from cos_inspect.captures.wire.events import COST, Peers, Side, StreamEnd
from cos_inspect.captures.wire.http2_direction import Http2Direction
from cos_inspect.captures.wire.http2_frames import PREFACE, Data, NotHttp2Error, Whole
from cos_inspect.captures.wire.http2_heads import answer_head, request_head
from cos_inspect.captures.wire.open_exchange import Ending, OpenExchange
from cos_inspect.model.capture_account import (
    NOT_HTTP,
    REQUEST_LOST,
    TOO_MANY_OPEN,
    UPGRADED,
)
from cos_inspect.model.exchange import BodyEnd
from cos_inspect.recording.message_heads import Fields

BYTES_LOST = "HTTP/2: the capture has lost bytes"
BEGUN_BEFORE = "HTTP/2: the beginning is not in the capture"
CANNOT_BE_READ = "HTTP/2: it cannot be read"
"""Reasons why the rest of a connection is not read."""

_LARGEST_BLOCK = 1024 * 1024
"""Bytes of packed header fields of one message."""
_MOST_HELD = 8 * 1024 * 1024
"""Bytes of answers whose requests did not come yet: captures reorder."""
_MOST_OPEN = 10_000
"""Streams that are open at once."""


class _Fields(NamedTuple):
    fields: Fields
    ends: bool
    at: int


class _Body(NamedTuple):
    data: bytes
    ends: bool


class _Missing(NamedTuple):
    length: int


class _Reset(NamedTuple):
    pass


_Event = _Fields | _Body | _Missing | _Reset


def _cost_of(event: _Event) -> int:
    """Bytes of memory that it takes while it waits, about."""
    if isinstance(event, _Body):
        return COST + len(event.data)
    if isinstance(event, _Fields):
        return sum(COST + len(name) + len(value) for name, value in event.fields) + COST
    return COST


class Http2Reader:
    """Reads one connection, with prior knowledge or behind TLS."""

    def __init__(self, context: WireContext, peers: Peers, scheme: str) -> None:
        self._context = context
        self._peers = peers
        self._scheme = scheme
        host, _, port = peers.server.rpartition(":")
        self._server_address = host.strip("[]"), int(port)
        self._client, self._server = Http2Direction("client"), Http2Direction("server")
        self._preface = bytearray()
        self._connection: str | None = None
        self._open: OrderedDict[int, OpenExchange] = OrderedDict()
        self._latest = 0
        """The stream that the client began last."""
        self._held: dict[int, list[tuple[_Event, float]]] = {}
        """What came on streams whose request did not come yet."""
        self._held_bytes = 0
        self._ignores = False

    # What is told by the stream.

    def data(
        self,
        side: Side,
        data: bytes,
        time: float,
        position: int,
        acknowledged: int,  # noqa: ARG002
    ) -> None:
        """As in ``StreamReader``."""
        if self._ignores:
            return
        direction = self._client if side == "client" else self._server
        direction.time = time
        if self._connection is None:
            self._connection = f"{self._peers.client} {self._peers.server} {position}"
        if side == "client" and len(self._preface) < len(PREFACE):
            left = len(PREFACE) - len(self._preface)
            self._preface += data[:left]
            data = data[left:]
            position += left
            if not PREFACE.startswith(self._preface):
                self._give_up(BEGUN_BEFORE)
                return
        direction.position = position - direction.came
        direction.came += len(data)
        if data:
            direction.frames.add(data)
            self._read(direction)

    def hole(self, side: Side, length: int | None, time: float) -> None:
        """As in ``StreamReader``."""
        if self._ignores:
            return
        direction = self._client if side == "client" else self._server
        direction.time = time
        missing = direction.frames.hole(length)
        if missing is None or length is None:
            began = len(self._preface) == len(PREFACE)
            self._give_up(BYTES_LOST if began else BEGUN_BEFORE)
            return
        direction.came += length
        self._meet(direction, missing[0], _Missing(missing[1]))
        # The end of the frame may be all that was missing.
        self._read(direction)

    def end(self, side: Side, how: StreamEnd, time: float) -> None:
        """As in ``StreamReader``."""
        direction = self._client if side == "client" else self._server
        direction.end, direction.time = how, time
        if self._ignores:
            return
        if how is StreamEnd.CAPTURE or (self._client.end and self._server.end):
            self._end_all()
        elif side == "server":
            self._break_all(how, time)

    @property
    def held(self) -> int:
        """As in ``StreamReader``."""
        return self._held_bytes + self._client.held + self._server.held

    # Frames.

    def _read(self, direction: Http2Direction) -> None:
        try:
            while not self._ignores:
                found = direction.frames.next()
                if found is None:
                    return
                if isinstance(found, Data):
                    if direction.begun is not None:
                        raise NotHttp2Error
                    self._meet(direction, found.stream, _Body(found.data, found.ends))
                else:
                    self._take(direction, found)
        except (NotHttp2Error, HPACKError):
            self._give_up(CANNOT_BE_READ)

    def _take(self, direction: Http2Direction, found: Whole) -> None:
        """:raises NotHttp2Error: for frames in an order that cannot be."""
        frame = found.frame
        if direction.begun is not None:
            if (
                not isinstance(frame, ContinuationFrame)
                or frame.stream_id != direction.begun.frame.stream_id
            ):
                raise NotHttp2Error
            direction.block += frame.data
            self._unpack(direction, frame, direction.begun)
        elif isinstance(frame, HeadersFrame | PushPromiseFrame):
            direction.block += frame.data
            self._unpack(direction, frame, found)
        elif isinstance(frame, ContinuationFrame):
            raise NotHttp2Error
        elif isinstance(frame, RstStreamFrame):
            self._meet(direction, frame.stream_id, _Reset())
        elif isinstance(frame, GoAwayFrame) and direction is self._server:
            while self._open and next(reversed(self._open)) > frame.last_stream_id:
                # The server says that it has done nothing of it, and will not.
                self._open.popitem()[1].break_off("server", "closed", direction.time)

    def _unpack(self, direction: Http2Direction, frame: Frame, begun: Whole) -> None:
        """:raises HPACKError: for what cannot be unpacked."""
        if len(direction.block) > _LARGEST_BLOCK:
            raise NotHttp2Error
        if "END_HEADERS" not in frame.flags:
            direction.begun = begun
            return
        direction.begun = None
        block = bytes(direction.block)
        direction.block.clear()
        fields = tuple(
            (bytes(name), bytes(value)) for name, value in direction.unpack.decode(block, raw=True)
        )
        if isinstance(begun.frame, HeadersFrame):
            ends = "END_STREAM" in begun.frame.flags
            self._meet(direction, begun.frame.stream_id, _Fields(fields, ends, begun.at))

    # Streams.

    def _meet(self, direction: Http2Direction, stream: int, event: _Event) -> None:
        if not stream & 1:
            # What a server sends unasked, nobody asked for.
            return
        if direction is self._client:
            self._asks(stream, event, direction)
            return
        if stream > self._latest and self._client.end is None:
            self._held.setdefault(stream, []).append((event, direction.time))
            self._held_bytes += _cost_of(event)
            if self._held_bytes > _MOST_HELD:
                self._give_up(BYTES_LOST)
            return
        self._answers(stream, event, direction.time)

    def _asks(self, stream: int, event: _Event, direction: Http2Direction) -> None:
        time = direction.time
        if isinstance(event, _Fields) and stream > self._latest:
            self._latest = stream
            self._begin(stream, event, direction)
        exchange = self._open.get(stream)
        if exchange is None:
            return
        if isinstance(event, _Reset):
            self._break_off(stream, exchange, "client", "reset", time)
            return
        if isinstance(event, _Missing):
            exchange.sent.hole(event.length)
            return
        if isinstance(event, _Body) and event.data:
            exchange.sent.feed(event.data)
        if event.ends:
            exchange.sent.end(BodyEnd.COMPLETE, time)
            self._finish(stream, exchange)
        for held, when in self._let_go(stream):
            self._answers(stream, held, when)

    def _let_go(self, stream: int) -> list[tuple[_Event, float]]:
        """What came on a stream before its request, which is not held any more."""
        events = self._held.pop(stream, [])
        self._held_bytes -= sum(_cost_of(event) for event, _ in events)
        return events

    def _begin(self, stream: int, event: _Fields, direction: Http2Direction) -> None:
        head = request_head(event.fields, self._scheme, self._server_address)
        is_tunnel = head is not None and head.method == b"CONNECT"
        is_full = len(self._open) >= _MOST_OPEN or self._context.is_full
        if head is None or is_tunnel or is_full:
            reason = UPGRADED if is_tunnel else NOT_HTTP if head is None else TOO_MANY_OPEN
            self._context.account.leave_out(reason)
            self._let_go(stream)
            return
        self._open[stream] = OpenExchange(
            self._context,
            self._peers,
            head,
            (direction.position + event.at) & 0xFFFFFFFF,
            direction.time,
            connection=self._connection,
            stream=stream,
        )

    def _answers(self, stream: int, event: _Event, time: float) -> None:
        exchange = self._open.get(stream)
        if exchange is None:
            return
        if isinstance(event, _Reset):
            self._break_off(stream, exchange, "server", "reset", time)
            return
        received = exchange.received
        if isinstance(event, _Missing):
            if received is not None:
                received.hole(event.length)
            return
        if isinstance(event, _Fields):
            if received is None:
                head = answer_head(event.fields)
                if head is None:
                    self._open.pop(stream).leave_out("answer-lost")
                    return
                if head.status < 200:
                    return
                received = exchange.answer(head, time)
        elif event.data:
            exchange.receive(event.data)
        if event.ends and received is not None:
            received.end(BodyEnd.COMPLETE, time)
            self._finish(stream, exchange)

    def _finish(self, stream: int, exchange: OpenExchange) -> None:
        if exchange.is_whole:
            del self._open[stream]
            exchange.finish()

    def _break_off(
        self,
        stream: int,
        exchange: OpenExchange,
        by: Side,
        how: Ending,
        time: float,
    ) -> None:
        del self._open[stream]
        received = exchange.received
        if received is not None and received.ended is not None:
            # Answered, and the rest of the request was not wanted any more.
            exchange.sent.end(BodyEnd.CUT, time)
            exchange.finish()
        else:
            exchange.break_off(by, how, time)

    # The end.

    def _break_all(self, how: StreamEnd, time: float) -> None:
        """The server has ended the connection. Of what the client sends the rest may come later:
        captures reorder."""
        by: Side = "server"
        if how is StreamEnd.PEER_RESET or self._client.end is StreamEnd.FIN:
            by = "client"
        for stream, exchange in list(self._open.items()):
            if exchange.sent.ended is None and self._client.end is None:
                continue
            self._break_off(
                stream, exchange, by, "closed" if how is StreamEnd.FIN else "reset", time
            )

    def _end_all(self) -> None:
        """Both sides have ended, or the capture has."""
        self._ignores = True
        for stream, events in sorted(self._held.items()):
            for event, time in events:
                self._answers(stream, event, time)
        lost = sum(
            any(isinstance(event, _Fields) for event, _ in events)
            for stream, events in self._held.items()
            if stream > self._latest
        )
        self._context.account.leave_out(REQUEST_LOST, lost)
        self._held.clear()
        self._held_bytes = 0
        end = self._server.end
        if end is None or StreamEnd.CAPTURE in (end, self._client.end):
            while self._open:
                self._open.popitem(last=False)[1].leave_out()
        else:
            self._break_all(end, self._server.time)

    def _give_up(self, reason: str) -> None:
        self._ignores = True
        self._held.clear()
        self._held_bytes = 0
        self._context.account.give_up(reason)
        while self._open:
            self._open.popitem(last=False)[1].leave_out("answer-lost")

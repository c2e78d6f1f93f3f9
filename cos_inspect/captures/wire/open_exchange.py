"""One exchange as it comes: heads, pieces of bodies, holes and ends become a flow, or are counted
with the reason why they do not.

It is the same for every version of HTTP, inside of TLS or not. Nothing of a body is held but what
is read of it.
"""

from hashlib import blake2b
from typing import Literal

from cos_inspect.captures.captured_flow import CapturedFlow, Marks
from cos_inspect.captures.wire.context import WireContext
from cos_inspect.captures.wire.events import Peers, Side
from cos_inspect.captures.wire.kept_body import KeptBody
from cos_inspect.cos.digest_plan import DigestPlan, plan_request
from cos_inspect.model.capture_account import ANSWER_LOST, STILL_OPEN
from cos_inspect.model.exchange import EMPTY_BODY, Body, BodyEnd, BrokeOff, Timing
from cos_inspect.recording import actors
from cos_inspect.recording.flow_heads import Heads, object_reader, plan_of_answer, read_heads
from cos_inspect.recording.message_heads import AnswerHead, RequestHead, headers_of, request_of
from cos_inspect.recording.recorded_flow import RecordedFlow
from cos_inspect.recording.stream_tap import BodyMeter

_NOT_CAPTURED = Body(end=BodyEnd.NOT_CAPTURED, size=None)
_AS_OF_COS = ((b"server", b"tencent-cos"),)
"""Fields of an answer by which a custom domain is known, to prepare for one."""
_DIRECT = "wire"
"""In the place of a proxy's mode: there was none, so that a client that went to an IP address
looked its name up as all do."""
CLOSED_BY: dict[Side, str] = {
    "client": "client disconnected",
    "server": "server closed connection",
}
RESET_BY: dict[Side, str] = {
    "client": "client closed connection: connection reset",
    "server": "connection reset by the server",
}
"""What is said of an exchange that a side broke off; the client's words begin as mitmproxy's."""

Ending = Literal["closed", "reset"]
"""How a side ended a connection, or a stream of it, before an exchange was over."""


class OpenBody:
    """What came of a body so far."""

    __slots__ = ("_meter", "ended", "missing", "size", "time")

    def __init__(self, meter: BodyMeter | None) -> None:
        self._meter = meter
        self.size = 0
        """Bytes that passed, with those that the capture has not."""
        self.missing = False
        self.ended: BodyEnd | None = None
        self.time: float | None = None
        """When it ended."""

    def feed(self, data: bytes) -> None:
        """The next bytes."""
        self.size += len(data)
        if self._meter is not None and not self.missing:
            self._meter.feed(data)

    def hole(self, length: int | None) -> None:
        """The capture has not the next bytes."""
        self.missing = True
        self._meter = None
        self.size += length or 0

    def end(self, how: BodyEnd, time: float | None) -> None:
        """The body is over, and how it ended; ``time`` in seconds since the epoch. The first end
        counts."""
        if self.ended is None:
            self.ended = how
            self.time = time

    def body(self) -> Body:
        """Its facts, once it is over."""
        end = self.ended or BodyEnd.STOPPED
        if self.missing or self._meter is None:
            # Of a hole the length is known, so that a body that is cut is known to be.
            return Body(end=end, size=self.size) if end is BodyEnd.CUT else _NOT_CAPTURED
        if not self.size and end is BodyEnd.COMPLETE:
            return self._meter.body(complete=True)
        return self._meter.body(complete=end is BodyEnd.COMPLETE)


class OpenExchange:
    """A request whose head was read, until it and its answer are over."""

    def __init__(
        self,
        context: WireContext,
        peers: Peers,
        head: RequestHead,
        position: int,
        time: float,
        *,
        connection: str | None = None,
        stream: int = 0,
    ) -> None:
        """
        :param position: as the first byte of the head has it (``StreamReader.data``).
        :param connection: names the connection, where its beginning was seen.
        :param stream: of HTTP/2, which may begin several in one record.
        """
        self._context = context
        self._peers = peers
        self._head = head
        self._connection = connection
        self._offset = context.offset
        self._started = time
        self._position = position
        self._stream = stream
        self.method = head.method.upper()
        """As HTTP has it: upper case."""
        self.expects_interim = any(name.lower() == b"expect" for name, _ in head.fields)
        """It asks for a ``100 Continue``."""
        self.over = False
        """It was handed on, or counted as left out."""
        context.open += 1
        self._heads = read_heads(head, None, context.hosts)
        self._host = request_of(head, headers_of(head.fields)).host
        heads = self._heads or read_heads(head, _AS_OF_COS, context.hosts)
        self.may_be_cos = heads is not None
        """It is COS traffic, or of a custom domain that its answer may show to be one."""
        self._answer: AnswerHead | None = None
        self._answered: float | None = None
        self.sent = OpenBody(None if heads is None else _request_meter(heads))
        self.received: OpenBody | None = None
        """The answer's body; None as long as no head of an answer came."""
        self._kept: KeptBody | None = None

    def answer(self, head: AnswerHead, time: float) -> OpenBody:
        """The head of the answer, of none that is interim."""
        self._answer = head
        self._answered = time
        meter = None
        if self.may_be_cos:
            self._heads = read_heads(self._head, head.fields, self._context.hosts)
            self.may_be_cos = self._heads is not None
            if self._heads is not None:
                meter = BodyMeter(plan_of_answer(self._heads, head.status), None)
                if head.status == 206 and self._context.keeps_answers:
                    self._kept = KeptBody()
        self.received = OpenBody(meter)
        return self.received

    def receive(self, data: bytes) -> None:
        """The next bytes of the answer's body."""
        if self.received is not None:
            self.received.feed(data)
            if self._kept is not None:
                self._kept.write(data)

    @property
    def is_whole(self) -> bool:
        """Request and answer are over."""
        received = self.received
        return self.sent.ended is not None and received is not None and received.ended is not None

    def finish(self) -> None:
        """Hands the flow on; both bodies are over."""
        self._hand_on(None, None)

    def break_off(self, by: Side, how: Ending, time: float) -> None:
        """A side ended the connection before the exchange was over. What has not ended of its
        bodies is cut."""
        self.sent.end(BodyEnd.CUT, time)
        if self.received is not None:
            self.received.end(BodyEnd.CUT, time)
        said = CLOSED_BY[by] if how == "closed" else RESET_BY[by]
        self._hand_on(said, by, time)

    def drop(self) -> None:
        """It is over, and whoever says so has counted it."""
        if not self.over:
            self.over = True
            self._context.open -= 1

    def leave_out(self, reason: Literal["still-open", "answer-lost"] = "still-open") -> None:
        """What became of it the capture does not show: it is counted and not judged."""
        if self.over:
            return
        self.drop()
        words = STILL_OPEN if reason == "still-open" else ANSWER_LOST
        self._context.account.leave_out(words, hides=self.may_be_cos)

    def _hand_on(self, error: str | None, by: Side | None, failed: float | None = None) -> None:
        if self.over:
            return
        self.drop()
        context = self._context
        context.account.exchanges += 1
        heads = self._heads
        flow_id = self._identity()
        if heads is None:
            flow = CapturedFlow(
                flow_id=flow_id, exchange=None, offset=self._offset, host=self._host
            )
            context.emit(flow)
            return
        peers, received = self._peers, self.received
        recorded = RecordedFlow(
            flow_id=flow_id,
            head=self._head,
            answer=self._answer,
            sent=None,
            received=None,
            timing=Timing(
                request_start=self._started or None,
                request_end=self.sent.time if self.sent.ended is BodyEnd.COMPLETE else None,
                response_start=self._answered or None,
                response_end=received.time
                if received is not None and received.ended is BodyEnd.COMPLETE
                else None,
                failed=failed,
                connect_ms=peers.connect_ms,
                tls_ms=peers.tls_ms,
            ),
            error=error,
            client_address=_address(peers.client),
            server_address=_address(peers.server),
            broke_off=None if by is None else BrokeOff(by=by),
            peers=actors.Peers(
                client=peers.client,
                server=peers.server,
                sni=peers.sni,
                tls=peers.tls,
                mode=_DIRECT,
            ),
        )
        response_body = EMPTY_BODY if received is None else received.body()
        found = recorded.read(heads, request_body=self.sent.body(), response_body=response_body)
        marks: Marks | None = None
        if self._kept is not None and response_body.complete:
            marks = self._kept.marks
        context.emit(
            CapturedFlow(
                flow_id=flow_id,
                exchange=found.exchange,
                recognised=found.recognised,
                offset=self._offset,
                connection=self._connection,
                marks=marks,
            )
        )

    def _identity(self) -> str:
        """The same in every capture of this connection, wherever that begins."""
        peers, head = self._peers, self._head
        place = f"{peers.client} {peers.server} {self._position} {self._stream}"
        digest = blake2b(place.encode(), digest_size=16)
        digest.update(b"%s %s" % (head.method, head.path))
        for name, value in head.fields:
            digest.update(b"\n%s:%s" % (name, value))
        text = digest.hexdigest()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _request_meter(heads: Heads) -> BodyMeter:
    operation, headers = heads.recognised.operation, heads.request.headers
    payload = object_reader(operation, headers)
    plan: DigestPlan = plan_request(operation, headers, framed=payload is not None)
    return BodyMeter(plan, payload)


def _address(name: str) -> str:
    """Without the port."""
    return name.rpartition(":")[0].strip("[]")

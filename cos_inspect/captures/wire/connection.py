"""One TCP connection of a capture: two streams, which of them is the client's, how it ended."""

from collections.abc import Callable

from cos_inspect.captures.wire.events import Peers, Side, StreamEnd, StreamReader
from cos_inspect.captures.wire.ip import Segment, reversed_flow, sender_of
from cos_inspect.captures.wire.tcp_stream import PATIENCE, TcpStream
from cos_inspect.model.capture_account import CaptureAccount

FIN, SYN, RST = 1, 2, 4
NEAR = 1 << 24
"""How far from the end of the connection before, on the same ports, a packet may be its."""
_MOST_HELD = 8 * 1024 * 1024
"""Bytes of one direction that wait for others before them."""
_METHODS = (b"GET ", b"PUT ", b"POST ", b"HEAD ", b"DELETE ", b"OPTIONS ", b"CONNECT ", b"PRI * ")
_HELLO = b"\x16\x03"

OpenReader = Callable[[Peers], StreamReader]
SIDES: tuple[Side, Side] = ("client", "server")


class _Direction:
    """Passes on what one stream tells, by the side that sent it."""

    def __init__(self, connection: "Connection", number: int) -> None:
        self._connection = connection
        self._number = number

    def data(self, data: bytes, time: float, position: int, acknowledged: int) -> None:
        connection = self._connection
        reader = connection.reader or connection.open()
        reader.data(connection.sides[self._number], data, time, position, acknowledged)

    def hole(self, length: int | None, time: float) -> None:
        connection = self._connection
        connection.account.bytes_lost += length or 0
        reader = connection.reader or connection.open()
        reader.hole(connection.sides[self._number], length, time)

    def fin(self, time: float) -> None:
        self._connection.end(self._number, StreamEnd.FIN, time)


class Connection:
    """What is known of one: ``streams`` are those of the first sender of its packets, and of the
    other."""

    __slots__ = (
        "_ended",
        "_knows_sides",
        "_open_reader",
        "_syn_time",
        "account",
        "before",
        "connect_ms",
        "flow",
        "number",
        "packets",
        "reader",
        "reset",
        "sides",
        "streams",
        "time",
    )

    def __init__(
        self, flow: bytes, number: int, open_reader: OpenReader, account: CaptureAccount
    ) -> None:
        self.flow = flow
        self.number = number
        self.account = account
        self._open_reader = open_reader
        self.reader: StreamReader | None = None
        self.sides: tuple[Side, Side] = SIDES
        """Of the streams."""
        self._knows_sides = False
        self.streams = (TcpStream(_Direction(self, 0)), TcpStream(_Direction(self, 1)))
        self.packets = 0
        self.time = 0.0
        self.reset: tuple[int, float, int] | None = None
        """Who sent a RST, when, and its sequence number."""
        self.before: tuple[int | None, int | None] = (None, None)
        """Where the streams of the connection before on the same ports had ended."""
        self._ended = [False, False]
        self._syn_time: float | None = None
        self.connect_ms: float | None = None

    def take(self, segment: Segment, number: int, time: float) -> None:
        """A segment from the sender of that number."""
        self.packets += 1
        self.time = time
        stream, other = self.streams[number], self.streams[1 - number]
        flags, acknowledged = segment.flags, segment.acknowledged
        sequence = segment.sequence
        if flags & SYN:
            self._synchronise(segment, number, time)
            sequence = (sequence + 1) & 0xFFFFFFFF
        elif self._syn_time is not None and acknowledged >= 0:
            self._connected(segment, number, time)
        if segment.data or segment.missing or flags & FIN:
            stream.segment(
                sequence, segment.data, segment.missing, time, acknowledged, bool(flags & FIN)
            )
        if acknowledged >= 0 and acknowledged != other.expected:
            other.acknowledge(acknowledged, self.packets)
        if stream.has_gap or other.has_gap:
            self._look_at_gaps(time)

    def _synchronise(self, segment: Segment, number: int, time: float) -> None:
        opened_by_it = segment.acknowledged < 0
        if not self._knows_sides:
            self._knows_sides = True
            self.sides = SIDES if opened_by_it == (number == 0) else ("server", "client")
        self.streams[number].begin((segment.sequence + 1) & 0xFFFFFFFF)
        if opened_by_it:
            if self._syn_time is None and self.connect_ms is None:
                self._syn_time = time
        else:
            # Also where the capture has not the SYN that it answers.
            self.streams[1 - number].begin(segment.acknowledged)

    def _connected(self, segment: Segment, number: int, time: float) -> None:
        """The client's first packet behind its SYN acknowledges the server's."""
        stream = self.streams[number]
        if not self._knows_sides or self.sides[number] != "client":
            return
        if segment.flags & RST == 0 and stream.begins_at(segment.sequence):
            other = self.streams[1 - number]
            if other.expected is None and self._syn_time is not None:
                other.begin(segment.acknowledged)
            if self._syn_time is not None and time >= self._syn_time > 0:
                self.connect_ms = round((time - self._syn_time) * 1000, 3)
            self._syn_time = None

    def _look_at_gaps(self, time: float) -> None:
        for stream in self.streams:
            if stream.expected is None:
                if self.packets >= PATIENCE and stream.waits_to_begin:
                    self._begin_in_the_middle(stream, time)
            else:
                stream.ripen(self.packets)
            while stream.held > _MOST_HELD:
                stream.force()

    def _begin_in_the_middle(self, stream: TcpStream, time: float) -> None:
        if not self._knows_sides:
            self._guess_sides()
        stream.begin_in_the_middle(time)

    def _guess_sides(self) -> None:
        """By what the first packets hold, else by the lower port."""
        self._knows_sides = True
        asks = False, False
        for number, stream in enumerate(self.streams):
            for data in stream.waiting():
                says = 0
                if data.startswith(_METHODS) or (data.startswith(_HELLO) and data[5:6] == b"\x01"):
                    says = 1
                elif data.startswith(b"HTTP/1.") or (
                    data.startswith(_HELLO) and data[5:6] == b"\x02"
                ):
                    says = -1
                if says:
                    first = (says > 0) == (number == 0)
                    asks = first, not first
                    break
        if asks == (False, False):
            ports = self.flow[-4:-2], self.flow[-2:]
            asks = ports[0] > ports[1], ports[0] <= ports[1]
        self.sides = SIDES if asks[0] else ("server", "client")

    def open(self) -> StreamReader:
        """The reader, made when there is the first thing to tell."""
        if not self._knows_sides:
            self._guess_sides()
        ends = self.flow, reversed_flow(self.flow)
        client = ends[0] if self.sides[0] == "client" else ends[1]
        peers = Peers(
            client=sender_of(client),
            server=sender_of(reversed_flow(client)),
            connect_ms=self.connect_ms,
        )
        self.reader = self._open_reader(peers)
        return self.reader

    def end(self, number: int, how: StreamEnd, time: float) -> None:
        """Nothing more comes from a side."""
        if self._ended[number]:
            return
        self._ended[number] = True
        if self.reader is not None:
            self.reader.end(self.sides[number], how, time)

    @property
    def is_over(self) -> bool:
        """Both sides have ended."""
        return self._ended[0] and self._ended[1]

    @property
    def held(self) -> int:
        """Bytes of memory, about, that what waits for others before it takes."""
        return self.streams[0].held + self.streams[1].held

    @property
    def kept(self) -> int:
        """The same, with what the reader keeps."""
        return self.held + (0 if self.reader is None else self.reader.held)

    def finish(self) -> None:
        """Nothing more comes: what waits is told, with the holes before it, and the ends."""
        reset = self.reset
        for number in (0, 1) if self.sides[0] == "client" else (1, 0):
            stream = self.streams[number]
            if stream.expected is None and stream.waits_to_begin:
                self._begin_in_the_middle(stream, self.time)
            last = reset[2] if reset is not None and reset[0] == number else None
            stream.flush(self.time, last)
        for number in (0, 1):
            if reset is None:
                self.end(number, StreamEnd.CAPTURE, self.time)
            else:
                how = StreamEnd.RESET if reset[0] == number else StreamEnd.PEER_RESET
                self.end(number, how, reset[1])

    def is_late(self, segment: Segment, number: int) -> bool:
        """Whether a segment is rather one of the connection before on the same ports."""
        last = self.before[number]
        if last is None:
            return False
        stream = self.streams[number]
        if stream.expected is not None and abs(stream.distance(segment.sequence)) < NEAR:
            return False
        distance = ((segment.sequence - last + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
        return -NEAR < distance < NEAR

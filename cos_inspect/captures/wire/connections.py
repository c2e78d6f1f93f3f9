"""The TCP connections of a capture: which segment belongs to which, who opened it, how it ended.

What is held of a connection is what is open: when both sides have ended, or it was reset, or its
port is used again, its reader is let go, and what remains is enough to know late copies of its
packets.
"""

import gc
from collections import OrderedDict, deque
from collections.abc import Callable
from itertools import islice

from cos_inspect.captures.wire.events import COST, Peers, Side, StreamEnd, StreamReader
from cos_inspect.captures.wire.ip import Segment, reversed_flow, sender_of
from cos_inspect.captures.wire.tcp_stream import PATIENCE, TcpStream
from cos_inspect.model.capture_account import CaptureAccount

FIN, SYN, RST = 1, 2, 4
TOO_MANY = "more connections were open at once than are held"
TOO_MUCH = "more waited for what did not come than is held"
_MOST_OPEN = 10_000
_MOST_CLOSED = 4_000
"""Connections that ended and whose late packets are known again."""
_MOST_HELD = 8 * 1024 * 1024
"""Bytes of one direction that wait for others before them."""
_MOST_HELD_IN_ALL = 32 * 1024 * 1024
_MOST_KEPT = 128 * 1024 * 1024
"""Bytes of memory, about, that all of them take for what waits; one alone may take some MiB."""
_LOOK_AFTER = 16 * 1024 * 1024
"""Bytes that come between two looks at how many these are."""
_RESET_AFTER = 256
"""Packets of the capture after which nothing more is expected before a reset: captures reorder."""
_NEAR = 1 << 24
"""How far from the end of the connection before, on the same ports, a packet may be its."""
_METHODS = (b"GET ", b"PUT ", b"POST ", b"HEAD ", b"DELETE ", b"OPTIONS ", b"CONNECT ", b"PRI * ")
_HELLO = b"\x16\x03"

OpenReader = Callable[[Peers], StreamReader]
SIDES: tuple[Side, Side] = ("client", "server")


class _Direction:
    """Passes on what one stream tells, by the side that sent it."""

    def __init__(self, connection: "_Connection", number: int) -> None:
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


class _Connection:
    """The streams are those of the first sender of its packets, and of the other."""

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
        if stream.expected is not None and abs(stream.distance(segment.sequence)) < _NEAR:
            return False
        distance = ((segment.sequence - last + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
        return -_NEAR < distance < _NEAR


class Connections:
    """All connections of a capture."""

    def __init__(
        self,
        open_reader: OpenReader,
        account: CaptureAccount,
        told: Callable[[str], object],
    ) -> None:
        """``told`` takes a line where a bound was reached."""
        self._open_reader = open_reader
        self._account = account
        self._tell = told
        self._open: OrderedDict[int, _Connection] = OrderedDict()
        """By number, in the order in which they began."""
        self._by_flow: dict[bytes, tuple[_Connection, int]] = {}
        """All that are known, open or closed, under both directions' addresses."""
        self._closed: deque[_Connection] = deque()
        self._resets: deque[tuple[int, _Connection]] = deque()
        self._packets = 0
        self._number = 0
        self._held = 0
        self._forced = False
        self._since_look = 0
        """Bytes that came since the last look at what the readers hold."""

    def take(self, segment: Segment, time: float) -> None:
        """The next segment of the capture."""
        self._packets += 1
        if self._resets and self._packets - self._resets[0][0] > _RESET_AFTER:
            self._close(self._resets.popleft()[1])
        found = self._by_flow.get(segment.flow)
        flags = segment.flags
        if found is None:
            if not (segment.data or segment.missing or flags & SYN):
                return
            found = self._begin(segment.flow, None), 0
        connection, number = found
        if flags & SYN:
            if self._is_new(connection, segment, number):
                self._close(connection)
                connection, number = self._begin(segment.flow, connection), 0
        elif connection.before != (None, None) and connection.is_late(segment, number):
            return
        if connection.number not in self._open:
            if not self._goes_on(connection, segment, number):
                return
            connection, number = self._begin(segment.flow, connection), 0
        if flags & RST:
            self._reset(connection, segment, number, time)
            return
        held = connection.held
        connection.take(segment, number, time)
        grown = connection.held
        if grown != held:
            self._held += grown - held
            if self._held > _MOST_HELD_IN_ALL:
                self._force(connection)
        if connection.is_over:
            self._close(connection)
        self._since_look += COST + len(segment.data)
        if self._since_look >= _LOOK_AFTER:
            self._since_look = 0
            self._make_room()

    def _make_room(self) -> None:
        """Lets those go that hold most, where all together hold too much."""
        sizes = [(each.kept, number) for number, each in self._open.items()]
        total = sum(size for size, _ in sizes)
        if total <= _MOST_KEPT:
            return
        for size, number in sorted(sizes, reverse=True):
            self._account.give_up(TOO_MUCH)
            self._close(self._open[number])
            total -= size
            if total <= _MOST_KEPT // 2:
                break
        # Readers and their parts know each other: without this they go at some later time.
        gc.collect()

    def finish(self) -> None:
        """The capture is over."""
        for connection in list(self._open.values()):
            self._close(connection)

    def _is_new(self, connection: _Connection, segment: Segment, number: int) -> bool:
        """Whether a SYN opens another connection on the same ports."""
        begin = (segment.sequence + 1) & 0xFFFFFFFF
        stream = connection.streams[number]
        if stream.begins_at(begin):
            return False
        if stream.expected is not None:
            return True
        # It answers, or is answered by, what is known of the other side.
        other = connection.streams[1 - number]
        answers = segment.acknowledged
        return answers >= 0 and other.expected is not None and not other.begins_at(answers)

    def _goes_on(self, connection: _Connection, segment: Segment, number: int) -> bool:
        """Whether a segment behind the end of a connection belongs to one that the capture has
        not seen begin."""
        if segment.flags & RST or not segment.data:
            return False
        stream = connection.streams[number]
        if stream.expected is None:
            return False
        return not -_NEAR < stream.distance(segment.sequence) < _NEAR

    def _begin(self, flow: bytes, before: _Connection | None) -> _Connection:
        connection = _Connection(flow, self._number, self._open_reader, self._account)
        self._number += 1
        if before is not None:
            same = before.flow == flow
            ends = [stream.expected for stream in before.streams]
            connection.before = (ends[0], ends[1]) if same else (ends[1], ends[0])
        self._open[connection.number] = connection
        self._by_flow[flow] = connection, 0
        self._by_flow[reversed_flow(flow)] = connection, 1
        if len(self._open) > _MOST_OPEN:
            oldest = list(islice(self._open.values(), 64))
            longest = min(oldest[:_MOST_OPEN], key=lambda each: each.time)
            if longest.reader is not None:
                self._account.give_up(TOO_MANY)
            self._close(longest)
        return connection

    def _reset(self, connection: _Connection, segment: Segment, number: int, time: float) -> None:
        stream = connection.streams[number]
        if stream.expected is not None and not -_NEAR < stream.distance(segment.sequence) < (
            1 << 30
        ):
            return
        if connection.reset is None:
            connection.reset = number, time, segment.sequence
            self._resets.append((self._packets, connection))

    def _force(self, connection: _Connection) -> None:
        if not self._forced:
            self._forced = True
            most = _MOST_HELD_IN_ALL // (1024 * 1024)
            self._tell(
                f"more than {most} MiB of TCP segments are out of order: what is missing between"
                " them counts as lost"
            )
        before = connection.held
        for stream in connection.streams:
            while stream.held:
                was = stream.held
                if stream.expected is None:
                    stream.begin_in_the_middle(connection.time)
                stream.force()
                if stream.held == was:
                    break
        self._held += connection.held - before

    def _close(self, connection: _Connection) -> None:
        if self._open.pop(connection.number, None) is None:
            return
        held = connection.held
        connection.finish()
        self._held += connection.held - held
        connection.reader = None
        self._closed.append(connection)
        if len(self._closed) > _MOST_CLOSED:
            oldest = self._closed.popleft()
            for flow in (oldest.flow, reversed_flow(oldest.flow)):
                if self._by_flow.get(flow, (None, 0))[0] is oldest:
                    del self._by_flow[flow]

"""The TCP connections of a capture: which segment belongs to which.

What is held of a connection is what is open: when both sides have ended, or it was reset, or its
port is used again, its reader is let go, and what remains is enough to know late copies of its
packets.
"""

import gc
from collections import OrderedDict, deque
from collections.abc import Callable
from itertools import islice

from cos_inspect.captures.wire.connection import NEAR, RST, SYN, Connection, OpenReader
from cos_inspect.captures.wire.events import COST
from cos_inspect.captures.wire.ip import Segment, reversed_flow
from cos_inspect.model.capture_account import CaptureAccount

TOO_MANY = "more connections were open at once than are held"
TOO_MUCH = "more waited for what did not come than is held"
_MOST_OPEN = 10_000
_MOST_CLOSED = 4_000
"""Connections that ended and whose late packets are known again."""
_MOST_HELD_IN_ALL = 32 * 1024 * 1024
_MOST_KEPT = 128 * 1024 * 1024
"""Bytes of memory, about, that all of them take for what waits; one alone may take some MiB."""
_LOOK_AFTER = 16 * 1024 * 1024
"""Bytes that come between two looks at how many these are."""
_RESET_AFTER = 256
"""Packets of the capture after which nothing more is expected before a reset: captures reorder."""


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
        self._open: OrderedDict[int, Connection] = OrderedDict()
        """By number, in the order in which they began."""
        self._by_flow: dict[bytes, tuple[Connection, int]] = {}
        """All that are known, open or closed, under both directions' addresses."""
        self._closed: deque[Connection] = deque()
        self._resets: deque[tuple[int, Connection]] = deque()
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

    def _is_new(self, connection: Connection, segment: Segment, number: int) -> bool:
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

    def _goes_on(self, connection: Connection, segment: Segment, number: int) -> bool:
        """Whether a segment behind the end of a connection belongs to one that the capture has
        not seen begin."""
        if segment.flags & RST or not segment.data:
            return False
        stream = connection.streams[number]
        if stream.expected is None:
            return False
        return not -NEAR < stream.distance(segment.sequence) < NEAR

    def _begin(self, flow: bytes, before: Connection | None) -> Connection:
        connection = Connection(flow, self._number, self._open_reader, self._account)
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

    def _reset(self, connection: Connection, segment: Segment, number: int, time: float) -> None:
        stream = connection.streams[number]
        if stream.expected is not None and not -NEAR < stream.distance(segment.sequence) < (
            1 << 30
        ):
            return
        if connection.reset is None:
            connection.reset = number, time, segment.sequence
            self._resets.append((self._packets, connection))

    def _force(self, connection: Connection) -> None:
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

    def _close(self, connection: Connection) -> None:
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

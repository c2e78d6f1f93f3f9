"""One direction of a TCP connection: segments in any order to bytes in order, and holes.

A capture loses, repeats and reorders what the network did not. A hole is one when the receiver
acknowledges what the capture does not show, and what is missing does not come within some more
packets of the connection.
"""

import heapq
from typing import Protocol

from cos_inspect.captures.wire.events import COST

PATIENCE = 64
"""Packets of a connection within which one that is out of order comes."""
_MOST_AHEAD = 1 << 30
"""The largest window of TCP: what lies farther ahead belongs to another connection."""
_NEAR = 1 << 24
_HALF, _MASK = 1 << 31, (1 << 32) - 1


class Receiver(Protocol):
    """Who is told of the bytes of one direction."""

    def data(self, data: bytes, time: float, position: int, acknowledged: int) -> None:
        """The next ones; as in ``StreamReader``."""

    def hole(self, length: int | None, time: float) -> None:
        """What the capture has not."""

    def fin(self, time: float) -> None:
        """All that the sender sent was told."""


class TcpStream:
    """The segments that one side sent."""

    __slots__ = (
        "_acked",
        "_early",
        "_fin",
        "_pending",
        "_ripening",
        "_start",
        "_time",
        "_told",
        "ended",
        "expected",
        "held",
        "tells",
    )

    def __init__(self, tells: Receiver) -> None:
        self.tells = tells
        self.expected: int | None = None
        """The sequence number of the next byte, counted on beyond 32 bits; None as long as
        nobody knows where the stream begins."""
        self._start: int | None = None
        self._early: list[tuple[int, bytes, int, float, int, bool]] = []
        self._pending: list[tuple[int, int, bytes, int, float, int]] = []
        self._told = 0
        self._time = 0.0
        self._fin: tuple[int, float] | None = None
        self._acked: int | None = None
        self._ripening: list[tuple[int, int]] = []
        self.held = 0
        """Bytes of memory that what waits for others before it takes, about."""
        self.ended = False
        """Its FIN was told."""

    @property
    def has_gap(self) -> bool:
        """Something waits, or was acknowledged, behind bytes that are not there."""
        return bool(self._pending or self._early or self._ripening or self._fin)

    @property
    def waits_to_begin(self) -> bool:
        """Something came, and nobody knows where the stream begins."""
        return bool(self._early)

    def waiting(self) -> list[bytes]:
        """What came of a stream whose beginning is not known."""
        return [each[1] for each in self._early]

    def begin(self, sequence: int) -> None:
        """The number of its first byte is known, by a SYN or by what acknowledges one."""
        if self.expected is not None:
            return
        self.expected = sequence
        self._start = sequence
        early, self._early = self._early, []
        self.held -= sum(len(each[1]) + COST for each in early)
        for segment in early:
            # What is far off is of an older connection on the same ports.
            if -_NEAR < self.distance(segment[0]) < _NEAR:
                self.segment(*segment)

    def begins_at(self, sequence: int) -> bool:
        """Whether a SYN with this first byte is the one that it knows, once more."""
        return self._start == sequence

    def distance(self, sequence: int) -> int:
        """How far ahead of the next byte a number lies."""
        return ((sequence - (self.expected or 0) + _HALF) & _MASK) - _HALF

    def segment(
        self, sequence: int, data: bytes, missing: int, time: float, acknowledged: int, fin: bool
    ) -> None:
        """``missing``: bytes at its end that the capture has not."""
        expected = self.expected
        if expected is None:
            if data or missing or fin:
                self._early.append((sequence, data, missing, time, acknowledged, fin))
                self.held += len(data) + COST
            return
        ahead = ((sequence - expected + _HALF) & _MASK) - _HALF
        if ahead > _MOST_AHEAD:
            return
        self._time = time
        length = len(data) + missing
        if fin and self._fin is None and ahead + length >= 0:
            self._fin = expected + ahead + length, time
        if length and ahead + length > 0:
            if ahead > 0:
                place = expected + ahead
                self._told += 1
                heapq.heappush(
                    self._pending, (place, self._told, data, missing, time, acknowledged)
                )
                self.held += len(data) + COST
            else:
                self._deliver(expected + ahead, data, missing, time, acknowledged)
                if self._pending:
                    self._deliver_pending()
        if self._fin is not None:
            self._end()

    def acknowledge(self, number: int, packet: int) -> None:
        """The other side has received all before ``number``; said by the connection's packet of
        that number."""
        if self.expected is None:
            return
        ahead = self.distance(number)
        if ahead <= 0 or ahead > _MOST_AHEAD:
            return
        place = self.expected + ahead
        if self._acked is None or place > self._acked:
            self._acked = place
            self._ripening.append((packet, place))

    def ripen(self, packet: int) -> None:
        """Gives up what was acknowledged so many packets ago and did not come since."""
        ripe = None
        ripening = self._ripening
        while ripening and packet - ripening[0][0] >= PATIENCE:
            ripe = ripening.pop(0)[1]
        if ripe is not None:
            self._give_up(ripe, self._time)
        if ripening and self.expected is not None and ripening[-1][1] <= self.expected:
            ripening.clear()

    def begin_in_the_middle(self, time: float) -> None:
        """Nobody saw its beginning, and nobody will."""
        if self.expected is not None:
            return
        self.tells.hole(None, time)
        if not self._early:
            return
        first = self._early[0][0]
        lowest = min(((each[0] - first + _HALF) & _MASK) - _HALF for each in self._early)
        self.begin((first + lowest) & _MASK)
        self._start = None

    def force(self) -> None:
        """More waits than there is room for: the first hole is none any more that is filled."""
        if self._pending:
            self._give_up(self._pending[0][0], self._time)

    def flush(self, time: float, last: int | None = None) -> None:
        """Nothing more comes. ``last``: the number behind its last byte, where that is known."""
        if self.expected is None:
            return
        if last is not None and 0 < self.distance(last) <= _MOST_AHEAD:
            place = self.expected + self.distance(last)
            self._acked = max(self._acked or place, place)
        end = max((each[0] + len(each[2]) + each[3] for each in self._pending), default=0)
        if self._fin is not None:
            end = max(end, self._fin[0])
        self._give_up(max(end, self._acked or 0), time)

    def _give_up(self, until: int, time: float) -> None:
        """Tells what came before ``until``, and what is missing between."""
        if self.expected is None:
            return
        if self._fin is not None:
            # A FIN takes a number of its own.
            until = min(until, self._fin[0])
        while self.expected < until:
            place = until
            when = time
            if self._pending and self._pending[0][0] <= until:
                place, when = self._pending[0][0], self._pending[0][4]
            if place > self.expected:
                self._hole(place, when)
            if not self._pending:
                break
            self._deliver_pending()
        if self._fin is not None:
            self._end()

    def _hole(self, until: int, time: float) -> None:
        length = until - (self.expected or 0)
        self.expected = until
        self.tells.hole(length, time)

    def _deliver(
        self, place: int, data: bytes, missing: int, time: float, acknowledged: int
    ) -> None:
        """What is new of a segment that does not lie ahead."""
        expected = self.expected or 0
        known = expected - place
        if known < len(data):
            self.expected = place + len(data)
            piece = data[known:] if known else data
            self.tells.data(piece, time, expected & _MASK, acknowledged)
        if missing and self.expected is not None:
            end = place + len(data) + missing
            if end > self.expected:
                self._hole(end, time)

    def _deliver_pending(self) -> None:
        pending = self._pending
        while pending and self.expected is not None and pending[0][0] <= self.expected:
            place, _, data, missing, time, acknowledged = heapq.heappop(pending)
            self.held -= len(data) + COST
            if place + len(data) + missing > self.expected:
                self._deliver(place, data, missing, time, acknowledged)

    def _end(self) -> None:
        if self.ended or self._fin is None or self.expected is None:
            return
        place, time = self._fin
        if self.expected >= place:
            self.ended = True
            self.tells.fin(time)

"""Who reads what is inside of another protocol, from its first byte on: before, nobody knows what
it is."""

from collections.abc import Callable

from cos_inspect.captures.wire.events import (
    End,
    Hole,
    Side,
    StreamEnd,
    StreamEvent,
    StreamReader,
    cost_of,
    tell,
)

_MOST_BEFORE = 1000


class InnerReader:
    """A ``StreamReader`` that is made by the first bytes, of whichever side."""

    def __init__(self, make: Callable[[bytes], StreamReader]) -> None:
        self._make = make
        self._reader: StreamReader | None = None
        self._before: list[tuple[Side, StreamEvent]] = []

    def data(self, side: Side, data: bytes, time: float, position: int, acknowledged: int) -> None:
        """As in ``StreamReader``."""
        if self._reader is None:
            self._reader = self._begin(data[:64])
        self._reader.data(side, data, time, position, acknowledged)

    def _begin(self, first: bytes) -> StreamReader:
        reader = self._reader = self._make(first)
        for event in self._before:
            tell(reader, *event)
        self._before.clear()
        return reader

    def hole(self, side: Side, length: int | None, time: float) -> None:
        """As in ``StreamReader``."""
        self._tell(side, Hole(length, time))

    def end(self, side: Side, how: StreamEnd, time: float) -> None:
        """As in ``StreamReader``."""
        self._tell(side, End(how, time))

    @property
    def held(self) -> int:
        """As in ``StreamReader``."""
        if self._reader is not None:
            return self._reader.held
        return sum(cost_of(event) for _, event in self._before)

    def _tell(self, side: Side, event: StreamEvent) -> None:
        if self._reader is None:
            self._before.append((side, event))
            if len(self._before) > _MOST_BEFORE:
                # Nothing but holes.
                self._begin(b"")
        else:
            tell(self._reader, side, event)

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
    tell,
)


class InnerReader:
    """A ``StreamReader`` that is made by the first bytes, of whichever side."""

    def __init__(self, make: Callable[[bytes], StreamReader]) -> None:
        self._make = make
        self._reader: StreamReader | None = None
        self._before: list[tuple[Side, StreamEvent]] = []

    def data(self, side: Side, data: bytes, time: float, position: int, acknowledged: int) -> None:
        """As in ``StreamReader``."""
        if self._reader is None:
            self._reader = self._make(data[:64])
            for event in self._before:
                tell(self._reader, *event)
            self._before.clear()
        self._reader.data(side, data, time, position, acknowledged)

    def hole(self, side: Side, length: int | None, time: float) -> None:
        """As in ``StreamReader``."""
        self._tell(side, Hole(length, time))

    def end(self, side: Side, how: StreamEnd, time: float) -> None:
        """As in ``StreamReader``."""
        self._tell(side, End(how, time))

    def _tell(self, side: Side, event: StreamEvent) -> None:
        if self._reader is None:
            self._before.append((side, event))
        else:
            tell(self._reader, side, event)

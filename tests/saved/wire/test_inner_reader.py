from cos_inspect.captures.wire.events import Side, StreamEnd
from cos_inspect.captures.wire.inner_reader import InnerReader
from tests.saved.wire.tls_made import Data, End, Event, Hole


class Told:
    """A reader that notes what it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def data(self, side: Side, data: bytes, time: float, position: int, acknowledged: int) -> None:
        assert (time, position, acknowledged) == (2.0, 7, 9)
        self.events.append(Data(side, data))

    def hole(self, side: Side, length: int | None, time: float) -> None:
        assert time
        self.events.append(Hole(side, length))

    def end(self, side: Side, how: StreamEnd, time: float) -> None:
        assert time
        self.events.append(End(side, how))

    @property
    def held(self) -> int:
        return 0


def test_who_reads_is_chosen_by_the_first_bytes_and_told_what_came_before() -> None:
    told, begins = Told(), list[bytes]()

    def make(begin: bytes) -> Told:
        begins.append(begin)
        return told

    reader = InnerReader(make)
    reader.hole("client", 5, 1.0)
    reader.end("client", StreamEnd.CAPTURE, 1.0)
    assert not begins
    reader.data("server", b"x" * 100, 2.0, 7, 9)
    reader.data("server", b"y", 2.0, 7, 9)
    reader.hole("server", None, 3.0)
    assert begins == [b"x" * 64]
    assert told.events == [
        Hole("client", 5),
        End("client", StreamEnd.CAPTURE),
        Data("server", b"x" * 100),
        Data("server", b"y"),
        Hole("server", None),
    ]

"""What is told of one connection, direction by direction, in order, with holes where the capture
has lost bytes.

The reassembly of TCP tells it to a ``StreamReader``; one that decrypts TLS tells the same of what
was inside, and who reads HTTP need not know which of them it listens to.
"""

from enum import StrEnum
from typing import Literal, NamedTuple, Protocol

import msgspec

Side = Literal["client", "server"]
"""Who sent it. The client is the one that opened the connection."""


class StreamEnd(StrEnum):
    """Why no more comes from a side."""

    FIN = "fin"
    """It said so, and all that it sent before was told. Of TLS: ``close_notify``, or the FIN at
    the end of a record."""
    RESET = "reset"
    """It broke the connection off."""
    PEER_RESET = "peer-reset"
    """The other side did."""
    CAPTURE = "capture"
    """The capture ended before the stream did, or what comes then cannot be read. It says
    nothing of the connection."""


SEQUENCE_MASK, SEQUENCE_HALF = (1 << 32) - 1, 1 << 31
"""Sequence numbers of TCP count so far, and then from 0 again."""


class Segment(NamedTuple):
    """What ``StreamReader.data`` is told."""

    data: bytes
    time: float
    position: int
    acknowledged: int

    def behind(self, at: int) -> "Segment":
        """What of a segment stands behind its first ``at`` bytes."""
        position = (self.position + at) & SEQUENCE_MASK
        return Segment(self.data[at:], self.time, position, self.acknowledged)


class Hole(NamedTuple):
    """What ``StreamReader.hole`` is told."""

    length: int | None
    time: float


class End(NamedTuple):
    """What ``StreamReader.end`` is told."""

    how: StreamEnd
    time: float


StreamEvent = Segment | Hole | End
COST = 256
"""Bytes of memory that whatever waits takes besides its data, about: what is bounded by its bytes
alone may be a million pieces of one byte."""


def cost_of(event: StreamEvent) -> int:
    """Bytes of memory that an event takes while it waits, about."""
    return COST + len(event.data) if isinstance(event, Segment) else COST


class Peers(msgspec.Struct, kw_only=True):
    """Who speaks with whom. Shared by all readers of a connection; what is inside of TLS may fill
    in what it learns."""

    client: str
    """Address and port, as ``10.0.0.5:41234`` or ``[::1]:41234``."""
    server: str
    connect_ms: float | None = None
    """From the first SYN to the client's ACK; None where the capture has not both."""
    tls_ms: float | None = None
    sni: str | None = None
    tls: str | None = None
    """As mitmproxy names it: ``TLSv1.3``."""


class StreamReader(Protocol):
    """Takes what both sides of one connection sent. Of each side everything comes in order,
    ending with exactly one ``end``; between the sides, in the order of the capture.

    Times are those of the packets, in seconds since the epoch. It never raises for what it is
    told.
    """

    def data(self, side: Side, data: bytes, time: float, position: int, acknowledged: int) -> None:
        """The next bytes, never none.

        :param position: the TCP sequence number (32 bits) of the first of them; of what was inside
            a TLS record, that of the record. It is the same in every capture of this connection,
            so that ids can be made of it.
        :param acknowledged: the sequence number up to which the sender had received the other
            side when it sent the first of them, as its packet says; -1 where it does not. By it
            an answer finds its request again behind a hole.
        """

    def hole(self, side: Side, length: int | None, time: float) -> None:
        """Bytes that the capture has not.

        :param length: None where nobody knows: the capture began inside of the connection, or
            (TLS) what was lost cannot be counted.
        """

    def end(self, side: Side, how: StreamEnd, time: float) -> None:
        """No more comes from this side."""

    @property
    def held(self) -> int:
        """Bytes of memory that what waits takes, about."""


def tell(reader: StreamReader, side: Side, event: StreamEvent) -> None:
    """Calls the method of a reader that an event was kept for."""
    if isinstance(event, Segment):
        reader.data(side, *event)
    elif isinstance(event, Hole):
        reader.hole(side, *event)
    else:
        reader.end(side, *event)

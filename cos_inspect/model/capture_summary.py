"""What is said of a capture itself, besides its flows: what made it, and what it does not hold."""

import msgspec

from cos_inspect.model.flow_report import Unmasked


class CaptureFacts(msgspec.Struct, kw_only=True):
    """What a reader learns of its file (or of the part that it was given) while it reads. Facts
    of the parts of a file add up."""

    program: str | None = None
    """What wrote the file, and its version, as the file says: ``Fiddler v5.0.20253.3311``."""
    left_out: dict[str, int] = msgspec.field(default_factory=dict)
    """Exchanges that the file holds, or held the beginning of, and that are not judged, by reason.
    A reason is a few plain words that can stand behind a number: ``WebSocket``, ``TLS without its
    keys``, ``open when the capture ended``."""
    bytes_lost: int | None = None
    """Bytes of the wire that passed and that the capture does not have; None where its format
    cannot tell."""
    packets_lost: int | None = None
    """The same of packets."""
    misses_exchanges: bool = False
    """There may have been exchanges of which nothing is known: then nobody can say that one was
    not made."""

    def leave_out(self, reason: str, count: int = 1) -> None:
        """Counts exchanges that are not judged. Of many reasons the first 100 are named."""
        if count:
            if reason not in self.left_out and len(self.left_out) >= _MOST_REASONS:
                reason = _OTHER_REASONS
            self.left_out[reason] = self.left_out.get(reason, 0) + count

    def lose(self, *, bytes_: int = 0, packets: int = 0) -> None:
        """Counts what the capture lost; to be called once with nothing by a reader that can
        tell."""
        self.bytes_lost = (self.bytes_lost or 0) + bytes_
        self.packets_lost = (self.packets_lost or 0) + packets

    def merge(self, other: "CaptureFacts") -> None:
        """Adds those of another part of the same file."""
        self.program = self.program or other.program
        for reason, count in other.left_out.items():
            self.leave_out(reason, count)
        self.bytes_lost = _sum(self.bytes_lost, other.bytes_lost)
        self.packets_lost = _sum(self.packets_lost, other.packets_lost)
        self.misses_exchanges = self.misses_exchanges or other.misses_exchanges


_MOST_REASONS = 100
_OTHER_REASONS = "for other reasons"


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other


class CaptureSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A capture that was read, and what is not in the reports of it."""

    file: str
    """As it was given; of a folder the path of the file in it."""
    format: Unmasked
    """``mitm``, ``har``, ``saz``, ``whistle``, ``charles`` or ``pcap``."""
    program: str | None = None
    """What wrote it, as it says itself."""
    exchanges: int = 0
    """HTTP exchanges that were read, of COS and of others, also those that another capture holds
    as well."""
    left_out: dict[str, int] = {}
    """Exchanges that it holds, or held the beginning of, and that have no report, by reason."""
    bytes_lost: int | None = None
    """Bytes of the wire that the capture lost; null where its format cannot tell."""
    packets_lost: int | None = None
    """The same of packets."""
    run: int | None = None
    """The ``id`` of the run that tells it."""

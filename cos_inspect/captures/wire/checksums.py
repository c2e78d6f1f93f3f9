"""The checksums of TCP (RFC 9293, 3.1): which segments were damaged on their way, so that their
receivers dropped them and the senders sent them again.

A capture may hold packets before the network card has put the checksum in, or after several were
joined; then it is none, or only that of the addresses, or that of one of them. So a wrong one
tells something only behind right ones of the same sender's, and of a segment that is no longer
than they are.
"""

from functools import lru_cache
from typing import NamedTuple

TCP_PROTOCOL = 6
_AT = 16
"""Where it stands in the header of a segment."""
_MODULUS = 0xFFFF
_MOST_TRUST, _LESS_TRUST = 64, 4
"""A right one, of a segment with data, adds 1 to the trust in its sender's, up to the most; a wrong
one takes some away, and is damage where there was any."""
_MOST_SENDERS = 4096


class _Sender(NamedTuple):
    trust: int
    longest: int
    """Bytes of a segment with a right one, with its header."""


_UNKNOWN = _Sender(0, 0)


class Checksums:
    """Judges the segments of a capture, one after another."""

    def __init__(self) -> None:
        self._senders: dict[bytes, _Sender] = {}
        """By the addresses of sender and receiver."""
        self.damaged = 0
        """Segments that ``is_damaged`` was said of."""

    def is_damaged(self, addresses: bytes, packet: bytes, at: int, end: int) -> bool:
        """Whether a segment, all of which was captured, is one that no receiver takes.
        ``addresses`` are the sender's and the receiver's, 8 or 32 bytes."""
        size = end - at
        addressed = _sum(addresses) + TCP_PROTOCOL
        told = packet[at + _AT] << 8 | packet[at + _AT + 1]
        # What the network card is still to complete has the sum of the addresses, with the length
        # or without. Large packets, joined by the system, are such, so this comes first.
        if told in (0, (addressed + size) % _MODULUS, addressed % _MODULUS):
            return False
        whole = int.from_bytes(packet[at:end], "big")
        if size & 1:
            whole <<= 8
        trust, longest = self._senders.get(addresses, _UNKNOWN)
        if (addressed + size + whole) % _MODULUS == 0:
            has_data = size > (packet[at + 12] >> 4) * 4
            if has_data and (trust < _MOST_TRUST or size > longest):
                trust = min(trust + 1, _MOST_TRUST)
                self._keep(addresses, _Sender(trust, max(size, longest)))
            return False
        if not trust or size > longest:
            return False
        self._keep(addresses, _Sender(max(trust - _LESS_TRUST, 0), longest))
        self.damaged += 1
        return True

    def _keep(self, addresses: bytes, sender: _Sender) -> None:
        if addresses not in self._senders and len(self._senders) >= _MOST_SENDERS:
            del self._senders[next(iter(self._senders))]
        self._senders[addresses] = sender


@lru_cache(maxsize=1024)
def _sum(addresses: bytes) -> int:
    return int.from_bytes(addresses, "big") % _MODULUS

"""IP packets to TCP segments: headers of both versions, their extensions, fragments."""

import ipaddress
from collections.abc import Callable
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from cos_inspect.captures.wire.checksums import TCP_PROTOCOL, Checksums
from cos_inspect.captures.wire.events import COST

_IPV4 = Struct("!BxHHHxB")
"""Version and length of the header, total length, id, fragment, protocol."""
_TCP = Struct("!HHIIBB")
_UDP_PROTOCOL, _FRAGMENT = 17, 44
_EXTENSIONS = frozenset({0, 43, 60, 135, 139, 140})
_AUTHENTICATION = 51
_MOST_EXTENSIONS = 16
_MOST_FRAGMENTED = 1024
"""Packets of which not all fragments came yet."""
_MOST_BYTES = 16 * 1024 * 1024
_UNIT, _LONGEST = 8, 65_535
"""Bytes: fragments begin at a multiple of the one, packets are no longer than the other."""


class Segment(NamedTuple):
    """A TCP segment."""

    flow: bytes
    """Addresses and ports, the sender's first, as they stand in the packet: 12 or 36 bytes."""
    sequence: int
    acknowledged: int
    """-1 where the ACK flag is not set."""
    flags: int
    data: bytes
    missing: int
    """Bytes at its end that were sent and not captured."""


def reversed_flow(flow: bytes) -> bytes:
    """The same flow as the other side sends it: addresses and ports change places."""
    half = (len(flow) - 4) // 2
    return flow[half : 2 * half] + flow[:half] + flow[-2:] + flow[-4:-2]


@lru_cache(maxsize=4096)
def sender_of(flow: bytes) -> str:
    """Address and port, as ``10.0.0.5:41234`` or ``[::1]:41234``."""
    half = (len(flow) - 4) // 2
    address = ipaddress.ip_address(flow[:half])
    port = int.from_bytes(flow[-4:-2], "big")
    return f"{address}:{port}" if address.version == 4 else f"[{address}]:{port}"


class IpReader:
    """Takes IP packets in any order and joins fragments."""

    def __init__(self, datagram: Callable[[bytes, bytes], object]) -> None:
        """``datagram`` is told of UDP: addresses and ports as in a ``Segment``, and its data."""
        self._datagram = datagram
        self._fragments = _Fragments()
        self.checksums = Checksums()

    def segment(self, packet: bytes, at: int) -> Segment | None:
        """The TCP segment of a packet that begins at ``at`` of a frame. None also where it was
        damaged on its way, so that its receiver dropped it."""
        size = len(packet)
        if size < at + 20:
            return None
        version = packet[at] >> 4
        if version == 4:
            first, total, number, fragment, protocol = _IPV4.unpack_from(packet, at)
            header = (first & 15) * 4
            if header < 20 or (total and total < header):
                return None
            # Nothing is the length of what the network card is to cut.
            end = at + total if total else size
            addresses = packet[at + 12 : at + 20]
            if fragment & 0x3FFF:
                key = (addresses, number, protocol)
                place, more = (fragment & 0x1FFF) * 8, bool(fragment & 0x2000)
                whole = self._fragments.add(key, place, more, packet[at + header : end], end > size)
                if whole is None:
                    return None
                return self._payload(protocol, addresses, whole, 0, len(whole))
            return self._payload(protocol, addresses, packet, at + header, end)
        if version == 6:
            return self._version_6(packet, at)
        return None

    def _version_6(self, packet: bytes, at: int) -> Segment | None:
        size = len(packet)
        if size < at + 40:
            return None
        length = packet[at + 4] << 8 | packet[at + 5]
        end = at + 40 + length if length else size
        addresses = packet[at + 8 : at + 40]
        protocol, at = packet[at + 6], at + 40
        for _ in range(_MOST_EXTENSIONS):
            if protocol in (TCP_PROTOCOL, _UDP_PROTOCOL):
                return self._payload(protocol, addresses, packet, at, end)
            if min(end, size) < at + 8:
                return None
            if protocol == _FRAGMENT:
                place = packet[at + 2] << 8 | packet[at + 3]
                protocol, number = packet[at], packet[at + 4 : at + 8]
                key = (addresses, int.from_bytes(number, "big"), protocol)
                body = packet[at + 8 : end]
                whole = body
                if place & 0xFFF9:
                    found = self._fragments.add(
                        key, place & 0xFFF8, bool(place & 1), body, end > size
                    )
                    if found is None:
                        return None
                    whole = found
                    end = len(whole)
                else:
                    end -= at + 8
                packet, at, size = whole, 0, len(whole)
            elif protocol in _EXTENSIONS:
                protocol, at = packet[at], at + 8 + packet[at + 1] * 8
            elif protocol == _AUTHENTICATION:
                protocol, at = packet[at], at + 8 + packet[at + 1] * 4
            else:
                return None
        return None

    def _payload(
        self, protocol: int, addresses: bytes, packet: bytes, at: int, end: int
    ) -> Segment | None:
        """``end`` is where it ends by its length, which may lie behind what was captured."""
        if protocol == TCP_PROTOCOL:
            if len(packet) < at + 14:
                return None
            _, _, sequence, acknowledged, offset, flags = _TCP.unpack_from(packet, at)
            first = at + (offset >> 4) * 4
            if first < at + 20 or first > end:
                return None
            if end <= len(packet) and self.checksums.is_damaged(addresses, packet, at, end):
                return None
            data = packet[first:end]
            return Segment(
                addresses + packet[at : at + 4],
                sequence,
                acknowledged if flags & 16 else -1,
                flags,
                data,
                end - first - len(data),
            )
        if protocol == _UDP_PROTOCOL and len(packet) >= at + 8:
            self._datagram(addresses + packet[at : at + 4], packet[at + 8 : end])
        return None


_Key = tuple[bytes, int, int]


class _Fragments:
    """Packets of which not all fragments came yet; the oldest are let go when there are many, and
    are then holes in what they carry."""

    def __init__(self) -> None:
        self._open: dict[_Key, _Fragmented] = {}
        self._held = 0

    def add(self, key: _Key, place: int, more: bool, data: bytes, cut: bool) -> bytes | None:
        """The packet's whole payload, when this was the last piece that was missing."""
        if cut or not data:
            return None
        found = self._open.get(key)
        if found is None:
            found = self._open[key] = _Fragmented()
        before = found.held
        whole = found.add(place, more, data)
        self._held += found.held - before
        if whole is not None or found.broken:
            self._drop(key)
        while len(self._open) > _MOST_FRAGMENTED or self._held > _MOST_BYTES:
            self._drop(next(iter(self._open)))
        return whole

    def _drop(self, key: _Key) -> None:
        self._held -= self._open.pop(key).held


class _Fragmented:
    def __init__(self) -> None:
        self._data = bytearray()
        self._known = bytearray()
        """For each eight bytes of it 1 where they came."""
        self._length: int | None = None
        self.broken = False

    @property
    def held(self) -> int:
        """Bytes of memory, about."""
        return COST + len(self._data) + len(self._known)

    def add(self, place: int, more: bool, data: bytes) -> bytes | None:
        end = place + len(data)
        first, behind = place // _UNIT, -(-end // _UNIT)
        if end > _LONGEST or (more and end % _UNIT):
            self.broken = True
            return None
        if len(self._data) < behind * _UNIT:
            self._data += bytes(behind * _UNIT - len(self._data))
            self._known += bytes(behind - len(self._known))
        if self._known.find(1, first, behind) >= 0 and not self._agrees(place, data):
            # Pieces that contradict each other: no receiver can be told to have the one.
            self.broken = True
            return None
        self._data[place:end] = data
        self._known[first:behind] = b"\x01" * (behind - first)
        if not more:
            if self._length is not None and self._length != end:
                self.broken = True
                return None
            self._length = end
        if self._length is None or len(self._data) < self._length or self._has_gap(self._length):
            return None
        return bytes(self._data[: self._length])

    def _has_gap(self, length: int) -> bool:
        return self._known.find(0, 0, -(-length // _UNIT)) >= 0

    def _agrees(self, place: int, data: bytes) -> bool:
        """Whether what is known already of this piece is the same in it."""
        for at in range(0, len(data), _UNIT):
            piece = data[at : at + _UNIT]
            if self._known[(place + at) // _UNIT] and not self._data.startswith(piece, place + at):
                return False
        return True

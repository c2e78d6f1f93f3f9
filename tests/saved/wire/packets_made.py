"""Makes captures of packets: conversations over TCP, and the files that hold them.

Made by hand and by ``struct`` alone, from the RFCs and the drafts of pcap and pcapng, so that what
reads them is judged by something else than itself.
"""

import ipaddress
import struct
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
CLIENT, SERVER = ("10.0.0.5", 41234), ("203.0.113.9", 80)
CLIENT_6, SERVER_6 = ("2001:db8::5", 41234), ("2001:db8::9", 80)
START = 1_778_396_595.0
"""As the request ids in ``exchanges_made`` say."""
Side = Literal["client", "server"]
Address = tuple[str, int]


class Packet(NamedTuple):
    """A TCP segment with its addresses."""

    time: float
    source: Address
    target: Address
    sequence: int
    acknowledged: int | None
    flags: int
    data: bytes = b""


class Conversation:
    """Writes down the packets of one connection as both sides send."""

    def __init__(
        self,
        client: Address = CLIENT,
        server: Address = SERVER,
        *,
        client_number: int = 1000,
        server_number: int = 5000,
        time: float = START,
        size: int = 1448,
        opens: bool = True,
    ) -> None:
        self.ends = {"client": client, "server": server}
        self.numbers = {"client": client_number, "server": server_number}
        self.size = size
        """Most bytes of a segment."""
        self.time = time
        self.packets: list[Packet] = []
        if opens:
            self._add("client", SYN, acknowledges=False)
            self._add("server", SYN | ACK)
            self._add("client", ACK)
        else:
            self.numbers = {side: number + 1 for side, number in self.numbers.items()}

    def _add(self, side: Side, flags: int, data: bytes = b"", *, acknowledges: bool = True) -> None:
        other: Side = "server" if side == "client" else "client"
        self.time += 0.001
        self.packets.append(
            Packet(
                self.time,
                self.ends[side],
                self.ends[other],
                self.numbers[side] & 0xFFFFFFFF,
                self.numbers[other] & 0xFFFFFFFF if acknowledges else None,
                flags,
                data,
            )
        )
        self.numbers[side] += len(data) + bool(flags & (SYN | FIN))

    def send(self, side: Side, data: bytes) -> None:
        """In segments, which the other side acknowledges."""
        other: Side = "server" if side == "client" else "client"
        for at in range(0, len(data), self.size):
            self._add(side, ACK | PSH, data[at : at + self.size])
            self._add(other, ACK)

    def close(self, first: Side = "client") -> None:
        """By FIN, of both."""
        other: Side = "server" if first == "client" else "client"
        self.fin(first)
        self.fin(other)
        self._add(first, ACK)

    def fin(self, side: Side) -> None:
        self._add(side, FIN | ACK)

    def reset(self, side: Side) -> None:
        self._add(side, RST | ACK)


def tcp(packet: Packet) -> bytes:
    """The segment, with an option, as most have."""
    options = b"\x01\x01\x08\x0a" + bytes(8)
    return (
        struct.pack(
            "!HHIIBBHHH",
            packet.source[1],
            packet.target[1],
            packet.sequence,
            packet.acknowledged or 0,
            (20 + len(options)) // 4 << 4,
            packet.flags,
            65535,
            0,
            0,
        )
        + options
        + packet.data
    )


def ip(packet: Packet, number: int = 1) -> bytes:
    """The packet, of the version of its addresses."""
    segment = tcp(packet)
    source, target = (ipaddress.ip_address(each[0]) for each in (packet.source, packet.target))
    if source.version == 6:
        head = struct.pack("!IHBB", 6 << 28, len(segment), 6, 64)
        return head + source.packed + target.packed + segment
    return ip_4(source.packed, target.packed, segment, number)


def with_checksum(packet: bytes, *, of_addresses: bool = False) -> bytes:
    """The same IP packet with the checksum of its TCP segment (RFC 1071); or with what a system
    leaves there where the network card puts it in: the sum of the addresses."""
    head, addresses = (20, packet[12:20]) if packet[0] >> 4 == 4 else (40, packet[8:40])
    segment = packet[head : head + 16] + b"\0\0" + packet[head + 18 :]
    summed = addresses + struct.pack("!II", 6, len(segment))
    if not of_addresses:
        summed += segment + bytes(len(segment) % 2)
    total = sum(word for (word,) in struct.iter_unpack("!H", summed))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    told = total if of_addresses else total ^ 0xFFFF
    return packet[:head] + segment[:16] + struct.pack("!H", told) + segment[18:]


def ip_4(
    source: bytes,
    target: bytes,
    payload: bytes,
    number: int = 1,
    *,
    fragment: int = 0,
    protocol: int = 6,
) -> bytes:
    head = struct.pack(
        "!BBHHHBBH", 0x45, 0, 20 + len(payload), number & 0xFFFF, fragment, 64, protocol, 0
    )
    return head + source + target + payload


def fragments_4(packet: Packet, number: int, size: int) -> list[bytes]:
    """The packet in pieces of ``size`` bytes, a multiple of 8."""
    segment = tcp(packet)
    source, target = (
        ipaddress.ip_address(each[0]).packed for each in (packet.source, packet.target)
    )
    pieces = []
    for at in range(0, len(segment), size):
        more = 0x2000 if at + size < len(segment) else 0
        piece = segment[at : at + size]
        pieces.append(ip_4(source, target, piece, number, fragment=at // 8 | more))
    return pieces


def fragments_6(packet: Packet, number: int, size: int) -> list[bytes]:
    """The same of IPv6, with a header of options before."""
    segment = tcp(packet)
    source, target = (
        ipaddress.ip_address(each[0]).packed for each in (packet.source, packet.target)
    )
    pieces = []
    for at in range(0, len(segment), size):
        more = int(at + size < len(segment))
        options = bytes([44, 0, 1, 4, 0, 0, 0, 0])
        extension = struct.pack("!BBHI", 6, 0, at | more, number)
        body = options + extension + segment[at : at + size]
        pieces.append(struct.pack("!IHBB", 6 << 28, len(body), 0, 64) + source + target + body)
    return pieces


def ethernet(packet: bytes, *tags: int) -> bytes:
    """In a frame, with VLAN tags of some types."""
    kind = 0x86DD if packet[0] >> 4 == 6 else 0x0800
    head = b"\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02"
    for tag in tags:
        head += struct.pack("!HH", tag, 7)
    frame = head + struct.pack("!H", kind) + packet
    # What is short is filled up.
    return frame + bytes(max(0, 60 - len(frame)))


class Frame(NamedTuple):
    time: float
    data: bytes
    length: int | None = None
    """On the wire, where it was cut."""


def frames(packets: Iterable[Packet]) -> list[Frame]:
    """In Ethernet."""
    return [Frame(each.time, ethernet(ip(each, n))) for n, each in enumerate(packets)]


def pcap(
    made: Sequence[Frame],
    *,
    order: str = "<",
    nano: bool = False,
    link: int = 1,
    snap: int = 262144,
) -> bytes:
    """A classic file."""
    parts = 1_000_000_000 if nano else 1_000_000
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap, link)]
    for frame in made:
        data = frame.data[:snap]
        ticks = round(frame.time * parts)
        length = frame.length or len(frame.data)
        out.append(
            struct.pack(order + "IIII", ticks // parts, ticks % parts, len(data), length) + data
        )
    return b"".join(out)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """A block of pcapng."""
    body += bytes(-len(body) % 4)
    length = len(body) + 12
    return struct.pack(order + "II", kind, length) + body + struct.pack(order + "I", length)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str = "<", program: bytes = b"made by hand") -> bytes:
    body = struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1)
    return block(0x0A0D0D0A, body + option(4, program, order) + option(0, b"", order), order)


def interface(link: int = 1, order: str = "<", snap: int = 0, options: bytes = b"") -> bytes:
    return block(1, struct.pack(order + "HHI", link, 0, snap) + options, order)


def enhanced(
    frame: Frame, number: int = 0, order: str = "<", parts: int = 1_000_000, options: bytes = b""
) -> bytes:
    ticks = round(frame.time * parts)
    length = frame.length or len(frame.data)
    head = struct.pack(
        order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame.data), length
    )
    data = frame.data + bytes(-len(frame.data) % 4)
    return block(6, head + data + options, order)


def pcapng(made: Sequence[Frame], order: str = "<", link: int = 1) -> bytes:
    """A file of one section with one interface."""
    blocks = [section(order), interface(link, order)]
    return b"".join([*blocks, *(enhanced(each, 0, order) for each in made)])

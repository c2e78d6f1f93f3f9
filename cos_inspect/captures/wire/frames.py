"""Files of frames: pcap (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng), read
forwards with bounded memory."""

import struct
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.source import Stream
from cos_inspect.model.capture_account import CaptureAccount
from cos_inspect.model.moments import known_moment

_CHUNK = 1024 * 1024
_LARGEST_FRAME = 16 * 1024 * 1024
"""Bytes; libpcap itself takes 262,144 of networks, 128 MiB of USB. What is longer is none."""
_LARGEST_BLOCK = _LARGEST_FRAME + 64 * 1024
_LARGEST_SECRETS = 16 * 1024 * 1024
_MOST_INTERFACES = 65_536
_LONGEST_PROGRAM = 200

_CLASSIC = {
    b"\xa1\xb2\xc3\xd4": (">", 1_000_000, 16),
    b"\xd4\xc3\xb2\xa1": ("<", 1_000_000, 16),
    b"\xa1\xb2\x3c\x4d": (">", 1_000_000_000, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 1_000_000_000, 16),
    # Of a patched libpcap (Kuznetzov's): eight bytes more of each packet.
    b"\xa1\xb2\xcd\x34": (">", 1_000_000, 24),
    b"\x34\xcd\xb2\xa1": ("<", 1_000_000, 24),
}
"""By the first four bytes: byte order, parts of a second, length of a packet's header."""
_SECTION = b"\x0a\x0d\x0d\x0a"
_Order = Literal["<", ">"]
_ORDERS: dict[bytes, _Order] = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}

_INTERFACE, _OBSOLETE_PACKET, _SIMPLE_PACKET, _STATISTICS, _PACKET, _SECRETS = 1, 2, 3, 5, 6, 10
_SECTION_TYPE = 0x0A0D0D0A
_TLS_KEY_LOG = 0x544C534B
_APPLICATION = 4
_RESOLUTION, _OFFSET = 9, 14
_INTERFACE_DROPPED, _SYSTEM_DROPPED = 5, 7
_DROP_COUNT = 4
_UNKNOWN_DROPS = 0xFFFF


class Frame(NamedTuple):
    """One packet as it was captured."""

    link: int
    """The link type (https://www.tcpdump.org/linktypes.html)."""
    time: float
    """Seconds since the epoch; 0 where the file has none."""
    data: bytes
    length: int
    """Bytes on the wire; ``data`` may be shorter."""
    offset: int
    """Where its record begins in the file."""


def recognises_frames(head: bytes) -> bool:
    """Whether a file holds frames, as pcap or pcapng, by its first bytes."""
    if head[:4] == _SECTION:
        return len(head) < 12 or head[8:12] in _ORDERS
    return head[:4] in _CLASSIC


class _Window:
    """The bytes of the file that are looked at just now."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.buffer = b""
        self.at = 0
        """Of the next byte, in ``buffer``."""
        self._base = stream.offset

    @property
    def offset(self) -> int:
        """Of the next byte, in the file."""
        return self._base + self.at

    def have(self, count: int) -> bool:
        """Whether so many bytes follow; they are in the buffer then."""
        missing = self.at + count - len(self.buffer)
        if missing <= 0:
            return True
        more = self._stream.read(max(missing, _CHUNK))
        self._base += self.at
        self.buffer = self.buffer[self.at :] + more
        self.at = 0
        return len(self.buffer) >= count

    def cut(self, begin: int) -> CaptureError:
        return self.broken("the file ends inside the packet that begins", begin)

    def broken(self, what: str, begin: int) -> CaptureError:
        return CaptureError(self._stream.name, what, begin)


class FrameFile:
    """Reads one file. What it learns besides the frames goes to ``account``, and the texts of
    TLS key logs to ``secrets``."""

    def __init__(
        self, stream: Stream, account: CaptureAccount, secrets: Callable[[bytes], object]
    ) -> None:
        self._account = account
        self._secrets = secrets
        self._window = _Window(stream)

    def frames(self) -> Iterator[Frame]:
        """:raises CaptureError: where the file is cut or broken, after what came before."""
        window = self._window
        if not window.have(4):
            raise window.cut(0)
        magic = window.buffer[:4]
        if magic in _CLASSIC:
            yield from self._classic(*_CLASSIC[magic])
        elif magic == _SECTION:
            yield from _Blocks(window, self._account, self._secrets).frames()
        else:
            raise window.broken("this is neither pcap nor pcapng", 0)

    def _classic(self, order: str, parts: int, size: int) -> Iterator[Frame]:
        window = self._window
        if not window.have(24):
            raise window.cut(0)
        # The upper bits tell of checksums behind the frames.
        link = struct.unpack_from(order + "I", window.buffer, 20)[0] & 0xFFFF
        window.at = 24
        unpack = struct.Struct(order + "IIII").unpack_from
        account = self._account
        while window.have(1):
            begin = window.offset
            if not window.have(size):
                raise window.cut(begin)
            seconds, part, held, length = unpack(window.buffer, window.at)
            if held > _LARGEST_FRAME:
                raise window.broken("there is no packet here", begin)
            if not window.have(size + held):
                raise window.cut(begin)
            first = window.at + size
            window.at = first + held
            account.packets += 1
            if held < length:
                account.packets_cut += 1
            yield Frame(
                link, seconds + part / parts, window.buffer[first : window.at], length, begin
            )


class _Interface(NamedTuple):
    link: int
    snap: int
    parts: int
    """Of a second."""
    offset: int
    """Seconds."""


class _Blocks:
    """The blocks of a pcapng file."""

    def __init__(
        self, window: _Window, account: CaptureAccount, secrets: Callable[[bytes], object]
    ) -> None:
        self._window = window
        self._account = account
        self._secrets = secrets
        self._order: _Order = "<"
        self._interfaces: list[_Interface] = []
        self._dropped: dict[int, int] = {}
        """By interface of this section, as its latest statistics say."""
        self._dropped_before = 0
        self._time = 0.0

    def frames(self) -> Iterator[Frame]:
        window = self._window
        while window.have(1):
            begin = window.offset
            kind, length = self._head(begin)
            if length > _LARGEST_BLOCK:
                self._pass_over(length, begin)
                continue
            if not window.have(length):
                raise window.cut(begin)
            first = window.at + 8
            end = window.at + length - 4
            window.at += length
            try:
                frame = self._block(kind, first, end, begin)
            except struct.error:
                raise window.broken("a block that is shorter than it has to be", begin) from None
            if frame is not None:
                yield frame

    def _head(self, begin: int) -> tuple[int, int]:
        window = self._window
        if not window.have(12):
            raise window.cut(begin)
        buffer, at = window.buffer, window.at
        if buffer[at : at + 4] == _SECTION:
            order = _ORDERS.get(buffer[at + 8 : at + 12])
            if order is None:
                raise window.broken("a section whose byte order is unknown", begin)
            self._order = order
            self._interfaces = []
            self._dropped_before += sum(self._dropped.values())
            self._dropped = {}
        kind, length = struct.unpack_from(self._order + "II", buffer, at)
        if length < 12 or length % 4:
            raise window.broken("there is no block here", begin)
        return kind, length

    def _pass_over(self, length: int, begin: int) -> None:
        window = self._window
        while length:
            if not window.have(1):
                raise window.cut(begin)
            taken = min(length, len(window.buffer) - window.at)
            window.at += taken
            length -= taken

    def _block(self, kind: int, first: int, end: int, begin: int) -> Frame | None:
        buffer, order = self._window.buffer, self._order
        if kind == _PACKET:
            number, high, low, held, length = struct.unpack_from(order + "IIIII", buffer, first)
            return self._frame(number, high << 32 | low, first + 20, held, length, end, begin)
        if kind == _SIMPLE_PACKET:
            (length,) = struct.unpack_from(order + "I", buffer, first)
            snap = self._interface(0, begin).snap
            held = min(length, end - first - 4, snap or length)
            return self._frame(0, None, first + 4, held, length, end, begin)
        if kind == _OBSOLETE_PACKET:
            values = struct.unpack_from(order + "HHIIII", buffer, first)
            number, drops, high, low, held, length = values
            if drops not in (0, _UNKNOWN_DROPS):
                self._lose(drops)
            return self._frame(number, high << 32 | low, first + 20, held, length, end, begin)
        if kind == _INTERFACE:
            self._add_interface(first, end, begin)
        elif kind == _STATISTICS:
            self._count(first, end)
        elif kind == _SECRETS:
            what, length = struct.unpack_from(order + "II", buffer, first)
            if what == _TLS_KEY_LOG and length <= min(end - first - 8, _LARGEST_SECRETS):
                self._secrets(buffer[first + 8 : first + 8 + length])
        elif kind == _SECTION_TYPE:
            self._name(first, end)
        return None

    def _frame(
        self,
        number: int,
        ticks: int | None,
        first: int,
        held: int,
        length: int,
        end: int,
        begin: int,
    ) -> Frame:
        interface = self._interface(number, begin)
        if first + held > end:
            raise self._window.broken("a packet that is longer than its block", begin)
        if ticks is not None:
            # An interface may claim any clock.
            self._time = known_moment(interface.offset + ticks / interface.parts) or 0.0
        account = self._account
        account.packets += 1
        if held < length:
            account.packets_cut += 1
        padded = first + held + (-held % 4)
        if padded < end:
            for code, value in self._options(padded, end):
                if code == _DROP_COUNT and len(value) == 8:
                    self._lose(int.from_bytes(value, "little" if self._order == "<" else "big"))
        data = self._window.buffer[first : first + held]
        return Frame(interface.link, self._time, data, length, begin)

    def _interface(self, number: int, begin: int) -> _Interface:
        if number >= len(self._interfaces):
            raise self._window.broken("a packet of an interface that is not described", begin)
        return self._interfaces[number]

    def _add_interface(self, first: int, end: int, begin: int) -> None:
        if len(self._interfaces) >= _MOST_INTERFACES:
            raise self._window.broken(f"more than {_MOST_INTERFACES} interfaces", begin)
        link, _, snap = struct.unpack_from(self._order + "HHI", self._window.buffer, first)
        parts, offset = 1_000_000, 0
        for code, value in self._options(first + 8, end):
            if code == _RESOLUTION and len(value) == 1:
                base, exponent = (2 if value[0] & 0x80 else 10), value[0] & 0x7F
                parts = base**exponent
            elif code == _OFFSET and len(value) == 8:
                (offset,) = struct.unpack(self._order + "q", value)
        self._interfaces.append(_Interface(link, snap, parts, offset))

    def _options(self, at: int, end: int) -> Iterator[tuple[int, bytes]]:
        buffer, form = self._window.buffer, self._order + "HH"
        while at + 4 <= end:
            code, length = struct.unpack_from(form, buffer, at)
            at += 4
            if code == 0 or at + length > end:
                return
            yield code, buffer[at : at + length]
            at += length + (-length % 4)

    def _lose(self, count: int) -> None:
        account = self._account
        account.packets_lost = (account.packets_lost or 0) + count

    def _count(self, first: int, end: int) -> None:
        """Statistics say how many packets were lost since the capture began."""
        number, _, _ = struct.unpack_from(self._order + "III", self._window.buffer, first)
        order: Literal["little", "big"] = "little" if self._order == "<" else "big"
        lost = None
        for code, value in self._options(first + 12, end):
            if code in (_INTERFACE_DROPPED, _SYSTEM_DROPPED) and len(value) == 8:
                lost = (lost or 0) + int.from_bytes(value, order)
        if lost is not None:
            self._dropped[number] = lost
            self._account.packets_lost = self._dropped_before + sum(self._dropped.values())

    def _name(self, first: int, end: int) -> None:
        account = self._account
        for code, value in self._options(first + 16, end):
            if code == _APPLICATION and account.program is None:
                account.program = value[:_LONGEST_PROGRAM].decode("utf-8", "replace")

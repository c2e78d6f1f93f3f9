"""Captures of packets to exchanges: what tcpdump, Wireshark, dumpcap, phones and Windows write.

No proxy was between: the bytes are those of the wire. What the capture lost is counted, and
nothing is said of it.
"""

from collections import deque
from collections.abc import Iterator, Sequence

from cos_inspect.captures.capture_format import CaptureFormat, CapturePart
from cos_inspect.captures.captured_flow import CapturedFlow, InputRemarks
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.source import Stream
from cos_inspect.captures.wire.connections import Connections
from cos_inspect.captures.wire.context import WireContext
from cos_inspect.captures.wire.frames import FrameFile, recognises_frames
from cos_inspect.captures.wire.ip import IpReader
from cos_inspect.captures.wire.key_files import key_log_of
from cos_inspect.captures.wire.link import UNKNOWN_LINK, ip_offset
from cos_inspect.captures.wire.protocol import ProtocolReader
from cos_inspect.model.capture_account import CaptureAccount

QUIC = "QUIC (HTTP/3)"
_QUIC_PORT = b"\x01\xbb"
_MOST_QUIC = 10_000
"""Connections over UDP that are told apart."""


class PacketFile:
    """Reads one file."""

    def __init__(
        self,
        stream: Stream,
        hosts: Sequence[str],
        remarks: InputRemarks,
        *,
        keeps_answers: bool = False,
        key_logs: Sequence[str] = (),
    ) -> None:
        """:raises CaptureError: for a key log that cannot be read."""
        self._stream = stream
        self._remarks = remarks
        self._account = remarks.account = CaptureAccount(format="pcap")
        self._ready: deque[CapturedFlow] = deque()
        self._context = WireContext(
            hosts,
            self._account,
            self._ready.append,
            keeps_answers=keeps_answers,
            keys=key_log_of(key_logs),
        )
        self._connections = Connections(
            lambda peers: ProtocolReader(self._context, peers), self._account, self._note
        )
        self._ip = IpReader(self._datagram)
        self._quic: set[frozenset[bytes]] = set()
        self._unknown_links: dict[int, int] = {}

    def saved(self) -> Iterator[CapturedFlow]:
        """:raises CaptureError: where the file is cut or broken, after what came before."""
        ready, context, connections, ip = self._ready, self._context, self._connections, self._ip
        ended: CaptureError | None = None
        frames = FrameFile(self._stream, self._account, context.keys.add).frames()
        while True:
            try:
                frame = next(frames, None)
            except CaptureError as error:
                ended = error
                break
            if frame is None:
                break
            link, time, data, _, context.offset = frame
            at = ip_offset(link, data)
            if at < 0:
                if at == UNKNOWN_LINK:
                    self._unknown_links[link] = self._unknown_links.get(link, 0) + 1
                continue
            segment = ip.segment(data, at)
            if segment is not None:
                connections.take(segment, time)
                while ready:
                    yield ready.popleft()
        connections.finish()
        while ready:
            yield ready.popleft()
        for number, count in sorted(self._unknown_links.items()):
            self._account.hides_exchanges = True
            self._note(f"{count} packets are of link type {number}, which is not read")
        if self._account.packets_cut:
            cut, count = self._account.packets_cut, self._account.packets
            self._note(f"{cut} of its {count} packets are cut: capture them whole (tcpdump -s 0)")
        if ip.checksums.damaged:
            damaged, count = ip.checksums.damaged, self._account.packets
            self._note(
                f"{damaged} of its {count} packets have a wrong checksum of TCP: they are left out,"
                " for their receivers drop them as well"
            )
        if ended is not None:
            self._account.hides_exchanges = True
            raise ended

    def _note(self, line: str) -> None:
        self._remarks.note(f"{self._remarks.file}: {line}")

    def _datagram(self, flow: bytes, data: bytes) -> None:
        """UDP: a long header of QUIC to or from the port of HTTPS."""
        if _QUIC_PORT not in (flow[-4:-2], flow[-2:]) or len(data) < 5 or data[0] < 0xC0:
            return
        half = (len(flow) - 4) // 2
        key = frozenset({flow[:half] + flow[-4:-2], flow[half : 2 * half] + flow[-2:]})
        if key not in self._quic and len(self._quic) < _MOST_QUIC:
            self._quic.add(key)
            # Hosts of COS do not speak it; those of a CDN may.
            self._account.give_up(QUIC, hides=False)


def _read(
    stream: Stream, part: CapturePart, hosts: Sequence[str], remarks: InputRemarks
) -> Iterator[CapturedFlow]:
    return PacketFile(
        stream, hosts, remarks, keeps_answers=part.asked_again, key_logs=part.key_logs
    ).saved()


PCAP = CaptureFormat(
    name="pcap",
    called="a capture of packets",
    recognises=recognises_frames,
    suffixes=(".pcap", ".pcapng", ".cap"),
    read=_read,
)

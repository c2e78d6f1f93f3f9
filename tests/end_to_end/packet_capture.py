"""Captures the packets of ports on loopback, by whatever can do it here: dumpcap, tcpdump, or a
packet socket; and makes other captures of one."""

import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

WAIT_SECONDS = 60.0
_ETHERNET, _SNAP = 1, 262_144
_EVERY_PROTOCOL = 3
_OUTGOING = 4
_BUFFER = 64 * 1024 * 1024
_RECEIVE_BUFFER_FORCED = 33
"""``SO_RCVBUFFORCE`` of Linux, which Python does not name."""


def _has_packet_sockets() -> bool:
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERY_PROTOCOL)).close()
    except (AttributeError, OSError):
        return False
    return True


needs_packets = pytest.mark.skipif(
    not _has_packet_sockets(), reason="packets can be captured by root on Linux alone"
)


@contextmanager
def capturing(path: Path, *ports: int, by: Sequence[str] = ("tcpdump",)) -> Iterator[None]:
    """All packets from and to these ports are in ``path`` when the block is left. ``by``: the
    tools to try before the packet socket; all but dumpcap write a pcap file."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mark:
        mark.bind(("127.0.0.1", 0))
        port = mark.getsockname()[1]
        tool = next((each for each in by if shutil.which(each)), None)
        make = _by_socket if tool is None else _TOOLS[tool]
        with make(path, (*ports, port)) as runs:
            _wait_for(path, mark, port, b"the capture has begun", runs)
            yield
            _wait_for(path, mark, port, b"the capture may end here", runs)


def _wait_for(
    path: Path, mark: socket.socket, port: int, what: bytes, runs: Callable[[], bool]
) -> None:
    """What was sent before is captured when what is sent now is."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (path.exists() and what in path.read_bytes()):
        assert runs(), "it has ended by itself"
        assert time.monotonic() < deadline, "nothing is captured"
        mark.sendto(what, ("127.0.0.1", port))
        time.sleep(0.02)


@contextmanager
def _by_dumpcap(path: Path, ports: tuple[int, ...]) -> Iterator[Callable[[], bool]]:
    command = ["dumpcap", "-q", "-B", "64", "-i", "lo", "-f", _filter(ports), "-w", str(path)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield lambda: process.poll() is None
    finally:
        process.terminate()
        process.wait(WAIT_SECONDS)


@contextmanager
def _by_tcpdump(path: Path, ports: tuple[int, ...]) -> Iterator[Callable[[], bool]]:
    process = subprocess.Popen(
        [
            *("tcpdump", "-i", "lo", "-n", "-U", "--immediate-mode", "-B", str(_BUFFER // 1024)),
            *("-s", str(_SNAP), "-Z", "root", "-w", str(path), _filter(ports)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        yield lambda: process.poll() is None
    finally:
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=WAIT_SECONDS)
    assert b"\n0 packets dropped by kernel" in told, told


_Tool = Callable[[Path, tuple[int, ...]], AbstractContextManager[Callable[[], bool]]]
_TOOLS: dict[str, _Tool] = {"dumpcap": _by_dumpcap, "tcpdump": _by_tcpdump}
"""Both write all that fits into their buffer, however slow the machine is."""


def _filter(ports: tuple[int, ...]) -> str:
    return " or ".join(f"port {port}" for port in ports)


@contextmanager
def _by_socket(path: Path, ports: tuple[int, ...]) -> Iterator[Callable[[], bool]]:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERY_PROTOCOL))
    ended = threading.Event()
    with made, path.open("wb", buffering=0) as file:
        made.setsockopt(socket.SOL_SOCKET, _RECEIVE_BUFFER_FORCED, _BUFFER)
        made.bind(("lo", 0))
        made.settimeout(0.1)
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, _SNAP, _ETHERNET))

        def take() -> None:
            while not ended.is_set():
                try:
                    frame, (_, _, kind, _, _) = made.recvfrom(_SNAP)
                except TimeoutError:
                    continue
                # On loopback each packet passes twice.
                if kind != _OUTGOING and _ports_of(frame) & set(ports):
                    now = time.time_ns() // 1000
                    head = (now // 1_000_000, now % 1_000_000, len(frame), len(frame))
                    file.write(struct.pack("<IIII", *head) + frame)

        thread = threading.Thread(target=take)
        thread.start()
        try:
            yield thread.is_alive
        finally:
            ended.set()
            thread.join()


def _ports_of(frame: bytes) -> set[int]:
    if frame[12:14] != b"\x08\x00" or frame[23] not in (6, 17):
        return set()
    at = 14 + (frame[14] & 15) * 4
    return set(struct.unpack_from(">HH", frame, at))


def of_port(capture: Path, port: int, path: Path) -> Path:
    """A capture of what came from or went to a port alone."""
    data = capture.read_bytes()
    kept, at = data[:24], 24
    while at < len(data):
        end = at + 16 + struct.unpack_from("<I", data, at + 8)[0]
        if port in _ports_of(data[at + 16 : end]):
            kept += data[at:end]
        at = end
    path.write_bytes(kept)
    return path


def with_secrets(capture: Path, key_log: bytes, path: Path) -> Path:
    """The same capture as a pcapng that holds the key log itself, as Wireshark writes it."""
    data = capture.read_bytes()
    assert data[:4] == struct.pack("<I", 0xA1B2C3D4)

    def block(kind: int, body: bytes) -> bytes:
        body += b"\0" * (-len(body) % 4)
        length = struct.pack("<I", 12 + len(body))
        return struct.pack("<I", kind) + length + body + length

    made = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    made += block(1, struct.pack("<HHI", _ETHERNET, 0, _SNAP))
    made += block(10, struct.pack("<II", 0x544C534B, len(key_log)) + key_log)
    at = 24
    while at < len(data):
        seconds, micros, held, length = struct.unpack_from("<IIII", data, at)
        ticks = seconds * 1_000_000 + micros
        head = struct.pack("<IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, held, length)
        made += block(6, head + data[at + 16 : at + 16 + held])
        at += 16 + held
    path.write_bytes(made)
    return path

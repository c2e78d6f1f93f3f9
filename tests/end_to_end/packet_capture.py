"""Captures the packets of a port on loopback, by whatever can do it here: dumpcap, tcpdump, or a
raw socket."""

import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SECONDS = 60.0
_TOOLS: tuple[tuple[str, Callable[[str, int], list[str]]], ...] = (
    (
        "dumpcap",
        lambda path, port: ["-q", "-B", "64", "-i", "lo", "-f", f"port {port}", "-w", path],
    ),
    (
        "tcpdump",
        lambda path, port: ["-B", "65536", "-U", "-s", "0", "-i", "lo", "-w", path, f"port {port}"],
    ),
)
"""Both write all that fits into their buffer, however slow the machine is."""


@contextmanager
def capturing(path: Path, port: int) -> Iterator[None]:
    """What goes to and from the port, whole, in ``path`` when the block is left."""
    for tool, arguments in _TOOLS:
        program = shutil.which(tool)
        if program is not None:
            with _started([program, *arguments(str(path), port)]) as runs:
                if _shows(path, port, runs):
                    yield
                    assert _shows(path, port, runs)
                    return
    try:
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    except (AttributeError, PermissionError):
        pytest.skip("nothing here can capture packets: no dumpcap, no tcpdump, no raw sockets")
    with _Raw(raw, path, port) as writer:
        assert _shows(path, port, writer.is_alive)
        yield
        assert _shows(path, port, writer.is_alive)


@contextmanager
def _started(command: list[str]) -> Iterator[Callable[[], bool]]:
    """Whether it runs can be asked."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield lambda: process.poll() is None
    finally:
        process.terminate()
        process.wait(SECONDS)


_marks = 0


def _shows(path: Path, port: int, runs: Callable[[], bool]) -> bool:
    """Sends marks by UDP until one stands in the file: all that came before is there, too."""
    global _marks  # noqa: PLW0603
    end = time.monotonic() + SECONDS
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        while runs() and time.monotonic() < end:
            _marks += 1
            mark = f"mark {_marks} of the capture".encode()
            sender.sendto(mark, ("127.0.0.1", port))
            again = time.monotonic() + 0.5
            while time.monotonic() < again:
                if path.exists() and mark in path.read_bytes()[-65_536:]:
                    return True
                time.sleep(0.02)
    return False


class _Raw:
    """Writes down what a raw socket gives: each packet twice on loopback, as it goes and comes."""

    def __init__(self, raw: socket.socket, path: Path, port: int) -> None:
        self._raw = raw
        self._raw.setsockopt(socket.SOL_SOCKET, 33, 256 << 20)  # SO_RCVBUFFORCE
        self._raw.bind(("lo", 0))
        self._raw.settimeout(0.05)
        self._path = path
        self._port = struct.pack("!H", port)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def _write(self) -> None:
        with self._path.open("wb", buffering=0) as file:
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1))
            while not self._ends.is_set():
                try:
                    data = self._raw.recv(262_144)
                except TimeoutError:
                    continue
                if self._port in (data[34:36], data[36:38]):
                    now = time.time_ns() // 1000
                    head = struct.pack(
                        "<IIII", now // 1_000_000, now % 1_000_000, len(data), len(data)
                    )
                    file.write(head + data)

    def __enter__(self) -> "_Raw":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()
        self._raw.close()

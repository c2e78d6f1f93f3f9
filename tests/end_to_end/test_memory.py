"""A gigabyte each way: the verdict is right, and memory stays where it was."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from cos_inspect.digests import Digester
from tests.end_to_end.harness import BUCKET, HOST, checks
from tests.end_to_end.lab import CRC, Lab, found
from tests.origin.content import Repeated
from tests.origin.damage import Damage, key
from tests.origin.effects import set_header
from tests.origin.proxy import Proxy
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

MIB = 1 << 20
GIB = 1 << 30
BLOCK = bytes(range(256)) * 4096
ALLOWED_KIB = 40 * 1024


class Truth(NamedTuple):
    md5: str
    crc64: str


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    """It hashes nothing by itself: the right ETag and CRC-64 are told beforehand."""
    with Origin(hash_uploads_above=0, discard_uploads_above=0) as server:
        stored = server.put_object(BUCKET, "down", Repeated(BLOCK, GIB))
        server.put_object(BUCKET, "down-small", Repeated(BLOCK, 64 * MIB))
        truth = Truth(stored.etag, str(stored.crc64))
        server.damage(
            Damage(
                set_header("ETag", f'"{truth.md5}"'),
                set_header(CRC, truth.crc64),
                when=key("up"),
            )
        )
        yield server
        assert not server.faults


def test_the_origin_tells_the_truth(origin: Origin) -> None:
    """Two libraries agree about a part of the pattern."""
    digester = Digester(md5=True, crc64=True)
    for _ in range(64):
        digester.feed(BLOCK)
    stored = origin.stored(BUCKET, "down-small")
    assert (digester.md5_hex(), digester.crc64_value()) == (stored.etag, stored.crc64)


def upload(port: int, host: str, name: str, size: int) -> None:
    head = f"PUT http://{host}/{name} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {size}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head.encode())
        for _ in range(size // MIB):
            connection.sendall(BLOCK)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def download(port: int, host: str, name: str, size: int) -> None:
    head = f"GET http://{host}/{name} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    buffer = bytearray(MIB)
    came = 0
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head.encode())
        while length := connection.recv_into(buffer):
            came += length
    assert 0 < came - size < 4096


def peak_kib(pid: int) -> int:
    """The most memory that the process ever held at once."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_a_gigabyte_each_way(origin: Origin, tmp_path: Path) -> None:
    with Proxy(origin, "--set=stream_large_bodies=1m") as bare:
        process = bare._process
        assert process is not None
        upload(bare.port, HOST, "up-small", 64 * MIB)
        download(bare.port, HOST, "down-small", 64 * MIB)
        without = peak_kib(process.pid)
    with Lab(origin, tmp_path) as lab:
        upload(lab.port, HOST, "up", GIB)
        download(lab.port, HOST, "down", GIB)
        sent, came = lab.report_on("up"), lab.report_on("down")
        with_addon = peak_kib(lab.pid)
    print(f"peak: {without} KiB without the addon, {with_addon} KiB with it")
    assert found(sent) == found(came) == frozenset()
    assert checks(sent)["etag", "request"] == checks(sent)["crc64", "request"] == "match"
    assert checks(came)["etag", "response"] == checks(came)["crc64", "response"] == "match"
    assert sent["request"]["body"]["size"] == came["response"]["body"]["size"] == GIB
    assert with_addon - without <= ALLOWED_KIB, (with_addon, without)

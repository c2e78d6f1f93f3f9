"""A client whose network is a WireGuard tunnel to the proxy."""

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.harness import HOST
from tests.end_to_end.lab import Lab
from tests.end_to_end.modes import Sdk, all_names_are, exercise, judge
from tests.end_to_end.namespaces import ELSEWHERE, need_tools, network_namespace, run
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

WAIT_SECONDS = 60.0
DEVICE = "wg0"
NAME_SERVER = "10.0.0.53"
"""Of the tunnel: the proxy answers there."""


@contextlib.contextmanager
def _tunnel(folder: Path, confdir: Path, port: int) -> Iterator[None]:
    """Leads ``ELSEWHERE`` to the proxy; the keys are those that mitmproxy made."""
    keys = json.loads((confdir / "wireguard.conf").read_text())
    public = run("wg pubkey", keys["server_key"]).strip()
    settings = folder / "wg.conf"
    settings.write_text(
        f"[Interface]\nPrivateKey = {keys['client_key']}\n"
        f"[Peer]\nPublicKey = {public}\nAllowedIPs = 0.0.0.0/0\nEndpoint = 127.0.0.1:{port}\n"
    )
    with subprocess.Popen(
        ["wireguard-go", "-f", DEVICE], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            _wait_for_device(process)
            run(f"wg setconf {DEVICE} {settings}")
            run(f"ip address add 10.0.0.1/32 dev {DEVICE}")
            run(f"ip link set {DEVICE} up")
            run(f"ip route add {ELSEWHERE}/32 dev {DEVICE}")
            yield
        finally:
            process.terminate()


def _wait_for_device(process: "subprocess.Popen[str]") -> None:
    """Skips where the kernel gives no tunnel devices."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(RuntimeError):
            # wireguard-go answers here once the device is up.
            run(f"wg show {DEVICE}")
            return
        if process.poll() is not None:
            said = process.stdout.read() if process.stdout is not None else ""
            pytest.skip(f"no tunnel device can be made: {said.strip()[-300:]}")
        time.sleep(0.02)
    raise AssertionError("wireguard-go did not begin")


def test_wireguard(tmp_path: Path) -> None:
    """mitmdump itself may end by a signal in this mode, with and without the addon, so that
    the reports are awaited before it is told to end."""
    need_tools("ip", "wg", "wireguard-go")
    with (
        network_namespace(),
        all_names_are(ELSEWHERE),
        Origin() as origin,
        Lab(origin, tmp_path, "--mode=wireguard") as lab,
        _tunnel(tmp_path, lab.confdir, lab.port),
    ):
        exercise(origin, Sdk(lab.ca_pem))
        deadline = time.monotonic() + WAIT_SECONDS
        while len(lab.reports) < len(origin.requests) and time.monotonic() < deadline:
            time.sleep(0.05)
        judge(origin, lab.reports)
        assert {record.scheme for record in origin.requests} == {"https"}
        assert "Traceback" not in lab.output
        assert not origin.faults


def _question(host: str) -> bytes:
    """A DNS message that asks for an IPv4 address (RFC 1035)."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in host.split("."))
    return b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + labels + b"\0\0\1\0\1"


def test_a_device_that_asks_for_the_address_alone_is_suspected(tmp_path: Path) -> None:
    """An app that resolves the host through the tunnel, and then goes another way."""
    need_tools("ip", "wg", "wireguard-go")
    with (
        network_namespace(),
        all_names_are(ELSEWHERE),
        Origin() as origin,
        Lab(origin, tmp_path, "--mode=wireguard") as lab,
        _tunnel(tmp_path, lab.confdir, lab.port),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asks,
    ):
        run(f"ip route add {NAME_SERVER}/32 dev {DEVICE}")
        asks.settimeout(0.5)
        deadline = time.monotonic() + WAIT_SECONDS
        suspected: list[str] = []
        while not suspected and time.monotonic() < deadline:
            # A datagram may be lost, and is sent again as a resolver does it.
            asks.sendto(_question(HOST), (NAME_SERVER, 53))
            with contextlib.suppress(TimeoutError):
                asks.recv(512)
            with contextlib.suppress(FileNotFoundError):
                suspected = [
                    each["what"] for row in lab.summary["devices"] for each in row["suspected"]
                ]
        assert suspected == ["dns-only"], lab.output[-2000:]
        (device,) = lab.summary["devices"]
        assert (device["flows"], device["tls"]) == (0, None)
        assert device["resolved"] > 0

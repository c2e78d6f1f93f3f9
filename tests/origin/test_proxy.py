"""The route script in a real mitmdump, and the server as a command."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.origin.client import HOST, Client
from tests.origin.proxy import Proxy
from tests.origin.server import Origin

WATCH = """
def request(flow):
    print("SAW", flow.request.url, flow.server_conn.sni, flush=True)
"""

pytestmark = pytest.mark.end_to_end


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_route(origin: Origin, tmp_path: Path, scheme: str) -> None:
    script = tmp_path / "watch.py"
    script.write_text(WATCH)
    with Proxy(origin, "--scripts", str(script)) as proxy, requests.Session() as session:
        session.trust_env = False
        session.proxies = {"http": proxy.url, "https": proxy.url}
        session.verify = proxy.ca_pem
        for number in range(8):
            answer = session.put(f"{scheme}://{HOST}/a%20{number}", data=b"x", timeout=20)
            assert answer.status_code == 200
        proxy.stop()
    seen = [line.split()[1:] for line in proxy.output if line.startswith("SAW ")]
    name = HOST if scheme == "https" else "None"
    assert seen == [[f"{scheme}://{HOST}/a%20{number}", name] for number in range(8)]
    assert {(record.scheme, record.host) for record in origin.requests} == {(scheme, HOST)}
    connects = [line for line in proxy.output if "server connect " in line]
    assert len(connects) == 1, "one connection is used again and again"


def test_command() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.origin"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        port = re.fullmatch(r"http  127\.0\.0\.1:(\d+)\n", lines[0])
        assert port is not None
        assert Path(lines[2].split()[1]).is_file()
        origin = Origin(http_port=int(port[1]))
        assert Client(origin).put("/a", b"x").status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
        assert not Path(lines[2].split()[1]).exists()
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()

"""Headers made to stop an inspector, from either side: the next requests are answered as
soon as plain mitmdump answers them."""

import socket
import socketserver
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cos_inspect.cos.tables import rows
from tests.end_to_end.harness import HOST
from tests.end_to_end.lab import WAIT_SECONDS, Lab
from tests.origin.proxy import Proxy
from tests.origin.server import Origin
from tests.servers import RawServer, served

pytestmark = pytest.mark.end_to_end

ALLOWED = 0.1
"""Seconds that a request may take longer than with plain mitmdump, those not counted in which the
proxy could go on and other processes had the processor."""
TRIES = 5
"""A moment's load accuses nobody; what blocks the loop does so each time."""
FRAMING = frozenset({"content-length", "transfer-encoding", "host", "expect", "upgrade"})
NAMES = [row["name"].replace("*", "x") for row in rows("headers") if row["name"] not in FRAMING]
VALUES = {
    "commas": "a" + ", " * 200 + ";",
    "quotes": 'W/"' + 'a="b";' * 60 + '"',
    "ranges": "bytes=" + "1-" * 200 + "x",
    "slashes": "a/" + "b /" * 140,
    "dates": "Sun, 06 Nov 1994 08:49:37 GMT" * 14,
    "signatures": "q-sign-algorithm=sha1&" * 18,
    "tokens": "".join(f"token=abcdefgh{number}&" for number in range(22)),
    "escapes": "%2525" * 80,
}
"""All headers with one of them are just within what is read of a message."""
Fields = list[tuple[str, str]]
ATTACKS: dict[str, Fields] = {
    "the-first-one": [("Connection", "a" + ", " * 40 + ";")],
    **{f"every-header-{name}": [(each, value) for each in NAMES] for name, value in VALUES.items()},
    "one-name-60000-times": [("X-Cos-Meta-A", str(number)) for number in range(60_000)],
    "60000-names": [(f"x-cos-meta-{number}", str(number)) for number in range(60_000)],
    "a-mebibyte": [("x-cos-request-id", "a" * 2**20), ("Set-Cookie", "a=b; " * 200_000)],
    "a-mebibyte-of-signature": [("Authorization", "q-ak=a&q-header-list=" + "a;" * 2**19)],
    "a-mebibyte-of-escapes": [("x-cos-meta-a", "%2525" * 200_000)],
    "60000-tokens": [(f"x-token-{number}", f"abcdefgh{number}") for number in range(60_000)],
    "60000-cookies": [("Cookie", f"a{number}=abcdefgh{number}") for number in range(60_000)],
    "60000-etags": [("ETag", f'"{number}"') for number in range(60_000)],
    "50-of-64-kib": [(f"x-cos-meta-{number}", "token=abcdefgh&" * 4000) for number in range(50)],
    "1000-authorizations": [("Authorization", f"Bearer abcdefgh{n}") for n in range(1000)],
}


class Answering(RawServer):
    """Answers every request, with the fields that are set for its path."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.fields: dict[str, Fields] = {}


class _Handler(socketserver.StreamRequestHandler):
    server: Answering

    def handle(self) -> None:
        path = ""
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            path = path or line.decode("latin-1").split(" ")[1]
        lines = [
            "HTTP/1.1 200 OK",
            "Server: tencent-cos",
            "x-cos-request-id: NWUwZGJhNjBfNjRiODJhMDlfMWFkN2VfMzZhMTI=",
            'ETag: "444bcb3a3fcf8389296c49467f27e1d6"',
            "Content-Length: 2",
            *(f"{name}: {value}" for name, value in self.server.fields.get(path, [])),
            "",
            "ok",
        ]
        self.wfile.write("\r\n".join(lines).encode())


@pytest.fixture(scope="module")
def server() -> Iterator[Answering]:
    with served(Answering()) as made:
        yield made


@pytest.fixture(scope="module")
def plain(server: Answering) -> Iterator[Proxy]:
    with Proxy(server) as made:
        yield made


@pytest.fixture(scope="module")
def lab(server: Answering, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("hostile")
    with Origin() as origin, Lab(origin, folder, server=server) as made:
        yield made
        assert "Traceback" not in made.output


def ask(port: int, path: str, fields: Fields) -> None:
    """Sends a request to the proxy and reads whatever comes, to its end."""
    lines = [
        f"GET http://{HOST}{path} HTTP/1.1",
        f"Host: {HOST}",
        "Proxy-Connection: close",
        *(f"{name}: {value}" for name, value in fields),
        "",
        "",
    ]
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_SECONDS) as connection:
        connection.sendall("\r\n".join(lines).encode())
        # The proxy keeps the connection open.
        received = b""
        while not received.endswith(b"ok") and (data := connection.recv(1 << 20)):
            received = received[-8:] + data


def waited_for_processor(pid: int) -> float:
    """Seconds in which a process's main thread, on which mitmproxy's event loop runs, could go
    on and had no processor; always 0 where the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def time_of_next(proxy: Proxy | Lab) -> float:
    begin, waited = time.monotonic(), waited_for_processor(proxy.pid)
    ask(proxy.port, "/next", [])
    took = time.monotonic() - begin
    return took - min(took, waited_for_processor(proxy.pid) - waited)


def worst_with_addon(lab: Lab, key: str, fields: Fields) -> float:
    """The longest that a request took until the report on the hostile one was there."""
    ask(lab.port, f"/{key}", fields)
    worst = 0.0
    seen: set[Path] = set()
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        worst = max(worst, *(time_of_next(lab) for _ in range(5)))
        new = set((lab.report_dir / "flows").glob("*.json")) - seen
        if any(f'"{key}"'.encode() in path.read_bytes() for path in new):
            return worst
        seen |= new
    raise AssertionError(f"no report on {key}:\n{lab.output[-2000:]}")


def worst_without(plain: Proxy, key: str, fields: Fields) -> float:
    ask(plain.port, f"/{key}", fields)
    return max(time_of_next(plain) for _ in range(20))


@pytest.mark.parametrize("side", ["request", "response"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_the_next_request_does_not_wait(
    server: Answering, plain: Proxy, lab: Lab, attack: str, side: str
) -> None:
    sent, answered = (ATTACKS[attack], []) if side == "request" else ([], ATTACKS[attack])
    allowed, took = 0.0, []
    for number in range(TRIES):
        key = f"{attack}-{side}-{number}"
        server.fields[f"/{key}"] = answered
        allowed = max(allowed, worst_without(plain, key, sent) + ALLOWED)
        took.append(worst_with_addon(lab, key, sent))
        if min(took) <= allowed:
            return
    raise AssertionError(f"{min(took):.3f} s, plain mitmdump and a bit: {allowed:.3f} s")

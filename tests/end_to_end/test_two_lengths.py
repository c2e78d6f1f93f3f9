"""Messages with both Content-Length and Transfer-Encoding, through a real mitmdump: which side
sent them is told, and with the option that lets them pass the header is what is wrong."""

import re
import socket
import socketserver
from collections.abc import Iterator

import pytest

from tests.end_to_end.harness import HOST
from tests.end_to_end.lab import WAIT_SECONDS, Lab
from tests.origin.server import Origin
from tests.servers import RawServer, served

pytestmark = pytest.mark.end_to_end

ID = "NWUwZGJhNjBfNjRiODJhMDlfMWFkN2VfMzZhMTI="
BOTH = "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n"
CHUNKED = "2\r\nok\r\n0\r\n\r\n"
OPTION = "validate_inbound_headers"


class _Handler(socketserver.StreamRequestHandler):
    """Answers with two lengths below ``/answer``, else as COS does."""

    def handle(self) -> None:
        path, chunked = "", False
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            path = path or line.decode("latin-1").split(" ")[1]
            chunked = chunked or line.lower().startswith(b"transfer-encoding:")
        while chunked and self.rfile.readline() not in (b"0\r\n", b""):
            pass
        framing, body = "Content-Length: 2\r\n", "ok"
        if path.startswith("/answer"):
            framing, body = BOTH, CHUNKED
        head = f"HTTP/1.1 200 OK\r\nServer: tencent-cos\r\nx-cos-request-id: {ID}\r\n"
        etag = 'ETag: "444bcb3a3fcf8389296c49467f27e1d6"\r\nx-cos-hash-crc64ecma: 1\r\n'
        kept = etag if path.startswith("/answer") else ""
        self.wfile.write(f"{head}{kept}{framing}\r\n{body}".encode())


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    with served(RawServer(_Handler)) as made:
        yield made


@pytest.fixture(scope="module", params=["refusing", "letting-pass"])
def lab(
    server: RawServer, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Lab]:
    arguments = () if request.param == "refusing" else (f"--set={OPTION}=false",)
    folder = tmp_path_factory.mktemp("two-lengths")
    with Origin() as origin, Lab(origin, folder, *arguments, server=server) as made:
        yield made
        assert "Traceback" not in made.output


def send(lab: Lab, method: str, path: str, framing: str = "", body: str = "") -> bytes:
    """What the proxy answers, up to the end of its headers and a bit of the body."""
    text = f"{method} http://{HOST}{path} HTTP/1.1\r\nHost: {HOST}\r\n{framing}\r\n{body}"
    with socket.create_connection(("127.0.0.1", lab.port), timeout=WAIT_SECONDS) as connection:
        connection.sendall(text.encode())
        received = b""
        while b"\r\n\r\n" not in received and (data := connection.recv(65_536)):
            received += data
    return received


def is_refusing(lab: Lab) -> bool:
    return not any(OPTION in argument for argument in lab._proxy._arguments)


@pytest.mark.parametrize("side", ["client", "server"])
def test_two_lengths(lab: Lab, side: str) -> None:
    if side == "client":
        answer = send(lab, "PUT", "/request.txt", BOTH, CHUNKED)
        report = lab.report_on("request.txt")
    else:
        answer = send(lab, "GET", "/answer.txt")
        report = lab.report_on("answer.txt")
    rules = {finding["rule"]: finding for finding in report["findings"]}
    if is_refusing(lab):
        assert answer.startswith(b"HTTP/1.1 400" if side == "client" else b"HTTP/1.1 502")
        # Nothing of it is COS's: the proxy answered in its place.
        assert rules == {}
        assert report["response"]["by"] == "proxy"
        assert report["response"]["option"] == OPTION
        assert report["broke_off"]["by"] == "proxy"
        assert f"content-length headers from {side}" in report["broke_off"]["said"]
        wanted = (
            f"answered by this proxy: {OPTION}: the {side} sent both Content-Length and"
            f" Transfer-Encoding; --set {OPTION}=false lets it pass"
        )
        lab.wait_for_output(re.escape(wanted))
    else:
        assert answer.startswith(b"HTTP/1.1 200")
        assert "connection-failed" not in rules
        finding = rules["header-malformed"]
        assert finding["severity"] == "warning"
        assert finding["evidence"]["header"] == "Content-Length"
        assert finding["evidence"]["issue"] == "stands together with Transfer-Encoding"
        assert finding["evidence"]["side"] == ("request" if side == "client" else "response")

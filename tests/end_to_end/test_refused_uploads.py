"""A large upload that a server refuses before it has come, and hangs up: the client is not left
with a connection that nobody reads."""

import socket
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.end_to_end.lab import WAIT_SECONDS, Lab, found
from tests.origin.server import Origin
from tests.servers import RawServer, served

pytestmark = pytest.mark.end_to_end

MUCH = 50 * 2**20
"""More than the buffers of the connections hold."""
TRIES = 3
BODY = b"<Error><Code>AccessDenied</Code></Error>"
REFUSAL = (
    b"HTTP/1.1 403 Forbidden\r\nServer: tencent-cos\r\nConnection: close\r\n"
    b"x-cos-request-id: NWUwZGJhNjBfNjRiODJhMDlfMWFkN2VfMzZhMTI=\r\n"
    b"x-cos-trace-id: OGVmYzZiMmQzYjA2OWNhODk0NTRkMTBiOWVmMDAxODc=\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
)


class _Refusing(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.request.recv(1 << 16)
        self.request.sendall(REFUSAL)
        self.request.shutdown(socket.SHUT_WR)
        # As servers do, so that the client reads what it was answered.
        while self.request.recv(1 << 16):
            pass


@contextmanager
def refusing(origin: Origin, folder: Path) -> Iterator[Lab]:
    # Its request id is of another day.
    arguments = ("--set=cos_ignore=clock-skew",)
    with (
        served(RawServer(_Refusing)) as server,
        Lab(origin, folder, *arguments, server=server) as lab,
    ):
        yield lab


def test_the_client_is_not_left_alone(tmp_path: Path, origin: Origin) -> None:
    with refusing(origin, tmp_path) as lab:
        for number in range(TRIES):
            name = f"refused-{number}"
            with lab.raw(f"PUT /{name}\nContent-Length: {MUCH}") as connection:
                try:
                    connection.sendall(bytes(MUCH))
                    assert connection.recv(1 << 16).startswith(b"HTTP/1.1 403")
                except ConnectionError:
                    # Told at once as well; a send that nobody takes would end with a TimeoutError.
                    pass
            assert found(lab.report_on(name)) == {"error-response warning"}
        lab.stop()
        assert "Traceback" not in lab.output


def test_the_proxy_ends_while_it_waits_for_such_a_client(tmp_path: Path, origin: Origin) -> None:
    with refusing(origin, tmp_path) as lab:
        with lab.raw(f"PUT /refused\nContent-Length: {MUCH}") as connection:
            connection.settimeout(WAIT_SECONDS)
            connection.sendall(bytes(2**22))
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 403")
            lab.report_on("refused")
            lab.stop()
        assert lab.status == 0
        assert "Traceback" not in lab.output

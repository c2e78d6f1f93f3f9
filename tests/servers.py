"""Servers on the loopback, on a free port, ended by the test that has started them."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import certifi


class RawServer(socketserver.ThreadingTCPServer):
    """In the origin's place where answers are wanted that no HTTP library gives."""

    daemon_threads = True
    allow_reuse_address = True
    ca_pem = certifi.where()

    def __init__(self, handler: type[socketserver.BaseRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)

    @property
    def http_port(self) -> int:
        return int(self.server_address[1])


@contextmanager
def served[S: socketserver.BaseServer](server: S) -> Iterator[S]:
    """It serves in a thread until the block ends."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()

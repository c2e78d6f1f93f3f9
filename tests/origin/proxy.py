"""A real ``mitmdump`` whose connections all end at an ``Origin``, or at a gateway to one."""

import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

ROUTE = Path(__file__).with_name("route_to_origin.py")
_LISTENING = re.compile(
    r"(HTTP\(S\) proxy|SOCKS v5 proxy|reverse proxy|Transparent Proxy|WireGuard server)"
    r"(?: \(upstream mode\)| to \S+)? listening at \S*?:(\d+)"
)
START_SECONDS = 60.0


class Server(Protocol):
    """What a proxy is in front of: an ``Origin``, a ``Gateway``, another ``Proxy``, or
    whatever has their ports: ``http_port``, ``https_port``, ``http3_port`` and, where one
    host alone speaks HTTP/2, ``http2_host`` and ``http2_port``."""

    @property
    def ca_pem(self) -> str: ...


class Proxy:
    """``with Proxy(origin) as proxy:`` listens on ``proxy.port``. ``arguments`` go to
    mitmdump behind the route script; ``ca_pem`` is the CA that clients have to trust.
    Where several modes are given (``--mode=``), ``ports`` tells their ports apart."""

    program: Sequence[str] = ("mitmdump",)
    """What is started, from beside this Python, and what comes before all arguments."""
    own_group = False
    """Whether it leads a process group of its own, as what is started in a terminal does."""

    def __init__(
        self,
        origin: Server,
        *arguments: str,
    ) -> None:
        self._origin = origin
        self._arguments: Sequence[str] = arguments
        self._process: subprocess.Popen[str] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="cos-proxy-")
        self.output: list[str] = []
        """Lines that mitmdump printed so far."""
        self.port = 0
        self.ports: dict[str, int] = {}
        """By the kind of proxy, as mitmproxy names it: ``SOCKS v5 proxy``, …"""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process's id, while it runs."""
        if self._process is None:
            raise RuntimeError("mitmdump is not running")
        return self._process.pid

    @property
    def confdir(self) -> Path:
        return Path(self._folder.name)

    @property
    def ca_pem(self) -> str:
        return str(self.confdir / "mitmproxy-ca-cert.pem")

    def __enter__(self) -> Self:
        command = [
            str(Path(sys.executable).with_name(self.program[0])),
            *self.program[1:],
            "--listen-host=127.0.0.1",
            "--listen-port=0",
            f"--set=confdir={self._folder.name}",
            f"--set=ssl_verify_upstream_trusted_ca={self._origin.ca_pem}",
            "--set=flow_detail=0",
            f"--scripts={ROUTE}",
            *self._arguments,
        ]
        environment = {**os.environ, **_ports_of(self._origin), "PYTHONUNBUFFERED": "1"}
        self._process = subprocess.Popen(
            command,
            env=environment,
            process_group=0 if self.own_group else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        ports: queue.Queue[int | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, args=(self._process, ports), daemon=True)
        self._reader.start()
        for _ in range(max(1, sum(given.startswith("--mode=") for given in self._arguments))):
            try:
                port = ports.get(timeout=START_SECONDS)
            except queue.Empty:
                port = None
            if port is None:
                self.stop()
                raise RuntimeError("mitmdump did not start:\n" + "".join(self.output))
            self.port = self.port or port
        return self

    def _read(self, process: "subprocess.Popen[str]", ports: "queue.Queue[int | None]") -> None:
        if process.stdout is None:
            return
        for line in process.stdout:
            self.output.append(line)
            found = _LISTENING.search(line)
            if found:
                self.ports[found[1]] = int(found[2])
                ports.put(int(found[2]))
        ports.put(None)

    def stop(self, end: Callable[[int], object] | None = None) -> int:
        """Ends mitmdump as SIGTERM does, or by what is given, which gets the process's id;
        its exit status."""
        process, self._process = self._process, None
        if process is None:
            return 0
        if end is None:
            process.terminate()
        else:
            end(process.pid)
        try:
            status = process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        self._reader.join(timeout=5)
        if process.stdout is not None:
            process.stdout.close()
        return status

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._folder.cleanup()


def _ports_of(server: Server) -> dict[str, str]:
    """For the route script."""
    if isinstance(server, Proxy):
        return {"COS_TEST_UPSTREAM_PROXY": str(server.port)}
    ports = {
        f"COS_TEST_ORIGIN_{name.upper()}": str(getattr(server, f"{name}_port", 0))
        for name in ("http", "https", "http2", "http3")
    }
    return {**ports, "COS_TEST_HTTP2_HOST": getattr(server, "http2_host", "")}

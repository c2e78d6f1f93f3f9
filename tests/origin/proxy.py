"""A real ``mitmdump`` whose connections all end at an ``Origin``."""

import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.origin.server import Origin

ROUTE = Path(__file__).with_name("route_to_origin.py")
_LISTENING = re.compile(r"proxy listening at \S*?:(\d+)")
START_SECONDS = 60.0


class Proxy:
    """``with Proxy(origin) as proxy:`` listens on ``proxy.port``. ``arguments`` go to
    mitmdump behind the route script; ``ca_pem`` is the CA that clients have to trust."""

    program: Sequence[str] = ("mitmdump",)
    """What is started, from beside this Python, and what comes before all arguments."""

    def __init__(self, origin: Origin, *arguments: str) -> None:
        self._origin = origin
        self._arguments: Sequence[str] = arguments
        self._process: subprocess.Popen[str] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="cos-proxy-")
        self.output: list[str] = []
        """Lines that mitmdump printed so far."""
        self.port = 0

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
    def ca_pem(self) -> str:
        return str(Path(self._folder.name) / "mitmproxy-ca-cert.pem")

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
        environment = {
            **os.environ,
            "COS_TEST_ORIGIN_HTTP": str(self._origin.http_port),
            "COS_TEST_ORIGIN_HTTPS": str(self._origin.https_port),
            "PYTHONUNBUFFERED": "1",
        }
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        ports: queue.Queue[int] = queue.Queue()
        self._reader = threading.Thread(target=self._read, args=(self._process, ports), daemon=True)
        self._reader.start()
        try:
            self.port = ports.get(timeout=START_SECONDS)
        except queue.Empty:
            self.port = 0
        if not self.port:
            self.stop()
            raise RuntimeError("mitmdump did not start:\n" + "".join(self.output))
        return self

    def _read(self, process: "subprocess.Popen[str]", ports: "queue.Queue[int]") -> None:
        if process.stdout is None:
            return
        for line in process.stdout:
            self.output.append(line)
            found = _LISTENING.search(line)
            if found:
                ports.put(int(found[1]))
        ports.put(0)

    def stop(self) -> int:
        """Ends mitmdump as SIGTERM does and returns its exit status."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.terminate()
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

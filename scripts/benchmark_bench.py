"""What the benchmark's cases run on: servers, the two proxies, and their clients."""

import base64
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from cos_inspect.digests import crc64
from tests.end_to_end.harness import ADDON, HOST
from tests.origin.proxy import Proxy
from tests.origin.server import Origin

MIB = 1 << 20
_SETTLED_SECONDS = 0.7
_IDLE_CPU = 0.01
"""Seconds of CPU in which a proxy does nothing."""
PUT_CONTENT = b"A" * 1024
"""What every small upload sends; the server answers with its digests."""
TRACE_ID = base64.b64encode(b"8efc6b2d3b069ca89454d10b9ef00187" * 4).decode()
MISSING = (
    "<?xml version='1.0' encoding='utf-8' ?><Error><Code>NoSuchKey</Code>"
    "<Message>The specified key does not exist.</Message><Resource>/missing</Resource>"
    "<RequestId>$request_id</RequestId><TraceId>{trace_id}</TraceId></Error>"
)
"""Of an object that is not there; nginx puts in the id."""
_TICKS = os.sysconf("SC_CLK_TCK")

_CONFIGURATION = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  sendfile on;
  etag off;
  keepalive_requests 1000000;
  server {{
    listen 127.0.0.1:{port};
    root {folder}/www;
    add_header x-cos-request-id NmIwMzU0ZGRfNjRiODJhMDlfZDkyY182MzlmNg==;
    location = /small {{
      add_header ETag '"{small_md5}"';
      add_header x-cos-hash-crc64ecma {small_crc};
      add_header x-cos-request-id $request_id;
    }}
    location = /put {{
      add_header ETag '"{put_md5}"';
      add_header x-cos-hash-crc64ecma {put_crc};
      add_header x-cos-request-id $request_id;
      return 200;
    }}
    location = /missing {{
      default_type application/xml;
      add_header x-cos-request-id $request_id always;
      add_header x-cos-trace-id {trace_id} always;
      return 404 "{missing}";
    }}
    location = /md5 {{
      alias {folder}/www/big;
      add_header ETag '"{big_md5}"';
      add_header x-cos-hash-crc64ecma {big_crc};
      add_header x-cos-request-id $request_id;
    }}
    location = /multipart {{
      alias {folder}/www/big;
      add_header ETag '"{big_md5}-64"';
      add_header x-cos-hash-crc64ecma {big_crc};
      add_header x-cos-request-id $request_id;
    }}
  }}
}}
"""


class Nginx:
    """Serves one small and one large file with COS's headers."""

    def __init__(self, size: int) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="cos-benchmark-"))
        # Its worker runs as another user when started by root.
        self._folder.chmod(0o755)
        www = self._folder / "www"
        www.mkdir()
        small = os.urandom(1024)
        (www / "small").write_bytes(small)
        block = os.urandom(MIB)
        md5, crc = hashlib.md5(usedforsecurity=False), 0
        with (www / "big").open("wb") as file:
            for _ in range(size // MIB):
                file.write(block)
                md5.update(block)
                crc = crc64(block, crc)
        self.big, self.big_md5, self.big_crc = www / "big", md5.hexdigest(), crc
        self.port = _free_port()
        (self._folder / "nginx.conf").write_text(
            _CONFIGURATION.format(
                folder=self._folder,
                port=self.port,
                small_md5=hashlib.md5(small, usedforsecurity=False).hexdigest(),
                small_crc=crc64(small),
                put_md5=hashlib.md5(PUT_CONTENT, usedforsecurity=False).hexdigest(),
                put_crc=crc64(PUT_CONTENT),
                trace_id=TRACE_ID,
                missing=MISSING.format(trace_id=TRACE_ID),
                big_md5=self.big_md5,
                big_crc=self.big_crc,
            )
        )
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(["nginx", "-c", str(self._folder / "nginx.conf")])
        time.sleep(0.5)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


class Sink:
    """Takes uploads in, and answers each with the same digests."""

    def __init__(self, md5: str, crc: int) -> None:
        self._digests = (md5, str(crc))
        self.port = 0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "scripts.benchmark_sink", *self._digests],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()


def digests_of(file: Path) -> tuple[str, int]:
    """MD5 and CRC-64."""
    md5, crc = hashlib.md5(usedforsecurity=False), 0
    with file.open("rb") as content:
        while block := content.read(MIB):
            md5.update(block)
            crc = crc64(block, crc)
    return md5.hexdigest(), crc


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@dataclass
class Reading:
    """One measured run: seconds of wall clock and of CPU, and flows."""

    seconds: float
    cpu: float
    flows: int = 1


class Measured(Proxy):
    """A mitmdump that can be asked for its CPU time and its peak memory."""

    def __init__(self, origin: Origin, http_port: int | None, *arguments: str) -> None:
        super().__init__(origin, *arguments)
        self._ports_of = origin
        self._http_port = http_port

    def __enter__(self) -> Self:
        if self._http_port is None:
            return super().__enter__()
        # The route script reads the server's ports from the origin.
        ports = self._ports_of.http_port
        self._ports_of.http_port = self._http_port
        try:
            return super().__enter__()
        finally:
            self._ports_of.http_port = ports

    def cpu(self) -> float:
        """Seconds, of the proxy and what it has started and runs still."""
        return sum(map(_cpu, (self.pid, *_started_by(self.pid))))

    def settle(self, most: float = 2.0) -> None:
        """Waits until it has done what is left of the flows that were answered, a summary among
        it: that is part of what they cost."""
        end = time.monotonic() + most
        before, now = -1.0, self.cpu()
        while now - before > _IDLE_CPU and time.monotonic() < end:
            time.sleep(_SETTLED_SECONDS)
            before, now = now, self.cpu()

    def memory(self, what: str = "VmHWM") -> int:
        """KiB, of the proxy and what it has started: the peak, or with ``VmRSS`` the present
        size."""
        return sum(_memory(pid, what) for pid in (self.pid, *_started_by(self.pid)))


def _started_by(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


def _cpu(pid: int) -> float:
    """All threads of a process, to the nanosecond: the clock that ``clock_getcpuclockid`` names
    in Linux; where there is none, to the hundredth of a second."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory(pid: int, what: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1])
    return 0


def addon_arguments(folder: Path, *settings: str) -> list[str]:
    return [
        f"--scripts={ADDON}",
        f"--set=cos_report_dir={folder}",
        *(f"--set={setting}" for setting in settings),
    ]


def get(proxy: Measured, name: str) -> Reading:
    return _timed(
        proxy, ["curl", "-sf", "-o", "/dev/null", "-x", proxy.url, f"http://{HOST}/{name}"]
    )


def put(proxy: Measured, file: Path, name: str) -> Reading:
    """An upload by a client that copies nothing: it would take a share of the same cores."""
    size = file.stat().st_size
    head = (
        f"PUT http://{HOST}/{name} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {size}\r\n"
        "User-Agent: cos-python-sdk-v5.1.9.44\r\n\r\n"
    )
    cpu, began = proxy.cpu(), time.perf_counter()
    with (
        socket.create_connection(("127.0.0.1", proxy.port)) as connection,
        file.open("rb") as content,
    ):
        connection.sendall(head.encode())
        connection.sendfile(content)
        answer = connection.makefile("rb").readline()
    if b" 200 " not in answer:
        raise RuntimeError(f"the upload was answered with {answer!r}")
    return Reading(time.perf_counter() - began, proxy.cpu() - cpu)


def _timed(proxy: Measured, command: list[str]) -> Reading:
    cpu, began = proxy.cpu(), time.perf_counter()
    subprocess.run(command, check=True)
    return Reading(time.perf_counter() - began, proxy.cpu() - cpu)

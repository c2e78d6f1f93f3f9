"""One origin and one proxy for many tests: damage by object key, reports by object key."""

import dataclasses
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
from mitmproxy import http
from mitmproxy.io import FlowReader
from qcloud_cos import CosS3Client

from tests.end_to_end.harness import _VALIDATOR, ADDON, HOST, Inspected, Report, cos_client
from tests.origin.damage import Damage, Effect, key
from tests.origin.proxy import ROUTE, Proxy, Server
from tests.origin.server import Origin

WAIT_SECONDS = 20.0
CUSTOM_HOST = "files.example.com"
ADDON_ARGUMENT = f"--scripts={ADDON}"
CRC = "x-cos-hash-crc64ecma"
SIGNED_BY_S3 = (
    "AWS4-HMAC-SHA256 Credential=AKIDexample/20261122/ap-guangzhou/s3/aws4_request,"
    " SignedHeaders=host;x-amz-date, Signature=" + "5e" * 32
)


class Lab(Inspected):
    """mitmdump with the addon, and what tests ask of it again and again.

    ``scripts_before`` and ``scripts_after`` are mitmproxy scripts around the addon.
    ``server`` is what the proxy is in front of, where that is not the origin itself;
    ``addon`` a copy of the addon; ``own_group``: mitmdump leads a process group.
    """

    def __init__(
        self,
        origin: Origin,
        folder: Path,
        *arguments: str,
        scripts_before: Sequence[Path] = (),
        scripts_after: Sequence[Path] = (),
        server: Server | None = None,
        addon: Path = ADDON,
        own_group: bool = False,
    ) -> None:
        self.origin = origin
        self.report_dir = folder / "cos-reports"
        self.status = None
        self._proxy = Proxy(
            server or origin,
            *(f"--scripts={script}" for script in (*scripts_before, addon, *scripts_after)),
            *(
                ()
                if "--set=cos_report_dir=" in arguments
                else (f"--set=cos_report_dir={self.report_dir}",)
            ),
            *arguments,
        )
        self._proxy.own_group = own_group
        self._seen: dict[str, Report] = {}

    def client(self, **settings: Any) -> CosS3Client:
        """The Python SDK, which does not try again."""
        made = cos_client(self, VerifySSL=self.ca_pem, **settings)
        made._retry = 0
        return made

    @property
    def ports(self) -> dict[str, int]:
        """Where several modes run: by the kind of proxy, as mitmproxy names it."""
        return self._proxy.ports

    @property
    def confdir(self) -> Path:
        return self._proxy.confdir

    @property
    def pid(self) -> int:
        process = self._proxy._process
        if process is None:
            raise RuntimeError("mitmdump has ended")
        return process.pid

    def damage(self, name: str, *effects: Effect) -> None:
        """Effects for every request to this object key."""
        self.origin.damage(Damage(*effects, when=key(name)))

    def send(
        self,
        method: str,
        name: str,
        *,
        query: str = "",
        host: str = HOST,
        scheme: str = "https",
        headers: Mapping[str, str] | None = None,
        data: Any = None,
        stream: bool = False,
    ) -> requests.Response:
        """An unsigned request to an object, without redirects."""
        return requests.request(
            method,
            f"{scheme}://{host}/{quote(name)}{query}",
            headers={"User-Agent": "lab/1", **(headers or {})},
            data=data,
            proxies=self.proxies,
            verify=self.ca_pem,
            timeout=30,
            allow_redirects=False,
            stream=stream,
        )

    @contextmanager
    def raw(self, head: str, *, host: str = HOST) -> Iterator[socket.socket]:
        """A plain connection to the proxy on which a request's head has been sent.
        ``head`` is ``METHOD /path`` and header lines, joined by newlines."""
        line, *fields = head.splitlines()
        method, path = line.split(" ", 1)
        lines = [f"{method} http://{host}{path} HTTP/1.1", f"Host: {host}", *fields, "", ""]
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall("\r\n".join(lines).encode())
            yield connection

    def _look(self) -> None:
        folder = self.report_dir / "flows"
        if not folder.is_dir():
            return
        for path in folder.glob("*.json"):
            if path.name not in self._seen:
                report: Report = json.loads(path.read_text())
                _VALIDATOR.validate(report)
                self._seen[path.name] = report

    def reports_on(
        self,
        name: str,
        count: int = 1,
        operation: str | None = None,
        wait: float = WAIT_SECONDS,
    ) -> list[Report]:
        """The reports on an object key, by sequence, once there are ``count``."""
        deadline = time.monotonic() + wait
        while True:
            self._look()
            found = sorted(
                (
                    report
                    for report in self._seen.values()
                    if name == (report["cos"]["key"] or _last_of_path(report))
                    and operation in (None, report["cos"]["operation"])
                ),
                key=lambda report: int(report["sequence"]),
            )
            if len(found) >= count:
                assert len(found) == count, [report["cos"]["operation"] for report in found]
                return found
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"{len(found)} reports on {name}, not {count}:\n{self.output[-3000:]}"
                )
            time.sleep(0.02)

    def report_on(self, name: str, operation: str | None = None) -> Report:
        """The only report on an object key."""
        return self.reports_on(name, 1, operation)[0]

    def wait_for_output(self, pattern: str) -> str:
        """The first line of mitmdump's output that holds the pattern."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            found = re.search(f"^.*{pattern}.*$", self.output, re.MULTILINE)
            if found:
                return found[0]
            if time.monotonic() > deadline:
                raise AssertionError(f"no {pattern!r} in:\n{self.output[-3000:]}")
            time.sleep(0.02)


Send = Callable[[Lab, str], object]


@dataclasses.dataclass(frozen=True)
class Case:
    """Traffic with a fault, and exactly the findings that it must provoke.

    ``name`` is the object's key, ``expected`` are ``rule severity`` pairs.
    """

    name: str
    send: Send
    expected: frozenset[str]
    effects: tuple[Effect, ...] = ()
    operation: str | None = None


def case(
    name: str, send: Send, expected: str, *effects: Effect, operation: str | None = None
) -> Case:
    """``expected``: pairs such as ``crc64-mismatch error``, joined by commas."""
    pairs = frozenset(pair.strip() for pair in expected.split(",") if pair.strip())
    return Case(name, send, pairs, effects, operation)


def provoke(lab: Lab, given: Case) -> Report:
    """Runs a case and returns its report, whose findings are as expected."""
    lab.damage(given.name, *given.effects)
    given.send(lab, given.name)
    report = lab.report_on(given.name, given.operation)
    assert found(report) == given.expected, report["findings"]
    return report


def found(report: Report) -> frozenset[str]:
    """``rule severity`` pairs."""
    return frozenset(f"{item['rule']} {item['severity']}" for item in report["findings"])


def evidence(report: Report, rule: str) -> list[dict[str, Any]]:
    return [item["evidence"] for item in report["findings"] if item["rule"] == rule]


def put(data: bytes = b"[Object Content]", headers: Mapping[str, str] | None = None) -> Send:
    """An upload."""
    return lambda lab, name: lab.send("PUT", name, data=data, headers=headers)


def get(data: bytes = b"[Object Content]", **settings: Any) -> Send:
    """Stores an object past the wire and downloads it; the connection may break."""

    def send(lab: Lab, name: str) -> bytes | None:
        lab.origin.put_object(HOST.partition(".")[0], name, data, **settings)
        try:
            return lab.send("GET", name).content
        except requests.RequestException:
            return None

    return send


def in_group(pid: int, commands: Sequence[Sequence[str]]) -> list[subprocess.Popen[bytes]]:
    """Starts commands in the group of a process, as a terminal does."""
    return [
        subprocess.Popen(
            command,
            process_group=pid,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for command in commands
    ]


def mitmdump(*arguments: str, origin: Origin | None = None, cwd: Path | None = None) -> Any:
    """Runs mitmdump, without its confdir in the home directory, until it ends by itself."""
    environment = dict(os.environ)
    if origin is not None:
        environment["COS_TEST_ORIGIN_HTTP"] = str(origin.http_port)
        environment["COS_TEST_ORIGIN_HTTPS"] = str(origin.https_port)
        arguments = (
            f"--scripts={ROUTE}",
            f"--set=ssl_verify_upstream_trusted_ca={origin.ca_pem}",
            *arguments,
        )
    return subprocess.run(
        [str(Path(sys.executable).with_name("mitmdump")), "--set=flow_detail=0", *arguments],
        env=environment,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )


def saved_flows(path: Path) -> list[http.HTTPFlow]:
    """The HTTP flows of a capture."""
    with path.open("rb") as file:
        return [flow for flow in FlowReader(file).stream() if isinstance(flow, http.HTTPFlow)]


def _last_of_path(report: Report) -> str:
    """Of a call to CI, whose path is no object's key."""
    path: str = report["request"]["url"].partition("?")[0]
    return path.rpartition("/")[2]

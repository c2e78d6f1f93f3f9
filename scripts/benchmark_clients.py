"""The benchmark's clients of small flows, and the proof that these were what was meant."""

import json
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from scripts.benchmark_bench import PUT_CONTENT, Measured, Reading
from tests.end_to_end.harness import HOST

_AGENT = "cos-python-sdk-v5.1.9.44"
_PUT = PUT_CONTENT.decode()


class OtherFlowsError(RuntimeError):
    """The flows were not those that were to be measured."""


class Kind(NamedTuple):
    """A kind of small flow."""

    name: str
    method: str
    target: str
    """``%d`` in it is counted up."""
    status: int = 200
    rules: frozenset[str] = frozenset()
    """What its reports say."""


GET = Kind("1 KiB GETs", "GET", "/small")
PUT = Kind("1 KiB PUTs", "PUT", "/put")
PART = Kind("UploadPart, 1 KiB", "PUT", "/put?partNumber=%d&uploadId=160000000abcdef")
MISSING = Kind("404 with XML", "GET", "/missing", 404, frozenset({"error-response"}))


def rate(proxy: Measured, kind: Kind, seconds: float, connections: int = 0) -> Reading:
    """Small requests at full rate, by wrk, which speaks to a proxy through a script.

    :raises OtherFlowsError: they were answered otherwise.
    """
    body = _PUT if kind.method == "PUT" else ""
    length = f"Content-Length: {len(body)}\\r\\n" if body else ""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(
            "n, odd = 0, 0\n"
            "threads = {}\n"
            "function setup(thread) table.insert(threads, thread) end\n"
            "function request()\n"
            "  n = n % 9000 + 1\n"
            f'  return string.format("{kind.method} http://{HOST}{kind.target} HTTP/1.1\\r\\n'
            f'Host: {HOST}\\r\\nUser-Agent: {_AGENT}\\r\\n{length}\\r\\n{body}", n)\n'
            "end\n"
            "function response(status)\n"
            f"  if status ~= {kind.status} then odd = odd + 1 end\n"
            "end\n"
            "function done(s)\n"
            "  local wrong = 0\n"
            '  for _, thread in ipairs(threads) do wrong = wrong + thread:get("odd") end\n'
            '  io.write("flows ", s.requests, " ", wrong, " ", s.duration / 1e6, "\\n")\n'
            "end\n"
        )
        script.flush()
        cpu = proxy.cpu()
        result = subprocess.run(
            [
                "wrk",
                "-t1",
                f"-c{connections or CONNECTIONS}",
                f"-d{seconds}s",
                "-s",
                script.name,
                proxy.url,
            ],
            check=True,
            capture_output=True,
            text=True,
        )
    line = next(line for line in result.stdout.splitlines() if line.startswith("flows "))
    _, flows, wrong, duration = line.split()
    if float(wrong):
        raise OtherFlowsError(f"{kind.name}: {wrong} of {flows} were answered otherwise")
    proxy.settle()
    return Reading(float(duration), proxy.cpu() - cpu, int(flows))


_OF_CUT = frozenset({"connection-failed", "body-truncated", "retried"})
CONNECTIONS = 8
"""Of wrk, which cuts what is under way on them when its time is over."""


def check_reports(folder: Path, kind: Kind, least: int, runs: int) -> None:
    """Of a proxy that has ended, after so many runs of ``rate``.

    :raises OtherFlowsError: flows have no report, or their reports say something else.
    """
    summary = json.loads((folder / "summary.json").read_bytes())
    counts: dict[str, Any] = summary["counts"]
    flows, rules = counts["flows"], counts["rule"]
    cut = rules.get("connection-failed", 0) + rules.get("body-truncated", 0)
    whole = flows - cut
    said = {rule: number for rule, number in rules.items() if rule not in _OF_CUT}
    # A part that was cut, and is sent again in the next run, is told to be a retry.
    fine = counts["verdict"].get("ok", 0) + rules.get("retried", 0)
    is_clean = bool(kind.rules) or fine >= whole
    if (
        whole < least
        or cut > runs * CONNECTIONS
        or said != dict.fromkeys(kind.rules, whole)
        or not is_clean
        or summary["others"]
    ):
        raise OtherFlowsError(f"{kind.name}: {least} were sent, the summary says {counts}")


class _Connection:
    """A client's connection to the proxy, kept open."""

    def __init__(self, proxy: Measured) -> None:
        self._socket = socket.create_connection(("127.0.0.1", proxy.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")

    def get(self) -> None:
        self._socket.sendall(
            f"GET http://{HOST}/small HTTP/1.1\r\nHost: {HOST}\r\n"
            f"User-Agent: {_AGENT}\r\n\r\n".encode()
        )
        length = 0
        while (line := self._file.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        self._file.read(length)

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def latencies(proxy: Measured, per_second: float, seconds: float, clients: int = 4) -> list[float]:
    """Seconds that each request took from the moment it was due: so many in a second, whether
    those before are answered or not, over a few connections."""
    taken: list[list[float]] = [[] for _ in range(clients)]
    begin = time.perf_counter() + 0.05

    def work(number: int) -> None:
        connection = _Connection(proxy)
        due = begin + number / per_second
        while due < begin + seconds:
            pause = due - time.perf_counter()
            if pause > 0:
                time.sleep(pause)
            connection.get()
            taken[number].append(time.perf_counter() - due)
            due += clients / per_second
        connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [each for one in taken for each in one]


def percentile(values: Sequence[float], percent: float) -> float:
    """Of values in any order."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def one_a_second(proxy: Measured, seconds: int, folder: Path | None) -> tuple[Reading, list[float]]:
    """An app that asks for something once a second; how long each report took to be on the
    disk after the answer had come, where there are reports."""
    connection = _Connection(proxy)
    connection.get()
    time.sleep(1.0)
    delays: list[float] = []
    cpu, began = proxy.cpu(), time.perf_counter()
    for number in range(1, seconds + 1):
        before = _reports(folder)
        connection.get()
        answered = time.perf_counter()
        end = began + number
        while folder is not None and _reports(folder) == before and time.perf_counter() < end:
            time.sleep(0.005)
        delays.append(time.perf_counter() - answered)
        time.sleep(max(0.0, end - time.perf_counter()))
    reading = Reading(time.perf_counter() - began, proxy.cpu() - cpu, seconds)
    connection.close()
    return reading, delays if folder is not None else []


def _reports(folder: Path | None) -> int:
    flows = None if folder is None else folder / "flows"
    return 0 if flows is None or not flows.is_dir() else sum(1 for _ in flows.iterdir())


def spread(values: Sequence[float], digits: int = 3) -> str:
    """The median, and the smallest and the largest."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"

"""The benchmark's case of saved captures: ``cos-inspect analyze`` beside plain mitmdump."""

import base64
import hashlib
import subprocess
import sys
import tempfile
import time
import uuid
from email.utils import formatdate
from pathlib import Path
from typing import Any

from mitmproxy import http
from mitmproxy.io import FlowWriter
from mitmproxy.test import tflow

from cos_inspect.digests import crc64
from tests.end_to_end.harness import HOST

_BEGIN = 1_600_000_000.0


def capture(path: Path, flows: int) -> None:
    """Uploads and downloads of small objects, one after the other, clean."""
    with path.open("wb") as file:
        writer = FlowWriter(file)  # type: ignore[no-untyped-call]
        for number in range(flows):
            writer.add(_flow(number))


def _flow(number: int) -> http.HTTPFlow:
    body = b"line %d\n" % number * 20
    digest = hashlib.md5(body, usedforsecurity=False)
    begin = _BEGIN + number / 100
    uploaded = number % 2 == 1
    headers = {"Host": HOST, "User-Agent": "cos-python-sdk-v5.1.9.44"}
    if uploaded:
        headers |= {
            "Content-Length": str(len(body)),
            "Content-MD5": base64.b64encode(digest.digest()).decode(),
        }
    answered = b"" if uploaded else body
    flow = tflow.tflow(resp=True)
    flow.id = str(uuid.UUID(int=number))
    flow.request = http.Request.make(
        "PUT" if uploaded else "GET",
        f"https://{HOST}/folder/{number}.txt",
        body if uploaded else b"",
        http.Headers([(name.encode(), value.encode()) for name, value in headers.items()]),
    )
    request_id = base64.b64encode(f"{int(begin):x}_d314cc0a_41e_{number:x}".encode()).decode()
    flow.response = http.Response.make(
        200,
        answered,
        {
            "Server": "tencent-cos",
            "Date": formatdate(begin, usegmt=True),
            "Content-Length": str(len(answered)),
            "Content-Type": "text/plain",
            "ETag": f'"{digest.hexdigest()}"',
            "x-cos-hash-crc64ecma": str(crc64(body)),
            "x-cos-request-id": request_id,
        },
    )
    for message in (flow.request, flow.response):
        message.timestamp_start = begin
        message.timestamp_end = begin + 0.005
    return flow


def _seconds(program: str, *arguments: str) -> float:
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def analyze_case(flows: int, rounds: int = 1) -> list[dict[str, Any]]:
    """The rate of ``analyze`` against that of ``mitmdump -nr`` without the addon, with one
    job and with two, of the best of ``rounds`` runs each."""
    with tempfile.TemporaryDirectory(prefix="cos-benchmark-") as folder:
        saved = Path(folder) / "saved.mitm"
        capture(saved, flows)
        plain: list[float] = []
        taken: dict[int, list[float]] = {1: [], 2: []}
        for number in range(rounds):
            plain.append(_seconds("mitmdump", "-q", "-nr", str(saved)))
            for jobs, times in taken.items():
                reports = Path(folder) / f"reports-{number}-{jobs}"
                times.append(
                    _seconds(
                        "cos-inspect",
                        "analyze",
                        "--quiet",
                        f"--jobs={jobs}",
                        f"--report-dir={reports}",
                        str(saved),
                    )
                )
        return [
            {
                "case": f"analyze, {flows} flows, {jobs} job{'s' if jobs > 1 else ''}",
                "rate ratio": round(min(plain) / min(times), 3),
                "plain per second": round(flows / min(plain)),
                "per second": round(flows / min(times)),
                **(
                    {"goal": "≥ 3"}
                    if jobs == 1
                    else {"to one job": round(min(taken[1]) / min(times), 3), "goal": "≥ 1.8"}
                ),
            }
            for jobs, times in taken.items()
        ]


if __name__ == "__main__":
    for case in analyze_case(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000):
        print(case, flush=True)

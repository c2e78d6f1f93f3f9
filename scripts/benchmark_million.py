"""The benchmark's case of a million flows: what ``analyze`` needs of time, memory and disk for each
of them does not grow with their number.

``python -m scripts.benchmark_million 100000 1000000 --on local:2`` runs it alone.
"""

import argparse
import base64
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from email.utils import formatdate
from pathlib import Path
from typing import Any, NamedTuple

from mitmproxy import http
from mitmproxy.io import FlowWriter

from scripts.benchmark_many import _family, _memory
from tests.analyze import stories
from tests.transfers.build import md5

CAPTURES = 100
_PER_UPLOAD = 5000
"""Flows for each multipart upload, of which every second one is never completed."""
_BEGIN = 1_777_777_777
_NUMBER = b"999999999999"
_ADDRESS = b"10.111.122.133"
_DATE = formatdate(_BEGIN, usegmt=True).encode()
_BODY = b"a small object of a device in the lab\n" * 20
_PART = bytes(1024)
_LOOK_SECONDS = 0.5
_FORMATS = ("html", "jsonl")


class Planted(NamedTuple):
    """What is in the captures, and has to be found."""

    flows: int
    errors: int
    warnings: int
    open_uploads: int
    damaged: int
    """Captures that end in the middle of a flow."""


def _request_id(begin: int, number: int) -> bytes:
    return base64.b64encode(f"{begin:08x}_d314cc0a_41e_{number:012x}".encode())


def _template(flow: http.HTTPFlow) -> bytes:
    """A flow as it is saved, with places for number, address and times."""
    flow.client_conn.peername = (_ADDRESS.decode(), 40000)
    flow.client_conn.id = f"client-{_NUMBER.decode()}"
    flow.server_conn.id = f"server-{_NUMBER.decode()}"
    flow.request.timestamp_start = _BEGIN + 0.5
    flow.request.timestamp_end = _BEGIN + 0.75
    assert flow.response is not None
    flow.response.timestamp_start = _BEGIN + 0.75
    flow.response.timestamp_end = _BEGIN + 0.875
    flow.response.headers["Date"] = _DATE.decode()
    flow.response.headers["x-cos-request-id"] = _request_id(_BEGIN, 0).decode()
    written = io.BytesIO()
    FlowWriter(written).add(flow)  # type: ignore[no-untyped-call]
    return written.getvalue()


def _templates() -> dict[str, bytes]:
    name, target = f"flow-{_NUMBER.decode()}", f"/lab/{_NUMBER.decode()}.bin"
    good = stories.digests(_BODY)
    bad = good | {stories.CRC: str(int(good[stories.CRC]) ^ 1).zfill(len(good[stories.CRC]))}
    made = {
        "get": stories.flow(name, "GET", target, 0, answer=_BODY, answered=good),
        "put": stories.flow(name, "PUT", target, 0, body=_BODY, answered=good),
        "damaged": stories.flow(name, "GET", target, 0, answer=_BODY, answered=bad),
        "missing": stories.flow(name, "GET", target, 0, **stories.refused(404, "NoSuchKey")),
    }
    return {kind: _template(flow) for kind, flow in made.items()}


def _filled(template: bytes, number: int, capture: int, begin: int) -> bytes:
    """Each value is as long as the one that it replaces, as lengths stand in the file."""
    address = b"10.1%02d.1%02d.133" % (capture // 100, capture % 100)
    return (
        template.replace(_NUMBER, b"%012d" % number)
        .replace(_ADDRESS, address)
        .replace(b"%d." % _BEGIN, b"%d." % begin)
        .replace(_DATE, formatdate(begin, usegmt=True).encode())
        .replace(_request_id(_BEGIN, 0), _request_id(begin, number))
    )


def _upload(number: int, *, whole: bool) -> list[http.HTTPFlow]:
    key, upload, at = f"upload{number}", f"id{number:08d}", number * 0.01
    etags = [(part, md5(_PART)) for part in (1, 2)]
    flows = [
        stories.initiate(key, upload, at),
        stories.part(key, upload, 1, stories.FIRST_PART, at + 1),
        stories.part(key, upload, 2, _PART, at + 2),
    ]
    if whole:
        etags[0] = (1, md5(stories.FIRST_PART))
        crc = stories.crc_of(stories.FIRST_PART + _PART)
        flows.append(stories.complete(key, upload, etags, crc, at + 3))
    return flows


def make(folder: Path, flows: int) -> Planted:
    """Captures of small flows, each of one device over the same hours. Uploads lie in three
    captures each; every fifth capture ends in the middle of a flow that stands there twice."""
    folder.mkdir()
    templates = _templates()
    errors = warnings = open_uploads = damaged = written = 0
    per_capture = flows // CAPTURES
    more: dict[int, list[bytes]] = {}
    for number in range(flows // _PER_UPLOAD):
        whole = number % 2 == 0
        open_uploads += not whole
        for place, flow in enumerate(_upload(number, whole=whole)):
            stream = io.BytesIO()
            FlowWriter(stream).add(flow)  # type: ignore[no-untyped-call]
            more.setdefault((number + place % 3 * 7) % CAPTURES, []).append(stream.getvalue())
    for capture in range(CAPTURES):
        with (folder / f"device-{capture:03d}.mitm").open("wb") as file:
            pieces = more.get(capture, [])
            written += len(pieces)
            file.writelines(pieces)
            last = b""
            for index in range(per_capture - len(pieces)):
                number = capture * per_capture + index
                kind = "put" if number % 2 else "get"
                if number % 500 == 77:
                    kind, errors = "damaged", errors + 1
                elif number % 50 == 13:
                    kind, warnings = "missing", warnings + 1
                last = _filled(templates[kind], number, capture, _BEGIN + 4 * index)
                file.write(last)
                written += 1
            if capture % 5 == 4:
                damaged += 1
                file.write(last[: len(last) // 2])
    return Planted(written, errors, warnings, open_uploads, damaged)


class _Watch(threading.Thread):
    """Looks again and again at processes and at a folder, until ``ended`` is set."""

    def __init__(self, pid: int, scratch: Path) -> None:
        super().__init__(daemon=True)
        self.client = self.worker = self.scratch_bytes = 0
        self.ended = threading.Event()
        self._pid = pid
        self._scratch = scratch

    def run(self) -> None:
        while not self.ended.wait(_LOOK_SECONDS):
            first, *others = _family(self._pid)
            self.client = max(self.client, _memory(first))
            self.worker = max([self.worker, *map(_memory, others)])
            self.scratch_bytes = max(self.scratch_bytes, size_of(self._scratch))


def size_of(folder: Path) -> int:
    """Bytes of all files below it."""
    size = 0
    for above, _, names in os.walk(folder):
        for name in names:
            try:
                size += (Path(above) / name).stat().st_size
            except OSError:
                continue
    return size


class Run(NamedTuple):
    seconds: float
    cpu_seconds: float
    """Of all processes: other programs on the machine matter less to it."""
    watched: _Watch
    summary: dict[str, Any]
    reports: Path


def analyzed(captures: Path, home: Path, on: str, formats: Sequence[str], dataset: bool) -> Run:
    """Runs ``analyze`` with its spool and its reports in ``home``."""
    reports, scratch = home / "reports", home / "scratch"
    scratch.mkdir()
    command = [str(Path(sys.executable).with_name("cos-inspect")), "analyze", str(captures)]
    command += [f"--on={on}", f"--report-dir={reports}", f"--scratch={scratch}"]
    command += [f"--format={each}" for each in formats]
    if dataset:
        command.append(f"--dataset={home / 'dataset'}")
    began, cpu_before = time.perf_counter(), _cpu_seconds()
    with (home / "output").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        watch = _Watch(process.pid, scratch)
        watch.start()
        status = process.wait()
        seconds = time.perf_counter() - began
    watch.ended.set()
    watch.join()
    if dataset and not (home / "dataset" / "summary.json").is_file():
        raise RuntimeError("the dataset is not whole")
    if status != 2:
        raise RuntimeError(f"analyze ended with {status}, and some captures are damaged")
    cpu = _cpu_seconds() - cpu_before
    return Run(seconds, cpu, watch, json.loads((reports / "summary.json").read_bytes()), reports)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def check(planted: Planted, summary: dict[str, Any]) -> None:
    """All that was planted is found, and nothing else is accused."""
    counts = summary["counts"]
    found = Planted(
        counts["flows"],
        counts["verdict"].get("error", 0),
        counts["verdict"].get("warning", 0),
        sum(one["state"] in ("open", "abandoned") for one in summary["transfers"]),
        sum(bool(one["left_out"]) for one in summary["captures"]),
    )
    if found != planted:
        raise RuntimeError(f"planted: {planted}, found: {found}")


def million_case(
    counts: Sequence[int] = (100_000, 1_000_000),
    on: str = "local:2",
    formats: Sequence[str] = _FORMATS,
    *,
    dataset: bool = False,
) -> Iterator[dict[str, Any]]:
    """A row for each number of flows; the last one says what the cost of a flow came to."""
    first = None
    for flows in counts:
        home = Path(tempfile.mkdtemp(prefix="cos-benchmark-"))
        try:
            planted = make(home / "captures", flows)
            run = analyzed(home / "captures", home, on, formats, dataset)
            check(planted, run.summary)
            each = run.cpu_seconds / planted.flows
            first = first or each
            output = (home / "output").read_bytes()
            yield {
                "case": f"analyze, {flows} flows in {CAPTURES} captures, {on}",
                "per second": round(planted.flows / run.seconds),
                "CPU us per flow": round(each * 1e6),
                "CPU per flow, to the first row": round(each / first, 3),
                "peak MiB of the client": run.watched.client >> 20,
                "peak MiB of a worker": run.watched.worker >> 20,
                "MB of captures": round(size_of(home / "captures") / 1e6),
                "MB in the spool": round(run.watched.scratch_bytes / 1e6),
                "MB of pages": round(_pages(run.reports) / 1e6, 1),
                "flows on the pages": _listed(run.reports),
                "MB of flows.jsonl": round(size_of_file(run.reports / "flows.jsonl") / 1e6),
                "MB of junit.xml": round(size_of_file(run.reports / "junit.xml") / 1e6),
                "MB of the dataset": round(size_of(home / "dataset") / 1e6),
                "KB of summary.json": round(size_of_file(run.reports / "summary.json") / 1e3),
                "lines printed": output.count(b"\n"),
            }
        finally:
            shutil.rmtree(home)


def size_of_file(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _pages(reports: Path) -> int:
    return size_of(reports / "data") + size_of(reports / "assets")


def _listed(reports: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in (reports / "data").glob("rows-*.js"))


def main() -> None:
    """A row for each number of flows that is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("flows", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--on", default="local:2")
    parser.add_argument("--format", action="append", help=f"default: {' and '.join(_FORMATS)}")
    parser.add_argument("--dataset", action="store_true", help="write a dataset as well")
    chosen = parser.parse_args()
    formats = chosen.format or _FORMATS
    for case in million_case(chosen.flows, chosen.on, formats, dataset=chosen.dataset):
        print("\n".join(f"{name}: {value}" for name, value in case.items()), flush=True)
        print(flush=True)


if __name__ == "__main__":
    main()

"""The benchmark's case of many captures: what ``analyze`` needs does not depend on how the same
traffic was cut, and what its lists do not hold is counted."""

import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mitmproxy import http
from mitmproxy.io import FlowWriter

from tests.analyze import stories

_LOOK_SECONDS = 0.05
_AT_ONCE = 20_000
"""Flows that are held before they are written."""
_PART = b"a part of an upload that nobody completes"


class Peak(NamedTuple):
    seconds: float
    bytes: int
    """Of all processes together, what they share counted once."""
    summary: dict[str, Any]


def traffic(flows: int, open_uploads: int) -> Iterator[http.HTTPFlow]:
    """Uploads that stay open, each of an Initiate and a part, and reads between them."""
    reads = flows - 2 * open_uploads
    for number in range(max(open_uploads, reads)):
        if number < open_uploads:
            key, upload, at = f"open{number}", f"upload{number}", number / 10
            yield stories.initiate(key, upload, at)
            yield stories.part(key, upload, 1, _PART, at + 0.2)
        if number < reads:
            yield stories.get(f"read{number}", b"abc", number / 10)


def captures(home: Path, counts: Sequence[int], flows: int, open_uploads: int) -> list[Path]:
    """Folders with the same traffic, in so many files each: each flow goes to the next one."""
    folders = [home / f"{count}" for count in counts]
    for folder in folders:
        folder.mkdir()
    held: dict[Path, list[bytes]] = {}
    for number, flow in enumerate(traffic(flows, open_uploads), start=1):
        written = io.BytesIO()
        FlowWriter(written).add(flow)  # type: ignore[no-untyped-call]
        for folder, count in zip(folders, counts, strict=True):
            held.setdefault(folder / f"{number % count:04}.mitm", []).append(written.getvalue())
        if number % _AT_ONCE == 0 or number == flows:
            for path, pieces in held.items():
                with path.open("ab") as file:
                    file.writelines(pieces)
            held.clear()
    return folders


def analyzed(place: Path, reports: Path, jobs: int, *more: str) -> Peak:
    """Runs ``analyze`` (with ``more`` switches), and looks again and again at the memory of all
    its processes."""
    command = [str(Path(sys.executable).with_name("cos-inspect")), "analyze", "--quiet"]
    command += [f"--jobs={jobs}", "--format=jsonl", f"--report-dir={reports}", *more, str(place)]
    began, peak = time.perf_counter(), 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            peak = max(peak, sum(map(_memory, _family(process.pid))))
            time.sleep(_LOOK_SECONDS)
    if process.returncode:
        raise RuntimeError(f"analyze ended with {process.returncode}")
    summary = json.loads((reports / "summary.json").read_text())
    # Of the files alone.
    summary.pop("captures", None)
    return Peak(time.perf_counter() - began, peak, summary)


def _family(pid: int) -> Iterator[int]:
    """A process and all that came of it."""
    yield pid
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _family(int(child))
    except OSError:
        return


def _memory(pid: int) -> int:
    """Bytes, what several processes share divided among them; 0 of one that has ended."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def many_case(flows: int = 100_000, open_uploads: int = 40_000) -> Iterator[dict[str, Any]]:
    """In 10 captures and in 1,000, with one job and with two."""
    with tempfile.TemporaryDirectory(prefix="cos-benchmark-") as home:
        counts = (10, 1000)
        made = captures(Path(home), counts, flows, open_uploads)
        folders = dict(zip(counts, made, strict=True))
        for jobs in (1, 2):
            peaks = {
                count: analyzed(folder, Path(home) / f"reports-{count}-{jobs}", jobs)
                for count, folder in folders.items()
            }
            few, many = peaks[10], peaks[1000]
            yield {
                "case": f"analyze, {flows} flows in 10 and in 1000 captures, {jobs}"
                f" job{'s' if jobs > 1 else ''}",
                "peak MiB in 10": few.bytes >> 20,
                "peak MiB in 1000": many.bytes >> 20,
                "seconds": f"{few.seconds:.0f} and {many.seconds:.0f}",
                "open uploads": open_uploads,
                "listed": len(many.summary["transfers"]),
                "left out": many.summary["left_out"],
                "same summary": few.summary == many.summary,
            }


if __name__ == "__main__":
    for case in many_case(*map(int, sys.argv[1:])):
        print(case, flush=True)

"""How much memory and how many descriptors the proxy has, over time."""

import contextlib
import os
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

EVERY_SECONDS = 0.5
REPORT_FILES = "report files"
"""The writer keeps some of them open, a bounded number."""

SQLITE = "etilqs_"
"""Temporary files of SQLite: in one of them lies what the addon remembers beyond a bound."""


def memory_kib(pid: int) -> int:
    """The resident size."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return 0


def cpu_seconds(pid: int) -> float:
    """What all its threads have computed so far; 0 when it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    # The name, in brackets, may have blanks in it.
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def descriptors(pid: int, reports: Path) -> Counter[str]:
    """What is open, by name. What lies in the report directory is all one, and sockets are."""
    found: Counter[str] = Counter()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            target = link.readlink()
            inside = target == reports or reports in target.parents
            if not target.name.startswith(SQLITE):
                found[REPORT_FILES if inside else target.name.partition(":")[0]] += 1
    return found


def beside_reports(found: Counter[str]) -> int:
    return found.total() - found[REPORT_FILES]


@dataclass
class Sample:
    seconds: float
    memory: int
    open: Counter[str]


@dataclass
class ProcessSampler:
    """Samples a process from its own thread, from ``begin`` to ``end``."""

    pid: int
    reports: Path
    samples: list[Sample] = field(default_factory=list)

    def begin(self) -> None:
        self._ended = threading.Event()
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(EVERY_SECONDS):
            self.sample()

    def sample(self) -> Sample:
        try:
            taken = Sample(
                time.monotonic() - self._began,
                memory_kib(self.pid),
                descriptors(self.pid, self.reports),
            )
        except OSError:
            # It has ended; whoever waits for it tells.
            return Sample(time.monotonic() - self._began, 0, Counter())
        self.samples.append(taken)
        return taken

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def peak(self) -> int:
        return max(sample.memory for sample in self.samples)

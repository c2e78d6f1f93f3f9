"""A Dask cluster of two worker processes on this machine, one of which may be ended while it
works; and what goes over its sockets."""

import contextlib
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import dask
import distributed
from tornado.iostream import IOStream

_LOOK_SECONDS = 0.2
_COMMAND = "from cos_inspect.cli.commands import main; main()"


class Shipped(NamedTuple):
    """Bytes that an analysis moved."""

    over_scheduler: int
    """All that came and went over the scheduler's sockets, heartbeats too; what goes through it
    counts twice."""
    between_workers: int
    """Transfers, as the workers tell the scheduler."""
    spooled: int
    """The most that lay in the spool, which is on the disk."""


class Ended(NamedTuple):
    """When a worker was ended."""

    step: str
    done: int
    """Tasks of this step that were done before."""


class _Watch(distributed.SchedulerPlugin):  # type: ignore[misc]
    """Counts finished tasks by step, and ends a worker when it was asked to."""

    name = "fleet-watch"

    def __init__(self, cluster: "Cluster") -> None:
        self._cluster = cluster
        self.done: Counter[str] = Counter()
        self.end_at: Ended | None = None
        self.ended: list[Ended] = []

    def transition(self, key: str, start: str, finish: str, *_more: object, **told: Any) -> None:
        """Of Dask."""
        if finish != "memory" or start != "processing" or not str(key).startswith("cos-inspect-"):
            return
        step = str(key).split("-")[2]
        self.done[step] += 1
        wanted = self.end_at
        if wanted is not None and wanted.step == step and self.done[step] >= wanted.done:
            self.end_at = None
            self.ended.append(Ended(step, self.done[step]))
            self._cluster.end_worker(str(told.get("worker")))


class Cluster:
    """``with started(folder) as cluster:``."""

    def __init__(self, local: Any) -> None:
        self._local = local
        self.on = str(local.scheduler_address).replace("tcp://", "dask://")
        self.watch = _Watch(self)
        local.scheduler.add_plugin(self.watch)
        self.sockets = 0

    def end_worker(self, address: str) -> None:
        """As a machine does that has no memory left."""
        for worker in self._local.workers.values():
            if worker.worker_address == address and worker.pid is not None:
                os.kill(worker.pid, signal.SIGKILL)

    def wait(self, workers: int) -> None:
        """Until so many are there."""
        with distributed.Client(self._local, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=120)

    def transfers(self) -> int:
        """How often workers that are there have fetched from others, since they began."""
        workers = self._local.scheduler.workers.values()
        told = (each.metrics.get("transfer", {}) for each in workers)
        return sum(int(each.get("incoming_count_total", 0)) for each in told)


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Cluster]:
    """The scheduler is in this process, each worker a process of its own."""
    with (
        dask.config.set(
            {
                "distributed.scheduler.allowed-failures": 3,
                # On a loaded machine a worker is not there again within Dask's 15 seconds.
                "distributed.deploy.lost-worker-timeout": "300s",
            }
        ),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
            local_directory=str(folder),
        ) as local,
    ):
        cluster = Cluster(local)
        with _counted(cluster):
            yield cluster


@contextlib.contextmanager
def _counted(cluster: Cluster) -> Iterator[None]:
    """Counts each byte of the sockets of this process."""
    read, write = IOStream.read_from_fd, IOStream.write_to_fd

    def read_from_fd(self: IOStream, buf: Any) -> int | None:
        size = read(self, buf)
        cluster.sockets += size or 0
        return size

    def write_to_fd(self: IOStream, data: memoryview) -> int:
        size = write(self, data)
        cluster.sockets += size
        return size

    IOStream.read_from_fd = read_from_fd  # type: ignore[method-assign]
    IOStream.write_to_fd = write_to_fd  # type: ignore[method-assign]
    try:
        yield
    finally:
        IOStream.read_from_fd = read  # type: ignore[method-assign]
        IOStream.write_to_fd = write  # type: ignore[method-assign]


class Ran(NamedTuple):
    """One call of ``cos-inspect analyze`` in a process of its own."""

    status: int
    seconds: float
    peak: int
    """Bytes of memory that the process had at most; those of workers are not in it."""
    errors: list[str]
    shipped: Shipped | None = None


def run_analysis(
    captures: Sequence[Path],
    reports: Path,
    *more: str,
    cluster: Cluster | None = None,
    scratch: Path | None = None,
    command: str | None = None,
) -> Ran:
    """On this machine, or on a cluster; by another ``command``, where that is given."""
    arguments = ["analyze", *map(str, captures), "--quiet", f"--report-dir={reports}", *more]
    sockets = transfers = 0
    if cluster is not None:
        assert scratch is not None
        scratch.mkdir(exist_ok=True)
        arguments += [f"--on={cluster.on}", f"--scratch={scratch}"]
        cluster.wait(2)
        sockets, transfers = cluster.sockets, cluster.transfers()
    begun = time.monotonic()
    with _Peaks(scratch if cluster is not None else None) as peaks:
        process = subprocess.Popen(
            [sys.executable, "-c", command or _COMMAND, *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        peaks.process = process.pid
        told = process.communicate()[1].decode()
    seconds = time.monotonic() - begun
    shipped = None
    if cluster is not None:
        # A worker that was ended took its count along.
        fetched = max(0, cluster.transfers() - transfers)
        shipped = Shipped(cluster.sockets - sockets, fetched, peaks.spooled)
    return Ran(process.returncode, seconds, peaks.memory, told.splitlines(), shipped=shipped)


class _Peaks:
    """Looks now and then how much lies below a folder, and what a process has had at most. What
    the system says of a child's memory when it has ended counts that of its parent, too."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.spooled = 0
        self.process: int | None = None
        self.memory = 0

    def __enter__(self) -> "_Peaks":
        self._thread.start()
        return self

    def __exit__(self, *_what: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            total = 0
            for path in self._folder.rglob("*") if self._folder is not None else ():
                with contextlib.suppress(OSError):
                    total += path.stat().st_size
            self.spooled = max(self.spooled, total)
            if self.process is not None:
                with contextlib.suppress(OSError):
                    status = Path(f"/proc/{self.process}/status").read_text(encoding="ascii")
                    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
                    self.memory = max(self.memory, int(found[1]) * 1024 if found else 0)

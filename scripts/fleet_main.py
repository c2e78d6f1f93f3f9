"""A fleet from end to end: 200 captures with known damage, a cluster that loses a worker, the
dataset, and live proxies with a collector. See ``--help``."""

import argparse
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from scripts import fleet_captures, fleet_queries
from scripts.fleet_captures import Fleet, make_fleet
from scripts.fleet_cluster import Cluster, Ended, Ran, run_analysis, started
from scripts.fleet_compare import (
    Reports,
    differences,
    fields_in,
    files_that_differ,
    reports_in,
)
from scripts.fleet_live import run_live

_FORMATS = [f"--format={name}" for name in ("json", "jsonl", "html", "markdown", "junit")]
_LINES = ["--format=jsonl"]
_TWICE = "from scripts.fleet_twice import twice; twice()"
_MOST_ROWS = 4
_WIDEST = 36
_KIB, _MIB = 1024, 1024 * 1024
_MOST_PER_CAPTURE = 50_000
_MOST_GROWTH = 1.1


class Demo:
    """Tells what it does, and keeps what was not as it should be."""

    def __init__(self, folder: Path, console: Console, captures: int) -> None:
        self._folder = folder
        self._console = console
        self._count = captures
        self._begun = time.monotonic()
        self.wrong: list[str] = []

    def run(self, *, everything: bool) -> None:
        """All of it."""
        fleet = self._make()
        expected = self._one_machine(fleet)
        self._say("Two workers, each a process")
        with started(self._folder / "workers") as cluster:
            steps = self._two_workers(fleet, expected, cluster)
            if everything:
                self._orders(fleet, expected, cluster)
                self._losses(fleet, expected, cluster, steps)
                self._twice(fleet, expected, cluster)
                self._sizes(cluster)
        self._dataset(expected)
        self._live()

    def _say(self, title: str) -> None:
        self._console.rule(f"[bold]{title}", align="left")

    def _tell(self, line: str) -> None:
        self._console.print(f"{time.monotonic() - self._begun:6.1f} s  {line}", highlight=False)

    def _check(self, what: str, odd: Sequence[str]) -> None:
        """One line: as it should be, or what is not."""
        if not odd:
            self._tell(f"[green]equal[/]   {what}")
            return
        self._tell(f"[bold red]differs[/] {what}")
        for line in odd:
            self._console.print(f"           {line}", markup=False, highlight=False)
        self.wrong.append(what)

    def _make(self) -> Fleet:
        self._say("Captures")
        fleet = make_fleet(self._folder / "captures", self._count)
        fleet_captures.cut(fleet.captures[self._count // 2])
        self._tell(
            f"{len(fleet.captures)} captures of {self._count // fleet_captures.PER_DEVICE} devices,"
            f" {fleet.flows} flows, {fleet.size / _MIB:.0f} MiB; uploads lie in three captures,"
            " ranged downloads and tries in two"
        )
        rules = Counter(rule for _, rule in fleet.found)
        common = ", ".join(f"{count} {rule}" for rule, count in rules.most_common(5))
        self._tell(f"{len(fleet.found)} things are wrong with flows ({common}, …),")
        self._tell(
            f"{len(fleet.of_transfers)} with whole transfers; the middle capture is cut at its end"
        )
        return fleet

    def _analyze(
        self,
        captures: Sequence[Path],
        fleet: Fleet,
        name: str,
        *more: str,
        cluster: Cluster | None = None,
        command: str | None = None,
    ) -> tuple[Path, Ran]:
        reports = self._folder / name
        ran = run_analysis(
            captures,
            reports,
            f"--label={fleet.label}",
            *more,
            cluster=cluster,
            scratch=self._folder / "scratch",
            command=command,
        )
        left = list((self._folder / "scratch").glob("*"))
        if left:
            self._check(f"{name}: nothing is left of the spool", [str(each) for each in left])
        return reports, ran

    def _one_machine(self, fleet: Fleet) -> Reports:
        self._say("One machine")
        folder, ran = self._analyze(fleet.captures, fleet, "one-machine", *_FORMATS)
        found = reports_in(folder)
        self._tell(f"{len(found.by_flow)} reports in {ran.seconds:.0f} s")
        answer = found.answer
        odd = [f"not found: {each}" for each in sorted(fleet.found - answer.found)]
        odd += [f"accused: {each}" for each in sorted(answer.found - fleet.found)]
        odd += [str(each) for each in sorted(fleet.of_transfers ^ answer.of_transfers)]
        self._check("what was found, and what was damaged", odd)
        self._check("the capture that is cut is named once, exit status 2", self._odd_loss(ran))
        return found

    def _odd_loss(self, ran: Ran) -> list[str]:
        named = self._folder / "captures"
        if ran.status == 2 and len(ran.errors) == 1 and str(named) in ran.errors[0]:
            return []
        return [f"exit status {ran.status}", *ran.errors[-5:]]

    def _two_workers(self, fleet: Fleet, expected: Reports, cluster: Cluster) -> Counter[str]:
        """Forward; the dataset as well. How many tasks each step has."""
        cluster.watch.end_at = Ended("read", 2)
        folder, ran = self._analyze(
            fleet.captures,
            fleet,
            "two-workers",
            *_FORMATS,
            f"--dataset={self._folder / 'dataset'}",
            cluster=cluster,
        )
        for ended in cluster.watch.ended:
            self._tell(f"a worker was ended (SIGKILL) when {ended.done} shards were read")
        self._check("a worker was ended in the middle", [] if cluster.watch.ended else ["none was"])
        self._check("the loss of the cut capture is told as before", self._odd_loss(ran))
        count, odd = files_that_differ(self._folder / "one-machine", folder)
        self._check(f"{count} files of reports and pages, byte for byte", odd[:20])
        found = reports_in(folder)
        fields = fields_in([expected.by_flow, expected.summary])
        self._check(f"{fields} fields", differences(expected, found))
        self._tell_shipped(ran, len(fleet.captures))
        return Counter(cluster.watch.done)

    def _tell_shipped(self, ran: Ran, captures: int) -> None:
        shipped = ran.shipped
        assert shipped is not None
        each = shipped.over_scheduler / captures
        self._tell(
            f"{ran.seconds:.0f} s; {each / 1000:.1f} KB a capture over the scheduler's sockets, in"
            f" and out together, {shipped.between_workers} transfers between workers;"
        )
        self._tell(
            f"{shipped.spooled / captures / 1000:.0f} KB a capture lay in the spool at most;"
            f" the client's peak was {ran.peak / _MIB:.0f} MiB"
        )
        if each > _MOST_PER_CAPTURE:
            self._check("what is shipped a capture, and at most 50 KB", [f"{each:.0f} bytes"])

    def _same(self, what: str, folder: Path, ran: Ran, expected: Reports) -> None:
        self._check(
            f"{what} ({ran.seconds:.0f} s)",
            [*differences(expected, reports_in(folder)), *self._odd_loss(ran)],
        )

    def _orders(self, fleet: Fleet, expected: Reports, cluster: Cluster) -> None:
        shuffled = list(fleet.captures)
        random.Random(3).shuffle(shuffled)
        for name, order in (
            ("forward", fleet.captures),
            ("reversed", fleet.captures[::-1]),
            ("shuffled", shuffled),
        ):
            folder, ran = self._analyze(order, fleet, name, *_LINES, cluster=cluster)
            self._same(name, folder, ran, expected)

    def _losses(
        self, fleet: Fleet, expected: Reports, cluster: Cluster, steps: Counter[str]
    ) -> None:
        for step in ("read", "join", "write_chunk"):
            before = len(cluster.watch.ended)
            cluster.watch.done.clear()
            cluster.watch.end_at = Ended(step, max(1, steps[step] // 2))
            folder, ran = self._analyze(
                fleet.captures, fleet, f"ended-{step}", *_LINES, cluster=cluster
            )
            odd = [] if len(cluster.watch.ended) > before else ["no worker was ended"]
            self._check(f"a worker was ended in the middle of {step}", odd)
            self._same(f"a worker less in {step}", folder, ran, expected)

    def _twice(self, fleet: Fleet, expected: Reports, cluster: Cluster) -> None:
        folder, ran = self._analyze(
            fleet.captures, fleet, "twice", *_LINES, cluster=cluster, command=_TWICE
        )
        self._same("every task is done twice", folder, ran, expected)

    def _sizes(self, cluster: Cluster) -> None:
        """A client's memory with a tenth of the captures, and with all."""
        peaks: list[int] = []
        for count in (self._count // 10, self._count):
            fleet = make_fleet(self._folder / f"captures-{count}", count)
            _, ran = self._analyze(fleet.captures, fleet, f"of-{count}", *_LINES, cluster=cluster)
            self._tell(f"{count} captures, {fleet.flows} flows:")
            self._tell_shipped(ran, count)
            peaks.append(ran.peak)
        odd = [] if peaks[1] <= peaks[0] * _MOST_GROWTH else [f"{peaks[0]} and {peaks[1]} bytes"]
        self._check("the client's memory, with a tenth of the captures and with all", odd)

    def _dataset(self, expected: Reports) -> None:
        self._say("The dataset, asked by DuckDB")
        connection, asked = fleet_queries.ask(self._folder / "dataset")
        size = sum(each.stat().st_size for each in (self._folder / "dataset").rglob("*.parquet"))
        self._tell(f"{size / _KIB:.0f} KiB of Parquet")
        self._check("tables and reports", list(fleet_queries.odd_in(connection, expected)))
        for each in asked:
            table = Table(*each.columns, box=None, padding=(0, 2, 0, 0))
            for row in each.rows[:_MOST_ROWS]:
                table.add_row(*(_shown(value) for value in row))
            self._console.print(table)
            if len(each.rows) > _MOST_ROWS:
                self._console.print(f"… {len(each.rows)} rows", highlight=False)

    def _live(self) -> None:
        self._say("Two live proxies, one collector")
        live = run_live(self._folder)
        self._tell(
            f"{live.flows} flows with {live.findings} findings; the collector has {live.spans}"
            f" spans and {live.logs} log records"
        )
        self._check("metrics, logs and spans, and the reports of both", live.odd)
        odd = [] if (live.traces_of_upload, live.spans_of_upload) == (1, 4) else [str(live)]
        self._check("an upload through both proxies is one trace of four spans", odd)


def _shown(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def main() -> int:
    """Exit status 1 when anything was not equal."""
    parser = argparse.ArgumentParser(
        prog="scripts/fleet-demo",
        description="Makes 200 captures with known damage, analyses them on one machine and on a"
        " Dask cluster of two worker processes, one of which is ended in the middle, and compares"
        " all fields; asks the dataset by DuckDB; and has two live proxies send to a collector."
        " Exit status 1 when anything was not equal.",
    )
    parser.add_argument("--captures", type=int, default=fleet_captures.CAPTURES, metavar="NUMBER")
    parser.add_argument(
        "--all",
        action="store_true",
        help="also in other orders, with a worker ended in each step, with each task done twice,"
        " and with a tenth of the captures; some minutes",
    )
    parser.add_argument("--keep", type=Path, help="an empty directory that keeps all of it")
    given = parser.parse_args()
    if given.captures % 50:
        parser.error("--captures has to be a multiple of 50")
    logging.disable(logging.CRITICAL)
    console = Console(width=None if sys.stdout.isatty() else 160)
    with tempfile.TemporaryDirectory(prefix="cos-fleet-") as made:
        folder = given.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        demo = Demo(folder, console, given.captures)
        demo.run(everything=given.all)
    if demo.wrong:
        console.print(f"[bold red]{len(demo.wrong)} comparisons differ.[/]")
        return 1
    console.print("[bold green]All is equal.[/]")
    return 0


if __name__ == "__main__":
    sys.exit(main())

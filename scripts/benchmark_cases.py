"""The benchmark's cases: each one plain and with the addon, in turn, in one run.

These machines are shared, so single times mean little: rounds alternate, and
what counts is the median of each pair's ratio.
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cos_inspect.digests import Digester
from scripts import benchmark_table
from scripts.benchmark_analyze import analyze_case
from scripts.benchmark_bench import (
    MIB,
    Measured,
    Nginx,
    Reading,
    Sink,
    addon_arguments,
    digests_of,
    get,
    put,
    rate,
)
from scripts.benchmark_many import many_case
from scripts.benchmark_plants import Plants
from scripts.benchmark_transfers import transfers_case
from tests.origin.server import Origin

Run = Callable[[Measured], Reading]
Result = dict[str, Any]


def in_turn(
    plain: Measured, addon: Measured, run: Run, rounds: int
) -> list[tuple[Reading, Reading]]:
    """Pairs of runs; which of the two goes first changes from round to round."""
    run(plain), run(addon)
    pairs = []
    for number in range(rounds):
        if number % 2:
            second = run(addon)
            pairs.append((run(plain), second))
        else:
            first = run(plain)
            pairs.append((first, run(addon)))
    return pairs


def throughput(pairs: list[tuple[Reading, Reading]]) -> float:
    return statistics.median((b.flows / b.seconds) / (a.flows / a.seconds) for a, b in pairs)


def extra_cpu(pairs: list[tuple[Reading, Reading]]) -> float:
    """Seconds of CPU per flow beyond plain."""
    return statistics.median(b.cpu / b.flows - a.cpu / a.flows for a, b in pairs)


def bare_digests(size: int) -> float:
    """CPU seconds of MD5 and CRC-64 over so many bytes, with nothing around them."""
    block, digester = os.urandom(256 * 1024), Digester(md5=True, crc64=True)
    began = time.process_time()
    for _ in range(size // len(block)):
        digester.feed(block)
    return time.process_time() - began


def uploads(proxy: Measured, file: Path, slowest: list[float]) -> Reading:
    """16 uploads at once; ``slowest`` takes how the slowest does against the median."""
    cpu, began = proxy.cpu(), time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        times = list(pool.map(lambda n: put(proxy, file, f"p{n}").seconds, range(16)))
    reading = Reading(time.perf_counter() - began, proxy.cpu() - cpu)
    slowest.append(max(times) / statistics.median(times))
    return reading


def start_up(arguments: list[str]) -> float:
    command = [str(Path(sys.executable).with_name("mitmdump")), "-n", "-q", "-r", os.devnull]
    began = time.perf_counter()
    subprocess.run([*command, *arguments], check=False, capture_output=True)
    return time.perf_counter() - began


def big(name: str, size: int, pairs: list[tuple[Reading, Reading]]) -> Result:
    return {
        "case": name,
        "throughput ratio": round(throughput(pairs), 3),
        "plain MB/s": round(statistics.median(size / a.seconds for a, _ in pairs) / 1e6),
        "extra CPU s per GiB": round(extra_cpu(pairs) / size * (1 << 30), 2),
    }


class Bench(NamedTuple):
    """What all cases share."""

    origin: Origin
    nginx: Nginx
    home: Path
    chosen: argparse.Namespace

    @property
    def size(self) -> int:
        return int(self.chosen.size) * MIB

    def pair(self, port: int, name: str, *settings: str, plain: Sequence[str] = ()) -> "_Pair":
        """A plain mitmdump and one with the addon, in front of a server."""
        return _Pair(
            Measured(self.origin, port, *plain),
            Measured(self.origin, port, *addon_arguments(self.home / name, *settings)),
        )


class _Pair(contextlib.ExitStack):
    def __init__(self, plain: Measured, addon: Measured) -> None:
        super().__init__()
        self._two = (plain, addon)

    def __enter__(self) -> tuple[Measured, Measured]:  # type: ignore[override]
        super().__enter__()
        plain, addon = self._two
        return self.enter_context(plain), self.enter_context(addon)


_STREAMED = ("--set=stream_large_bodies=1m",)


def downloads(bench: Bench) -> Iterator[Result]:
    rounds = bench.chosen.rounds
    bare = {"bare digests, CPU s per GiB": round(bare_digests(1 << 30), 2)}
    with bench.pair(bench.nginx.port, "big", plain=_STREAMED) as (plain, addon):
        crc = in_turn(plain, addon, lambda p: get(p, "multipart"), rounds)
        yield big("GET, CRC alone", bench.size, crc)
        md5 = in_turn(plain, addon, lambda p: get(p, "md5"), rounds)
        beyond = {"peak memory beyond plain, KiB": addon.memory() - plain.memory()}
        yield big("GET, MD5 and CRC", bench.size, md5) | bare | beyond


def large_uploads(bench: Bench) -> Iterator[Result]:
    nginx, rounds = bench.nginx, bench.chosen.rounds
    bare = {"bare digests, CPU s per GiB": round(bare_digests(1 << 30), 2)}
    with (
        Sink(nginx.big_md5, nginx.big_crc) as sink,
        bench.pair(sink.port, "put", plain=_STREAMED) as (plain, addon),
    ):
        pairs = in_turn(plain, addon, lambda p: put(p, nginx.big, "k"), rounds)
        yield big("PUT, MD5 and CRC", bench.size, pairs) | bare
    part = bench.home / "part"
    with nginx.big.open("rb") as whole:
        part.write_bytes(whole.read(min(64 * MIB, bench.size)))
    with (
        Sink(*digests_of(part)) as sink,
        bench.pair(sink.port, "parts", plain=_STREAMED) as (plain, addon),
    ):
        slowest: list[float] = []
        pairs = in_turn(plain, addon, lambda p: uploads(p, part, slowest), rounds)
        yield {
            "case": "16 uploads at once",
            "throughput ratio": round(throughput(pairs), 3),
            "slowest to median": round(statistics.median(slowest), 2),
        }


def small(bench: Bench) -> Iterator[Result]:
    seconds, rounds = bench.chosen.seconds, 3 * bench.chosen.rounds
    for name, settings in (
        ("1 KiB GETs, default formats", ()),
        ("1 KiB GETs, JSON alone", ("cos_report_format=json",)),
    ):
        folder = name.replace(" ", "")
        with bench.pair(bench.nginx.port, folder, *settings) as (plain, addon):
            pairs = in_turn(plain, addon, lambda p: rate(p, "small", seconds), rounds)
            yield {
                "case": name,
                "rate ratio": round(throughput(pairs), 3),
                "plain per second": round(statistics.median(a.flows / a.seconds for a, _ in pairs)),
                "extra CPU us per flow": round(extra_cpu(pairs) * 1e6),
            }


def session(bench: Bench) -> Iterator[Result]:
    with bench.pair(bench.nginx.port, "long") as (plain, addon):
        plants = Plants(bench.origin, addon.url, addon.ca_pem)
        yield long_session(plain, addon, bench.chosen.flows, plants, bench.home / "long")


def starting(bench: Bench) -> Iterator[Result]:
    arguments = addon_arguments(bench.home / "start")
    pairs = [(start_up([]), start_up(arguments)) for _ in range(2 * bench.chosen.rounds)]
    yield {
        "case": "start-up",
        "extra ms": round(statistics.median(b - a for a, b in pairs) * 1000),
    }


def saved(bench: Bench) -> Iterator[Result]:
    yield from analyze_case(bench.chosen.saved)


def transfers(_bench: Bench) -> Iterator[Result]:
    yield transfers_case()


def many(_bench: Bench) -> Iterator[Result]:
    yield from many_case()


_GROUPS: dict[str, Callable[[Bench], Iterator[Result]]] = {
    "downloads": downloads,
    "uploads": large_uploads,
    "small": small,
    "session": session,
    "start-up": starting,
    "saved": saved,
    "transfers": transfers,
    "many": many,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=_GROUPS, action="append", help="cases to run; all")
    parser.add_argument("--size", type=int, default=1024, help="MiB of a large body")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=2, help="of small requests a round")
    parser.add_argument("--flows", type=int, default=100_000, help="flows of the long session")
    parser.add_argument("--saved", type=int, default=100_000, help="flows of the saved capture")
    parser.add_argument(
        "--json", type=Path, help="where the results go as well; others that stand there stay"
    )
    parser.add_argument("--readme", action="store_true", help="renew the table in README.md")
    chosen = parser.parse_args()
    if "TMPDIR" not in os.environ and _is_roomy(_MEMORY, 4 * chosen.size * MIB):
        # Making a file costs ten times as much in one folder of a disk as in another.
        tempfile.tempdir = str(_MEMORY)
    results: dict[str, Result] = {}
    if chosen.json and chosen.json.exists():
        results = {result["case"]: result for result in json.loads(chosen.json.read_text())}
    with (
        tempfile.TemporaryDirectory(prefix="cos-benchmark-") as folder,
        Origin() as origin,
        Nginx(chosen.size * MIB) as nginx,
    ):
        bench = Bench(origin, nginx, Path(folder), chosen)
        for group in chosen.only or _GROUPS:
            for result in _GROUPS[group](bench):
                results[result["case"]] = result
                print(json.dumps(result), flush=True)
    told = list(results.values())
    if chosen.json:
        chosen.json.write_text(json.dumps(told, indent=2) + "\n")
    if chosen.readme:
        benchmark_table.write(told)
    return 0


_MEMORY = Path("/dev/shm")


def _is_roomy(folder: Path, size: int) -> bool:
    return folder.is_dir() and shutil.disk_usage(folder).free > size


def long_session(
    plain: Measured, proxy: Measured, flows: int, plants: Plants, reports: Path
) -> dict[str, Any]:
    """CPU per flow of the last tenth against the first, and how memory grows between. What
    the machine does meanwhile is taken out by a look at plain mitmdump each time. Uploads
    stretch over it, some of them bad.

    :raises MissedError: of these another one was accused than the bad ones.
    """
    rate(plain, "small", 1)
    rate(proxy, "small", 2)
    done, readings, memory = 0, [], []
    while done < flows:
        plants.plant()
        reading, beside = rate(proxy, "small", 5), rate(plain, "small", 2)
        done += reading.flows
        readings.append((reading.cpu / reading.flows) / (beside.cpu / beside.flows))
        memory.append(proxy.memory("VmRSS"))
    plants.finish()
    proxy.stop()
    tenth = max(1, len(readings) // 10)
    return {
        "case": "a long session",
        "flows": done,
        "CPU per flow, last tenth to first": round(
            statistics.median(readings[-tenth:]) / statistics.median(readings[:tenth]), 3
        ),
        "memory growth, KiB": memory[-1] - memory[0],
        "bad uploads found": plants.found(reports),
    }


if __name__ == "__main__":
    sys.exit(main())

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
)
from scripts.benchmark_clients import (
    GET,
    MISSING,
    PART,
    PUT,
    check_reports,
    latencies,
    one_a_second,
    percentile,
    rate,
    spread,
)
from scripts.benchmark_many import many_case
from scripts.benchmark_million import million_case
from scripts.benchmark_otel import otel_case
from scripts.benchmark_packets import packets_case
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


def big(name: str, size: int, pairs: list[tuple[Reading, Reading]], goal: str) -> Result:
    ratios = [a.seconds / b.seconds for a, b in pairs]
    return {
        "case": name,
        "throughput ratio": spread(ratios),
        "goal": f"≥ {goal}",
        "plain MB/s": round(statistics.median(size / a.seconds for a, _ in pairs) / 1e6),
        "extra CPU s per GiB": round(extra_cpu(pairs) / size * (1 << 30), 2),
    }


def memory_beyond(plain: Measured, addon: Measured) -> Result:
    """Of all their processes; the goal of every case."""
    kib = addon.memory() - plain.memory()
    return {"peak memory beyond plain, MiB": f"{kib / 1024:.1f} (goal ≤ 24)"}


class Bench(NamedTuple):
    """What all cases share."""

    origin: Origin
    nginx: Nginx
    home: Path
    chosen: argparse.Namespace

    @property
    def size(self) -> int:
        return int(self.chosen.size) * MIB

    @property
    def pairs(self) -> int:
        """Runs of small flows; a case needs five at least to be relied on."""
        return 2 if self.chosen.quick else max(5, int(self.chosen.rounds))

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
        yield big("GET, CRC alone", bench.size, crc, "0.97")
        md5 = in_turn(plain, addon, lambda p: get(p, "md5"), rounds)
        beyond = memory_beyond(plain, addon)
        yield big("GET, MD5 and CRC", bench.size, md5, "0.85") | bare | beyond


def large_uploads(bench: Bench) -> Iterator[Result]:
    nginx, rounds = bench.nginx, bench.chosen.rounds
    bare = {"bare digests, CPU s per GiB": round(bare_digests(1 << 30), 2)}
    with (
        Sink(nginx.big_md5, nginx.big_crc) as sink,
        bench.pair(sink.port, "put", plain=_STREAMED) as (plain, addon),
    ):
        pairs = in_turn(plain, addon, lambda p: put(p, nginx.big, "k"), rounds)
        beyond = memory_beyond(plain, addon)
        yield big("PUT, MD5 and CRC", bench.size, pairs, "0.80") | bare | beyond
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
    seconds, rounds = bench.chosen.seconds, bench.pairs
    jsonl = ("cos_report_format=jsonl",)
    for kind, formats, settings, least_rate, most_cpu in (
        (GET, "default formats", (), "0.90", "1.15"),
        (PUT, "default formats", (), "0.90", "1.15"),
        (GET, "jsonl alone", jsonl, None, "1.10"),
        (PUT, "jsonl alone", jsonl, None, "1.10"),
        (MISSING, "default formats", (), None, "1.25"),
        (PART, "default formats", (), None, "1.25"),
    ):
        name = f"{kind.name}, {formats}"
        folder = name.replace(" ", "").replace(",", "")
        with bench.pair(bench.nginx.port, folder, *settings) as (plain, addon):
            pairs = in_turn(plain, addon, lambda p, k=kind: rate(p, k, seconds), rounds)  # type: ignore[misc]
            memory = memory_beyond(plain, addon)
            addon.stop()
            done = sum(b.flows for _, b in pairs)
            check_reports(bench.home / folder, kind, done, rounds + 1)
            ratios = [(b.cpu / b.flows) / (a.cpu / a.flows) for a, b in pairs]
            rates = [(b.flows / b.seconds) / (a.flows / a.seconds) for a, b in pairs]
            yield {
                "case": name,
                "rate ratio": spread(rates),
                **({} if least_rate is None else {"goal of it": f"≥ {least_rate}"}),
                "CPU ratio": spread(ratios),
                "goal": f"≤ {most_cpu}",
                "plain per second": round(statistics.median(a.flows / a.seconds for a, _ in pairs)),
                "extra CPU us per flow": round(extra_cpu(pairs) * 1e6),
                **memory,
            }


def quiet(bench: Bench) -> Iterator[Result]:
    """One flow a second."""
    seconds = 10 if bench.chosen.quick else 30
    with bench.pair(bench.nginx.port, "quiet") as (plain, addon):
        beside, _ = one_a_second(plain, seconds, None)
        reading, delays = one_a_second(addon, seconds, bench.home / "quiet")
        memory = memory_beyond(plain, addon)
    yield {
        "case": "a quiet app, one flow a second",
        "extra CPU us per flow": round((reading.cpu - beside.cpu) / seconds * 1e6),
        "goal": "≤ 400",
        "report on the disk after, s": spread(delays, 2),
        "goal of it": "≤ 0.5",
        **memory,
    }


def latency(bench: Bench) -> Iterator[Result]:
    """At half of the rate that plain mitmdump has."""
    seconds, rounds = bench.chosen.seconds * 2, bench.pairs
    with bench.pair(bench.nginx.port, "latency") as (plain, addon):
        full = rate(plain, GET, 2)
        rate(addon, GET, 1)
        half = full.flows / full.seconds / 2
        ratios, middles, slowest = [], [], []
        for number in range(rounds):
            first, second = (addon, plain) if number % 2 else (plain, addon)
            taken = {each: latencies(each, half, seconds) for each in (first, second)}
            ratios.append(percentile(taken[addon], 99) / percentile(taken[plain], 99))
            middles.append(percentile(taken[addon], 50) / percentile(taken[plain], 50))
            slowest.append(percentile(taken[plain], 99) * 1000)
        yield {
            "case": "latency at half load",
            "p99 to plain": spread(ratios, 2),
            "goal": "≤ 1.1",
            "median to plain": spread(middles, 2),
            "plain p99, ms": round(statistics.median(slowest), 1),
            "requests per second": round(half),
        }


def otel(bench: Bench) -> Iterator[Result]:
    seconds, rounds = bench.chosen.seconds * 2, bench.pairs
    home = bench.home / "otel"
    yield from otel_case(bench.origin, bench.nginx.port, home, seconds=seconds, rounds=rounds)


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


def packets(_bench: Bench) -> Iterator[Result]:
    yield from packets_case()


def million(_bench: Bench) -> Iterator[Result]:
    yield from million_case()


_GROUPS: dict[str, Callable[[Bench], Iterator[Result]]] = {
    "downloads": downloads,
    "uploads": large_uploads,
    "small": small,
    "quiet": quiet,
    "latency": latency,
    "otel": otel,
    "session": session,
    "start-up": starting,
    "saved": saved,
    "transfers": transfers,
    "many": many,
    "packets": packets,
    "million": million,
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
    parser.add_argument(
        "--quick", action="store_true", help="few and short runs, to see that all of it works"
    )
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.size, chosen.rounds, chosen.seconds = 64, 2, 1
        chosen.flows, chosen.saved = 2_000, 5_000
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
    rate(plain, GET, 1)
    rate(proxy, GET, 2)
    done, readings, memory = 0, [], []
    while done < flows:
        plants.plant()
        reading, beside = rate(proxy, GET, 5), rate(plain, GET, 2)
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
        "goal": "≤ 1.03",
        "memory growth, KiB": memory[-1] - memory[0],
        "bad uploads found": plants.found(reports),
    }


if __name__ == "__main__":
    sys.exit(main())

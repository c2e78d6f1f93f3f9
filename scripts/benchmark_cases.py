"""The benchmark's cases: each one plain and with the addon, in turn, in one run.

These machines are shared, so single times mean little: rounds alternate, and
what counts is the median of each pair's ratio.
"""

import argparse
import concurrent.futures
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
from scripts.benchmark_transfers import transfers_case
from tests.origin.server import Origin

Run = Callable[[Measured], Reading]


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
    """Seconds of CPU per flow beyond plain, in the proxy's own process."""
    return statistics.median((b.cpu - b.beside) / b.flows - a.cpu / a.flows for a, b in pairs)


def cpu_beside(pairs: list[tuple[Reading, Reading]]) -> float:
    """Seconds of CPU per flow in processes that the proxy has started."""
    return statistics.median(b.beside / b.flows for _, b in pairs)


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


def big(
    name: str, size: int, rounds: int, run: Run, plain: Measured, addon: Measured
) -> dict[str, Any]:
    pairs = in_turn(plain, addon, run, rounds)
    return {
        "case": name,
        "throughput ratio": round(throughput(pairs), 3),
        "plain MB/s": round(statistics.median(size / a.seconds for a, _ in pairs) / 1e6),
        "extra CPU s per GiB": round(extra_cpu(pairs) / size * (1 << 30), 2),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="MiB of a large body")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of small requests a round")
    parser.add_argument("--flows", type=int, default=100_000, help="flows of the long session")
    parser.add_argument("--saved", type=int, default=100_000, help="flows of the saved capture")
    parser.add_argument("--json", type=Path, help="where the results go as well")
    parser.add_argument("--readme", action="store_true", help="renew the README's table")
    chosen = parser.parse_args()
    size, rounds = chosen.size * MIB, chosen.rounds
    if "TMPDIR" not in os.environ and _is_roomy(_MEMORY, 4 * size):
        # Making a file costs ten times as much in one folder of a disk as in another.
        tempfile.tempdir = str(_MEMORY)
    results: list[dict[str, Any]] = []

    def tell(result: dict[str, Any]) -> None:
        results.append(result)
        print(json.dumps(result), flush=True)

    with (
        tempfile.TemporaryDirectory(prefix="cos-benchmark-") as folder,
        Origin() as origin,
        Nginx(size) as nginx,
    ):
        home = Path(folder)
        streamed = "--set=stream_large_bodies=1m"
        with (
            Measured(origin, nginx.port, streamed) as plain,
            Measured(origin, nginx.port, *addon_arguments(home / "big")) as addon,
        ):
            tell(big("GET, CRC alone", size, rounds, lambda p: get(p, "multipart"), plain, addon))
            result = big("GET, MD5 and CRC", size, rounds, lambda p: get(p, "md5"), plain, addon)
            result["bare digests, CPU s per GiB"] = round(bare_digests(1 << 30), 2)
            result["peak memory beyond plain, KiB"] = addon.memory() - plain.memory()
            tell(result)
        with (
            Sink(nginx.big_md5, nginx.big_crc) as sink,
            Measured(origin, sink.port, streamed) as plain,
            Measured(origin, sink.port, *addon_arguments(home / "put")) as addon,
        ):
            result = big(
                "PUT, MD5 and CRC", size, rounds, lambda p: put(p, nginx.big, "k"), plain, addon
            )
            tell(result | {"bare digests, CPU s per GiB": round(bare_digests(1 << 30), 2)})
        part = home / "part"
        with nginx.big.open("rb") as whole:
            part.write_bytes(whole.read(min(64 * MIB, size)))
        with (
            Sink(*digests_of(part)) as sink,
            Measured(origin, sink.port, streamed) as plain,
            Measured(origin, sink.port, *addon_arguments(home / "parts")) as addon,
        ):
            slowest: list[float] = []
            pairs = in_turn(plain, addon, lambda p: uploads(p, part, slowest), rounds)
            tell(
                {
                    "case": "16 uploads at once",
                    "throughput ratio": round(throughput(pairs), 3),
                    "slowest to median": round(statistics.median(slowest), 2),
                }
            )
        for name, settings in (
            ("1 KiB GETs, default formats", ()),
            ("1 KiB GETs, JSON alone", ("cos_report_format=json",)),
        ):
            with (
                Measured(origin, nginx.port) as plain,
                Measured(
                    origin, nginx.port, *addon_arguments(home / name.replace(" ", ""), *settings)
                ) as addon,
            ):
                pairs = in_turn(plain, addon, lambda p: rate(p, "small", chosen.seconds), rounds)
                tell(
                    {
                        "case": name,
                        "rate ratio": round(throughput(pairs), 3),
                        "plain per second": round(
                            statistics.median(a.flows / a.seconds for a, _ in pairs)
                        ),
                        "extra CPU us per flow": round(extra_cpu(pairs) * 1e6),
                        "CPU us per flow beside the proxy": round(cpu_beside(pairs) * 1e6),
                    }
                )
        with (
            Measured(origin, nginx.port) as plain,
            Measured(origin, nginx.port, *addon_arguments(home / "long")) as addon,
        ):
            tell(long_session(plain, addon, chosen.flows))
        plain_start = [start_up([]) for _ in range(rounds)]
        addon_start = [start_up(addon_arguments(home / "start")) for _ in range(rounds)]
        tell(
            {
                "case": "start-up",
                "extra ms": round(
                    (statistics.median(addon_start) - statistics.median(plain_start)) * 1000
                ),
            }
        )
    for result in analyze_case(chosen.saved):
        tell(result)
    tell(transfers_case())
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=2) + "\n")
    if chosen.readme:
        benchmark_table.write(results)
    return 0


_MEMORY = Path("/dev/shm")


def _is_roomy(folder: Path, size: int) -> bool:
    return folder.is_dir() and shutil.disk_usage(folder).free > size


def long_session(plain: Measured, proxy: Measured, flows: int) -> dict[str, Any]:
    """CPU per flow of the last tenth against the first, and how memory grows between. What
    the machine does meanwhile is taken out by a look at plain mitmdump each time."""
    rate(plain, "small", 1)
    rate(proxy, "small", 2)
    done, readings, memory = 0, [], []
    while done < flows:
        reading, beside = rate(proxy, "small", 5), rate(plain, "small", 2)
        done += reading.flows
        readings.append((reading.cpu / reading.flows) / (beside.cpu / beside.flows))
        memory.append(proxy.memory("VmRSS"))
    tenth = max(1, len(readings) // 10)
    return {
        "case": f"a session of {done} flows",
        "CPU per flow, last tenth to first": round(
            statistics.median(readings[-tenth:]) / statistics.median(readings[:tenth]), 3
        ),
        "memory growth, KiB": memory[-1] - memory[0],
    }


if __name__ == "__main__":
    sys.exit(main())

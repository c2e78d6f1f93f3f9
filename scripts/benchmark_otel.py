"""What ``cos_otel`` costs: the addon with all three signals against the addon without, while the
collector is there, while nobody listens, and while it never answers."""

import os
import socket
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.benchmark_bench import Measured, addon_arguments
from scripts.benchmark_clients import GET, latencies, percentile, rate, spread
from tests.origin.server import Origin
from tests.telemetry.collector import Collector

_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_ALL = ("cos_otel=metrics", "cos_otel=logs", "cos_otel=traces")


def otel_case(
    origin: Origin, port: int, home: Path, *, seconds: float, rounds: int
) -> Iterator[dict[str, Any]]:
    """``port``: of the server; ``rounds``: pairs of runs of so many seconds each."""
    with socket.socket() as bound, Collector() as collector:
        # Bound and not listening: connections are refused, and nobody else takes the port.
        bound.bind(("127.0.0.1", 0))
        collector.keeps = False
        for state, endpoint in (
            ("there", collector.endpoint),
            ("gone", f"http://127.0.0.1:{bound.getsockname()[1]}"),
            ("silent", collector.endpoint),
        ):
            collector.hangs = state == "silent"
            os.environ[_ENDPOINT] = endpoint
            without = Measured(origin, port, *addon_arguments(home / f"{state}-without"))
            sending = Measured(origin, port, *addon_arguments(home / f"{state}-with", *_ALL))
            with without, sending:
                yield {"case": f"cos_otel, collector {state}"} | _pairs(
                    without, sending, seconds, rounds
                )
            collector.let_go.set()


def _pairs(without: Measured, sending: Measured, seconds: float, rounds: int) -> dict[str, Any]:
    full = rate(without, GET, 2)
    rate(sending, GET, 2)
    half = full.flows / full.seconds / 2
    ratios: list[float] = []
    middles: list[float] = []
    extra: list[float] = []
    cpu: list[float] = []
    for number in range(rounds):
        in_turn = (sending, without) if number % 2 else (without, sending)
        taken = {each: latencies(each, half, seconds) for each in in_turn}
        ratios.append(percentile(taken[sending], 99) / percentile(taken[without], 99))
        middles.append(percentile(taken[sending], 50) / percentile(taken[without], 50))
        read = {each: rate(each, GET, seconds) for each in in_turn}
        costs = {each: reading.cpu / reading.flows for each, reading in read.items()}
        extra.append((costs[sending] - costs[without]) * 1e6)
        cpu.append(costs[sending] / costs[without])
    return {
        "p99 to without": spread(ratios, 2),
        "goal": "≤ 1.05 while it is gone",
        "median to without": spread(middles, 2),
        "CPU ratio": spread(cpu, 2),
        "extra CPU us per flow": round(statistics.median(extra)),
        "requests per second": round(half),
    }

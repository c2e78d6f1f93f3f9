"""All parsers of what others wrote, and the seeds of each."""

from pathlib import Path

from scripts import (
    fuzz_bodies,
    fuzz_exports,
    fuzz_files,
    fuzz_headers,
    fuzz_requests,
    fuzz_tls,
    fuzz_wire,
)
from scripts.fuzz_judge import Target

SEEDS = Path(__file__).resolve().parent / "fuzz_seeds"
TARGETS: dict[str, Target] = {
    target.name: target
    for module in (
        fuzz_headers,
        fuzz_requests,
        fuzz_bodies,
        fuzz_files,
        fuzz_wire,
        fuzz_tls,
        fuzz_exports,
    )
    for target in module.TARGETS
}


def seeds_of(name: str) -> list[bytes]:
    """Files below ``fuzz_seeds``; also inputs that once showed a fault."""
    return [path.read_bytes() for path in sorted((SEEDS / name).iterdir())]

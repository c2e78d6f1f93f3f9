"""Mixed traffic of real clients with known faults, for minutes; then its reports are
compared with what really happened. See ``--help``."""

import argparse
import logging
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from scripts.soak_run import RELOAD_SECONDS, Soak
from scripts.soak_table import show, too_much, write

_ALLOCATOR = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}
"""For glibc: it gives back what bodies held, so that memory shows what is kept. Else it keeps
most of it for later, and mitmdump grows just as much without the addon."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/soak",
        description="Sends mixed traffic of real clients, with faults whose truth is known, through"
        " mitmdump with the addon, and compares the reports with the truth. Exit status 1 when a"
        " fault was not found, something else was accused, a client was harmed, or memory or"
        " descriptors grew.",
    )
    parser.add_argument("--minutes", type=float, default=5.0, help="of traffic (5)")
    parser.add_argument(
        "--once", action="store_true", help="each scenario and each fault once, in place of minutes"
    )
    parser.add_argument("--seed", type=int, default=1, help="of everything that chance decides (1)")
    parser.add_argument("--keep", type=Path, help="an empty directory that keeps the reports")
    parser.add_argument("--no-reloads", action="store_true", help="of the addon while it works")
    parser.add_argument("--readme", action="store_true", help="renew the table in README.md")
    given = parser.parse_args()
    # The SDKs log every fault that they meet.
    logging.disable(logging.CRITICAL)
    os.environ.update(_ALLOCATOR)
    with tempfile.TemporaryDirectory(prefix="cos-soak-") as made:
        folder = given.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        result = Soak(
            folder,
            seed=given.seed,
            seconds=None if given.once else given.minutes * 60,
            reload_seconds=None if given.no_reloads else RELOAD_SECONDS,
        ).run()
    result.wrong += too_much(result)
    show(result, Console(width=None if sys.stdout.isatty() else 160))
    if given.readme:
        write(result)
    return 1 if result.wrong else 0


if __name__ == "__main__":
    sys.exit(main())

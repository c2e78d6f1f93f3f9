"""Damages one limit or once-only guard at a time in a copy of the code, and has the tests that are
named with it run there: each must fail. See ``--help``."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]


class Mutant(NamedTuple):
    """``before`` stands once in the file, ``tests`` are arguments of pytest."""

    name: str
    file: str
    before: str
    after: str
    tests: str


MUTANTS = (
    Mutant(
        "a finished flow is reported twice",
        "proxy/reload_state.py",
        "            return False\n        self._ids[identity] = None",
        "            return True\n        self._ids[identity] = None",
        "tests/proxy/test_flow_hooks.py::test_response_and_error_of_one_flow_make_one_report",
    ),
    Mutant(
        "one report more waits than may",
        "report/report_queue.py",
        "self._put_in - self._settled >= self._most",
        "self._put_in - self._settled > self._most",
        "tests/report/test_report_queue.py::test_no_more_than_the_bound_waits",
    ),
    Mutant(
        "heavy reports wait without a bound",
        "report/report_queue.py",
        "+ weight > self._heaviest",
        "> 2 * self._heaviest",
        "tests/report/test_report_queue.py::test_nor_what_is_heavier",
    ),
    Mutant(
        "a copied body is larger than may be",
        "recording/stream_tap.py",
        "if not self.called or self.size > self._most_copied or",
        "if not self.called or",
        "tests/recording/test_stream_tap.py::test_a_copy_is_whole_or_not_there",
    ),
    Mutant(
        "a fault in a body's tap is told with each chunk",
        "recording/stream_tap.py",
        "        self._meter = None\n        logger.warning(",
        "        logger.warning(",
        "tests/recording/test_stream_tap.py::test_a_fault_of_ours_is_told_once_and_changes_nothing",
    ),
    Mutant(
        "a length of any number of digits is read",
        "recording/message_heads.py",
        "value.isdigit() and len(value) <= LONGEST_NUMBER",
        "value.isdigit()",
        "tests/proxy/test_flow_snapshot.py::test_lengths",
    ),
    Mutant(
        "fields of a message beyond the last that is judged are judged",
        "model/headers.py",
        "    return min(len(fields), MAX_FIELDS)",
        "    return min(len(fields), MAX_FIELDS + 1)",
        "tests/model/test_headers.py::test_fields_beyond_the_last_that_is_judged_have_no_value",
    ),
    Mutant(
        "an upload takes one part more than it may",
        "transfers/multipart.py",
        "if self.facts >= limits.parts or",
        "if self.facts > limits.parts or",
        "tests/transfers/test_multipart.py",
    ),
    Mutant(
        "a part of a transfer that is one too many is not counted",
        "transfers/multipart.py",
        "            self.left_out += 1\n            return False",
        "            return False",
        "tests/inspection/test_transfer_summary.py tests/inspection/test_spilled_summaries.py",
    ),
    Mutant(
        "what was left on another sending of a request counts",
        "recording/flow_metadata.py",
        "return data if since is None or since == started else {}",
        "return data",
        "tests/recording/test_flow_metadata.py",
    ),
    Mutant(
        "one span more waits for the collector than may",
        "telemetry/waiting.py",
        "if len(self._spans) >= self._most_spans or",
        "if len(self._spans) > self._most_spans or",
        "tests/telemetry/test_waiting.py",
    ),
    Mutant(
        "rows of a dataset are held without a bound",
        "dataset/parquet.py",
        "        if self._bytes > _MOST_BYTES:\n            self.write()\n",
        "",
        "tests/dataset/test_parquet.py",
    ),
    Mutant(
        "pages list one flow more of each kind than they may",
        "report/listing.py",
        "if count == FIRST_OF_EACH or",
        "if count > FIRST_OF_EACH or",
        "tests/report/test_listing.py",
    ),
    Mutant(
        "TLS in packets waits for a secret without a bound",
        "captures/wire/tls_reader.py",
        "if half.waiting > _MOST_WAITING:",
        "if False:",
        "tests/saved/wire/test_tls_reader.py::test_what_waits_for_a_secret_is_bounded",
    ),
    Mutant(
        "an object has one request more in mind than it may",
        "transfers/requests.py",
        "if len(self.by_name) >= limits.requests:",
        "if len(self.by_name) > limits.requests:",
        "tests/transfers/test_requests.py",
    ),
)


def survives(mutant: Mutant, copy: Path) -> bool:
    """Whether the tests pass although the code is damaged. ValueError where the text that is
    to be damaged does not stand once in the file."""
    path = copy / "cos_inspect" / mutant.file
    whole = path.read_text("utf-8")
    if whole.count(mutant.before) != 1:
        raise ValueError(
            f"{mutant.name}: {mutant.file} holds it {whole.count(mutant.before)} times"
        )
    path.write_text(whole.replace(mutant.before, mutant.after), "utf-8")
    try:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-x",
                "-pno:cacheprovider",
                *mutant.tests.split(),
            ],
            cwd=copy,
            env=os.environ | {"PYTHONPATH": str(copy)},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
    finally:
        path.write_text(whole, "utf-8")
    if done.returncode not in (0, 1):
        raise ValueError(f"{mutant.name}: its tests do not run\n{done.stdout[-2000:]}")
    return done.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/mutants",
        description="Damages one limit or once-only guard at a time in a copy of the code, and"
        " has the tests that are named with it run there. Exit status 1 where one survives.",
    )
    parser.parse_args()
    survivors = 0
    with tempfile.TemporaryDirectory(prefix="cos-mutants-") as made:
        copy = Path(made)
        for name in ("cos_inspect", "tests"):
            ignored = shutil.ignore_patterns("__pycache__", "node_modules")
            shutil.copytree(ROOT / name, copy / name, ignore=ignored)
        for name in ("pyproject.toml", "README.md"):
            shutil.copy(ROOT / name, copy)
        for mutant in MUTANTS:
            began = time.monotonic()
            survived = survives(mutant, copy)
            survivors += survived
            outcome = "SURVIVES" if survived else "is caught"
            print(f"{mutant.name}: {outcome} ({time.monotonic() - began:.1f} s)", flush=True)
    print(f"{len(MUTANTS) - survivors} of {len(MUTANTS)} caught")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())

"""The same captures give the same bytes in every process, whatever the seed of its hashes."""

import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from cos_inspect.report.formats import FORMATS
from tests.analyze.test_any_split import ALL_BAD, dealt, saved


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _analyzed(
    captures: Sequence[Path], folder: Path, seed: int, *arguments: str
) -> tuple[dict[str, bytes], str]:
    reports, baseline = folder / f"reports-{seed}", folder / f"baseline-{seed}"
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("cos-inspect")),
            "analyze",
            *map(str, captures),
            f"--report-dir={reports}",
            f"--write-baseline={baseline}",
            *(f"--format={name}" for name in FORMATS),
            *arguments,
        ],
        env=os.environ | {"PYTHONHASHSEED": str(seed)},
        capture_output=True,
        text=True,
        check=True,
    )
    written = _files(reports) | {"baseline": baseline.read_bytes()}
    told = done.stdout.replace(str(reports), "").replace(str(baseline), "")
    return written, told


@pytest.mark.parametrize("jobs", [1, 3])
def test_two_seeds_give_the_same_bytes(jobs: int, tmp_path: Path) -> None:
    captures = saved(tmp_path, dealt(ALL_BAD.flows, 3, random.Random(1), twice=5))
    one, other = (_analyzed(captures, tmp_path, seed, f"--jobs={jobs}") for seed in (0, 4242))
    assert one[0].keys() == other[0].keys()
    assert [name for name in one[0] if one[0][name] != other[0][name]] == []
    assert one[1] == other[1]
    kinds = {name.rpartition(".")[2] for name in one[0]}
    assert kinds >= {"json", "jsonl", "html", "js", "md", "xml", "baseline"}

"""The fuzzer's short run: the parsers stand it, and what is planted in them is found.

Children run it, for it is the same every time only in a fresh process.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.fuzz_guided import guided, has_atheris
from scripts.fuzz_main import write
from scripts.fuzz_mutation import Result
from scripts.fuzz_targets import SEEDS, TARGETS
from tests.scripts.fuzz_plants import PLANTS, VARIABLE

ROOT = Path(__file__).resolve().parents[2]
LONGEST_SEED = 8192
GUIDED_INPUTS = 300_000
GUIDED_KINDS = ("exception", "wrong accept", "round trip", "expansion")
"""What inputs alone show. Time is seen where their pieces are repeated, in both ways alike."""


def ran(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(600)
def test_every_parser_stands_the_short_run(tmp_path: Path) -> None:
    done = ran("scripts.fuzz_main", "--short", "--keep", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line for line in TARGETS if f"{line}: " not in done.stdout] == []


@pytest.fixture(scope="module")
def short_runs() -> dict[str, str | None]:
    done = ran("tests.scripts.fuzz_plants")
    assert done.returncode == 0, done.stderr
    found: dict[str, str | None] = json.loads(done.stdout)
    return found


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", PLANTS)
def test_the_short_run_finds_what_is_planted(name: str, short_runs: dict[str, str | None]) -> None:
    wrong = short_runs[name]
    assert wrong is not None
    assert re.search(PLANTS[name].says, wrong), wrong


@pytest.mark.skipif(not has_atheris(), reason="atheris is not installed")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", GUIDED_KINDS)
def test_atheris_finds_what_is_planted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, name)
    plant = PLANTS[name]
    result = guided(
        plant.parser,
        SEEDS / plant.parser,
        seed=1,
        most=GUIDED_INPUTS,
        module="tests.scripts.fuzz_plants",
    )
    assert result.wrong is not None
    assert re.search(plant.says, result.wrong), result.wrong


def test_every_parser_has_seeds() -> None:
    assert sorted(path.name for path in SEEDS.iterdir()) == sorted(TARGETS)
    for name in TARGETS:
        found = [path.stat().st_size for path in (SEEDS / name).iterdir()]
        assert found
        assert max(found) <= LONGEST_SEED


def test_the_table_of_the_readme_is_replaced(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- fuzz: begin -->\nold\n<!-- fuzz: end -->\nb\n", "utf-8")
    results = [Result(name="xml", inputs=3, kept=2), Result(name="har", inputs=4, wrong="it")]
    write(results, with_atheris=True, readme=readme)
    text = readme.read_text("utf-8")
    assert "old" not in text
    assert text.startswith("a\n<!-- fuzz: begin -->\n| parser |")
    assert text.endswith("| all | | 7 | 2 | 1 |\n<!-- fuzz: end -->\nb\n")
    # Of parsers that are tried by themselves the others' rows stay.
    write([Result(name="har", inputs=6, kept=1)], with_atheris=True, readme=readme)
    assert readme.read_text("utf-8").endswith("| all | | 9 | 3 | 0 |\n<!-- fuzz: end -->\nb\n")

"""Public bug reports of people who debug COS, as captures: what is said is what an expert says.

``reports/expected.toml`` has what must and must never be said of each capture.
"""

import gzip
import json
import re
import shutil
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cos_inspect.cli.commands import main

FOLDER = Path(__file__).with_name("reports")
EXPECTED: dict[str, dict[str, Any]] = tomllib.loads((FOLDER / "expected.toml").read_text("utf-8"))
Report = dict[str, Any]


def analyzed(name: str, folder: Path) -> tuple[list[Report], Report]:
    """The reports of a capture, in order, and the summary."""
    packed, plain = FOLDER / f"{name}.mitm.gz", FOLDER / f"{name}.har"
    capture = folder / (f"{name}.mitm" if packed.exists() else plain.name)
    if packed.exists():
        capture.write_bytes(gzip.decompress(packed.read_bytes()))
    else:
        shutil.copyfile(plain, capture)
    reports = folder / "reports"
    arguments = ["analyze", "--quiet", "--format=json", f"--report-dir={reports}", str(capture)]
    if EXPECTED.get(name, {}).get("keys"):
        keys = folder / "keys.ini"
        shutil.copyfile(FOLDER / "keys.ini", keys)
        keys.chmod(0o600)
        arguments.append(f"--credentials={keys}")
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    flows = [json.loads(path.read_text()) for path in sorted(reports.glob("flows/*.json"))]
    return flows, json.loads((reports / "summary.json").read_text())


def told(report: Report) -> str:
    """What is said of a flow, without the words of COS."""
    words: list[str] = []
    for finding in report["findings"]:
        words += (finding["title"], finding["detail"], finding["fix"])
        words.append(json.dumps(finding["evidence"], ensure_ascii=False))
    error = report["error"] or {}
    return "\n".join([*words, *(error.get(name) or "" for name in ("meaning", "cause", "fix"))])


def _rule(report: Report, wanted: str) -> bool:
    rules = [finding["rule"] for finding in report["findings"]]
    if wanted.startswith("like "):
        return any(re.search(wanted.removeprefix("like "), rule) for rule in rules)
    return wanted in rules


def _check(report: Report, wanted: str) -> bool:
    name, status = wanted.split()
    return any(each["check"] == name and each["status"] == status for each in report["checks"])


WORDS: dict[str, Callable[[Report, str], bool]] = {
    "rule": _rule,
    "check": _check,
    "title": lambda report, wanted: any(
        re.search(wanted, finding["title"]) for finding in report["findings"]
    ),
    "says": lambda report, wanted: re.search(wanted, told(report), re.DOTALL) is not None,
    "verdict": lambda report, wanted: report["verdict"] == wanted,
    "operation": lambda report, wanted: report["cos"]["operation"] == wanted,
}


def _holds(report: Report, claim: str) -> bool:
    word, _, wanted = claim.partition(" ")
    if word in WORDS:
        return WORDS[word](report, wanted)
    found: Any = report
    for name in word.split("."):
        found = (found or {})[name]
    return found is not None and str(found) == wanted


def holds(claim: str, flows: list[Report], summary: Report) -> bool:
    number = re.match(r"flow (\d+): ", claim)
    chosen = [flow for flow in flows if number is None or flow["sequence"] == int(number[1])]
    for each in (claim[number.end() :] if number else claim).split(" or "):
        if each.startswith("summary "):
            parts = {name: summary[name] for name in ("transfers", "retries", "connections")}
            if each.removeprefix("summary ") in json.dumps(parts, ensure_ascii=False):
                return True
        elif any(_holds(flow, each) for flow in chosen):
            return True
    return False


@cache
def _names() -> list[str]:
    return sorted(path.name.partition(".")[0] for path in FOLDER.glob("*.[mh]*"))


def test_all_captures_are_tried() -> None:
    assert _names() == sorted(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_what_an_expert_says(name: str, tmp_path: Path) -> None:
    expected = EXPECTED[name]
    flows, summary = analyzed(name, tmp_path)
    missing = [claim for claim in expected["must"] if not holds(claim, flows, summary)]
    unwanted = [claim for claim in expected["never"] if holds(claim, flows, summary)]
    assert (missing, unwanted) == ([], []), expected["why"]

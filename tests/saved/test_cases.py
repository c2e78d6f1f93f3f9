"""Odd, foreign and hostile captures, each beside a good one: the good one's reports are whole,
and of the other is reported, or said, what can be."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.saved.hars import as_base64, download, har

FOLDER = Path(__file__).with_name("captures")
GOOD = b"[Object Content]"


class Case(NamedTuple):
    status: int = 0
    reports: int = 0
    says: str = ""
    """On standard error, after the file's name; nothing else is said there."""


CASES = {
    "flow-garbage-and-cut.mitm": Case(2, 0, "the file ends inside the flow that begins, at byte 0"),
    "host-as-bytes.mitm": Case(0, 1),
    "length-negative.mitm": Case(2, 0, "a flow that cannot be read (a length is wrong), at byte 0"),
    "no-body-no-length.har": Case(0, 1),
    "no-cos.mitm": Case(0, 0),
    "no-start.har": Case(2, 0, "entry 1, at byte 81: skipped, it does not say when it was"),
    "number-of-400-digits.har": Case(0, 1),
    "peername-is-a-list.mitm": Case(0, 2),
    "same-entry-twice.har": Case(0, 2),
    "time-beyond-every-calendar.mitm": Case(0, 2),
    "year-10000-by-its-zone.har": Case(0, 1),
}


def good_capture(folder: Path) -> Path:
    path = folder / "good.har"
    path.write_bytes(har([download(GOOD, as_base64(GOOD), time=number) for number in range(3)]))
    return path


class Run:
    def __init__(self, folder: Path, *arguments: Path) -> None:
        reports = folder / "reports"
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("cos-inspect")),
                "analyze",
                *map(str, arguments),
                f"--report-dir={reports}",
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=os.environ | {"PYTHONUTF8": "1"},
        )
        self.status, self.stdout, self.stderr = done.returncode, done.stdout, done.stderr
        paths = sorted((reports / "flows").glob("*.json"))
        self.reports: list[dict[str, Any]] = [json.loads(path.read_bytes()) for path in paths]


def test_all_captures_are_tried() -> None:
    assert sorted(CASES) == sorted(path.name for path in FOLDER.iterdir())


@pytest.mark.parametrize(("name", "case"), CASES.items(), ids=CASES)
def test_beside_a_good_capture(name: str, case: Case, tmp_path: Path) -> None:
    good = good_capture(tmp_path)
    alone = Run(tmp_path / "alone", good)
    run = Run(tmp_path / "both", FOLDER / name, good)
    assert "Traceback" not in run.stderr
    said = f"cos-inspect: {FOLDER / name}: {case.says}\n" if case.says else ""
    assert (run.status, run.stderr) == (case.status, said)
    assert len(run.reports) == case.reports + len(alone.reports)
    if name == "no-body-no-length.har":
        reasons = {each["check"]: each["reason"] for each in run.reports[0]["checks"]}
        assert reasons["content-length"] == reasons["etag"] == "not-captured"
    for report, whole in zip(run.reports[case.reports :], alone.reports, strict=True):
        assert report | {"sequence": 0} == whole | {"sequence": 0}


def test_what_was_seen_where_there_is_no_cos(tmp_path: Path) -> None:
    run = Run(tmp_path, FOLDER / "no-cos.mitm")
    assert run.status == 0
    assert " 1 to " in run.stdout
    assert "--hosts " in run.stdout


def test_equal_entries_are_as_many_as_one_file_has(tmp_path: Path) -> None:
    twice = FOLDER / "same-entry-twice.har"
    held = json.loads(twice.read_bytes())
    held["log"]["entries"].pop()
    once = tmp_path / "once.har"
    once.write_text(json.dumps(held, indent=1))
    run = Run(tmp_path, twice, once, twice)
    assert len({report["flow_id"] for report in run.reports}) == len(run.reports) == 2


@pytest.mark.parametrize("cached", [False, True])
def test_what_holds_nothing_is_no_success(cached: bool, tmp_path: Path) -> None:
    path = tmp_path / "nothing.har"
    entry = download(GOOD, as_base64(GOOD), _fromCache="disk")
    path.write_bytes(har([entry] if cached else []))
    run = Run(tmp_path / "run", path, good_capture(tmp_path))
    assert run.status == 2
    why = "; left out: 1 answered out of a cache" if cached else ""
    assert f"cos-inspect: {path}: it holds no HTTP flow{why}\n" in run.stderr
    assert len(run.reports) == 3

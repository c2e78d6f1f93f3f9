"""What one run of real traffic says live and in every other way, and how the two are compared."""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from tests.end_to_end.harness import Report, read_reports
from tests.end_to_end.test_live_and_later import analyze, without
from tests.end_to_end.web import Web
from tests.origin.server import Origin

OF_A_RUN = ("sequence",)


class Run(NamedTuple):
    live: list[Report]
    summary: dict[str, Any]
    mitm: Path
    har: Path


def by_flow(reports: list[Report]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (report["flow_id"], report["started"]): without(report, *OF_A_RUN) for report in reports
    }


def summary_in(folder: Path) -> dict[str, Any]:
    return but_for_the_run(json.loads((folder / "summary.json").read_text()))


def but_for_the_run(summary: dict[str, Any]) -> dict[str, Any]:
    """Without what made it, and when."""
    own = ("name", "started", "ended")
    runs = [
        {name: value for name, value in each.items() if name not in own} for each in summary["runs"]
    ]
    return {name: value for name, value in summary.items() if name != "captures"} | {"runs": runs}


def by_request(reports: list[Report]) -> dict[tuple[str, str, int], Report]:
    """By method, path, and which one of these it is."""
    found: dict[tuple[str, str, int], Report] = {}
    met = Counter[tuple[str, str]]()
    for report in sorted(reports, key=lambda report: str(report["started"])):
        address = report["request"]["url"].partition("://")[2]
        name = (report["request"]["method"], address.partition("/")[2])
        met[name] += 1
        found[*name, met[name]] = report
    return found


def assert_flow_file_says_it(run: Run) -> None:
    """``analyze`` of what was saved."""
    folder = analyze(run.mitm)
    assert by_flow(read_reports(folder)) == by_flow(run.live)
    assert summary_in(folder) == but_for_the_run(run.summary)


def assert_mitmweb_says_it(run: Run, folder: Path) -> None:
    """mitmweb, loading what was saved."""
    with Origin() as origin, Web(origin, folder, f"--rfile={run.mitm}") as web:
        deadline = time.monotonic() + 60
        while len(web.reports) < len(run.live):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        web.stop()
        assert by_flow(web.reports) == by_flow(run.live)

"""What was saved of a run is read again, in both ways, and must say what was said live."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.end_to_end.harness import Report, read_reports
from tests.end_to_end.lab import ADDON_ARGUMENT, mitmdump


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """``path: value`` of plain data."""
    if not isinstance(value, dict):
        return {path: value}
    found: dict[str, Any] = {}
    for name, inner in value.items():
        found |= flat(inner, f"{path}.{name}".lstrip("."))
    return found


def analyzed(capture: Path, folder: Path, *arguments: str) -> list[Report]:
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("cos-inspect")),
            "analyze",
            str(capture),
            f"--report-dir={folder}",
            *arguments,
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return read_reports(folder)


def replayed(capture: Path, folder: Path, *arguments: str) -> list[Report]:
    """By ``mitmdump -nr``."""
    arguments = ("-nr", str(capture), *arguments)
    done = mitmdump(ADDON_ARGUMENT, f"--set=cos_report_dir={folder}", *arguments)
    assert done.returncode == 0, done.stdout
    return read_reports(folder)


def assert_same_later(live: Sequence[Report], capture: Path, folder: Path) -> None:
    """``analyze`` and ``mitmdump -nr`` of the saved flows give the reports that were live."""
    said = {report["flow_id"]: flat(report) for report in live}
    assert len(said) == len(live)
    for name, read in (("analyzed", analyzed), ("replayed", replayed)):
        later = {report["flow_id"]: flat(report) for report in read(capture, folder / name)}
        assert later.keys() == said.keys(), (len(later), len(said))
        for flow_id, report in later.items():
            apart = {
                path: (said[flow_id].get(path), value)
                for path, value in report.items()
                if path != "sequence" and said[flow_id].get(path) != value
            }
            assert not apart, (name, report["request.url"], apart)

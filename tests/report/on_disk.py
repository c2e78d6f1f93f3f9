"""What lies in a report directory."""

import contextlib
import json
from pathlib import Path
from typing import Any


def reports(folder: Path) -> dict[str, dict[str, Any]]:
    """Of all flows that have a file, by its name, in the order of their numbers."""
    return {path.name: json.loads(path.read_text()) for path in sorted(folder.glob("flows/*.json"))}


def summary(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return found


def is_counted(folder: Path, flows: int) -> bool:
    """Whether the summary knows so many."""
    return (folder / "summary.json").exists() and summary(folder)["counts"]["flows"] == flows


def open_below(folder: Path) -> list[Path]:
    """What this process has open of a folder and of what lies in it. Linux alone tells."""
    found = []
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(each.readlink())
    return [path for path in found if path.is_relative_to(folder)]

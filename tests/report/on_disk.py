"""What lies in a report directory."""

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

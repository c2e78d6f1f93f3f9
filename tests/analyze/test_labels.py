"""Devices behind different routers have equal addresses; their labels tell them apart."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from mitmproxy import http, io

from cos_inspect.cli.commands import main
from tests.analyze import stories


def saved_for(folder: Path, device: str, flows: Sequence[http.HTTPFlow]) -> None:
    path = folder / device / "a.mitm"
    path.parent.mkdir()
    with path.open("wb") as file:
        writer = io.FlowWriter(file)
        for flow in flows:
            writer.add(flow)


def analyzed(folder: Path, *arguments: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    reports = folder / f"reports{len(arguments)}"
    result = CliRunner().invoke(
        main, ["analyze", str(folder / "lab"), f"--report-dir={reports}", *arguments]
    )
    assert result.exit_code == 0, result.output
    found = [json.loads(path.read_text()) for path in sorted(reports.glob("flows/*.json"))]
    return found, json.loads((reports / "summary.json").read_text())


def told(folder: Path) -> None:
    """A failed upload on one device, the same in order on another, and a download of which each
    has read a half."""
    whole = bytes(range(200)) * 2
    (folder / "lab").mkdir()
    failed = stories.put("again", b"abc", 1, "first", status=503, answered={})
    saved_for(folder / "lab", "pixel", [failed, stories.ranged("big", whole, 0, 200, 5)])
    later = stories.put("again", b"abc", 2, "second")
    saved_for(folder / "lab", "iphone", [later, stories.ranged("big", whole, 200, 400, 6)])


def test_without_labels_equal_addresses_are_one_client(tmp_path: Path) -> None:
    told(tmp_path)
    reports, summary = analyzed(tmp_path)
    assert len(summary["retries"]) == 1
    assert [each["parts"] for each in summary["transfers"]] == [2]
    assert [each["address"] for each in summary["devices"]] == ["10.0.0.7"]
    assert not any("labels" in report for report in reports)


def test_labels_keep_devices_apart(tmp_path: Path) -> None:
    told(tmp_path)
    reports, summary = analyzed(tmp_path, "--label=lab/{device}/*.mitm", "--label=nightly")
    assert summary["retries"] == []
    assert [each["parts"] for each in summary["transfers"]] == [1, 1]
    assert {each["address"]: each["flows"] for each in summary["devices"]} == {
        "iphone (10.0.0.7)": 2,
        "pixel (10.0.0.7)": 2,
    }
    assert [report["labels"] for report in reports] == [
        {"device": "iphone"},
        {"device": "iphone"},
        {"device": "pixel"},
        {"device": "pixel"},
    ]
    assert summary["runs"][0]["name"] == "nightly"

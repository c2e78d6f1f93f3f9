"""Many flows: which of them the pages list depends on nothing but the flows, and names of flows in
the summary are bounded."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from mitmproxy import http

from cos_inspect.analyze import ordered_writing
from cos_inspect.cli.commands import main
from cos_inspect.report import pages
from tests.analyze import stories
from tests.report.test_pages import calls
from tests.saved.flow_files import saved_file

MOST = 25


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MOST_LISTED", MOST)
    monkeypatch.setattr(pages, "SHORTENED_AT", 40)
    monkeypatch.setattr("cos_inspect.report.listing.FIRST_OF_EACH", 3)
    monkeypatch.setattr(ordered_writing, "_PER_CHUNK", 11)


def _flows() -> Iterator[http.HTTPFlow]:
    for number in range(120):
        key, at = f"object{number}", number * 60.0
        if number % 10 == 4:
            yield stories.get(key, b"abc", at, answered=stories.digests(b"abd"))
        elif number % 10 == 7:
            yield stories.get(key, b"", at, **stories.refused(404, "NoSuchKey"))
        elif number % 2:
            yield stories.put(key, b"abc", at)
        else:
            yield stories.get(key, b"abc", at)


def _analyzed(reports: Path, *arguments: str) -> dict[str, dict[str, object]]:
    """The rows of the pages, by flow."""
    command = ["analyze", "--format=html", f"--report-dir={reports}", *arguments]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    ((_, _, index),) = calls(reports / "data/index.js")
    rows = [row for name in index["rows"] for _, _, row in calls(reports / "data" / name)]
    assert index["listed"] == len(rows) == MOST
    return {row["flow"]: row for row in rows}


def test_the_same_flows_are_listed_whatever_the_order_and_whoever_works(tmp_path: Path) -> None:
    found = list(_flows())
    paths = []
    for number in range(4):
        paths.append(str(tmp_path / f"{number}.mitm"))
        saved_file(Path(paths[-1]), *found[number::4])
    whole = tmp_path / "whole.mitm"
    saved_file(whole, *found)
    listed = [
        _analyzed(tmp_path / "forward", *paths),
        _analyzed(tmp_path / "backward", *reversed(paths)),
        _analyzed(tmp_path / "two", *paths, "--jobs=2"),
        _analyzed(tmp_path / "whole", str(whole)),
    ]
    for each in listed[1:]:
        assert each.keys() == listed[0].keys()
        summaries = [
            json.loads((tmp_path / name / "summary.json").read_bytes())
            for name in ("forward", "backward", "two", "whole")
        ]
        for summary in summaries[1:]:
            assert summary["counts"] == summaries[0]["counts"]
            assert summary["time_line"] == summaries[0]["time_line"]
    verdicts = [row["verdict"] for row in listed[0].values()]
    assert (verdicts.count("error"), verdicts.count("warning")) == (12, 7)
    assert summaries[0]["counts"]["verdict"] == {"error": 12, "ok": 96, "warning": 12}
    for name in ("data/rows-0001.js", "data/flows-0001.js", "data/index.js"):
        assert (tmp_path / "forward" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_of_a_request_that_was_tried_very_often_the_last_tries_are_named(tmp_path: Path) -> None:
    busy = stories.refused(503, "SlowDown")
    tries = [stories.get("busy", b"", n, f"try{n}", **busy) for n in range(150)]
    reads = [stories.get("read", b"abc", 10 + n, f"read{n}") for n in range(130)]
    path = tmp_path / "tries.mitm"
    saved_file(path, *tries, stories.put("read", b"abc", 0), *reads)
    command = ["analyze", "--format=jsonl", f"--report-dir={tmp_path / 'r'}", str(path)]
    assert CliRunner().invoke(main, command).exit_code == 0
    summary = json.loads((tmp_path / "r/summary.json").read_bytes())
    (chain,) = summary["retries"]
    assert (chain["tries"], len(chain["causes"])) == (150, 100)
    assert chain["flows"] == [f"busy-try{n}" for n in range(50, 150)]
    (read_back,) = summary["read_back"]
    assert (read_back["count"], read_back["reads"][-1]) == (130, "read-read99")
    assert len(read_back["reads"]) == 100

"""``cos-inspect analyze``: several captures, in several processes, to one set of reports."""

from pathlib import Path

import pytest

from cos_inspect.analyze import shards
from tests.analyze.runs import BODY, Run, bad, good, other
from tests.saved.flow_files import cos_flow, saved_file
from tests.saved.hars import REQUEST_ID, har


def test_reports_are_in_the_order_of_the_inputs(two: tuple[Path, Path], tmp_path: Path) -> None:
    run = Run(tmp_path, *two, "--all")
    assert [report["verdict"] for report in run.reports] == ["ok", "error", "ok", "ok"]
    assert [report["sequence"] for report in run.reports] == [1, 2, 3, 4]
    assert run.summary["counts"]["flows"] == 4
    assert run.summary["others"] == 1
    lines = run.result.stdout.splitlines()
    assert lines[0].startswith("02:00:00Z COS ok ")
    assert lines[0].endswith(" examplebucket-1250000000/a b/c.bin  ✓ CRC-64 ✓ ETag ✓ length")
    assert lines[-3:] == [
        "COS summary: 4 COS flows among 5: 1 error, 3 ok",
        "    rules      1 crc64-mismatch, 1 etag-mismatch",
        f"    reports    {run.folder / 'index.html'}",
    ]
    assert "    error: crc64-mismatch: " in run.result.stdout
    assert not run.result.stderr


def test_problems_are_told_and_the_rest_is_counted(two: tuple[Path, Path], tmp_path: Path) -> None:
    flow, detail, *_ = Run(tmp_path, *two).result.stdout.splitlines()
    assert " COS error   GetObject " in flow
    assert f"#2 request id {REQUEST_ID}" in flow
    assert detail.startswith("    error: crc64-mismatch")


def test_runs_into_one_directory_are_told_apart(two: tuple[Path, Path], tmp_path: Path) -> None:
    Run(tmp_path, two[0])
    run = Run(tmp_path, *two, "--label", "nightly")
    first, second = run.summary["runs"]
    assert (first["id"], first["name"], first["flows"], first["others"]) == (1, "analyze", 2, 1)
    assert (second["id"], second["name"], second["flows"]) == (2, "nightly", 4)
    assert second["verdict"] == {"ok": 3, "error": 1}
    assert second["started"] <= second["ended"]
    assert [report["run"] for report in run.reports] == [1, 1, 2, 2, 2, 2]
    assert run.summary["other_hosts"] == {"www.example.com": 2}
    rows = (run.folder / "data" / "rows-0001.js").read_text()
    assert rows.count('"run":1') == 2
    assert rows.count('"run":2') == 4


def test_without_cos_traffic_it_says_what_was_seen(tmp_path: Path) -> None:
    capture = tmp_path / "one.har"
    capture.write_bytes(har([other(), other()]))
    run = Run(tmp_path, capture, "--require-cos", status=1)
    lines = run.result.stdout.splitlines()
    assert "    seen       2 to www.example.com" in lines
    assert any("--hosts 'www.example.com'" in line for line in lines)
    assert lines[-1] == "    exit 1     --require-cos: none of 2 flows is COS traffic"


def test_a_second_run_goes_on_counting(two: tuple[Path, Path], tmp_path: Path) -> None:
    Run(tmp_path, two[1])
    assert [report["sequence"] for report in Run(tmp_path, two[1]).reports] == [1, 2, 3, 4]


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "_SMALLEST", 2000)


@pytest.mark.usefixtures("small_pieces")
def test_pieces_give_what_the_whole_gives(tmp_path: Path) -> None:
    flows = [cos_flow(BODY * (number + 1)) for number in range(40)]
    flows[20].server_conn.timestamp_start = 1.0
    flows[20].server_conn.timestamp_tcp_setup = 1.25
    flows[39].server_conn = flows[20].server_conn
    capture = saved_file(tmp_path / "a.mitm", *flows, flows[3])
    entries = tmp_path / "b.har"
    entries.write_bytes(har([good(number) for number in range(40)] + [{}, bad()]))
    one = Run(tmp_path / "one", capture, entries, "--jobs=1", status=2)
    several = Run(tmp_path / "several", capture, entries, "--jobs=3", status=2)
    assert len(one.reports) == 81
    assert one.summary["lost"] == {"count": 1, "reasons": {"cannot be read": 1}}
    assert several.reports == one.reports
    assert several.summary == one.summary
    assert several.result.stdout == one.result.stdout.replace("/one/", "/several/")
    assert several.result.stderr == one.result.stderr
    assert "entry 41, at byte" in one.result.stderr


def test_flows_that_were_saved_twice_count_once(tmp_path: Path) -> None:
    flow = cos_flow()
    flow.id = "3f2a9c1b-0000-4000-8000-000000000000"
    first = saved_file(tmp_path / "a", flow, flow)
    second = saved_file(tmp_path / "b", flow, cos_flow())
    assert len(Run(tmp_path / "r", first, second).reports) == 2
    assert len(Run(tmp_path / "s", first, second, "--jobs=2").reports) == 2

"""The data of the report pages: they only grow, and are strings, never code."""

import json
import re
import shutil
import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest

import cos_inspect
from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.summary import Summary
from cos_inspect.report.directory import ReportDirectory
from cos_inspect.report.pages import FLOWS_PER_FILE, HTML, ROWS_PER_FILE, PagesWriter, row_of
from cos_inspect.report.writer import ReportWriter
from tests.report.build import finding, flow_report, healed_try, put

ASSETS = Path(cos_inspect.__file__).parent / "report" / "assets"
_CALL = re.compile(r"cosInspect\.(index|summary|row|flow)\((?:(\d+),)?'((?:[^'\\\n<]|\\.)*)'\)")
_ESCAPE = re.compile(r"\\(u[0-9a-f]{4}|x[0-9a-f]{2}|.)")


def calls(path: Path) -> list[tuple[str, int | None, Any]]:
    """Function, number and data of each line. A line of another form fails."""
    found = []
    for line in path.read_text("utf-8").removesuffix("\n").split("\n"):
        call = _CALL.fullmatch(line)
        assert call, line[:200]
        text = _ESCAPE.sub(
            lambda one: one[1] if len(one[1]) == 1 else chr(int(one[1][1:], 16)), call[3]
        )
        found.append((call[1], int(call[2]) if call[2] else None, json.loads(text)))
    return found


def add(pages: PagesWriter, *reports: FlowReport) -> None:
    put(HTML, pages, *reports)


@pytest.fixture
def directory(tmp_path: Path) -> ReportDirectory:
    directory = ReportDirectory(tmp_path / "reports")
    with directory.exclusively():
        return directory


@pytest.mark.parametrize("gone", ["assets", "index.html", ""])
def test_what_is_removed_while_traffic_goes_on_is_put_in_place_again(
    directory: ReportDirectory, gone: str
) -> None:
    pages = PagesWriter(directory)
    add(pages, flow_report(sequence=1))
    all_of_it = {path.relative_to(directory.path) for path in directory.path.rglob("*")}
    path = directory.path / gone
    path.unlink() if path.is_file() else shutil.rmtree(path)
    with directory.exclusively():
        add(pages, flow_report(sequence=2))
    found = {path.relative_to(directory.path) for path in directory.path.rglob("*")}
    assert found == all_of_it


def test_a_flow_has_a_row_and_its_whole_report(directory: ReportDirectory) -> None:
    report = flow_report(sequence=1, findings=[finding("etag-mismatch")])
    add(PagesWriter(directory), report)
    (row,) = calls(directory.path / "data/rows-0001.js")
    (flow,) = calls(directory.path / "data/flows-0001.js")
    (index,) = calls(directory.path / "data/index.js")
    assert row[2]["n"] == 1
    assert row[2]["rules"] == ["etag-mismatch"]
    assert (row[2]["worst"], row[2]["why"]) == ("etag-mismatch", "d")
    assert flow[:2] == ("flow", 1)
    assert msgspec.convert(flow[2], FlowReport) == report
    assert index[2] == {"rows": ["rows-0001.js"], "flows_per_file": FLOWS_PER_FILE}


def test_every_number_has_its_file(directory: ReportDirectory) -> None:
    pages = PagesWriter(directory)
    numbers = [1, FLOWS_PER_FILE, FLOWS_PER_FILE + 1, ROWS_PER_FILE, ROWS_PER_FILE + 1]
    add(pages, *(flow_report(sequence=number) for number in numbers))
    data = directory.path / "data"
    assert [number for _, number, _ in calls(data / "flows-0001.js")] == [1, FLOWS_PER_FILE]
    assert [number for _, number, _ in calls(data / "flows-0002.js")] == [FLOWS_PER_FILE + 1]
    assert [row["n"] for _, _, row in calls(data / "rows-0002.js")] == [ROWS_PER_FILE + 1]
    assert calls(data / "index.js")[0][2]["rows"] == ["rows-0001.js", "rows-0002.js"]


def test_a_revised_report_is_appended(directory: ReportDirectory) -> None:
    pages = PagesWriter(directory)
    add(pages, flow_report(sequence=3))
    add(pages, flow_report(sequence=3, findings=[finding()]))
    data = directory.path / "data"
    assert [row["verdict"] for _, _, row in calls(data / "rows-0001.js")] == ["ok", "error"]
    assert [flow["verdict"] for _, _, flow in calls(data / "flows-0001.js")] == ["ok", "error"]


@pytest.mark.parametrize(
    "key",
    [
        "');alert(1)//",
        "\\');alert(1)//",
        "</script><script>alert(1)</script>",
        "<!--<script>",
        "line\u2028separator\u2029s",
        "quote \" and ' and \\ and \n and \x00",
        "${alert(1)} `x`",
        "日本語 😀",
    ],
)
def test_a_key_stays_inside_its_string(directory: ReportDirectory, key: str) -> None:
    add(PagesWriter(directory), flow_report(sequence=1, key=key))
    (row,) = calls(directory.path / "data/rows-0001.js")
    (flow,) = calls(directory.path / "data/flows-0001.js")
    assert row[2]["key"] == flow[2]["cos"]["key"] == key
    for name in ("rows-0001.js", "flows-0001.js"):
        written = (directory.path / "data" / name).read_text("utf-8")
        assert not set("<\u2028\u2029") & set(written)


def test_a_second_run_goes_on_and_a_torn_line_is_taken_away(directory: ReportDirectory) -> None:
    add(PagesWriter(directory), flow_report(sequence=1))
    rows = directory.path / "data/rows-0001.js"
    with rows.open("ab") as file:
        file.write(b'cosInspect.row(\'{"n":2,"ke')
    add(PagesWriter(directory), flow_report(sequence=2))
    assert [row["n"] for _, _, row in calls(rows)] == [1, 2]


def test_the_static_files_come_back_when_the_directory_went_missing(
    directory: ReportDirectory,
) -> None:
    pages = PagesWriter(directory)
    add(pages, flow_report(sequence=1))
    for path in sorted(directory.path.rglob("*"), reverse=True):
        if path.is_file():
            path.unlink()
        else:
            path.rmdir()
    with directory.exclusively():
        add(pages, flow_report(sequence=2))
    page = (directory.path / "index.html").read_text()
    for name in re.findall(r'(?:src|href)="(assets/[^"]+)"', page):
        assert (directory.path / name).stat().st_size, name
    assert calls(directory.path / "data/summary.js") == [("summary", None, {})]


def test_the_page_runs_no_script_of_its_own_and_reaches_nothing_else() -> None:
    page = (ASSETS / "index.html").read_text()
    assert re.findall(r"<script(?! src=\"assets/[a-z]+\.js\"(?: defer)?></script>)", page) == []
    assert re.findall(r"\son[a-z]+=|style=|https?:", page) == []
    for script in ASSETS.glob("*.js"):
        code = script.read_text()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b", code)
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", code), script


def test_the_summary_is_replaced(directory: ReportDirectory) -> None:
    pages = PagesWriter(directory)
    pages.renew_summary(Summary(others=1))
    pages.renew_summary(Summary(others=2))
    ((name, _, summary),) = calls(directory.path / "data/summary.js")
    assert (name, summary["others"]) == ("summary", 2)


def test_what_is_long_is_cut_in_the_list_only(directory: ReportDirectory) -> None:
    report = flow_report(sequence=1, key="k" * 5000)
    row = row_of(report)
    assert len(row.key or "") == 400
    add(PagesWriter(directory), report)
    assert len(calls(directory.path / "data/flows-0001.js")[0][2]["cos"]["key"]) == 5000


def test_the_writer_makes_pages_and_markdown(tmp_path: Path) -> None:
    writer = ReportWriter(tmp_path, ["html", "markdown"])
    for number in range(3):
        writer.submit(flow_report(flow_id=f"{number:08d}"))
    writer.count_other()
    writer.close()
    names = sorted(path.name for path in (tmp_path / "flows").iterdir())
    assert names == [f"00000{n + 1}_PutObject_200_0000000{n}.md" for n in range(3)]
    assert [row["n"] for _, _, row in calls(tmp_path / "data/rows-0001.js")] == [1, 2, 3]
    assert calls(tmp_path / "data/summary.js")[0][2]["others"] == 1
    for path in tmp_path.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_a_healed_try_is_marked_in_the_list(directory: ReportDirectory) -> None:
    add(PagesWriter(directory), healed_try())
    (row,) = calls(directory.path / "data/rows-0001.js")
    assert row[2]["healed"] is True

"""Pages of more flows than are listed: what stays, what the page is told, and in which files."""

from pathlib import Path

import msgspec
import pytest

from cos_inspect.model.flow_report import FlowReport, Severity
from cos_inspect.report import pages
from cos_inspect.report.directory import ReportDirectory
from cos_inspect.report.page_shortening import lines_listed
from cos_inspect.report.pages import HTML, PagesWriter
from cos_inspect.report.report_format import FormatSettings, RunEnd
from tests.report.build import finding, flow_report, put
from tests.report.test_pages import calls

SETTINGS = FormatSettings(elsewhere=("flows/*.json",))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("MOST_LISTED", 12),
        ("SHORTENED_AT", 20),
        ("ROWS_PER_FILE", 10),
        ("FLOWS_PER_FILE", 4),
    ):
        monkeypatch.setattr(pages, name, value)
    monkeypatch.setattr("cos_inspect.report.listing.FIRST_OF_EACH", 3)


def flow(number: int) -> FlowReport:
    """Every tenth is an error; the later ones began later."""
    moment = f"2026-11-22T10:{number // 60:02d}:{number % 60:02d}.000Z"
    findings = [finding("etag-mismatch")] if number % 10 == 0 else []
    return flow_report(sequence=number, flow_id=f"{number:08x}", started=moment, findings=findings)


def listed(path: Path) -> dict[int, dict[str, object]]:
    """The rows by number; every one has its whole report, and no other number has one."""
    data = path / "data"
    ((_, _, index),) = calls(data / "index.js")
    rows = [call for name in index["rows"] for call in calls(data / name)]
    assert sorted(index["rows"]) == sorted(each.name for each in data.glob("rows-*.js"))
    numbers = [
        (each.name, number)
        for each in sorted(data.glob("flows-*.js"))
        for _, number, _ in calls(each)
    ]
    for name, number in numbers:
        assert number is not None
        assert name == pages.flows_file_of(number)
    assert {row["n"] for _, _, row in rows} == {number for _, number in numbers}
    return {row["n"]: row for _, _, row in rows}


def write(path: Path, numbers: range, size: int, settings: FormatSettings = SETTINGS) -> None:
    directory = ReportDirectory(path)
    writer = PagesWriter(directory, settings)
    with directory.exclusively():
        for at in range(0, len(numbers), size):
            put(HTML, writer, *map(flow, numbers[at : at + size]))
        writer.finish(RunEnd())
    directory.close()


@pytest.mark.parametrize("size", [1, 7, 100])
def test_the_worst_and_the_first_of_each_kind_stay(tmp_path: Path, size: int) -> None:
    write(tmp_path, range(1, 101), size)
    found = listed(tmp_path)
    assert sorted(found) == [1, 2, *range(3, 4), *range(10, 91, 10)]
    ((_, _, index),) = calls(tmp_path / "data/index.js")
    assert (index["listed"], index["elsewhere"]) == (12, ["flows/*.json"])


def test_however_it_comes_the_files_are_the_same(tmp_path: Path) -> None:
    for size in (1, 9, 100):
        write(tmp_path / str(size), range(1, 101), size)
    contents = [
        {each.name: each.read_bytes() for each in (tmp_path / size / "data").iterdir()}
        for size in ("1", "9", "100")
    ]
    assert contents[0] == contents[1] == contents[2]


def test_up_to_the_bound_all_are_listed(tmp_path: Path) -> None:
    write(tmp_path, range(1, 13), 5)
    assert len(listed(tmp_path)) == 12
    ((_, _, index),) = calls(tmp_path / "data/index.js")
    assert index == {"rows": ["rows-0001.js", "rows-0002.js"], "flows_per_file": 4}


def test_further_runs_share_the_room(tmp_path: Path) -> None:
    for first in (1, 31, 61, 91):
        write(tmp_path, range(first, first + 30), 4)
        assert len(listed(tmp_path)) == 12
    write(tmp_path, range(121, 122), 4, FormatSettings(elsewhere=("flows.jsonl",)))
    ((_, _, index),) = calls(tmp_path / "data/index.js")
    assert max(listed(tmp_path)) == 90
    assert index["elsewhere"] == ["flows.jsonl", "flows/*.json"]


def test_of_live_traffic_the_newest_stay_too(tmp_path: Path) -> None:
    write(tmp_path, range(1, 101), 3, FormatSettings(newest=5))
    assert sorted(listed(tmp_path)) == [1, 2, 3, *range(10, 91, 10), *range(96, 101)]


def test_memory_holds_no_more_than_a_number_of_it(tmp_path: Path) -> None:
    """However many flows come, the files never hold more than the bound at which they are
    shortened and a batch."""
    directory = ReportDirectory(tmp_path)
    writer = PagesWriter(directory, FormatSettings(newest=2))
    with directory.exclusively():
        for number in range(1, 301):
            put(HTML, writer, flow(number))
            assert lines_listed(directory) <= 20
    directory.close()


def test_a_flow_that_was_left_out_is_listed_when_it_is_accused(tmp_path: Path) -> None:
    directory = ReportDirectory(tmp_path)
    writer = PagesWriter(directory, SETTINGS)
    with directory.exclusively():
        for number in range(1, 31):
            put(HTML, writer, flow(number))
        assert 19 not in listed(tmp_path)
        worse = flow_report(sequence=19, findings=[finding("clock-skew", Severity.WARNING)])
        put(HTML, writer, worse, is_new=False)
        put(HTML, writer, msgspec.structs.replace(flow(19), sequence=20), is_new=False)
        writer.finish(RunEnd())
    directory.close()
    found = listed(tmp_path)
    assert found[19]["worst"] == "clock-skew"
    # Of what was revised the last word counts, and is the only one that is left.
    assert 20 not in found


def test_reports_that_will_not_be_listed_are_not_even_rendered(tmp_path: Path) -> None:
    directory = ReportDirectory(tmp_path)
    writer = PagesWriter(directory, SETTINGS)
    with directory.exclusively():
        assert writer.floor is None
        for number in range(1, 31):
            put(HTML, writer, flow(number))
        writer.settings = FormatSettings(floor=writer.floor)
        before = lines_listed(directory)
        put(HTML, writer, flow(31))
        assert lines_listed(directory) == before
        put(HTML, writer, flow(40))
        assert lines_listed(directory) == before + 1
    directory.close()


def test_a_disk_that_takes_nothing_for_a_while_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = ReportDirectory(tmp_path)
    writer = PagesWriter(directory, SETTINGS)
    real = ReportDirectory.write

    def full(self: ReportDirectory, name: str, content: bytes) -> None:
        if name.startswith(("data/rows", "data/flows")):
            raise OSError(28, "No space left on device")
        real(self, name, content)

    with directory.exclusively():
        monkeypatch.setattr(ReportDirectory, "write", full)
        for number in range(1, 31):
            put(HTML, writer, flow(number))
        assert lines_listed(directory) == 30
        monkeypatch.setattr(ReportDirectory, "write", real)
        writer.finish(RunEnd())
    directory.close()
    assert len(listed(tmp_path)) == 12

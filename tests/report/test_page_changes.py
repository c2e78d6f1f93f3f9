"""What a page is told that follows a report directory: everything once, in whole lines."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cos_inspect.model.summary import Summary
from cos_inspect.report import page_changes, pages
from cos_inspect.report.directory import ReportDirectory
from cos_inspect.report.page_changes import changes_since
from cos_inspect.report.page_lines import call
from cos_inspect.report.pages import HTML, PagesWriter
from tests.report.build import flow_report, put


class _Reader:
    """Does what the page does with an answer."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[int, str] = {}
        self.summaries = 0
        self.state: dict[str, object] | None = None

    def look(self) -> None:
        asked = None
        summary = ""
        if self.state is not None:
            rows = self.state["rows"]
            assert isinstance(rows, dict)
            asked = ",".join(f"{number}:{offset}" for number, offset in rows.items())
            summary = str(self.state["summary"])
        script = changes_since(self.path, asked, summary).decode()
        for line in script.splitlines():
            found = re.fullmatch(r"cosInspect\.(\w+)\('(.*)'\)", line)
            assert found, line
            data = json.loads(found[2].encode().decode("unicode_escape"))
            match found[1]:
                case "row":
                    self.rows[data["n"]] = data["key"]
                case "summary":
                    self.summaries += 1
                case "changes":
                    self.state = data

    @property
    def has_more(self) -> bool:
        return bool(self.state and self.state["more"])


def _add(path: Path, keys: dict[int, str], summary: Summary | None = None) -> None:
    directory = ReportDirectory(path)
    with directory.exclusively():
        writer = PagesWriter(directory)
        for number, key in keys.items():
            report = flow_report(sequence=number, key=key)
            put(HTML, writer, report)
        if summary is not None:
            writer.renew_summary(summary)


def test_the_first_look_says_where_the_files_end(tmp_path: Path) -> None:
    _add(tmp_path, {1: "a"})
    reader = _Reader(tmp_path)
    reader.look()
    assert reader.rows == {}
    assert reader.state is not None
    assert reader.state["rows"] == {"1": (tmp_path / "data/rows-0001.js").stat().st_size}


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batches=st.lists(
        st.dictionaries(st.integers(1, 12), st.text("ab<'\\\u2028", max_size=4), max_size=5),
        max_size=6,
    ),
    most=st.sampled_from([1 << 20, 900]),
)
def test_whatever_is_written_between_looks_is_read_once_it_is_there(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    batches: list[dict[int, str]],
    most: int,
) -> None:
    monkeypatch.setattr(pages, "ROWS_PER_FILE", 5)
    monkeypatch.setattr(page_changes, "_MOST", most)
    path = tmp_path_factory.mktemp("reports")
    _add(path, {1: "first"}, Summary())
    reader = _Reader(path)
    reader.look()
    truth: dict[int, str] = {}
    for batch in batches:
        _add(path, batch)
        truth |= batch
        reader.look()
        while reader.has_more:
            reader.look()
        assert reader.rows == truth
    assert reader.summaries == 0


def test_half_a_line_waits_for_its_rest(tmp_path: Path) -> None:
    _add(tmp_path, {1: "a"}, Summary())
    reader = _Reader(tmp_path)
    reader.look()
    file = tmp_path / "data/rows-0001.js"
    line = call("row", b'{"n":2,"key":"b"}')
    with file.open("ab") as rows:
        rows.write(line[:9])
    reader.look()
    assert reader.rows == {}
    with file.open("ab") as rows:
        rows.write(line[9:])
    reader.look()
    assert reader.rows == {2: "b"}


def test_a_new_summary_comes_once(tmp_path: Path) -> None:
    _add(tmp_path, {1: "a"}, Summary())
    reader = _Reader(tmp_path)
    reader.look()
    _add(tmp_path, {}, Summary(others=3))
    reader.look()
    reader.look()
    assert reader.summaries == 1


def test_other_files_than_before_are_read_anew(tmp_path: Path) -> None:
    _add(tmp_path, {1: "a", 2: "b"}, Summary())
    reader = _Reader(tmp_path)
    reader.look()
    file = tmp_path / "data/rows-0001.js"
    file.write_bytes(file.read_bytes()[:10])
    reader.look()
    assert reader.state is not None
    assert reader.state["anew"]


def test_it_says_why_nothing_more_comes(tmp_path: Path) -> None:
    for trouble in (None, "disk full"):
        text = changes_since(tmp_path, None, "", trouble).decode()
        told = json.loads(text.removeprefix("cosInspect.changes('").rpartition("'")[0])
        assert told["trouble"] == trouble


@pytest.mark.parametrize("rows", ["", "x", "1:2:3", "1:-5", "../x:1", "1:1," * 3, "9" * 4000])
def test_odd_questions_get_an_answer(tmp_path: Path, rows: str) -> None:
    _add(tmp_path, {1: "a"}, Summary())
    assert b"cosInspect.changes(" in changes_since(tmp_path, rows, "")


def test_no_directory_is_no_fault(tmp_path: Path) -> None:
    assert b"cosInspect.changes(" in changes_since(tmp_path / "none", None, "")
    (tmp_path / "data").symlink_to("/etc")
    assert b"cosInspect.changes(" in changes_since(tmp_path, "1:0", "")

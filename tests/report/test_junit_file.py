"""Suites are kept until nothing changes any more, and are put in the order of the reports."""

from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.summary import Lost
from cos_inspect.report import junit_file
from cos_inspect.report.directory import ReportDirectory
from cos_inspect.report.junit_file import JUNIT, JunitWriter, _Suites
from cos_inspect.report.report_format import RunEnd
from tests.report.build import finding, flow_report, healed_try, put


def names(path: Path) -> list[str]:
    return [suite.get("name") or "" for suite in ElementTree.parse(path).getroot()]


def report(sequence: int) -> FlowReport:
    return flow_report(sequence=sequence, flow_id=str(sequence))


def test_the_file_is_whole_after_each_addition(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    for count in range(1, 4):
        writer = JunitWriter(ReportDirectory(tmp_path))
        put(JUNIT, writer, report(count))
        writer.finish(RunEnd())
        writer.close()
        assert len(names(path)) == count
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    path.write_text("<testsuites>" + " " * 100 + "</testsuites>")
    with pytest.raises(OSError, match="not a file of cos-inspect"):
        JunitWriter(ReportDirectory(tmp_path)).finish(RunEnd())
    assert path.read_text().startswith("<testsuites> ")


def test_healed_tries_come_last_behind_what_is_lost(tmp_path: Path) -> None:
    writer = JunitWriter(ReportDirectory(tmp_path))
    put(JUNIT, writer, healed_try(1), report(2))
    writer.finish(RunEnd(lost=Lost(count=1, reasons={"disk full": 1})))
    writer.close()
    found = names(tmp_path / "junit.xml")
    assert [name[:6] for name in found] == ["000002", "lost r", "000001"]
    assert found[2].endswith("(a later try came through)")


@given(
    st.lists(st.tuples(st.integers(1, 6), st.booleans()), max_size=20),
    st.sets(st.integers(1, 6)),
)
def test_what_counts_is_the_last_report_of_a_number(
    tmp_path_factory: pytest.TempPathFactory, given_: list[tuple[int, bool]], of_before: set[int]
) -> None:
    """Some were added by a writer before this one: only their revisions come here."""
    folder = tmp_path_factory.mktemp("junit")
    writer = JunitWriter(ReportDirectory(folder))
    last: dict[int, bool] = {}
    for number, is_bad in given_:
        each = report(number)
        if is_bad:
            each = msgspec.structs.replace(each, findings=[finding()])
        put(JUNIT, writer, each, is_new=number not in last and number not in of_before)
        last[number] = is_bad
    assert writer.held == len(last.keys() - of_before)
    writer.finish(RunEnd())
    writer.close()
    suites = ElementTree.parse(folder / "junit.xml").getroot()
    found = [(int((suite.get("name") or "")[:6]), suite.get("failures") == "1") for suite in suites]
    here = [number for number in last if number not in of_before]
    there = [number for number in last if number in of_before]
    assert found == [(number, last[number]) for number in here + there]


@given(
    st.lists(st.tuples(st.integers(1, 12), st.booleans()), max_size=40),
    st.integers(min_value=1, max_value=5),
)
def test_of_many_flows_those_that_fail_are_listed_first_and_the_others_are_counted(
    tmp_path_factory: pytest.TempPathFactory, given_: list[tuple[int, bool]], most: int
) -> None:
    folder = tmp_path_factory.mktemp("junit")
    writer = JunitWriter(ReportDirectory(folder))
    last: dict[int, bool] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(junit_file, "MOST_LISTED", most)
        for number, is_bad in given_:
            each = report(number)
            if is_bad:
                each = msgspec.structs.replace(each, findings=[finding()])
            put(JUNIT, writer, each, is_new=number not in last)
            last[number] = is_bad
        assert writer.held == len(last)
        writer.finish(RunEnd())
    writer.close()
    suites = ElementTree.parse(folder / "junit.xml").getroot()
    found = {
        int((suite.get("name") or "")[:6]): suite.get("failures") == "1"
        for suite in suites
        if (suite.get("name") or "")[0] == "0"
    }
    assert found.items() <= last.items()
    left = last.keys() - found.keys()
    assert len(found) == min(most, len(last))
    failing = sum(last[number] for number in left)
    # None that passes takes the place of one that fails, unless it failed itself at first.
    assert not failing or all(found.values()) or len(given_) > len(last)
    (*_, beyond) = suites if len(suites) else [None]
    if left:
        assert beyond is not None
        case = beyond.find("testcase")
        assert case is not None
        assert case.get("name") == f"{len(left)} flows are not listed, {failing} of them fail"
        assert beyond.get("failures") == str(int(failing > 0))


def test_suites_that_cannot_be_kept_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = JunitWriter(ReportDirectory(tmp_path))
    put(JUNIT, writer, report(1))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("cos_inspect.report.junit_file.write_all", full)
        with pytest.raises(OSError, match="No space"):
            put(JUNIT, writer, report(2), report(3))
    put(JUNIT, writer, report(2))
    writer.finish(RunEnd())
    writer.close()
    assert [name[:6] for name in names(tmp_path / "junit.xml")] == ["000001", "000002"]


def test_nothing_is_opened_where_nothing_was_kept() -> None:
    suites = _Suites()
    suites.close()
    assert "_file" not in suites.__dict__

import os
from pathlib import Path

import msgspec
import pytest

from cos_inspect.report.directory import flow_file_stem
from cos_inspect.report.saved_flows import NotFoundError, find_flow, flow_to_compare, read_summary
from tests.report.compared import sent

FIRST = sent(status=403, code="AccessDenied", sequence=1)
SECOND = sent(sequence=2, started="2026-11-22T10:00:05.000Z")
THIRD = sent(sequence=3, started="2026-11-22T10:09:05.000Z")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "flows").mkdir()
    for report in (FIRST, SECOND, THIRD, msgspec.structs.replace(THIRD, sequence=40)):
        path = tmp_path / "flows" / f"{flow_file_stem(report)}.json"
        path.write_bytes(msgspec.json.encode(report))
    return tmp_path


@pytest.mark.parametrize("which", ["2", "000002", "#2", "00000002", "@00000002-0000"])
def test_by_number_and_by_the_beginning_of_the_id(directory: Path, which: str) -> None:
    assert find_flow(directory, which).sequence == 2


def test_by_file(directory: Path) -> None:
    (path,) = (directory / "flows").glob("000001_*")
    assert find_flow(directory, str(path)) == FIRST


def test_of_several_with_one_id_the_newest(directory: Path) -> None:
    assert find_flow(directory, THIRD.flow_id).sequence == 40


@pytest.mark.parametrize("which", ["7", "nonsense", "00000009-0000", "missing.json", "../x"])
def test_what_is_not_there_is_said_in_one_line(directory: Path, which: str) -> None:
    with pytest.raises(NotFoundError) as raised:
        find_flow(directory, which)
    assert "\n" not in str(raised.value)


def test_where_no_format_has_what_is_read_that_is_said(directory: Path) -> None:
    with pytest.raises(NotFoundError, match=r"has no report on 7$"):
        find_flow(directory, "7")
    for path in (directory / "flows").iterdir():
        path.rename(path.with_suffix(".md"))
    with pytest.raises(NotFoundError, match=r"on 2; reports of the format json are needed$"):
        find_flow(directory, "2")


def test_a_file_that_is_no_report(directory: Path) -> None:
    (directory / "flows" / "000009_PutObject_200_00000009.json").write_text("{}")
    with pytest.raises(NotFoundError, match="no flow report"):
        find_flow(directory, "9")
    assert flow_to_compare(directory, FIRST) == SECOND


@pytest.mark.timeout(60)
def test_a_pipe_in_a_files_place_is_not_waited_for(directory: Path) -> None:
    for name in ("flows/000009_PutObject_200_00000009.json", "summary.json"):
        (directory / name).unlink(missing_ok=True)
        os.mkfifo(directory / name)
    with pytest.raises(NotFoundError, match=r"000009_PutObject_200_00000009\.json: is no file"):
        find_flow(directory, "9")
    with pytest.raises(NotFoundError, match=r"summary\.json: is no file"):
        read_summary(directory)
    assert flow_to_compare(directory, FIRST) == SECOND


def test_nothing_to_compare_with(directory: Path) -> None:
    cos = msgspec.structs.replace(FIRST.cos, operation="HeadObject")
    assert flow_to_compare(directory, msgspec.structs.replace(FIRST, cos=cos)) is None

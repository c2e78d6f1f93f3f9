"""JSON for people: a file for each flow, indented, in the folder of flows."""

import json
from pathlib import Path

import pytest

from cos_inspect.report.directory import ReportDirectory
from cos_inspect.report.flow_files import JSON
from cos_inspect.report.report_format import NO_SETTINGS
from tests.report.build import finding, flow_report, put


def test_a_file_holds_a_report_and_ends_its_last_line(tmp_path: Path) -> None:
    report = flow_report(sequence=7, findings=[finding()])
    with ReportDirectory(tmp_path) as directory:
        put(JSON, JSON.writer(directory, NO_SETTINGS), report)
    (path,) = (tmp_path / "flows").iterdir()
    assert path.name == "000007_PutObject_200_3f2a9c1b.json"
    text = path.read_text()
    assert text.startswith('{\n  "schema": ')
    assert text.endswith("}\n")
    assert json.loads(text)["sequence"] == 7


@pytest.mark.parametrize("key", ["a", "../../etc/passwd", "\x00\n"])
def test_a_revision_takes_the_place_of_the_first_whatever_the_key(tmp_path: Path, key: str) -> None:
    with ReportDirectory(tmp_path) as directory:
        writer = JSON.writer(directory, NO_SETTINGS)
        for findings in ([], [finding()]):
            put(JSON, writer, flow_report(sequence=1, key=key, findings=findings))
    (path,) = (tmp_path / "flows").iterdir()
    assert len(json.loads(path.read_text())["findings"]) == 1

"""Each format that can be named is written."""

from pathlib import Path

import pytest

from cos_inspect.report.formats import FORMATS
from cos_inspect.report.writer import ReportWriter
from tests.report.build import flow_report

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
WRITES = {
    "json": "flows/*.json",
    "jsonl": "flows.jsonl",
    "html": "index.html",
    "markdown": "flows/*.md",
    "junit": "junit.xml",
}


def test_the_formats_are_those_of_the_readme() -> None:
    assert set(FORMATS) == WRITES.keys(), "add what it writes to WRITES"
    (row,) = [line for line in README.splitlines() if line.startswith("| `cos_report_format` |")]
    listed = row.split("|")[3]
    for name in FORMATS:
        assert f"`{name}`" in listed, f"name {name} in the README's row of cos_report_format"


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_written_alone(name: str, tmp_path: Path) -> None:
    writer = ReportWriter(tmp_path, (name,))
    writer.submit(flow_report())
    writer.close()
    found = {other for other, pattern in WRITES.items() if list(tmp_path.glob(pattern))}
    assert found == {name}

import json
from pathlib import Path

from cos_inspect.report.directory import ReportDirectory
from cos_inspect.report.json_lines import JSONL, JsonLinesWriter
from tests.report.build import finding, flow_report, put


def test_a_line_for_each_report_and_each_revision(tmp_path: Path) -> None:
    writer = JsonLinesWriter(ReportDirectory(tmp_path))
    put(JSONL, writer, flow_report(sequence=1), flow_report(sequence=2))
    put(JSONL, writer, flow_report(sequence=1, findings=[finding()]), is_new=False)
    lines = (tmp_path / "flows.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    assert [(each["sequence"], each["verdict"]) for each in found] == [
        (1, "ok"),
        (2, "ok"),
        (1, "error"),
    ]

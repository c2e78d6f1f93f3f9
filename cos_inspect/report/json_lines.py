"""JSON Lines: one file, a line for each report. Of a flow that was revised the last one counts."""

from collections.abc import Sequence
from typing import override

from cos_inspect.report.report_format import FormatInput, FormatWriter, Rendered, ReportFormat

NAME = "flows.jsonl"


class JsonLinesWriter(FormatWriter[bytes]):
    """Appends."""

    @override
    def add(self, reports: Sequence[Rendered[bytes]]) -> None:
        self.directory.append(NAME, [each.content for each in reports])


def _render(given: FormatInput) -> bytes:
    return given.json


JSONL = ReportFormat(
    name="jsonl", render=_render, writer=JsonLinesWriter, content=bytes, holds_all=NAME
)

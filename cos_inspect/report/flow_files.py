"""Formats in which each flow has a file of its own, and the plainest of them: JSON."""

from collections.abc import Sequence
from typing import override

import msgspec

from cos_inspect.report.directory import flow_file_stem
from cos_inspect.report.report_format import FormatInput, FormatWriter, Rendered, ReportFormat


class FlowFile(msgspec.Struct, frozen=True, gc=False):
    """A file in the folder of flows."""

    name: str
    content: bytes


class FlowFilesWriter(FormatWriter[FlowFile]):
    """Writes each file at once; a revised one takes the place of the one before."""

    @override
    def add(self, reports: Sequence[Rendered[FlowFile]]) -> None:
        for each in reports:
            self.directory.write_flow(each.content.name, each.content.content)


def _render(given: FormatInput) -> FlowFile:
    readable = msgspec.json.format(given.json, indent=2)
    return FlowFile(f"{flow_file_stem(given.report)}.json", readable + b"\n")


JSON = ReportFormat(
    name="json",
    render=_render,
    writer=FlowFilesWriter,
    content=FlowFile,
    is_by_flow=True,
    holds_all="flows/*.json",
)

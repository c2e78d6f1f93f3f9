"""The files of one flow alone."""

from collections.abc import Container

import msgspec

from cos_inspect.model.flow_report import FlowReport
from cos_inspect.report.directory import ReportDirectory
from cos_inspect.report.markdown import to_markdown


def write_flow_files(
    directory: ReportDirectory, report: FlowReport, encoded: bytes, formats: Container[str]
) -> None:
    """``encoded`` is the report as JSON; it has its number. OSError when a file cannot be
    written."""
    if "json" in formats:
        readable = msgspec.json.format(encoded, indent=2)
        directory.write_flow(report, ".json", readable + b"\n")
    if "markdown" in formats:
        text = to_markdown(report)
        directory.write_flow(report, ".md", text.encode("utf-8", "replace"))

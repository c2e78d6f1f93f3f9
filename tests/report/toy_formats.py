"""Two formats of reports that nobody needs: one file for all, and a file for each flow."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.summary import Summary
from cos_inspect.report.report_format import (
    FormatInput,
    FormatWriter,
    Rendered,
    ReportFormat,
    RunEnd,
)

CLOSED: list[FormatWriter[str]] = []


class ToyWriter(FormatWriter[str]):
    """``toy.txt``: a line for each report, the last summary, and ``end``."""

    def _line(self, text: str) -> None:
        self.directory.append("toy.txt", [text.encode()])

    def add(self, reports: Sequence[Rendered[str]]) -> None:
        for each in reports:
            self._line(f"add {each.sequence} {each.content}")

    def revise(self, reports: Sequence[Rendered[str]]) -> None:
        for each in reports:
            self._line(f"revise {each.sequence} {each.content}")

    def renew_summary(self, summary: Summary) -> None:
        self.directory.write("toy-summary.txt", str(summary.counts.flows).encode())

    def finish(self, end: RunEnd) -> None:
        self._line(f"end, lost {end.lost.count}")

    def close(self) -> None:
        CLOSED.append(self)


def render(given: FormatInput) -> str:
    report = msgspec.json.decode(given.json, type=FlowReport)
    assert report == given.report
    assert given.settings.rule_checks["etag-mismatch"] == ("etag",)
    return f"{report.cos.operation} {report.verdict}"


TOY = ReportFormat(name="toy", render=render, writer=ToyWriter)


class ByFlow(FormatWriter[tuple[str, bytes]]):
    """A file for each flow."""

    def add(self, reports: Sequence[Rendered[tuple[str, bytes]]]) -> None:
        for each in reports:
            self.directory.write_flow(*each.content)


def render_by_flow(given: FormatInput) -> tuple[str, bytes]:
    return f"{given.report.sequence}.toy", given.report.verdict.encode()


BY_FLOW = ReportFormat(name="toys", render=render_by_flow, writer=ByFlow, is_by_flow=True)


def toys(folder: Path) -> dict[str, str]:
    paths = sorted((folder / "flows").glob("[0-9]*"))
    return {path.name: path.read_text() for path in paths}

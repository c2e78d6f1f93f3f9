"""Puts reports into every format that is asked for, one batch after another.

A report is written when all formats have it. What has failed in one format is
tried again there alone, with the number that it has.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import msgspec

from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.plain_text import encoded
from cos_inspect.report.directory import ReportDirectory
from cos_inspect.report.report_format import (
    AnyFormat,
    FormatInput,
    FormatSettings,
    FormatWriter,
    Rendered,
)

logger = logging.getLogger(__name__)


class QueuedReport(msgspec.Struct, gc=False):
    """A report on its way to the disk."""

    report: FlowReport
    is_new: bool
    """False: it takes the place of one that is written."""
    name: str = ""
    """What the report is about, by ``name_of``, once it is gathered."""
    is_late: bool = False
    """It could not be written at once."""
    weight: int = 0
    """About how many bytes it takes."""
    number: int = 0
    """Counts what waits; not the sequence."""
    sequence: int = 0
    """0: it has no number yet."""
    written: set[str] = msgspec.field(default_factory=set)
    """Formats that have it as it is now."""
    had: set[str] = msgspec.field(default_factory=set)
    """Formats that have it, or had it before it was revised."""
    faulty: set[str] = msgspec.field(default_factory=set)
    """Formats that it cannot be put into, however often that is tried."""
    failure: OSError | None = None
    """Of the last try."""

    def revise(self, report: FlowReport) -> None:
        """Another report in its place, which no format has yet."""
        self.report = report
        self.written.clear()
        self.faulty.clear()

    def is_revision_in(self, name: str) -> bool:
        """Whether a format has a report of this number already."""
        return not self.is_new or name in self.had


class FormatWriters:
    """All formats of one report directory. To be called while holding its lock; what cannot
    be written is noted on each report, and nothing is raised for it."""

    def __init__(
        self,
        directory: ReportDirectory,
        formats: Sequence[AnyFormat],
        settings: FormatSettings,
        sign: Callable[[], None],
    ) -> None:
        """``sign`` is called after each report."""
        self._settings = settings
        self._sign = sign
        self.run: int | None = None
        """The number of the run that the reports belong to."""
        self._formats = [(each, each.writer(directory, settings)) for each in formats]
        self._told: set[tuple[str, type[Exception]]] = set()
        """Faults that the log knows."""

    @property
    def writers(self) -> list[FormatWriter[Any]]:
        """One for each format, in the order of the table."""
        return [writer for _, writer in self._formats]

    def write(self, batch: Sequence[QueuedReport]) -> None:
        """Puts reports that have their numbers into each format that has them not; what fails is
        noted on each report."""
        rendered: dict[str, list[tuple[QueuedReport, Rendered[Any]]]] = {}
        for each in batch:
            each.failure = None
            each.report = msgspec.structs.replace(each.report, sequence=each.sequence, run=self.run)
            given: FormatInput | None = None
            for format_, writer in self._formats:
                name = format_.name
                if name in each.written or name in each.faulty:
                    continue
                try:
                    if given is None:
                        given = FormatInput(each.report, encoded(each.report), self._settings)
                    content = format_.render(given)
                except Exception as error:
                    self._fault(name, [each], error)
                    continue
                one = each, Rendered(each.sequence, content)
                if format_.is_by_flow:
                    self._put(name, writer, [one])
                else:
                    rendered.setdefault(name, []).append(one)
            self._sign()
        for format_, writer in self._formats:
            name = format_.name
            for _, part in groupby(rendered.get(name, []), partial(_is_revision, name)):
                self._put(name, writer, list(part))

    def _put(
        self,
        name: str,
        writer: FormatWriter[Any],
        reports: list[tuple[QueuedReport, Rendered[Any]]],
    ) -> None:
        """Reports that are all new to a format, or all revised."""
        waiting = [each for each, _ in reports]
        take = writer.revise if waiting[0].is_revision_in(name) else writer.add
        try:
            take([one for _, one in reports])
        except OSError as error:
            for each in waiting:
                each.failure = error
        except Exception as error:
            self._fault(name, waiting, error)
        else:
            for each in waiting:
                each.written.add(name)
                each.had.add(name)

    def _fault(self, name: str, reports: Sequence[QueuedReport], error: Exception) -> None:
        for each in reports:
            each.faulty.add(name)
        if (name, type(error)) not in self._told:
            self._told.add((name, type(error)))
            flow = reports[0].report.flow_id
            logger.error("flow %s: its report cannot be written as %s", flow, name, exc_info=error)

    def close(self) -> None:
        """Gives back what the formats keep open."""
        for writer in self.writers:
            writer.close()


def _is_revision(name: str, one: tuple[QueuedReport, Rendered[Any]]) -> bool:
    return one[0].is_revision_in(name)

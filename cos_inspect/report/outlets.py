"""Puts reports into every format that is asked for, one batch after another.

A report is written when all formats have it. What has failed in one format is
tried again there alone, with the number that it has.
"""

import logging
from collections.abc import Callable, Iterable, Sequence

import msgspec

from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.plain_text import encoded
from cos_inspect.report.directory import ReportDirectory
from cos_inspect.report.flow_files import write_flow_files
from cos_inspect.report.junit import RuleChecks
from cos_inspect.report.junit_spool import JunitSpool
from cos_inspect.report.pages import PagesWriter

logger = logging.getLogger(__name__)

_OWN_FILES = frozenset({"json", "markdown"})


class Pending(msgspec.Struct, gc=False):
    """A report on its way to the disk."""

    report: FlowReport
    is_new: bool
    """False: it takes the place of one that is written."""
    is_late: bool = False
    """It could not be written at once."""
    weight: int = 0
    """About how many bytes it takes."""
    number: int = 0
    """Counts what waits; not the sequence."""
    sequence: int = 0
    """0: it has no number yet."""
    written: set[str] = msgspec.field(default_factory=set)
    """Formats that have it."""
    failure: OSError | None = None
    """Of the last try."""
    is_faulty: bool = False
    """It cannot be put into some format, however often that is tried."""

    def revise(self, report: FlowReport) -> None:
        """Another report in its place, which no format has yet."""
        self.report = report
        self.written.clear()


class Outlets:
    """All formats of one report directory. To be called while holding its lock; what cannot
    be written is noted on each report, and nothing is raised for it."""

    def __init__(
        self,
        directory: ReportDirectory,
        formats: Iterable[str],
        rule_checks: RuleChecks,
        sign: Callable[[], None],
    ) -> None:
        """``sign`` is called after each report."""
        self._directory = directory
        self._formats = frozenset(formats)
        self._sign = sign
        self.run: int | None = None
        """The number of the run that the reports belong to."""
        self.pages = PagesWriter(directory) if "html" in self._formats else None
        self.spool = JunitSpool(rule_checks) if "junit" in self._formats else None

    def write(self, batch: Sequence[Pending]) -> None:
        """Takes reports that have their numbers."""
        content: dict[int, bytes] = {}
        for each in batch:
            each.failure = None
            try:
                each.report = msgspec.structs.replace(
                    each.report, sequence=each.sequence, run=self.run
                )
                content[id(each)] = encoded(each.report)
                if self._formats & _OWN_FILES:
                    self._write_own_files(each, content[id(each)])
                if self.spool is not None and "junit" not in each.written:
                    self.spool.add(each.report, content[id(each)])
                    each.written.add("junit")
            except OSError as error:
                each.failure = error
            except Exception:
                logger.exception("flow %s: its report cannot be written", each.report.flow_id)
                each.is_faulty = True
            self._sign()
        if "jsonl" in self._formats:
            self._add_lines(batch, content)
        if self.pages is not None:
            self._add_to_pages(self.pages, batch, content)

    def _write_own_files(self, each: Pending, content: bytes) -> None:
        if "files" not in each.written:
            write_flow_files(self._directory, each.report, content, self._formats)
            each.written.add("files")

    def _add_lines(self, batch: Sequence[Pending], content: dict[int, bytes]) -> None:
        left = _left(batch, content, "jsonl")
        if left:
            try:
                self._directory.append("flows.jsonl", [content[id(each)] for each in left])
            except OSError as error:
                _fail(left, error)
            else:
                _note(left, "jsonl")

    def _add_to_pages(
        self, pages: PagesWriter, batch: Sequence[Pending], content: dict[int, bytes]
    ) -> None:
        left = _left(batch, content, "html")
        if left:
            for each in left:
                pages.add(each.report, content[id(each)])
            try:
                # A line that is there twice does no harm: of a number the last one counts.
                pages.flush()
            except OSError as error:
                _fail(left, error)
            else:
                _note(left, "html")


def _left(batch: Sequence[Pending], content: dict[int, bytes], name: str) -> list[Pending]:
    """Those that a format does not have yet, whatever became of them in another one."""
    return [each for each in batch if id(each) in content and name not in each.written]


def _fail(reports: Iterable[Pending], error: OSError) -> None:
    for each in reports:
        each.failure = error


def _note(reports: Iterable[Pending], name: str) -> None:
    for each in reports:
        each.written.add(name)

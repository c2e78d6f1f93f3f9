"""What a format of reports is: what it makes of one report, and how it puts that on the disk.

A report is put into a format in two steps. ``render`` makes of it what stands on the disk, and
nothing else: ``analyze`` has several processes do that. A ``FormatWriter`` takes what was
rendered, in order, in one process, which holds the lock of the report directory.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from cos_inspect.model.devices import ConnectionFailureSummary
from cos_inspect.model.flow_report import CheckName, FlowReport, Severity
from cos_inspect.model.summary import Lost, Summary, TransferSummary
from cos_inspect.report.baseline import Baseline
from cos_inspect.report.directory import ReportDirectory
from cos_inspect.report.listing import Floor


class FormatSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a run says of all reports."""

    rule_checks: Mapping[str, Sequence[CheckName]] = {}
    """The checks whose mismatch a rule tells, by rule."""
    fails_from: Severity = Severity.ERROR
    """Findings below it fail nothing."""
    baseline: Baseline = Baseline()
    """Findings that are known, which fail nothing either."""
    newest: int = 0
    """So many of the newest flows are listed whatever is said of them, where not all are."""
    elsewhere: Sequence[str] = ()
    """Where all reports of the run lie, for formats that do not list all of them."""
    floor: Floor | None = None
    """What these formats do not list at all, as far as it is known."""


NO_SETTINGS = FormatSettings()


class FormatInput(msgspec.Struct, frozen=True, gc=False):
    """A report to be put into a format."""

    report: FlowReport
    """It has its number."""
    json: bytes
    """The same as JSON, in one line."""
    settings: FormatSettings


class Rendered[Content](msgspec.Struct, frozen=True, gc=False):
    """A report in one format."""

    sequence: int
    content: Content
    """Of a type that other processes can unpickle."""


class RunEnd(msgspec.Struct, frozen=True, kw_only=True):
    """What is known when a run is over."""

    transfers: Sequence[TransferSummary] = ()
    left_out: int = 0
    """Transfers that are not among these, since the list holds the worst alone."""
    left_out_failing: int = 0
    """How many of them, or findings of theirs, count as failures."""
    connections: Sequence[ConnectionFailureSummary] = ()
    """Those that came to nothing, with findings."""
    lost: Lost = msgspec.field(default_factory=Lost)
    """Flows without a report."""
    sign: Callable[[], None] = lambda: None
    """To be called now and then while much is written; it may raise, to have it given up."""


class FormatWriter[Content]:
    """Puts reports into one format, in one directory. All methods are called by one thread
    while it holds the directory's lock, and raise OSError when something cannot be written:
    then nothing of what was given is there, and it is given again later."""

    def __init__(self, directory: ReportDirectory, settings: FormatSettings = NO_SETTINGS) -> None:
        self.directory = directory
        self.settings = settings

    @property
    def held(self) -> int:
        """Reports that are not on the disk before ``finish``."""
        return 0

    @property
    def floor(self) -> Floor | None:
        """What need not be rendered any more, since it will not be listed; None: all is."""
        return None

    def add(self, reports: Sequence[Rendered[Content]]) -> None:
        """Takes reports that it has not had yet, in the order of their numbers."""
        raise NotImplementedError

    def revise(self, reports: Sequence[Rendered[Content]]) -> None:
        """Takes reports in the place of those with the same numbers, which were given before,
        here or to another writer for the same directory."""
        self.add(reports)

    def renew_summary(self, summary: Summary) -> None:
        """Takes what all flows of the directory show together, so far."""

    def finish(self, end: RunEnd) -> None:
        """Nothing will be added or revised any more."""

    def close(self) -> None:
        """Gives back what it keeps open, whether it was finished or not."""


class ReportFormat[Content](msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``REPORT_FORMATS``."""

    name: str
    """As options and switches name it."""
    render: Callable[[FormatInput], Content]
    """What the format makes of a report. Pure."""
    writer: Callable[[ReportDirectory, FormatSettings], FormatWriter[Content]]
    is_by_flow: bool = False
    """Each flow has a file of its own, and nothing is held back: reports may be added by
    several processes, in any order, without the lock."""
    holds_all: str | None = None
    """Where in the report directory it keeps every report, in full; None: it does not."""
    content: Any = bytes
    """The type of what ``render`` gives: it goes through files where other machines render."""


AnyFormat = ReportFormat[Any]

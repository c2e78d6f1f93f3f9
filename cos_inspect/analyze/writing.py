"""Writes a run of finished reports; several processes may do so at once."""

from collections import Counter
from functools import lru_cache
from typing import Any, BinaryIO

import msgspec

from cos_inspect.analyze.datasets import FlowRowsWriter, RowsPiece
from cos_inspect.analyze.joining import read_revisions
from cos_inspect.analyze.lines import told_of
from cos_inspect.analyze.spool import hash_of, read_at
from cos_inspect.analyze.spooled import ACCEPTED, WITH_TOKEN, SpooledReport
from cos_inspect.captures import places
from cos_inspect.captures.captured_flow import UNINSPECTED, InputRemarks
from cos_inspect.inspection.first_look import revise
from cos_inspect.inspection.redaction import fault_text
from cos_inspect.inspection.said_once import SaidOnce, say_once
from cos_inspect.inspection.second_look import Revision, add_pending
from cos_inspect.model.flow_report import FlowReport, Verdict
from cos_inspect.model.moments import earliest, latest, seconds_of
from cos_inspect.model.plain_text import encoded, packed
from cos_inspect.model.summary import Lost
from cos_inspect.model.summary_delta import SummaryDelta
from cos_inspect.report.baseline import BaselineEntry, entry_of
from cos_inspect.report.directory import ReportDirectory
from cos_inspect.report.formats import GITHUB, formats_named, places_of
from cos_inspect.report.github import Groups
from cos_inspect.report.listing import Floor
from cos_inspect.report.reasons import line_of, reason_of
from cos_inspect.report.report_format import FormatInput, FormatSettings, Rendered
from cos_inspect.report.terminal import StoryLines, flow_line
from cos_inspect.rules.registry import CHECKS_OF_RULES, SAID_ONCE
from cos_inspect.rules.rule import PendingFinding
from cos_inspect.settings.analysis_settings import AnalysisSettings
from cos_inspect.settings.execution import labels_of
from cos_inspect.transfers.observation import Observation

Place = tuple[str, int]
"""A capture, and an offset in it."""


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """A run of reports of one shard, in order."""

    spool: str
    offsets: list[int]
    indexes: list[int]
    places: list[Place]
    """Where their flows begin in the captures."""
    not_first: list[int]
    """Those among ``indexes`` on a connection that another flow opened."""
    first_sequence: int
    revisions: list[str]
    """Files of revisions for the shard."""
    shown: str
    """A file of ``SharedEvidence``."""
    writes: bool
    """False: the reports are judged, but nothing is written."""
    run: int | None = None
    """The run of the report directory that they belong to."""
    rendered_to: str | None = None
    """A file for what becomes of the reports in all formats, where nothing is written into the
    report directory; None: it is returned, and files of single flows are written."""
    rows_to: str | None = None
    """A file for the rows of the dataset; None: there is no dataset."""
    floor: Floor | None = None
    """What the pages do not list, so that they need no more of it than that it is there."""


class SharedEvidence(msgspec.Struct):
    """What all flows together show."""

    secret_ids: dict[int, int]
    """What was seen of each SecretId, as flags, by hash."""
    said_once: dict[str, SaidOnce]


class WrittenChunk(msgspec.Struct, kw_only=True):
    """What is left to do in order, by one process."""

    first_sequence: int
    tally: SummaryDelta
    """Of the reports whose own files are written."""
    verdicts: Counter[str]
    rules: Counter[str]
    """Flows by rule; both also of reports that could not be written."""
    lines: list[tuple[Verdict, str]]
    rendered: dict[str, list[Rendered[Any]]]
    """Reports in formats that hold many in one file, by the name of the format."""
    found: Counter[BaselineEntry]
    failing: int
    """Findings as bad as ``fail_on``, and not known before."""
    failing_rules: Counter[str]
    said_once: dict[tuple[str, str], int]
    """By rule and flow, for how many flows it speaks."""
    known: int
    lost: Lost
    """Reports that could not be made or written."""
    first: float | None = None
    """When the first of its flows began, and the last one ended, as far as it is known; in
    seconds since the epoch."""
    last: float | None = None
    groups: Groups | None = None
    """For GitHub: what was found and is not known before."""
    error: str | None = None
    faults: list[str] = []
    """A line for each that could not be made."""
    rendered_at: str | None = None
    """Where ``rendered`` lies, instead of here."""
    rows: RowsPiece | None = None
    """Where the rows of the dataset lie."""


def lost_chunk(chunk: Chunk, why: str) -> WrittenChunk:
    """In the place of one that nobody could write."""
    written = _nothing_written(chunk)
    count = len(chunk.indexes)
    written.lost.add(UNINSPECTED, count)
    captures = list(dict.fromkeys(capture for capture, _ in chunk.places))
    more = f" and {len(captures) - 1} more" if len(captures) > 1 else ""
    written.faults.append(f"{captures[0]}{more}: {count} reports cannot be made: {why}")
    return written


def _nothing_written(chunk: Chunk) -> WrittenChunk:
    return WrittenChunk(
        first_sequence=chunk.first_sequence,
        tally=SummaryDelta(),
        verdicts=Counter(),
        rules=Counter(),
        lines=[],
        rendered={},
        found=Counter(),
        failing=0,
        failing_rules=Counter(),
        said_once={},
        known=0,
        lost=Lost(),
        faults=[],
    )


def rendered_in(written: WrittenChunk) -> dict[str, list[Rendered[Any]]]:
    """The reports of a chunk in each format, wherever they lie."""
    if written.rendered_at is None:
        return written.rendered
    packed_by_name = msgspec.msgpack.decode(
        places.read(written.rendered_at), type=dict[str, msgspec.Raw]
    )
    return {
        each.name: msgspec.msgpack.decode(
            packed_by_name[each.name],
            type=list[Rendered[each.content]],  # type: ignore[name-defined]
        )
        for each in formats_named(packed_by_name)
    }


def write_chunk(chunk: Chunk, settings: AnalysisSettings) -> WrittenChunk:
    """A report that cannot be written is told in ``error``; the others are tried."""
    is_far = chunk.rendered_to is not None
    path = settings.report_dir if chunk.writes else None
    directory = None if path is None or is_far else ReportDirectory(path)
    formats = formats_named(settings.formats) if path is not None else []
    said = msgspec.structs.replace(format_settings(settings), floor=chunk.floor)
    own_files = [
        (each, each.writer(directory, said)) for each in formats if directory and each.is_by_flow
    ]
    looks = _SecondLooks(chunk, settings)
    written = _nothing_written(chunk)
    written.rendered = {each.name: [] for each in formats if is_far or not each.is_by_flow}
    written.groups = Groups() if GITHUB in settings.formats else None
    remarks: dict[str, InputRemarks] = {}
    lines = StoryLines(width=settings.width)
    rows = None if chunk.rows_to is None else FlowRowsWriter(chunk.rows_to)
    with places.open_to_read(chunk.spool) as file:
        for number, index in enumerate(chunk.indexes):
            try:
                report = looks.report(file, chunk.offsets[number], index)
                labels = labels_of(chunk.places[number][0], settings.labels)
                report = msgspec.structs.replace(
                    report,
                    sequence=chunk.first_sequence + number,
                    run=chunk.run,
                    labels=labels or msgspec.UNSET,
                )
                line = flow_line(report, width=settings.width, colour=settings.colour)
                given = FormatInput(report, encoded(report), said)
                rendered = {
                    each.name: Rendered(report.sequence, each.render(given)) for each in formats
                }
                if rows is not None:
                    rows.add(report, chunk.places[number][0])
            except (ValueError, LookupError, TypeError, ArithmeticError) as error:
                what = f"a flow whose report cannot be made ({fault_text(error)})"
                capture, begin = chunk.places[number]
                about = remarks.setdefault(capture, InputRemarks(capture))
                about.lose(what, begin, reason=UNINSPECTED)
                continue
            lines.add(report, line)
            _judge(report, settings, written)
            _note_time(report, written)
            written.verdicts[report.verdict] += 1
            written.rules.update({finding.rule for finding in report.findings})
            if directory is not None:
                try:
                    for each, writer in own_files:
                        writer.add([rendered[each.name]])
                except OSError as error:
                    written.error = f"reports cannot be written: {line_of(error, directory.path)}"
                    written.lost.add(reason_of(error))
                    continue
            written.tally.add(report)
            for name, together in written.rendered.items():
                together.append(rendered[name])
    if rows is not None:
        rows.close()
        written.rows = RowsPiece(chunk.first_sequence, len(chunk.indexes), chunk.rows_to or "")
    written.lines += told_of(lines.by_verdict(), settings.shown)
    for about in remarks.values():
        written.faults += about.faults
        for reason, count in about.lost.items():
            written.lost.add(reason, count)
    if chunk.rendered_to is not None and formats:
        places.write(chunk.rendered_to, packed(written.rendered))
        written.rendered, written.rendered_at = {}, chunk.rendered_to
    return written


class _SecondLooks:
    """The reports of a chunk as they are in the end."""

    def __init__(self, chunk: Chunk, settings: AnalysisSettings) -> None:
        self._ignore = settings.ignore
        self._revisions = _revisions_of(tuple(chunk.revisions))
        self._shown = _shown(chunk.shown)
        self._not_first = frozenset(chunk.not_first)
        self._decoder = msgspec.msgpack.Decoder(SpooledReport)

    def report(self, file: BinaryIO, offset: int, index: int) -> FlowReport:
        held = read_at(file, offset, self._decoder)
        report = held.alone
        revision = self._revisions.get(index)
        if held.seen is not None:
            revision = revision or Revision()
            for pending in held.pending:
                if self._holds(pending, held.seen):
                    add_pending(revision, pending)
            say_once(revision, report.findings, held.seen, self._shown.said_once.get)
        if revision:
            report = revise(report, revision)
        if index in self._not_first:
            timing = msgspec.structs.replace(report.timing, connect_ms=None, tls_ms=None)
            report = msgspec.structs.replace(report, timing=timing)
        return report

    def _holds(self, pending: PendingFinding, seen: Observation) -> bool:
        flag = WITH_TOKEN if pending.shown == "with-token" else ACCEPTED
        return bool(self._shown.secret_ids.get(hash_of(seen.secret_id or ""), 0) & flag)


@lru_cache(maxsize=1)
def _revisions_of(paths: tuple[str, ...]) -> dict[int, Revision]:
    return read_revisions(paths)


@lru_cache(maxsize=1)
def _shown(path: str) -> SharedEvidence:
    return msgspec.msgpack.decode(places.read(path), type=SharedEvidence)


def _note_time(report: FlowReport, written: WrittenChunk) -> None:
    began = seconds_of(report.started)
    if began is None:
        return
    ended = began + (report.timing.total_ms or 0.0) / 1000
    written.first = earliest(written.first, began)
    written.last = latest(written.last, ended)


def _judge(report: FlowReport, settings: AnalysisSettings, written: WrittenChunk) -> None:
    if written.groups is not None and report.findings and not report.is_healed:
        new = [
            each for each in report.findings if not settings.baseline.knows(entry_of(report, each))
        ]
        written.groups.add_flow(report, new)
    for finding in report.findings:
        found = entry_of(report, finding)
        if settings.keeps_findings:
            written.found[found] += 1
        if settings.baseline.knows(found):
            written.known += 1
        elif settings.fail_on is not None and finding.severity.rank >= settings.fail_on.rank:
            written.failing += 1
            written.failing_rules[finding.rule] += 1
        if finding.rule in SAID_ONCE:
            name = finding.rule, report.flow_id
            written.said_once[name] = int(finding.evidence.get("flows", 1))


def _dataset(settings: AnalysisSettings) -> tuple[str, ...]:
    return () if settings.dataset is None else (f"the dataset {places.name_of(settings.dataset)}",)


def format_settings(settings: AnalysisSettings) -> FormatSettings:
    """What an analysis says of all its reports."""
    return FormatSettings(
        rule_checks=CHECKS_OF_RULES,
        fails_from=settings.fails_from,
        baseline=settings.baseline,
        elsewhere=(*places_of(settings.formats), *_dataset(settings)),
    )

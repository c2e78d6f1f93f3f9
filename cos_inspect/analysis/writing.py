"""Writes a run of finished reports; several processes may do so at once."""

import pickle
from collections import Counter
from functools import lru_cache
from pathlib import Path

import msgspec

from cos_inspect.analysis.settings import Settings
from cos_inspect.captures.saved import UNINSPECTED, Remarks
from cos_inspect.proxy.terminal import flow_line
from cos_inspect.report.baseline import Known, known_of
from cos_inspect.report.directory import ReportDirectory, line_of, reason_of
from cos_inspect.report.flow_files import write_flow_files
from cos_inspect.report.junit import flow_suite
from cos_inspect.report.model import FlowReport
from cos_inspect.report.plain_text import encoded
from cos_inspect.report.summary import Lost, Tally

Place = tuple[str, int]
"""A spool, and an offset in it."""


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """Reports at these offsets of a spool, in order."""

    spool: str
    offsets: list[int]
    capture: str
    places: list[int]
    """Where their flows begin in the capture."""
    first_sequence: int
    revisions: str
    """A file that holds the ``Place`` of revised reports by flow id."""
    without_connect: frozenset[str]
    """Flows on connections that were opened for an earlier flow, in another piece."""
    writes: bool
    """False: the reports are judged, but nothing is written."""


class Written(msgspec.Struct, kw_only=True):
    """What is left to do in order, by one process."""

    first_sequence: int
    tally: Tally
    """Of the reports whose own files are written."""
    verdicts: Counter[str]
    rules: Counter[str]
    """Flows by rule; both also of reports that could not be written."""
    lines: list[str]
    encoded: list[bytes]
    """Reports as JSON, for files that hold many."""
    suites: list[bytes]
    found: Counter[Known]
    failing: int
    """Findings as bad as ``fail_on``, and not known before."""
    known: int
    lost: Lost
    """Reports that could not be made or written."""
    error: str | None = None
    faults: list[str] = []
    """A line for each that could not be made."""


def read_report(place: Place) -> FlowReport:
    path, at = place
    with Path(path).open("rb") as file:
        file.seek(at)
        size = int.from_bytes(file.read(4), "little")
        return msgspec.json.decode(file.read(size), type=FlowReport)


def write_chunk(chunk: Chunk, settings: Settings) -> Written:
    """A report that cannot be written is told in ``error``; the others are tried."""
    path = settings.report_dir if chunk.writes else None
    directory = None if path is None else ReportDirectory(path)
    formats = frozenset(settings.formats if directory else ())
    together = bool(formats & {"jsonl", "html"})
    revised = _revisions(chunk.revisions)
    written = Written(
        first_sequence=chunk.first_sequence,
        tally=Tally(),
        verdicts=Counter(),
        rules=Counter(),
        lines=[],
        encoded=[],
        suites=[],
        found=Counter(),
        failing=0,
        known=0,
        lost=Lost(),
    )
    remarks = Remarks(chunk.capture)
    decoder = msgspec.json.Decoder(FlowReport)
    with Path(chunk.spool).open("rb") as file:
        for sequence, (at, begin) in enumerate(
            zip(chunk.offsets, chunk.places, strict=True), start=chunk.first_sequence
        ):
            try:
                file.seek(at)
                size = int.from_bytes(file.read(4), "little")
                report = decoder.decode(file.read(size))
                if report.flow_id in revised:
                    report = read_report(revised[report.flow_id])
                report = _numbered(report, sequence, chunk.without_connect)
                content = encoded(report)
                line = flow_line(report, width=settings.width, colour=settings.colour)
                suite = _suite(report, settings) if "junit" in formats else None
            except (ValueError, LookupError, TypeError, ArithmeticError) as error:
                what = f"a flow whose report cannot be made ({error!r:.200})"
                remarks.lose(what, begin, reason=UNINSPECTED)
                continue
            if not settings.quiet:
                written.lines.append(line)
            _judge(report, settings, written)
            written.verdicts[report.verdict] += 1
            written.rules.update({finding.rule for finding in report.findings})
            if directory is not None:
                try:
                    write_flow_files(directory, report, content, formats)
                except OSError as error:
                    written.error = f"reports cannot be written: {line_of(error, directory.path)}"
                    written.lost.add(reason_of(error))
                    continue
            written.tally.add(report)
            if together:
                written.encoded.append(content)
            if suite is not None:
                written.suites.append(suite)
    written.faults = remarks.faults
    for reason, count in remarks.lost.items():
        written.lost.add(reason, count)
    return written


def _numbered(report: FlowReport, sequence: int, without_connect: frozenset[str]) -> FlowReport:
    timing = report.timing
    if report.flow_id in without_connect:
        timing = msgspec.structs.replace(timing, connect_ms=None, tls_ms=None)
    return msgspec.structs.replace(report, sequence=sequence, timing=timing)


def _judge(report: FlowReport, settings: Settings, written: Written) -> None:
    for finding in report.findings:
        found = known_of(report, finding)
        if settings.keeps_findings:
            written.found[found] += 1
        if settings.baseline.knows(found):
            written.known += 1
        elif settings.fail_on is not None and finding.severity.rank >= settings.fail_on.rank:
            written.failing += 1


def _suite(report: FlowReport, settings: Settings) -> bytes:
    return flow_suite(
        report,
        fails_from=settings.fails_from,
        is_known=lambda finding: settings.baseline.knows(known_of(report, finding)),
    )


@lru_cache(maxsize=2)
def _revisions(path: str) -> dict[str, Place]:
    held: dict[str, Place] = pickle.loads(Path(path).read_bytes())
    return held

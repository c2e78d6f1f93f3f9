"""Saved captures to reports: the same reports that live traffic gives.

Inputs are cut into pieces and read side by side; what each session learned of
transfers is joined; then all reports are written in the order of the inputs.
"""

import pickle
import tempfile
from array import array
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import batched
from pathlib import Path

import msgspec

from cos_inspect.analysis.pieces import Piece, pieces_of, size_of, step_of
from cos_inspect.analysis.progress import ReadingProgress, on_terminal
from cos_inspect.analysis.reading import REMEMBERED, Read, Spool
from cos_inspect.analysis.settings import Settings
from cos_inspect.analysis.workers import Workers
from cos_inspect.analysis.writing import Chunk, Place, Written, read_report
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.source import files_of
from cos_inspect.proxy.terminal import closing_lines
from cos_inspect.report import junit
from cos_inspect.report.baseline import Known, known_of_transfer
from cos_inspect.report.directory import ReportDirectory, line_of, reason_of
from cos_inspect.report.junit_spool import SuiteSpool
from cos_inspect.report.model import FlowReport
from cos_inspect.report.pages import PagesWriter
from cos_inspect.report.plain_text import encoded
from cos_inspect.report.summary import Lost, SessionSummary, Summary, Tally, TransferSummary

_PER_CHUNK = 500

Say = Callable[[str], None]


class Outcome(msgspec.Struct, kw_only=True):
    verdicts: Counter[str]
    rules: Counter[str]
    """Flows by rule."""
    others: int
    session: SessionSummary
    found: Counter[Known]
    failing: int
    """Findings as bad as ``fail_on``, and not in the baseline."""
    known: int
    errors: list[str]
    """Inputs that could not be read, or not to their end; reports that were not written."""
    lost: Lost = msgspec.field(default_factory=Lost)
    """Flows without a report."""

    @property
    def flows(self) -> int:
        return sum(self.verdicts.values())


def analyze(arguments: Sequence[str], settings: Settings, say: Say, warn: Say) -> Outcome:
    """Analyses files, folders and ``-``. ``say`` takes a line per flow, ``warn`` one per
    thing that was left out. What is wrong with an input stands in the outcome."""
    errors: list[str] = []
    paths = _paths(arguments, errors)
    pieces = _pieces(paths, settings.jobs, errors)
    with (
        tempfile.TemporaryDirectory(prefix="cos-inspect-") as folder,
        Workers(settings, len(pieces)) as workers,
    ):
        shown = on_terminal() and not settings.quiet
        with ReadingProgress(sum(map(size_of, paths)), shown=shown) as progress:
            spools = [str(Path(folder) / f"{number}.reports") for number in range(len(pieces))]
            reads = workers.read(pieces, spools, progress.at)
        for read in reads:
            for line in read.notes:
                warn(line)
            errors += read.faults
            if read.error is not None:
                errors.append(str(read.error))
        session, revised = _merged(reads, str(Path(folder) / "revised.reports"), errors)
        writing = _Writing(settings, session, errors, say)
        writing.write(workers, reads, _revisions_file(reads, revised, folder))
    return writing.outcome


def _paths(arguments: Sequence[str], errors: list[str]) -> list[str]:
    paths: dict[str, None] = {}
    for argument in arguments:
        try:
            paths.update(dict.fromkeys(files_of(argument)))
        except CaptureError as error:
            errors.append(str(error))
    return list(paths)


def _pieces(paths: Sequence[str], jobs: int, errors: list[str]) -> list[Piece]:
    step = step_of(paths, jobs)
    pieces: list[Piece] = []
    for path in paths:
        try:
            pieces += pieces_of(path, step)
        except CaptureError as error:
            errors.append(str(error))
    return pieces


def _merged(
    reads: Sequence[Read], spool_path: str, errors: list[str]
) -> tuple[SessionSummary, dict[str, Place]]:
    """What the sessions say together, and where the reports stand that changes. Where that
    cannot be said, each flow's own report stays."""
    spool = Spool(spool_path)
    revised: dict[str, Place] = {}
    summary = SessionSummary()

    def replace(reports: Iterable[FlowReport]) -> None:
        for report in reports:
            revised[report.flow_id] = (spool_path, spool.add(encoded(report)))

    def guarded(file: str, step: Callable[[], None]) -> None:
        try:
            step()
        except OSError:
            raise
        except Exception as error:
            errors.append(f"{file}: what its flows say together cannot be told ({error!r:.200})")

    def close() -> None:
        nonlocal summary
        replace(whole.settle())
        told = whole.close()
        # What cannot be written is met here, where it costs nothing else.
        encoded(told)
        summary = told

    if reads:
        whole = reads[0].session
        for read in reads[1:]:
            guarded(read.capture, lambda other=read.session: replace(whole.merge(other)))  # type: ignore[misc]
        guarded("all captures", close)
    spool.close()
    return summary, revised


def _revisions_file(reads: Sequence[Read], revised: dict[str, Place], folder: str) -> "_Revisions":
    places: dict[str, Place] = {}
    for read in reads:
        places |= {flow_id: (read.spool, at) for flow_id, at in read.revisions.items()}
    places |= _of_copies(reads)
    places |= revised
    path = Path(folder) / "revisions"
    path.write_bytes(pickle.dumps(places))
    return _Revisions(str(path), _dropped(reads), _not_first(reads))


class _Revisions(msgspec.Struct, frozen=True):
    path: str
    dropped: list[set[int]]
    """For each piece: reports of flows that an earlier piece has."""
    not_first: frozenset[str]


def _dropped(reads: Sequence[Read]) -> list[set[int]]:
    return [{index for index, _ in copies} for copies in _copies(reads)]


def _copies(reads: Sequence[Read]) -> list[list[tuple[int, bool]]]:
    """For each piece: its reports of flows that an earlier piece has, and whether they
    know more than the earlier ones."""
    found: list[list[tuple[int, bool]]] = []
    seen: OrderedDict[int, bool] = OrderedDict()
    for read in reads:
        copies: list[tuple[int, bool]] = []
        for index, marked in enumerate(read.identities if len(reads) > 1 else array("Q")):
            identity, judged = marked & ~1, bool(marked & 1)
            if identity in seen:
                copies.append((index, judged or not seen[identity]))
            seen[identity] = judged or seen.get(identity, False)
            if len(seen) > REMEMBERED:
                seen.popitem(last=False)
        found.append(copies)
    return found


def _of_copies(reads: Sequence[Read]) -> dict[str, Place]:
    """Of flows that were saved twice the later report counts, unless it knows less."""
    places: dict[str, Place] = {}
    for read, copies in zip(reads, _copies(reads), strict=True):
        for index, better in copies:
            place = (read.spool, read.offsets[index])
            if better:
                places[read_report(place).flow_id] = place
    return places


def _not_first(reads: Sequence[Read]) -> frozenset[str]:
    """Flows that are the first on their connection in their piece, but not of all."""
    seen: dict[str, str] = {}
    later: set[str] = set()
    for read in reads:
        for connection, flow_id in read.connections.items():
            if seen.setdefault(connection, flow_id) != flow_id:
                later.add(flow_id)
    return frozenset(later)


class _Writing:
    """What is done in order: files that hold many reports, lines, counts."""

    def __init__(
        self, settings: Settings, session: SessionSummary, errors: list[str], say: Say
    ) -> None:
        self._settings = settings
        self._say = say
        path = settings.report_dir
        self._directory = None if path is None else ReportDirectory(path)
        self._pages: PagesWriter | None = None
        self._suites = SuiteSpool() if "junit" in settings.formats else None
        self._kept_suites = 0
        self._untold: list[Tally] = []
        """What the summary on disk does not tell yet."""
        self.outcome = Outcome(
            verdicts=Counter(),
            rules=Counter(),
            others=0,
            session=session,
            found=Counter(),
            failing=0,
            known=0,
            errors=errors,
        )

    def write(self, workers: Workers, reads: Sequence[Read], revisions: _Revisions) -> None:
        outcome = self.outcome
        outcome.others = sum(read.others for read in reads)
        for read in reads:
            outcome.lost.merge(read.lost)
        count = sum(
            len(read.offsets) - len(dropped)
            for read, dropped in zip(reads, revisions.dropped, strict=True)
        )
        try:
            first = self._take_sequences(count)
        except OSError as error:
            # What was found is told all the same.
            self._give_up(error, count)
            self._directory, first = None, 1
        writes = self._directory is not None
        for written in workers.write(_chunks(reads, first, revisions, writes=writes)):
            self._add(written)
        self._judge_transfers(outcome.session.transfers)
        try:
            self._finish()
        except OSError as error:
            self._give_up(error, 0)

    def _give_up(self, error: OSError, count: int) -> None:
        """Tells what is wrong once, and counts the reports that are lost by it."""
        path = self._settings.report_dir or Path()
        text = f"reports cannot be written: {line_of(error, path)}"
        if text not in self.outcome.errors:
            self.outcome.errors.append(text)
        self.outcome.lost.add(reason_of(error), count)

    def _take_sequences(self, count: int) -> int:
        if self._directory is None:
            return 1
        with self._directory.exclusively():
            if "html" in self._settings.formats:
                self._pages = PagesWriter(self._directory)
            return self._directory.take_sequences(count).start

    def _add(self, written: Written) -> None:
        outcome = self.outcome
        outcome.verdicts.update(written.verdicts)
        outcome.rules.update(written.rules)
        outcome.found.update(written.found)
        outcome.failing += written.failing
        outcome.known += written.known
        outcome.errors += written.faults
        if written.error is not None and written.error not in outcome.errors:
            outcome.errors.append(written.error)
        for line in written.lines:
            self._say(line)
        outcome.lost.merge(written.lost)
        if self._directory is None:
            return
        try:
            self._write_together(self._directory, written)
        except OSError as error:
            self._give_up(error, written.tally.counts.flows)
            return
        self._untold.append(written.tally)
        try:
            self._renew_summary()
        except OSError as error:
            self._give_up(error, 0)

    def _renew_summary(self) -> Summary | None:
        """Adds what was not told yet."""
        summary = None
        if self._directory is not None:
            with self._directory.exclusively():
                while self._untold:
                    summary = self._directory.add_to_summary(self._untold[0])
                    del self._untold[0]
        return summary

    def _write_together(self, directory: ReportDirectory, written: Written) -> None:
        """Files that hold many reports."""
        if self._suites is not None:
            for suite in written.suites:
                self._suites.add(suite)
            self._kept_suites += len(written.suites)
        with directory.exclusively():
            if "jsonl" in self._settings.formats:
                directory.append("flows.jsonl", written.encoded)
            if self._pages is not None:
                decoder = msgspec.json.Decoder(FlowReport)
                for encoded in written.encoded:
                    self._pages.add(decoder.decode(encoded), encoded)
                self._pages.flush()

    def _judge_transfers(self, transfers: Sequence[TransferSummary]) -> None:
        """Findings that stand on a flow as well were counted there."""
        settings, outcome = self._settings, self.outcome
        for transfer in transfers:
            for finding in transfer.findings:
                found = known_of_transfer(transfer, finding)
                if settings.keeps_findings:
                    outcome.found[found] += 1
                if settings.baseline.knows(found):
                    outcome.known += 1
                elif settings.fail_on and finding.severity.rank >= settings.fail_on.rank:
                    outcome.failing += 1

    def _finish(self) -> None:
        directory, session = self._directory, self.outcome.session
        if directory is None:
            return
        if self._suites is not None:
            try:
                self._write_suites(directory, self._suites, session.transfers)
            except OSError as error:
                self._give_up(error, self._kept_suites)
            finally:
                self._suites.close()
        tally = Tally()
        tally.others = self.outcome.others
        tally.sessions = [session]
        tally.lost = self.outcome.lost
        self._untold.append(tally)
        summary = self._renew_summary()
        if self._pages is not None and summary is not None:
            with directory.exclusively():
                self._pages.renew_summary(summary)

    def _write_suites(
        self, directory: ReportDirectory, suites: SuiteSpool, transfers: Sequence[TransferSummary]
    ) -> None:
        baseline = self._settings.baseline
        for transfer in transfers:
            suite = junit.transfer_suite(
                transfer,
                fails_from=self._settings.fails_from,
                is_known=lambda finding, of=transfer: baseline.knows(  # type: ignore[misc]
                    known_of_transfer(of, finding)
                ),
            )
            suites.add(suite)
        suites.add_lost(self.outcome.lost)
        with directory.exclusively():
            junit.add_suites(directory, suites.content())


def _chunks(
    reads: Sequence[Read], first: int, revisions: _Revisions, *, writes: bool
) -> Iterator[Chunk]:
    for read, dropped in zip(reads, revisions.dropped, strict=True):
        kept = (index for index in range(len(read.offsets)) if index not in dropped)
        for part in batched(kept, _PER_CHUNK):
            yield Chunk(
                spool=read.spool,
                offsets=[read.offsets[index] for index in part],
                capture=read.capture,
                places=[read.places[index] for index in part],
                first_sequence=first,
                revisions=revisions.path,
                without_connect=revisions.not_first,
                writes=writes,
            )
            first += len(part)


def closing_text(outcome: Outcome, settings: Settings) -> str:
    """What was found, in a few lines: the same as at the end of live traffic."""
    directory = settings.report_dir
    text = closing_lines(
        verdicts=outcome.verdicts,
        rules=outcome.rules,
        transfers=outcome.session.transfers,
        others=outcome.others,
        lost=outcome.lost,
        reports=None if directory is None else str(directory),
    )
    if settings.baseline:
        text += f"\n    baseline   {outcome.known} known findings"
        gone = settings.baseline.not_seen(outcome.found)
        if gone:
            text += f", {len(gone)} entries were not seen"
    return text

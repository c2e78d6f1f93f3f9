"""Saved captures to reports: the same reports that live traffic gives.

Inputs are cut into parts and read side by side; what each session learned of
transfers is joined; then all reports are written in the order of the inputs.
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import batched
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from cos_inspect.analyze.executors import Executor, ExecutorError, InProcess, ProcessPool
from cos_inspect.analyze.joining import (
    CountedFlows,
    Joined,
    merge_lists,
    partitions,
)
from cos_inspect.analyze.judging import TransfersJudged
from cos_inspect.analyze.lines import Lines
from cos_inspect.analyze.progress import ReadingProgress, on_terminal
from cos_inspect.analyze.reading import CaptureRead, ShardRead
from cos_inspect.analyze.shards import (
    Shard,
    partitions_for,
    parts_of,
    shards_of,
    step_of,
)
from cos_inspect.analyze.workers import Workers
from cos_inspect.analyze.writing import (
    Chunk,
    SharedEvidence,
    WrittenChunk,
    format_settings,
    rendered_in,
)
from cos_inspect.captures import places
from cos_inspect.captures.capture_format import CapturePart
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.inputs import Input, inputs_of
from cos_inspect.captures.places import size_of
from cos_inspect.model.capture_summary import CaptureFacts, CaptureSummary
from cos_inspect.model.exchange import utc_text
from cos_inspect.model.plain_text import packed
from cos_inspect.model.summary import Lost, RunSummary, SessionSummary, Summary
from cos_inspect.model.summary_delta import SessionCounts, SummaryDelta, count_host
from cos_inspect.report.baseline import BaselineEntry, entry_of_transfer
from cos_inspect.report.directory import ReportDirectory, line_of, reason_of
from cos_inspect.report.formats import formats_named
from cos_inspect.report.github import Groups
from cos_inspect.report.nothing_seen import nothing_seen
from cos_inspect.report.report_format import FormatWriter, RunEnd
from cos_inspect.report.terminal import closing_lines
from cos_inspect.settings.analysis_settings import AnalysisSettings

_PER_CHUNK = 500
_MOST_SIDE_BY_SIDE = 16
"""Partitions for a cluster, where there are no more flows than for one."""
_NAME = "analyze"
"""What the summary calls a run without a label. Neither that nor its times depend on how the
traffic was spread over captures, or on when it was analysed."""

Say = Callable[[str], None]


class Outcome(msgspec.Struct, kw_only=True):
    """What an analysis found, for the exit status and the last lines."""

    verdicts: Counter[str]
    rules: Counter[str]
    """Flows by rule."""
    others: int
    session: SessionSummary
    found: Counter[BaselineEntry]
    failing: int
    """Findings as bad as ``fail_on``, and not in the baseline."""
    known: int
    errors: list[str]
    """Inputs that could not be read, or not to their end; reports that were not written."""
    lost: Lost = msgspec.field(default_factory=Lost)
    """Flows without a report."""
    hosts: dict[str, int] = {}
    """Who was asked in flows that are no COS traffic."""
    captures: list[CaptureSummary] = []
    """Those that were read."""
    groups: Groups = msgspec.field(default_factory=Groups)
    """For GitHub: what was found and is not known before."""
    failing_rules: Counter[str] = msgspec.field(default_factory=Counter)
    """Of the findings that fail."""
    said_once: Counter[str] = msgspec.field(default_factory=Counter)
    """For how many flows a rule speaks that is said once for many."""

    @property
    def flows(self) -> int:
        """Flows with a report."""
        return sum(self.verdicts.values())


def analyze(arguments: Sequence[str], settings: AnalysisSettings, say: Say, warn: Say) -> Outcome:
    """Analyses files, folders and ``-``. ``say`` takes a line per flow, ``warn`` one per
    thing that was left out. What is wrong with an input stands in the outcome."""
    errors: list[str] = []
    with spool_folder(settings) as folder, tempfile.TemporaryDirectory() as copies:
        inputs = _inputs(arguments, errors, copies, warn)
        paths = [each.path for each in inputs]
        with ExitStack() as stack:
            if settings.where.cluster is None:
                shards = _shards(inputs, step_of(paths, settings.jobs), settings, errors)
                executor = stack.enter_context(
                    near_executor(min(settings.jobs, len(shards)), [*paths, folder])
                )
            else:
                executor = stack.enter_context(far_executor(settings, paths, folder))
                step = step_of(paths, executor.width, executor.smallest_shard)
                shards = _shards(inputs, step, settings, errors)
            workers = Workers(settings, executor, folder, errors)
            shown = on_terminal() and not settings.quiet
            least = 1 if executor.is_near else min(executor.width, _MOST_SIDE_BY_SIDE)
            with ReadingProgress(sum(map(size_of, paths)), shown=shown) as progress:
                reads = workers.read(shards, partitions_for(paths, least), progress.at)
            met: Counter[str] = Counter()
            facts: dict[str, CaptureRead] = {}
            for read in reads:
                for line in read.notes:
                    warn(line)
                errors += read.faults
                met.update(read.met)
                for name, about in read.facts.items():
                    if facts.setdefault(name, about) is not about:
                        facts[name].merge(about)
            # What held nothing is no success.
            errors += [_held_nothing(name, facts.get(name)) for name in met if not met[name]]
            joined = _join(workers, shards, reads, folder, errors)
            writing = _Writing(settings, joined, errors, say, near=executor.is_near)
            writing.outcome.captures = [_summary_of(name, facts[name]) for name in sorted(facts)]
            writing.write(workers, reads, folder)
    return writing.outcome


def _shards(
    inputs: Sequence[Input], step: int, settings: AnalysisSettings, errors: list[str]
) -> list[Shard]:
    return shards_of(_parts(inputs, step, settings, errors), step)


@contextmanager
def spool_folder(settings: AnalysisSettings) -> Iterator[str]:
    """A folder, or a URL, of this analysis alone, for what its steps hand on; it is removed at
    the end."""
    scratch = settings.scratch
    if scratch is None:
        with tempfile.TemporaryDirectory(prefix="cos-inspect-") as folder:
            yield folder
        return
    folder = places.join(scratch, f"cos-inspect-{uuid4().hex[:12]}")
    if not places.is_url(folder):
        Path(folder).mkdir(parents=True, mode=0o700)
    try:
        yield folder
    finally:
        places.remove_below(folder)


def near_executor(jobs: int, seen: Sequence[str]) -> Executor:
    """Processes of this machine. ``seen`` are the places that all of them must see."""
    alone = any(places.is_of_one_process(place) for place in seen)
    return InProcess() if jobs <= 1 or alone else ProcessPool(jobs)


def far_executor(settings: AnalysisSettings, paths: Sequence[str], folder: str) -> Executor:
    """A cluster.

    :raises ExecutorError: when there is none.
    :raises MissingExtraError: when packages for it are not installed.
    """
    # Only this kind of work needs it, and it takes long to import.
    from cos_inspect.analyze.dask_executor import DaskExecutor  # noqa: PLC0415

    for place in (*paths, folder):
        if places.is_of_one_process(place):
            raise ExecutorError(f"{place}: no other process can see that")
    return DaskExecutor(settings.where, folder)


def _held_nothing(name: str, about: CaptureRead | None) -> str:
    """Of a capture without an exchange."""
    if about is None or not about.facts.left_out:
        return f"{name}: it holds no HTTP flow"
    reasons = ", ".join(f"{count} {reason}" for reason, count in about.facts.left_out.items())
    return f"{name}: it holds no HTTP flow; left out: {reasons}"


def _summary_of(name: str, about: CaptureRead) -> CaptureSummary:
    facts = CaptureFacts()
    facts.merge(about.facts)
    for reason, count in about.lost.items():
        facts.leave_out(reason, count)
    return CaptureSummary(
        file=name,
        format=about.format,
        program=facts.program,
        exchanges=about.exchanges,
        left_out=dict(sorted(facts.left_out.items())),
        bytes_lost=facts.bytes_lost,
        packets_lost=facts.packets_lost,
    )


class _Joined(msgspec.Struct, frozen=True):
    """What all flows say together."""

    counted: CountedFlows
    session: SessionSummary
    judged: TransfersJudged
    revisions: dict[int, list[str]]
    """Files for each shard."""
    shown: str
    """A file of ``SharedEvidence``."""


def _join(
    workers: Workers,
    shards: Sequence[Shard],
    reads: Sequence[ShardRead],
    folder: str,
    errors: list[str],
) -> _Joined:
    counted, counted_path = workers.count(reads)
    found = partitions(reads, folder)
    joined = workers.join(found, counted_path, {})
    marks = _marks(workers, shards, joined)
    if marks:
        anew = [number for number, each in enumerate(joined) if each.overlaps]
        again = workers.join([found[number] for number in anew], counted_path, marks)
        for number, each in zip(anew, again, strict=True):
            joined[number] = each
    for each in joined:
        errors += [fault for fault in each.faults if fault not in errors]
    revisions: dict[int, list[str]] = {}
    for each in joined:
        for shard, path in each.revisions.items():
            revisions.setdefault(shard, []).append(path)
    secret_ids: dict[int, int] = {}
    for read in reads:
        for name, flags in read.secret_ids.items():
            secret_ids[name] = secret_ids.get(name, 0) | flags
    shown = places.join(folder, "shown")
    said_once = workers.said_once(reads, counted_path)
    judged = TransfersJudged()
    for each in joined:
        judged.merge(each.judged)
    places.write(shown, packed(SharedEvidence(secret_ids, said_once)))
    return _Joined(counted, merge_lists(joined).summary(), judged, revisions, shown)


def _marks(
    workers: Workers, shards: Sequence[Shard], joined: Sequence[Joined]
) -> dict[tuple[int, int], tuple[tuple[int, int], ...]]:
    """Where ranges overlap, their captures are read once more: a part of a body is told apart
    by its CRC-64, and where to part it is known only when all ranges were seen."""
    wanted: dict[int, dict[int, list[int]]] = {}
    for each in joined:
        for shard, by_index in each.overlaps.items():
            wanted.setdefault(shard, {}).update(by_index)
    numbers = sorted(wanted)
    found = workers.marks_of(
        [shards[number] for number in numbers], [wanted[number] for number in numbers]
    )
    return {
        (number, index): marks
        for number, by_index in zip(numbers, found, strict=True)
        for index, marks in by_index.items()
    }


def _inputs(arguments: Sequence[str], errors: list[str], folder: str, warn: Say) -> list[Input]:
    inputs: dict[Input, None] = {}
    for argument in dict.fromkeys(arguments):
        for found in inputs_of(argument, folder, lambda problem: errors.append(str(problem)), warn):
            inputs[found] = None
    return list(inputs)


def _parts(
    inputs: Sequence[Input], step: int, settings: AnalysisSettings, errors: list[str]
) -> list[CapturePart]:
    parts: list[CapturePart] = []
    for each in inputs:
        try:
            parts += parts_of(each, step, settings.key_logs)
        except CaptureError as error:
            errors.append(str(error))
    return parts


class _Writing:
    """What is done in order: files that hold many reports, lines, counts."""

    def __init__(
        self,
        settings: AnalysisSettings,
        joined: _Joined,
        errors: list[str],
        say: Say,
        *,
        near: bool,
    ) -> None:
        """``near``: who works writes each flow's own files; else all of them are written here."""
        self._settings = settings
        self._near = near
        self._joined = joined
        self._lines = Lines(settings.shown, say)
        path = settings.report_dir
        self._directory = None if path is None else ReportDirectory(path)
        self._writers: dict[str, FormatWriter[Any]] = {}
        """Of formats that are written here, by name."""
        if self._directory is not None:
            for each in formats_named(settings.formats):
                if not (near and each.is_by_flow):
                    writer = each.writer(self._directory, format_settings(settings))
                    self._writers[each.name] = writer
        self._run: RunSummary | None = None
        self._first: float | None = None
        self._last: float | None = None
        self._untold: list[SummaryDelta] = []
        """What the summary on disk does not tell yet."""
        self.outcome = Outcome(
            verdicts=Counter(),
            rules=Counter(),
            others=0,
            session=joined.session,
            found=Counter(),
            failing=0,
            known=0,
            errors=errors,
        )

    def write(self, workers: Workers, reads: Sequence[ShardRead], folder: str) -> None:
        outcome = self.outcome
        counted = self._joined.counted
        outcome.others = counted.others
        for read in reads:
            outcome.lost.merge(read.lost)
        outcome.hosts = counted.other_hosts
        count = sum(1 for read in reads for _ in counted.kept(read))
        try:
            first = self._take_sequences(count)
        except OSError as error:
            # What was found is told all the same.
            self._give_up(error, count)
            self._directory, self._run, first = None, None, 1
        writes = self._directory is not None
        run = self._run.id if self._run else None
        chunks = _chunks(reads, first, self._joined, run, writes=writes)
        if not self._near:
            chunks = (
                msgspec.structs.replace(chunk, rendered_to=places.join(folder, _rendered(chunk)))
                for chunk in chunks
            )
        for written in workers.write(chunks):
            self._add(written)
        self._judge_transfers(self._joined.judged)
        self._lines.add_transfers(outcome.session.transfers)
        self._lines.close(reports_of(self._settings) if writes else None)
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
            begun = self._directory.begin_run(self._settings.label or _NAME, None)
            self._run = msgspec.structs.replace(begun, masked=self._settings.redact)
            return self._directory.take_sequences(count).start

    def _add(self, written: WrittenChunk) -> None:
        outcome = self.outcome
        self._first = min(_known(self._first, written.first), default=None)
        self._last = max(_known(self._last, written.last), default=None)
        outcome.verdicts.update(written.verdicts)
        outcome.rules.update(written.rules)
        outcome.found.update(written.found)
        outcome.failing += written.failing
        outcome.failing_rules.update(written.failing_rules)
        outcome.known += written.known
        outcome.errors += written.faults
        if written.error is not None and written.error not in outcome.errors:
            outcome.errors.append(written.error)
        self._lines.add(written.lines)
        if written.groups is not None:
            outcome.groups.merge(written.groups)
        for (rule, _), count in written.said_once.items():
            outcome.said_once[rule] += count
        outcome.lost.merge(written.lost)
        if self._directory is None:
            return
        try:
            self._add_to_formats(self._directory, written)
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
                    self._untold[0].run = self._run
                    summary = self._directory.add_to_summary(self._untold[0])
                    del self._untold[0]
        return summary

    def _add_to_formats(self, directory: ReportDirectory, written: WrittenChunk) -> None:
        """What cannot be put into one format is put into the others; OSError then."""
        failure: OSError | None = None
        with directory.exclusively():
            for name, rendered in rendered_in(written).items():
                try:
                    self._writers[name].add(rendered)
                except OSError as error:
                    failure = failure or error
        if failure is not None:
            raise failure

    def _judge_transfers(self, judged: TransfersJudged) -> None:
        """Findings that stand on a flow as well were counted there."""
        settings, outcome = self._settings, self.outcome
        outcome.found.update(judged.found)
        outcome.known += judged.known
        if settings.fail_on:
            outcome.failing += judged.failing
        for transfer in outcome.session.transfers:
            new = [
                finding
                for finding in transfer.findings
                if not settings.baseline.knows(entry_of_transfer(transfer, finding))
            ]
            outcome.groups.add_transfer(
                transfer, [finding for finding in new if finding.rule not in outcome.rules]
            )
            if settings.fail_on:
                least = settings.fail_on.rank
                outcome.failing_rules.update(
                    finding.rule for finding in new if finding.severity.rank >= least
                )

    def _end(self) -> RunEnd:
        session = self.outcome.session
        listed = TransfersJudged()
        listed.add(session.transfers, self._settings)
        return RunEnd(
            transfers=session.transfers,
            left_out=session.left_out,
            left_out_failing=self._joined.judged.failing - listed.failing,
            lost=self.outcome.lost,
        )

    def _finish(self) -> None:
        directory, session = self._directory, self.outcome.session
        if directory is None:
            return
        for writer in self._writers.values():
            try:
                with directory.exclusively():
                    writer.finish(self._end())
            except OSError as error:
                self._give_up(error, writer.held)
            finally:
                writer.close()
        tally = SummaryDelta()
        tally.others = self.outcome.others
        for host, count in sorted(self.outcome.hosts.items(), key=lambda item: (-item[1], item[0])):
            count_host(tally.other_hosts, host, count)
        if self._run is not None:
            self._run = msgspec.structs.replace(
                self._run, started=utc_text(self._first), ended=utc_text(self._last)
            )
        tally.sessions = [session]
        tally.session_counts = SessionCounts.of(session)
        tally.captures = self.outcome.captures
        tally.lost = self.outcome.lost
        self._untold.append(tally)
        summary = self._renew_summary()
        if self._writers and summary is not None:
            with directory.exclusively():
                for writer in self._writers.values():
                    writer.renew_summary(summary)


def _chunks(
    reads: Sequence[ShardRead], first: int, joined: _Joined, run: int | None, *, writes: bool
) -> Iterator[Chunk]:
    counted = joined.counted
    for read in reads:
        revisions = joined.revisions.get(read.number, [])
        for part in batched(counted.kept(read), _PER_CHUNK):
            yield Chunk(
                spool=read.spool,
                offsets=[read.offsets[index] for index in part],
                indexes=list(part),
                places=[read.place_of(index) for index in part],
                not_first=[index for index in part if counted.is_not_first(read.number, index)],
                first_sequence=first,
                revisions=revisions,
                shown=joined.shown,
                writes=writes,
                run=run,
            )
            first += len(part)


def _rendered(chunk: Chunk) -> str:
    return f"{chunk.first_sequence}.rendered"


def _known(*moments: float | None) -> list[float]:
    return [moment for moment in moments if moment is not None]


def reports_of(settings: AnalysisSettings) -> str | None:
    """What to open."""
    directory = settings.report_dir
    if directory is not None and "html" in settings.formats:
        directory /= "index.html"
    return None if directory is None else str(directory)


def why_not(outcome: Outcome, settings: AnalysisSettings, *, require_cos: bool) -> str | None:
    """Why the exit status is to be 1, in one line; None where it is not."""
    if outcome.failing or (settings.fail_on is not None and outcome.lost.count):
        option = f"--fail-on {settings.fail_on}"
        findings = f"{outcome.failing} {'finding' if outcome.failing == 1 else 'findings'}"
        rules = ", ".join(name for name, _ in outcome.failing_rules.most_common(8))
        said = f"{findings} ({rules})" if outcome.failing else ""
        lost = f"{outcome.lost.count} lost reports" if outcome.lost.count else ""
        return f"{option}: {', '.join(part for part in (said, lost) if part)}"
    if require_cos and not outcome.flows:
        return f"--require-cos: none of {outcome.others} flows is COS traffic"
    return None


def closing_text(outcome: Outcome, settings: AnalysisSettings, *, require_cos: bool = False) -> str:
    """What was found, in a few lines: the same as at the end of live traffic."""
    nothing = (
        ()
        if outcome.flows
        else nothing_seen(
            outcome.hosts, option="--hosts '{}'", came=bool(outcome.others or outcome.lost.count)
        )
    )
    text = closing_lines(
        verdicts=outcome.verdicts,
        rules=outcome.rules,
        transfers=outcome.session.transfers,
        left_out=outcome.session.left_out,
        others=outcome.others,
        lost=outcome.lost,
        reports=reports_of(settings),
        wrong_transfers=SessionCounts.of(outcome.session).went_wrong,
        said_once=outcome.said_once,
        nothing=nothing,
        captures=outcome.captures,
    )
    if settings.baseline:
        text += f"\n    baseline   {outcome.known} known findings"
        gone = settings.baseline.not_seen(outcome.found)
        if gone:
            text += f", {len(gone)} entries were not seen"
    why = why_not(outcome, settings, require_cos=require_cos)
    if why is not None:
        text += f"\n    exit 1     {why}"
    return text

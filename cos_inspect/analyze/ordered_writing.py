"""What is written in the order of the flows, by one process: numbers, files that hold many
reports, lines, counts."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import batched
from pathlib import Path
from typing import Any

import msgspec

from cos_inspect.analyze.datasets import Dataset
from cos_inspect.analyze.joining_all import AllJoined
from cos_inspect.analyze.judging import TransfersJudged
from cos_inspect.analyze.lines import Lines
from cos_inspect.analyze.outcome import Outcome, reports_of
from cos_inspect.analyze.spooled import ShardRead
from cos_inspect.analyze.workers import Workers
from cos_inspect.analyze.writing import Chunk, WrittenChunk, format_settings, rendered_in
from cos_inspect.captures import places
from cos_inspect.model.moments import earliest, latest, utc_text
from cos_inspect.model.summary import RunSummary, Summary
from cos_inspect.model.summary_delta import SessionCounts, SummaryDelta, count_host
from cos_inspect.report.baseline import entry_of_transfer
from cos_inspect.report.directory import ReportDirectory
from cos_inspect.report.formats import formats_named
from cos_inspect.report.reasons import line_of, reason_of
from cos_inspect.report.report_format import FormatWriter, RunEnd
from cos_inspect.settings.analysis_settings import AnalysisSettings

_PER_CHUNK = 500
_PER_RENEWAL = 20
"""Chunks between two renewals of the summary: where much is listed, each takes some tenths of a
second."""
_NAME = "analyze"
"""What the summary calls a run without a label. Neither that nor its times depend on how the
traffic was spread over captures, or on when it was analysed."""

Say = Callable[[str], None]


class OrderedWriting:
    """What is done in order: files that hold many reports, lines, counts."""

    def __init__(
        self,
        settings: AnalysisSettings,
        joined: AllJoined,
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
        self.dataset: Dataset | None = None
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
        """All of it; ``outcome`` is complete then."""
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
        if self.dataset is not None:
            chunks = (
                msgspec.structs.replace(chunk, rows_to=places.join(folder, _rows(chunk)))
                for chunk in chunks
            )
        for written in workers.write(map(self._with_floor, chunks)):
            self._add(written)
            if self.dataset is not None and written.rows is not None:
                self.dataset.add(written.rows)
        self._judge_transfers(self._joined.judged)
        self._lines.add_transfers(outcome.session.transfers)
        self._lines.close(reports_of(self._settings) if writes else None)
        try:
            self._finish()
        except OSError as error:
            self._give_up(error, 0)

    def _with_floor(self, chunk: Chunk) -> Chunk:
        """As the pages are when the chunk is handed out: that spares work, and decides nothing."""
        floors = [writer.floor for writer in self._writers.values()]
        floor = next((each for each in floors if each is not None), None)
        return chunk if floor is None else msgspec.structs.replace(chunk, floor=floor)

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
        self._first = earliest(self._first, written.first)
        self._last = latest(self._last, written.last)
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
        if len(self._untold) < _PER_RENEWAL:
            return
        try:
            self._renew_summary()
        except OSError as error:
            self._give_up(error, 0)

    def _renew_summary(self) -> Summary | None:
        """Adds what was not told yet."""
        summary = None
        if self._directory is not None and self._untold:
            for each in self._untold:
                each.run = self._run
            with self._directory.exclusively():
                summary = self._directory.add_to_summary(*self._untold)
            self._untold.clear()
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
        if written.rendered_at is not None:
            _remove(written.rendered_at)

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
    reads: Sequence[ShardRead], first: int, joined: AllJoined, run: int | None, *, writes: bool
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


def _remove(place: str) -> None:
    """What is written is not needed in the spool; what stays goes at the end."""
    with suppress(OSError):
        if places.is_url(place):
            places.remove(place)
        else:
            Path(place).unlink()


def _rendered(chunk: Chunk) -> str:
    return f"{chunk.first_sequence}.rendered"


def _rows(chunk: Chunk) -> str:
    return f"{chunk.first_sequence}.rows"

"""What the writer's thread does: batches of reports, the summary, and the end of the run."""

import logging
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from cos_inspect.model.exchange import utc_text
from cos_inspect.model.spill_map import SpillMap
from cos_inspect.model.summary import Lost, RunSummary, SessionSummary, Summary, TransferSummary
from cos_inspect.model.summary_delta import CountedFlow, SessionCounts, SummaryDelta, count_host
from cos_inspect.report.directory import ReportDirectory, line_of, reason_of
from cos_inspect.report.format_writers import FormatWriters, QueuedReport
from cos_inspect.report.formats import formats_named
from cos_inspect.report.report_format import FormatSettings, FormatWriter, RunEnd
from cos_inspect.report.report_queue import ReportQueue, name_of

logger = logging.getLogger(__name__)

FAULT = "fault of cos-inspect"
LIVE = "live"
"""What a run is called of which nothing else is known."""
TOO_OLD = "too old to be revised"

_MOST_WAITING = 10_000
_HEAVIEST = 128 * 1024 * 1024
_MOST_SESSIONS = 100
_LARGEST_BATCH = 256
_REVISABLE = 2048
"""Flows on disk whose numbers are held in memory; those of older ones lie in a temporary file,
for a report may be revised however old it is."""
_MOST_REVISABLE = 2_000_000
_GATHER_SECONDS = 0.2
"""From the end of one batch to the next: a report that comes alone is written at once."""
_RETRY_SECONDS = 0.5
_SUMMARY_SECONDS = 2.0
"""From one summary to the next: it costs as much as several reports."""
_LOOK_SECONDS = 0.1
_WORK_SECONDS = 0.001
"""Of CPU, and then a rest: the event loop waits while this thread has the interpreter, for 5 ms
where it does not give it away, and a system call that ends at once gives it to nobody."""
_REST_SECONDS = 0.0003


class WrittenReport(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What is kept of a flow that is on disk, in case that its report is revised."""

    sequence: int
    counted: CountedFlow


class WriterState(msgspec.Struct, frozen=True):
    """What the next writer for the same directory has to know."""

    written: SpillMap[WrittenReport]
    """By ``name_of`` the report."""
    closed: SessionCounts
    told: SessionCounts
    run: RunSummary | None = None


def _new_written() -> SpillMap[WrittenReport]:
    return SpillMap(WrittenReport, most_weight=_REVISABLE, most_on_disk=_MOST_REVISABLE)


class _GivenUpError(Exception):
    """What waits is counted as lost, so it must not be written any more."""


class WriterThread:
    """``run`` is the thread. The public attributes are for others to fill meanwhile."""

    def __init__(
        self,
        path: Path,
        formats: Sequence[str],
        settings: FormatSettings,
        before: "WriterThread | None" = None,
        run_name: str = LIVE,
    ) -> None:
        """``run_name`` is what the summary calls the run. ``before`` wrote to the same place and
        is closing: this one begins when that one has ended, and may revise what it has
        written."""
        self._before = before
        self._run_name = run_name
        self._run_started = utc_text(time.time())
        self._run: RunSummary | None = None
        """Once the summary has it."""
        self.waiting = ReportQueue(_MOST_WAITING, _HEAVIEST)
        self.renewal: deque[SessionSummary] = deque(maxlen=1)
        self.over: deque[SessionSummary] = deque(maxlen=_MOST_SESSIONS)
        self.met = SummaryDelta()
        """Connections, devices and hosts, which no report tells of."""
        self.numbers: deque[tuple[str, int]] = deque(maxlen=_MOST_WAITING)
        """Of reports, by ``name_of``, since somebody took them."""
        self.failures = SummaryDelta()
        """All connections of the run that failed; for JUnit."""
        self.others = 0
        self.lock = threading.Lock()
        """For ``met``, ``failures`` and what is lost; held for moments only."""
        self.masked = True
        """False once a report came whose secrets are not masked."""
        self.has_work = threading.Event()
        """Set once there is something to write; the thread sleeps until then."""
        self.closing = threading.Event()
        self.ended = threading.Event()
        """Nothing more will be written."""
        self.signs = 0
        """Grows while the disk answers."""
        self._path = path
        self._directory = ReportDirectory(path)
        self._formats = FormatWriters(self._directory, formats_named(formats), settings, self._sign)
        self._written = _new_written()
        """Flows on disk, which may be revised."""
        self._transfers: list[TransferSummary] = []
        """Of sessions that are over; for formats that are finished with them."""
        self._left_out: Counter[str] = Counter()
        """Those that are not listed, by verdict."""
        self._sessions: list[SessionSummary] = []
        self._latest: SessionSummary | None = None
        """What the summary does not say yet: of sessions that are over, and the last word of
        the one under way."""
        self._closed = SessionCounts()
        """Of all sessions that are over."""
        self._current = SessionCounts()
        """Of the one under way."""
        self._counts_told = SessionCounts()
        """Of both, as the summary has them."""
        self._flows = 0
        """That are written."""
        self._tally = SummaryDelta()
        self._whole: Summary | None = None
        """The summary on disk, where not all formats have it yet."""
        self._lost = Lost()
        self._lost_told = Lost()
        self._others_told = 0
        self._summary_at = -math.inf
        self._turned_at = -math.inf
        """When the last batch, and the last summary, were written."""
        self._rested_at = 0.0
        """By the thread's own clock."""
        self._trouble = _Trouble(path)
        self._is_given_up = False

    def lose(self, reason: str, count: int = 1) -> None:
        """Counts reports that are lost, and why; from any thread."""
        with self.lock:
            self._lost.add(reason, count)

    def lost(self) -> Lost:
        """As it is now."""
        with self.lock:
            return Lost(count=self._lost.count, reasons=dict(self._lost.reasons))

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written at present, in one line; from any thread."""
        if not self._trouble.is_on:
            return None
        failure = self._trouble.failure
        return FAULT if failure is None else line_of(failure, self._path)

    def give_up(self, reason: str) -> None:
        """From another thread: what waits is lost, and nothing more is to be written."""
        self._is_given_up = True
        self.ended.set()
        count = self.waiting.unsettled()
        self.lose(reason, count)
        logger.error("%d COS reports are not written to %s: %s", count, self._path, reason)

    def wake(self) -> None:
        """From another thread: there is something to write."""
        if not self.has_work.is_set():
            self.has_work.set()

    def end_soon(self) -> None:
        """From another thread: nothing more will come."""
        self.closing.set()
        self.has_work.set()

    def run(self) -> None:
        """The thread's work: writes what waits, until ``closing`` is set and nothing is left."""
        is_closing = False
        try:
            self._take_over()
            while not is_closing and not self._is_given_up:
                self._sleep()
                self.has_work.clear()
                is_closing = self.closing.is_set()
                self._rested_at = time.thread_time()
                self._guarded_turn(is_closing=is_closing)
                self._turned_at = time.monotonic()
        finally:
            if not self._is_given_up:
                self._lose_waiting()
            self._formats.close()
            self._directory.close()
            self.ended.set()

    def _sleep(self) -> None:
        """Until there is something to do. Waking for each of many reports would cost more than
        writing it does."""
        pause = _RETRY_SECONDS
        if not self._trouble.is_on:
            pause = _GATHER_SECONDS
            due = None
            if self._is_untold():
                due = max(0.0, self._summary_at + _SUMMARY_SECONDS - time.monotonic())
            self.has_work.wait(due)
        left = self._turned_at + pause - time.monotonic()
        if left > 0:
            self.closing.wait(left)

    def _take_over(self) -> None:
        before, self._before = self._before, None
        if before is None:
            return
        while not before.ended.wait(_LOOK_SECONDS) and not self._is_given_up:
            self.signs = before.signs
        handed = before.hand_over()
        self._written.close()
        self._written = handed.written
        self._closed, self._counts_told = handed.closed, handed.told
        self._run = handed.run

    def hand_over(self) -> WriterState:
        """To be called when this has ended, and once."""
        written, self._written = self._written, _new_written()
        return WriterState(written, self._closed, self._counts_told, self._run)

    def _guarded_turn(self, *, is_closing: bool) -> None:
        try:
            self._turn(is_closing=is_closing)
        except _GivenUpError:
            logger.debug("the disk answers again, too late")
        except Exception as error:
            self._trouble.note_fault(error, self.lost().count)

    def _turn(self, *, is_closing: bool) -> None:
        self.waiting.gather()
        is_reached = self._write_waiting(all_of_it=is_closing)
        if is_closing:
            self._lose_waiting()
            self._finish_formats()
        if is_closing or (
            self._is_untold() and time.monotonic() - self._summary_at >= _SUMMARY_SECONDS
        ):
            is_renewed = self._renew_summary(is_over=is_closing)
            if is_renewed:
                self._summary_at = time.monotonic()
            is_reached = is_renewed and is_reached
        if is_reached and self.waiting.is_empty:
            self._trouble.end(self.lost().count)

    def _write_waiting(self, *, all_of_it: bool) -> bool:
        """Tries what waits once; while nothing can be written, only a batch of it, unless
        ``all_of_it`` is wanted. False when the directory could not be reached."""
        is_reached = True
        for batch in self.waiting.batches(_LARGEST_BATCH):
            is_reached, written = self._write(batch)
            if not is_reached or (not written and not all_of_it):
                break
        return is_reached

    def _write(self, batch: list[QueuedReport]) -> tuple[bool, int]:
        """Whether the directory could be reached, and how many reports are off the list."""
        is_reached = True
        try:
            with self._directory.exclusively():
                numbered = self._numbered(batch)
                if numbered:
                    self._formats.run = self._begun().id
                self._formats.write(numbered)
        except OSError as error:
            is_reached = False
            for each in batch:
                each.failure = error
        self._sign()
        settled = 0
        for each in batch:
            if each.failure is not None:
                each.is_late = True
                self._trouble.note(each.failure, self._lost.count)
                continue
            if each.faulty:
                self.lose(FAULT)
            if each.sequence and (each.written or not each.faulty):
                self._count(each)
            self.waiting.settle(each)
            settled += 1
            self._rest()
        return is_reached, settled

    def _begun(self) -> RunSummary:
        """The run, which the summary knows from then on. Under the directory's lock."""
        if self._run is None:
            self._run = self._directory.begin_run(self._run_name, self._run_started)
        return self._run

    def _sign(self) -> None:
        if self._is_given_up:
            raise _GivenUpError
        self.signs += 1
        self._rest()

    def _rest(self) -> None:
        """Now and then, as long as there is traffic that may wait."""
        now = time.thread_time()
        if now - self._rested_at > _WORK_SECONDS and not self.closing.is_set():
            self._rested_at = now
            time.sleep(_REST_SECONDS)

    def _numbered(self, batch: list[QueuedReport]) -> list[QueuedReport]:
        """Those that have a number now. A revision has that of its flow, and none when the
        flow is forgotten."""
        for each in batch:
            each.failure = None
        new = [each for each in batch if each.is_new and not each.sequence]
        if new:
            numbers = self._directory.take_sequences(len(new))
            for each, number in zip(new, numbers, strict=True):
                each.sequence = number
                self.numbers.append((name_of(each.report), number))
        for each in batch:
            if not each.is_new:
                before = self._written.get(name_of(each.report))
                each.sequence = before.sequence if before else 0
                if before is None and self._written.forgotten:
                    self.lose(TOO_OLD)
        return [each for each in batch if each.sequence]

    def _count(self, written: QueuedReport) -> None:
        report = written.report
        now = WrittenReport(report.sequence, CountedFlow.of(report))
        before = None if written.is_new else self._written.get(name_of(report))
        if before is None:
            self._tally.add(report, now.counted)
            self._flows += 1
        else:
            self._tally.replace(before.counted, now.counted)
        self._trouble.late += written.is_late
        self._written.put(name_of(report), now)

    def _lose_waiting(self) -> None:
        """At the end: what waits is lost, for the reason that it waits for."""
        count = 0
        for batch in self.waiting.batches(_LARGEST_BATCH):
            for each in batch:
                failure = each.failure or self._trouble.failure
                self.lose(FAULT if failure is None else reason_of(failure))
                self.waiting.settle(each)
                count += 1
        if count:
            logger.error("%d COS reports were not written to %s and are lost", count, self._path)

    def _is_untold(self) -> bool:
        """Whether something is known that the summary does not say."""
        return bool(
            self._tally
            or self._whole is not None
            or self.over
            or self.renewal
            or self.met
            or self.others != self._others_told
            or self._lost.count != self._lost_told.count
        )

    def _renew_summary(self, *, is_over: bool = False) -> bool:
        """Whether the summary, also that of the formats, says all that is known."""
        tally = self._tally
        self._take_sessions(tally)
        with self.lock:
            met, self.met = self.met, SummaryDelta()
        for trouble in met.connections:
            tally.add_connection(trouble)
        tally.devices.merge(met.devices)
        for host, number in met.other_hosts.items():
            count_host(tally.other_hosts, host, number)
        others, lost = self.others, self.lost()
        counts = self._closed + self._current
        tally.session_counts = counts - self._counts_told
        tally.others = others - self._others_told
        tally.lost = lost.since(self._lost_told)
        is_ending = is_over and self._run is not None
        if not tally and self._whole is None and not is_ending:
            return True
        try:
            with self._directory.exclusively():
                if tally or is_ending:
                    ended = utc_text(time.time()) if is_over else None
                    tally.run = msgspec.structs.replace(
                        self._begun(), ended=ended, masked=self.masked
                    )
                    self._whole = self._directory.add_to_summary(tally)
                    # A session that is over is not told again.
                    goes_on = self._latest is not None or not tally.sessions
                    unlisted = tally.unlisted_now if goes_on else None
                    self._tally, self._sessions, self._latest = SummaryDelta(unlisted), [], None
                    self._others_told, self._lost_told = others, lost
                    self._counts_told = counts
                if self._whole is not None:
                    for writer in self._formats.writers:
                        writer.renew_summary(self._whole)
                self._whole = None
        except OSError as error:
            self._trouble.note(error, lost.count)
            return False
        self._sign()
        return True

    def _take_sessions(self, tally: SummaryDelta) -> None:
        while self.over:
            session = self.over.popleft()
            self._sessions.append(session)
            self._transfers += session.transfers
            self._left_out.update(session.verdicts)
            self._left_out.subtract(each.verdict for each in session.transfers)
            self._closed += SessionCounts.of(session)
            self._latest, self._current = None, SessionCounts()
        if self.renewal:
            self._latest = self.renewal.popleft()
            self._current = SessionCounts.of(self._latest)
        tally.sessions = [*self._sessions, *([self._latest] if self._latest else ())]

    def _finish_formats(self) -> None:
        """Nothing will change any more."""
        self._take_sessions(self._tally)
        lost = self.lost()
        with self.lock:
            connections = [
                each for each in self.failures.connections if each.count > 0 and each.findings
            ]
        if not (self._flows or self._transfers or lost.count or connections):
            return
        end = RunEnd(
            transfers=self._transfers,
            left_out=self._left_out.total(),
            left_out_failing=self._left_out["error"],
            connections=connections,
            lost=lost,
            sign=self._sign,
        )
        writers = self._formats.writers
        try:
            with self._directory.exclusively():
                while writers:
                    self._finish_one(writers.pop(0), end)
        except OSError as error:
            self._not_finished(writers, error)

    def _finish_one(self, writer: FormatWriter[Any], end: RunEnd) -> None:
        try:
            writer.finish(end)
        except _GivenUpError:
            raise
        except Exception as error:
            # The summary is still to be written, and says so.
            self._not_finished([writer], error)

    def _not_finished(self, writers: Sequence[FormatWriter[Any]], error: Exception) -> None:
        """What these have held back is lost. What was not written before is counted already."""
        held = sum(min(writer.held, self._flows) for writer in writers)
        if isinstance(error, OSError):
            self._trouble.note(error, self.lost().count)
        else:
            self._trouble.note_fault(error, self.lost().count)
        if held:
            self.lose(reason_of(error) if isinstance(error, OSError) else FAULT, held)


class _Trouble:
    """Says once that reports cannot be written, and once that they can again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._told: set[str] = set()
        self._lost_before = 0
        self.is_on = False
        self.late = 0
        """Reports that were written after all."""
        self.failure: OSError | None = None
        """The last one."""

    def note(self, error: OSError, lost: int) -> None:
        self.failure = error
        if self._is_new(reason_of(error), lost):
            text = "COS reports cannot be written, and are kept to be tried again: %s"
            logger.error(text, line_of(error, self._path))

    def note_fault(self, error: Exception, lost: int) -> None:
        if self._is_new(f"{type(error).__name__}: {error}", lost):
            logger.error("COS reports cannot be written to %s", self._path, exc_info=error)

    def _is_new(self, what: str, lost: int) -> bool:
        if not self.is_on:
            self.is_on, self.late, self._lost_before = True, 0, lost
        is_new = what not in self._told
        self._told.add(what)
        return is_new

    def end(self, lost: int) -> None:
        if not self.is_on:
            return
        self.is_on, self.failure = False, None
        self._told.clear()
        logger.info(
            "COS reports are written to %s again: %d came late, %d are lost",
            self._path,
            self.late,
            lost - self._lost_before,
        )

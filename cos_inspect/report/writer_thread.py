"""What the writer's thread does: batches of reports, the summary, and the end of the run."""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from cos_inspect.model.spill_map import SpillMap
from cos_inspect.model.summary_delta import CountedFlow
from cos_inspect.report.directory import ReportDirectory
from cos_inspect.report.format_writers import FormatWriters, QueuedReport
from cos_inspect.report.formats import formats_named
from cos_inspect.report.reasons import line_of, reason_of
from cos_inspect.report.report_format import FormatSettings, FormatWriter, RunEnd
from cos_inspect.report.report_queue import ReportQueue
from cos_inspect.report.slices import Slices
from cos_inspect.report.summary_writer import SummaryWriter
from cos_inspect.report.trouble import FAULT, Trouble, say

logger = logging.getLogger(__name__)

LIVE = "live"
"""What a run is called of which nothing else is known."""
TOO_OLD = "too old to be revised"

_MOST_WAITING = 10_000
_HEAVIEST = 128 * 1024 * 1024
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
"""Of CPU, and then a rest, as long as there is traffic that may wait."""
_REST_SECONDS = 0.0003


class WrittenReport(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What is kept of a flow that is on disk, in case that its report is revised."""

    sequence: int
    counted: CountedFlow


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
        self.waiting = ReportQueue(_MOST_WAITING, _HEAVIEST)
        self.summary = SummaryWriter(run_name)
        self.numbers: deque[tuple[str, int]] = deque(maxlen=_MOST_WAITING)
        """Of reports, by ``name_of``, since somebody took them."""
        self.has_work = threading.Event()
        """Set once there is something to write; the thread sleeps until then."""
        self.closing = threading.Event()
        self.ended = threading.Event()
        """Nothing more will be written."""
        self.signs = 0
        """Grows while the disk answers."""
        self._path = path
        self._directory = ReportDirectory(path, self._answered)
        self._formats = FormatWriters(self._directory, formats_named(formats), settings, self._sign)
        self._unfinished = self._formats.writers
        """Formats that may hold reports back, in their order."""
        self._written = _new_written()
        """Flows on disk, which may be revised."""
        self._flows = 0
        """That are written."""
        self._summary_at = -math.inf
        self._turned_at = -math.inf
        """When the last batch, and the last summary, were written."""
        self._slices = Slices()
        self._trouble = Trouble(path, self.summary.lost_count)
        self._is_given_up = False
        self._has_failed = False
        """The last turn has."""

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written at present, in one line; from any thread."""
        return self._trouble.line

    def give_up(self, reason: str) -> None:
        """From another thread: what waits is lost, and nothing more is to be written."""
        self._is_given_up = True
        self.ended.set()
        count = self.waiting.unsettled() + self._held_back(self._unfinished)
        self.summary.lose(reason, count)
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
        """The thread's work: writes what waits, until ``closing`` is set and nothing is left. What
        ends the thread before that leaves all to another one, which calls it again."""
        while not self._is_given_up and not self._next_turn():
            if self._has_failed:
                time.sleep(_LOOK_SECONDS)
        if not self._is_given_up:
            self._lose_waiting()
        for close in (self._formats.close, self._directory.close):
            try:
                close()
            except OSError as error:
                # Servers of files may tell so late that they have no room.
                text = "COS reports may lack what was written last: %s"
                say(logging.ERROR, text, line_of(error, self._path))
        self.ended.set()

    def _next_turn(self) -> bool:
        """Whether it was the last one."""
        self._has_failed = False
        try:
            self._take_over()
            self._sleep()
            self.has_work.clear()
            is_closing = self.closing.is_set()
            self._slices = Slices(
                _WORK_SECONDS, _REST_SECONDS, clock=time.thread_time, hurry=self.closing
            )
            self._guarded_turn(is_closing=is_closing)
            self._turned_at = time.monotonic()
        except BaseException as error:
            # Also what would end the thread: reports wait for it.
            self._has_failed = True
            self.has_work.set()
            self._trouble.note_fault(error)
            return False
        return is_closing

    def _sleep(self) -> None:
        """Until there is something to do. Waking for each of many reports would cost more than
        writing it does."""
        pause = _RETRY_SECONDS
        if not self._trouble.is_on:
            pause = _GATHER_SECONDS
            due = None
            if self.summary.is_untold():
                due = max(0.0, self._summary_at + _SUMMARY_SECONDS - time.monotonic())
            self.has_work.wait(due)
        left = self._turned_at + pause - time.monotonic()
        if left > 0:
            self.closing.wait(left)

    def _take_over(self) -> None:
        before = self._before
        if before is None:
            return
        while not before.ended.wait(_LOOK_SECONDS) and not self._is_given_up:
            self.signs = before.signs
        self._before = None
        self._written.close()
        self._written = before.hand_over()
        self.summary.follow(before.summary)

    def hand_over(self) -> SpillMap[WrittenReport]:
        """What the next writer for the same directory may revise, by ``name_of`` the report. To
        be called when this has ended, and once."""
        written, self._written = self._written, _new_written()
        return written

    def _guarded_turn(self, *, is_closing: bool) -> None:
        try:
            self._turn(is_closing=is_closing)
        except _GivenUpError:
            logger.debug("the disk answers again, too late")
        except BaseException as error:
            self._trouble.note_fault(error)

    def _turn(self, *, is_closing: bool) -> None:
        self.waiting.gather()
        is_reached = self._write_waiting(all_of_it=is_closing)
        if is_closing:
            self._lose_waiting()
            self._finish_formats()
        if is_closing or (
            self.summary.is_untold() and time.monotonic() - self._summary_at >= _SUMMARY_SECONDS
        ):
            is_renewed = self._renew_summary(is_over=is_closing)
            if is_renewed:
                self._summary_at = time.monotonic()
            is_reached = is_renewed and is_reached
        if is_reached and self.waiting.is_empty:
            self._trouble.end()

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
                    self._formats.run = self.summary.begun(self._directory).id
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
                self._trouble.note(each.failure)
                continue
            if each.faulty:
                self.summary.lose(FAULT)
            if each.sequence and (each.written or not each.faulty):
                self._count(each)
            self.waiting.settle(each)
            settled += 1
            self._slices.breathe()
        return is_reached, settled

    def _answered(self) -> None:
        self.signs += 1

    def _sign(self) -> None:
        if self._is_given_up:
            raise _GivenUpError
        self.signs += 1
        self._slices.breathe()

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
                self.numbers.append((each.name, number))
        for each in batch:
            if not each.is_new:
                before = self._written.get(each.name)
                each.sequence = before.sequence if before else 0
                if before is None and self._written.forgotten:
                    self.summary.lose(TOO_OLD)
        return [each for each in batch if each.sequence]

    def _count(self, written: QueuedReport) -> None:
        report, tally = written.report, self.summary.tally
        now = WrittenReport(report.sequence, CountedFlow.of(report))
        before = None if written.is_new else self._written.get(written.name)
        if before is None:
            tally.add(report, now.counted)
            self._flows += 1
        else:
            tally.replace(before.counted, now.counted)
        self._trouble.late += written.is_late
        self._written.put(written.name, now)

    def _lose_waiting(self) -> None:
        """At the end: what waits is lost, for the reason that it waits for."""
        count = 0
        self.waiting.gather()
        for batch in self.waiting.batches(_LARGEST_BATCH):
            for each in batch:
                failure = each.failure or self._trouble.failure
                self.summary.lose(FAULT if failure is None else reason_of(failure))
                self.waiting.settle(each)
                count += 1
        astray = self.waiting.write_off()
        if astray > 0:
            self.summary.lose(FAULT, astray)
            count += astray
        if count:
            text = "%d COS reports were not written to %s and are lost"
            say(logging.ERROR, text, count, self._path)

    def _renew_summary(self, *, is_over: bool) -> bool:
        """Whether the summary, also that of the formats, says all that is known."""
        try:
            self.summary.write(self._directory, self._formats.writers, is_over=is_over)
        except OSError as error:
            self._trouble.note(error)
            # Of lost reports there is a line already.
            if is_over and not self.summary.lost_count():
                text = "COS reports in %s: the summary does not say all of this run"
                say(logging.ERROR, text, self._path)
            return False
        self._sign()
        return True

    def _finish_formats(self) -> None:
        """Nothing will change any more."""
        end = self.summary.run_end(self._sign)
        if not (self._flows or end.transfers or end.lost.count or end.connections):
            return
        try:
            with self._directory.exclusively():
                while self._unfinished:
                    self._finish_one(self._unfinished[0], end)
                    del self._unfinished[:1]
        except OSError as error:
            writers, self._unfinished = self._unfinished, []
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
        held = self._held_back(writers)
        reason = FAULT
        if isinstance(error, OSError):
            self._trouble.note(error)
            reason = reason_of(error)
        else:
            self._trouble.note_fault(error)
        if held:
            self.summary.lose(reason, held)

    def _held_back(self, writers: Sequence[FormatWriter[Any]]) -> int:
        """How many reports that count as written are in one of these alone not on the disk."""
        return sum(min(writer.held, self._flows) for writer in writers)

"""Writes reports from a thread of its own, so that no disk stalls a transfer.

What cannot be written is kept, up to a bound, and tried again; what is given up is counted
as lost, with the reason. Whoever hands a report over waits for nothing, and the end of a run
waits only as long as the disk makes progress.
"""

import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from cos_inspect.model.devices import ConnectionFailureSummary, DeviceTally
from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.summary import Lost, SessionSummary
from cos_inspect.report.report_format import NO_SETTINGS, FormatSettings
from cos_inspect.report.writer_thread import LIVE, WriterThread

logger = logging.getLogger(__name__)

TOO_SLOW = "disk too slow"
NO_ANSWER = "disk does not answer"
NO_THREAD = "no thread could be started"
THREAD_ENDED = "the thread that writes has ended"

_NOTHING = SessionSummary()

_STALLED_SECONDS = 8.0
"""Without a sign of the disk, at the end of a run; longer than a lock is waited for."""
_CLOSE_SECONDS = 60.0
_LOOK_SECONDS = 0.1
_START_SECONDS = 1.0
_MOST_STARTS = 3
"""Threads that are started at the end, one after another, should they end in the middle."""


class ReportWriter:
    """Takes finished reports and has them on disk within a second, where the disk can."""

    def __init__(
        self,
        path: Path,
        formats: Sequence[str],
        settings: FormatSettings = NO_SETTINGS,
        *,
        before: WriterThread | None = None,
        run_name: str = LIVE,
    ) -> None:
        """``run_name``: what the summary calls the run."""
        self.path = path
        self._settings = settings
        self._run_name = run_name
        self._writing = WriterThread(path, formats, settings, before, run_name)
        self._thread: threading.Thread | None = None
        self._start_again_at = 0.0
        self._is_full = False
        self._has_said_something = before is not None
        """Of several flows together, in this run."""
        self._start()

    def _start(self) -> None:
        now = time.monotonic()
        if self._has_thread or now < self._start_again_at:
            return
        thread = threading.Thread(target=self._writing.run, name="cos-inspect-writer", daemon=True)
        try:
            thread.start()
        except (RuntimeError, MemoryError) as error:
            if not self._start_again_at:
                logger.error("COS reports cannot be written to %s yet: %s", self.path, error)
            self._start_again_at = now + _START_SECONDS
            return
        self._thread = thread

    @property
    def _has_thread(self) -> bool:
        """Whether one works, or has done all that is to be done."""
        thread = self._thread
        return thread is not None and (thread.is_alive() or self._writing.ended.is_set())

    def submit(self, report: FlowReport) -> None:
        """Never blocks; a report too many is dropped and counted."""
        self._put(report, is_new=True)

    def revise(self, report: FlowReport) -> None:
        """Replaces the report of a flow that was submitted before; in ``flows.jsonl`` the
        last line of a flow counts."""
        self._put(report, is_new=False)

    def _put(self, report: FlowReport, *, is_new: bool) -> None:
        if not self._has_thread:
            self._start()
        if self._writing.waiting.put(report, is_new=is_new):
            self._writing.wake()
            return
        if not self._is_full:
            self._is_full = True
            logger.error("COS reports are lost: %s cannot keep up", self.path)
        self.lose(TOO_SLOW)

    def submit_session(self, summary: SessionSummary, *, is_over: bool = False) -> None:
        """For the summary: what several flows of this run say together, so far or in the end.
        Of what is said so far the last counts."""
        if not is_over:
            if not self._has_said_something and summary == _NOTHING:
                return
            self._has_said_something = True
        self._writing.summary.tell_session(summary, is_over=is_over)
        self._writing.wake()

    def submit_connection(self, trouble: ConnectionFailureSummary) -> None:
        """For the summary: adds to what is known of its host, client and failure."""
        self._writing.summary.add_connection(trouble)
        self._writing.wake()

    def submit_devices(self, devices: DeviceTally) -> None:
        """For the summary: what came to be known of who is connected."""
        self._writing.summary.add_devices(devices)
        self._writing.wake()

    def count_other(self, host: str | None = None) -> None:
        """Counts a flow that was not COS traffic, and who was asked in it."""
        self._writing.summary.count_other(host)
        self._writing.wake()

    def lose(self, reason: str, count: int = 1) -> None:
        """Counts flows that have no report, and why: a few plain words that stand in the
        summary as they are. Any thread may call it."""
        self._writing.summary.lose(reason, count)
        self._writing.wake()

    def new_numbers(self) -> list[tuple[str, int]]:
        """Numbers that reports got since the last call, by ``name_of``; the latest ones."""
        numbers, found = self._writing.numbers, []
        while numbers:
            found.append(numbers.popleft())
        return found

    @property
    def lost(self) -> Lost:
        """What this writer has lost so far."""
        return self._writing.summary.lost()

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written at present, in one line; None where all is well."""
        return self._writing.trouble

    def note_unmasked(self) -> None:
        """Secrets are not masked in what follows, which the summary says of the run."""
        self._writing.summary.masked = False

    def retire(self) -> None:
        """Has everything submitted before written, without waiting for it; ``close`` does."""
        self._writing.end_soon()

    def followed(self, formats: Sequence[str]) -> "ReportWriter":
        """The same, and the writer that goes on in the same place, in other formats: it may
        revise what this one has written."""
        self.retire()
        before = self._writing if self._thread is not None else None
        return ReportWriter(
            self.path, formats, self._settings, before=before, run_name=self._run_name
        )

    def close(self) -> None:
        """Returns when everything submitted before is on disk, or is lost."""
        writing = self._writing
        writing.end_soon()
        reason: str | None = NO_THREAD
        for _ in range(_MOST_STARTS):
            self._start_again_at = 0.0
            self._start()
            if self._thread is not None:
                reason = self._why_not_done(self._thread)
            if reason != THREAD_ENDED:
                break
        if reason is not None:
            writing.give_up(reason)

    def _why_not_done(self, thread: threading.Thread) -> str | None:
        """Waits for the thread; None where all is written or counted."""
        writing = self._writing
        ends = time.monotonic() + _CLOSE_SECONDS
        signs, stalls = -1, 0.0
        while thread.is_alive() and (now := time.monotonic()) < ends:
            if writing.signs != signs:
                signs, stalls = writing.signs, now + _STALLED_SECONDS
            if now >= stalls:
                break
            thread.join(_LOOK_SECONDS)
        if thread.is_alive():
            return TOO_SLOW if time.monotonic() >= ends else NO_ANSWER
        return None if writing.ended.is_set() else THREAD_ENDED

"""What ``summary.json`` does not say yet: several threads tell it, one adds it to the file."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from cos_inspect.model.devices import ConnectionFailureSummary, DeviceTally
from cos_inspect.model.moments import utc_text
from cos_inspect.model.summary import Lost, RunSummary, SessionSummary, Summary, TransferSummary
from cos_inspect.model.summary_delta import SessionCounts, SummaryDelta, count_host
from cos_inspect.report.directory import ReportDirectory
from cos_inspect.report.report_format import FormatWriter, RunEnd

_MOST_SESSIONS = 100


class SummaryWriter:
    """Of one run, in one report directory. Any thread may tell something; the thread that writes
    reports counts these in ``tally``, and calls what stands below it."""

    def __init__(self, run_name: str) -> None:
        """``run_name`` is what the summary calls the run."""
        self._run_name = run_name
        self._run_started = utc_text(time.time())
        self._run: RunSummary | None = None
        """Once the summary has it."""
        self.masked = True
        """False once a report came whose secrets are not masked."""
        self._told: deque[Callable[[], None]] = deque()
        """What is to be done under the lock; nobody who tells something waits for it."""
        self._lock = threading.Lock()
        """For what is met, fails and is lost; held for moments only."""
        self._met = SummaryDelta()
        """Connections, devices and hosts, which no report tells of."""
        self._failures = SummaryDelta()
        """All connections of the run that failed; for JUnit."""
        self._others = self._others_told = 0
        self._lost = Lost()
        self._lost_told = Lost()
        self._renewal: deque[SessionSummary] = deque(maxlen=1)
        self._over: deque[SessionSummary] = deque(maxlen=_MOST_SESSIONS)
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
        self._transfers: list[TransferSummary] = []
        """Of sessions that are over; for formats that are finished with them."""
        self._left_out: Counter[str] = Counter()
        """Those that are not listed, by verdict."""
        self._whole: Summary | None = None
        """The summary on disk, where not all formats have it yet."""
        self.tally = SummaryDelta()
        """Of reports that are written."""

    def tell_session(self, summary: SessionSummary, *, is_over: bool) -> None:
        """What several flows of this run say together, so far or in the end."""
        if is_over:
            self._renewal.clear()
            self._over.append(summary)
        else:
            self._renewal.append(summary)

    def add_connection(self, trouble: ConnectionFailureSummary) -> None:
        """Adds to what is known of its host, client and failure."""

        def add() -> None:
            self._met.add_connection(trouble)
            self._failures.add_connection(trouble)

        self._tell(add)

    def add_devices(self, devices: DeviceTally) -> None:
        """Adds to what is known of who is connected."""
        self._tell(lambda: self._met.devices.merge(devices))

    def count_other(self, host: str | None) -> None:
        """Counts a flow that was not COS traffic, and who was asked in it."""
        self._others += 1
        if host:
            self._tell(lambda: count_host(self._met.other_hosts, host))

    def lose(self, reason: str, count: int = 1) -> None:
        """Counts reports that are lost, and why."""
        self._tell(lambda: self._lost.add(reason, count))

    def _tell(self, change: Callable[[], None]) -> None:
        self._told.append(change)
        if self._lock.acquire(blocking=False):
            try:
                self._take_told()
            finally:
                self._lock.release()

    def _take_told(self) -> None:
        """Under the lock."""
        while self._told:
            self._told.popleft()()

    def lost(self) -> Lost:
        """As it is now."""
        with self._lock:
            self._take_told()
            return Lost(count=self._lost.count, reasons=dict(self._lost.reasons))

    def lost_count(self) -> int:
        """How many reports are lost so far."""
        return self._lost.count

    def follow(self, before: "SummaryWriter") -> None:
        """Goes on with the run of one that writes no more."""
        self._closed, self._counts_told = before._closed, before._counts_told  # noqa: SLF001
        self._run = before._run  # noqa: SLF001

    def begun(self, directory: ReportDirectory) -> RunSummary:
        """The run, which the summary knows from then on. Under the directory's lock."""
        if self._run is None:
            self._run = directory.begin_run(self._run_name, self._run_started)
        return self._run

    def is_untold(self) -> bool:
        """Whether something is known that the summary does not say."""
        return bool(
            self.tally
            or self._told
            or self._whole is not None
            or self._over
            or self._renewal
            or self._met
            or self._others != self._others_told
            or self._lost.count != self._lost_told.count
        )

    def write(
        self,
        directory: ReportDirectory,
        writers: Sequence[FormatWriter[Any]],
        *,
        is_over: bool = False,
    ) -> None:
        """Has the file, and the formats, say all that is known.

        :raises OSError: they could not; the next call says it.
        """
        tally = self.tally
        self._take_sessions()
        with self._lock:
            self._take_told()
            met, self._met = self._met, SummaryDelta()
        for trouble in met.connections:
            tally.add_connection(trouble)
        tally.devices.merge(met.devices)
        for host, number in met.other_hosts.items():
            count_host(tally.other_hosts, host, number)
        others, lost = self._others, self.lost()
        counts = self._closed + self._current
        tally.session_counts = counts - self._counts_told
        tally.others = others - self._others_told
        tally.lost = lost.since(self._lost_told)
        is_ending = is_over and self._run is not None
        if not tally and self._whole is None and not is_ending:
            return
        with directory.exclusively():
            if tally or is_ending:
                ended = utc_text(time.time()) if is_over else None
                tally.run = msgspec.structs.replace(
                    self.begun(directory), ended=ended, masked=self.masked
                )
                self._whole = directory.add_to_summary(tally)
                # A session that is over is not told again.
                goes_on = self._latest is not None or not tally.sessions
                unlisted = tally.unlisted_now if goes_on else None
                self.tally, self._sessions, self._latest = SummaryDelta(unlisted), [], None
                self._others_told, self._lost_told = others, lost
                self._counts_told = counts
            if self._whole is not None:
                for writer in writers:
                    writer.renew_summary(self._whole)
            self._whole = None

    def _take_sessions(self) -> None:
        while self._over:
            session = self._over.popleft()
            self._sessions.append(session)
            self._transfers += session.transfers
            self._left_out.update(session.verdicts)
            self._left_out.subtract(each.verdict for each in session.transfers)
            self._closed += SessionCounts.of(session)
            self._latest, self._current = None, SessionCounts()
        if self._renewal:
            self._latest = self._renewal.popleft()
            self._current = SessionCounts.of(self._latest)
        self.tally.sessions = [*self._sessions, *([self._latest] if self._latest else ())]

    def run_end(self, sign: Callable[[], None]) -> RunEnd:
        """What is known when nothing will change any more."""
        self._take_sessions()
        lost = self.lost()
        with self._lock:
            self._take_told()
            connections = [
                each for each in self._failures.connections if each.count > 0 and each.findings
            ]
        return RunEnd(
            transfers=self._transfers,
            left_out=self._left_out.total(),
            left_out_failing=self._left_out["error"],
            connections=connections,
            lost=lost,
            sign=sign,
        )

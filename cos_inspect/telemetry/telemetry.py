"""Takes finished reports, and has what they say sent to a collector.

Whoever hands a report over waits for nothing. One thread counts, another one sends, so that a
collector that does not answer holds up neither traffic nor counting. What waits is bounded, and
what is dropped is counted.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from cos_inspect.model.devices import ConnectionFailureSummary
from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.spill_map import SpillMap
from cos_inspect.report.report_queue import name_of
from cos_inspect.report.slices import Slices
from cos_inspect.telemetry.counts import FlowCounts, Tally
from cos_inspect.telemetry.environment import collector_of, is_disabled, metric_seconds
from cos_inspect.telemetry.records import new_findings
from cos_inspect.telemetry.sending import Changes, Collector, Sender
from cos_inspect.telemetry.trouble import Trouble
from cos_inspect.telemetry.waiting import REPORTS, Waiting

logger = logging.getLogger(__name__)

THREAD = "cos-inspect-telemetry"
"""How the names of its threads begin."""
CLOSE_SECONDS = 2.0
"""How long the end of a run waits for a collector that takes nothing."""
MOST_CLOSE_SECONDS = 10.0
"""And for one that does, since much may be left of a capture that was read."""

_MOST_HANDED = 4096
"""Reports that are not counted yet."""
_GATHER_SECONDS = 0.2
_REVISABLE = 2048
"""Flows in memory that can be counted anew; older ones lie in a temporary file."""
_MOST_REVISABLE = 2_000_000
_START_SECONDS = 1.0
_LOOK_SECONDS = 0.1

Connect = Callable[[Sequence[str], Callable[[str], str]], Collector]


class Telemetry:
    """Of one run, or until options change."""

    def __init__(
        self,
        signals: Sequence[str],
        mask: Callable[[str], str] = str,
        connect: Connect | None = None,
    ) -> None:
        """``signals``: any of ``metrics``, ``logs``, ``traces``; ``mask`` is asked about texts of
        the environment that are sent; ``connect`` opens the way to the collector, by
        OpenTelemetry's packages where nothing else is said."""
        self._signals = tuple(signals)
        self._mask = mask
        self._connect = connect or _by_otlp
        self.collector = collector_of(signals, os.environ)
        """What it is called."""
        self._is_on = not is_disabled(os.environ)
        self._handed: deque[tuple[FlowReport | ConnectionFailureSummary, bool]] = deque()
        self._has_work = threading.Event()
        self._closing = threading.Event()
        self._counted = threading.Event()
        """All that was handed over is counted."""
        self._over = threading.Event()
        self._waiting = Waiting()
        self._trouble = Trouble(self.collector, self._waiting)
        self._tally = Tally()
        self._lock = threading.Lock()
        """For the tally."""
        self._known: SpillMap[FlowCounts] = SpillMap(
            FlowCounts, most_weight=_REVISABLE, most_on_disk=_MOST_REVISABLE
        )
        self._way: tuple[Collector, Sender] | None = None
        self._sending: threading.Thread | None = None
        self._thread: threading.Thread | None = None
        self._start_again_at = 0.0
        self._refused = self._refused_told = 0
        """Reports that came when too many waited; the first is the event loop's alone, which takes
        no lock for it."""
        if not self._is_on:
            logger.info("COS telemetry is not sent: OTEL_SDK_DISABLED is true")

    def put(self, report: FlowReport, *, is_new: bool) -> None:
        """Never blocks; ``is_new`` False: it takes the place of an earlier report of its flow."""
        self._hand_over(report, is_new=is_new)

    def put_connection(self, trouble: ConnectionFailureSummary) -> None:
        """Never blocks; connections that failed without a flow, or are taken back."""
        self._hand_over(trouble, is_new=True)

    def _hand_over(self, given: FlowReport | ConnectionFailureSummary, *, is_new: bool) -> None:
        if not self._is_on:
            return
        if not self._has_thread:
            self._start()
        if len(self._handed) >= _MOST_HANDED:
            self._refused += 1
            return
        self._handed.append((given, is_new))
        if not self._has_work.is_set():
            self._has_work.set()

    @property
    def _has_thread(self) -> bool:
        """Whether one counts, or has done all that is to be done."""
        return self._thread is not None and (self._thread.is_alive() or self._over.is_set())

    def _start(self) -> None:
        now = time.monotonic()
        if now < self._start_again_at:
            return
        thread = threading.Thread(target=self._run, name=THREAD, daemon=True)
        try:
            thread.start()
        except (RuntimeError, MemoryError):
            self._start_again_at = now + _START_SECONDS
            return
        self._thread = thread

    def end_soon(self) -> None:
        """Has what was handed over sent, without waiting for it; ``close`` does."""
        self._closing.set()
        self._has_work.set()

    def close(self) -> None:
        """Returns when all is sent, or after a short while; what was not sent then is lost."""
        self.end_soon()
        if self._thread is None and self._handed:
            self._start_again_at = 0.0
            self._start()
        if self._thread is not None:
            self._wait_for_end()
        if not self._over.is_set():
            self._drop_handed()
            if self._thread is not None or self._waiting.dropped():
                self._trouble.close(all_is_sent=False)

    def _wait_for_end(self) -> None:
        now = time.monotonic()
        ends, stalls, before = now + MOST_CLOSE_SECONDS, now + CLOSE_SECONDS, self._signs()
        while not self._over.wait(_LOOK_SECONDS) and (now := time.monotonic()) < min(ends, stalls):
            if not self._has_thread:
                self._start()
            # Until there is a sender, packages are loaded; on a busy machine that takes long.
            if (signs := self._signs()) != before or self._way is None:
                before, stalls = signs, now + CLOSE_SECONDS

    def _signs(self) -> tuple[int, int]:
        """Changes while counting and sending get on."""
        return len(self._handed), self._way[1].signs if self._way is not None else -1

    def _run(self) -> None:
        """The counting thread. What ends it before the run leaves the rest to another one."""
        opened = self._way or self._open()
        if opened is not None:
            way, sender = opened
            self._count_all(way, sender)
            way.most_seconds = CLOSE_SECONDS
            self._have_rest_sent(sender)
            self._drop_handed()
            self._trouble.close(all_is_sent=False)
        self._known.close()
        self._over.set()

    def _open(self) -> tuple[Collector, Sender] | None:
        """The way to the collector; None where there is none."""
        try:
            way = self._connect(self._signals, self._mask)
        except Exception as error:
            self._is_on = False
            self._handed.clear()
            logger.warning("COS telemetry is not sent: %s", _why_unusable(error))
            return None
        sender = Sender(
            way,
            self._signals,
            self._waiting,
            self._trouble,
            changes=self._changes,
            metric_seconds=metric_seconds(os.environ),
        )
        self._way = way, sender
        return self._way

    def _have_rest_sent(self, sender: Sender) -> None:
        self._counted.set()
        sender.closing.set()
        self._waiting.many.set()
        if self._sending is not None:
            self._sending.join()
        if not self._trouble.is_over:
            # There is no thread for it, or it has ended in the middle.
            sender.run(self._counted)

    def _have_sent(self, sender: Sender) -> None:
        """Sees to it that there is a thread which sends."""
        if self._sending is not None and self._sending.is_alive():
            return
        sending = threading.Thread(
            target=sender.run, args=(self._counted,), name=f"{THREAD}-sender", daemon=True
        )
        try:
            sending.start()
        except (RuntimeError, MemoryError):
            # It is tried again in the next turn.
            return
        self._sending = sending

    def _count_all(self, way: Collector, sender: Sender) -> None:
        is_closing = False
        while not is_closing:
            try:
                self._has_work.wait()
                self._has_work.clear()
                self._have_sent(sender)
                # Waking for each report would cost more than counting it does.
                is_closing = self._closing.wait(_GATHER_SECONDS)
                self._count_handed(way)
            except BaseException:
                # Also what would end the thread: reports wait for it.
                logger.warning("COS telemetry: a report may not be counted", exc_info=True)
                self._has_work.set()

    def _count_handed(self, way: Collector) -> None:
        slices = Slices()
        while self._handed:
            try:
                given, is_new = self._handed.popleft()
                if isinstance(given, FlowReport):
                    self._count(way, given, is_new=is_new)
                else:
                    self._count_connection(given)
            except BaseException:
                self._waiting.drop(REPORTS)
                logger.debug("COS telemetry: not counted", exc_info=True)
            slices.breathe()
        self._tell_refused()

    def _tell_refused(self) -> None:
        refused = self._refused
        if refused > self._refused_told:
            self._waiting.drop(REPORTS, refused - self._refused_told)
            self._refused_told = refused

    def _drop_handed(self) -> None:
        """What was handed over is not counted any more."""
        self._tell_refused()
        count = len(self._handed)
        self._handed.clear()
        if count:
            self._waiting.drop(REPORTS, count)

    def _count(self, way: Collector, report: FlowReport, *, is_new: bool) -> None:
        name = name_of(report)
        before = self._known.get(name)
        if before is None and not is_new:
            # What was said of it first was before this began, or is among what was dropped.
            return
        with self._lock:
            if before is None:
                counts = self._tally.add(report)
            else:
                counts = self._tally.revise(before, report)
        self._known.put(name, counts)
        durations, self._tally.durations = self._tally.durations, []
        for metric, seconds, values in durations:
            way.record(metric.name, seconds, values)
        if "logs" in self._signals:
            findings = new_findings(before.findings if before is not None else (), report.findings)
            if findings:
                self._waiting.add_logs(report, findings)
        if "traces" in self._signals:
            if before is None:
                self._waiting.add_span(report)
            else:
                self._waiting.revise_span(report)

    def _count_connection(self, trouble: ConnectionFailureSummary) -> None:
        with self._lock:
            self._tally.add_connection(trouble)
        if "logs" in self._signals and trouble.count > 0 and trouble.findings:
            self._waiting.add_logs(trouble, trouble.findings)

    def _changes(self) -> Changes:
        with self._lock:
            return self._tally.take()


def _by_otlp(signals: Sequence[str], mask: Callable[[str], str]) -> Collector:
    from cos_inspect.telemetry.otlp import Otlp  # noqa: PLC0415 - 0.2 s, 20 MiB, and an extra

    return Otlp(signals, mask)


def _why_unusable(error: Exception) -> str:
    """Without the text of the error, which may hold a header."""
    if isinstance(error, ImportError):
        return f"{error.name or 'a package'} cannot be imported"
    return f"OpenTelemetry's exporters cannot be made ({type(error).__name__})"

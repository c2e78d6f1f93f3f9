"""What the sending thread does: one signal after another, as often as each is due."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

import msgspec

from cos_inspect.model.flow_report import FlowReport
from cos_inspect.report.slices import InSlices, Slices
from cos_inspect.telemetry.counts import Values
from cos_inspect.telemetry.records import (
    LogFacts,
    SpanFacts,
    connection_records,
    log_records,
    span_of,
)
from cos_inspect.telemetry.signals import DROPPED
from cos_inspect.telemetry.trouble import Trouble
from cos_inspect.telemetry.waiting import LOGS, MANY_SPANS, REPORTS, SPANS, Waiting

logger = logging.getLogger(__name__)

Changes = Mapping[tuple[str, Values], int]
"""How much is to be added, by metric and the values of its attributes."""

_TICK_SECONDS = 1.0
SPAN_SECONDS = 5.0
"""Spans wait so long for what other flows say of them."""
_AT_ONCE = 64
"""Spans or log records in one message; to make it takes some milliseconds."""
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_LONGEST_ASKED_FOR = 300.0
"""Seconds until the next try, of which the collector may ask for more."""
_SIGNAL_OF = {SPANS: "traces", LOGS: "logs", REPORTS: "metrics"}


class NotSentError(Exception):
    """One try came to nothing; the text is a few words without anything secret."""

    def __init__(self, why: str, *, again: bool, after: float | None = None) -> None:
        super().__init__(why)
        self.again = again
        """Whether the same may be sent once more."""
        self.after = after
        """Seconds to wait before that, where the collector says so."""


class Collector(Protocol):
    """Each ``send`` makes one try, and raises NotSentError where nothing was taken."""

    most_seconds: float | None
    """That a try may last, beside what the environment says."""

    def record(self, metric: str, value: float, values: Values) -> None:
        """Adds to a metric, or has a histogram take one more value."""

    def send_metrics(self) -> None:
        """As they are now."""

    def send_spans(self, spans: Sequence[SpanFacts]) -> None:
        """These."""

    def send_logs(self, records: Sequence[LogFacts]) -> None:
        """These."""


class _Signal(msgspec.Struct):
    name: str
    send: Callable[[], None]
    """Sends what is due; raises NotSentError."""
    not_before: float = 0.0
    pause: float = _FIRST_PAUSE


class Sender:
    """``run`` is the thread."""

    def __init__(
        self,
        collector: Collector,
        signals: Sequence[str],
        waiting: Waiting,
        trouble: Trouble,
        *,
        changes: Callable[[], Changes],
        metric_seconds: float,
        span_seconds: float = SPAN_SECONDS,
    ) -> None:
        """``changes`` gives those of the metrics since it was called last."""
        self._collector = collector
        self._waiting = waiting
        self._trouble = trouble
        self._changes = changes
        self._metric_seconds = metric_seconds
        self._span_seconds = span_seconds
        self._metrics_at = self._spans_at = time.monotonic()
        """When they were sent last."""
        self._dropped: dict[str, int] = {}
        """How much of it the metrics say."""
        sends = {
            "metrics": self._send_metrics,
            "logs": self._send_logs,
            "traces": self._send_spans,
        }
        self._signals = [_Signal(name, send) for name, send in sends.items() if name in signals]
        self._is_over = False
        self.closing = threading.Event()
        self.signs = 0
        """Grows while the collector takes what it is sent."""

    def run(self, counted: threading.Event) -> None:
        """Sends until ``closing`` is set; then once more, when all is ``counted``."""
        while not self.closing.is_set():
            try:
                self._waiting.many.wait(_TICK_SECONDS)
                self._waiting.many.clear()
                if not self.closing.is_set():
                    self._turn()
            except BaseException:
                # Also what would end the thread.
                logger.warning("COS telemetry: a turn of sending failed", exc_info=True)
        counted.wait()
        self._is_over = True
        self._trouble.close(all_is_sent=self._turn())

    def _turn(self) -> bool:
        """Whether nothing failed."""
        is_fine = True
        for signal in self._signals:
            if not self._is_over and time.monotonic() < signal.not_before:
                continue
            try:
                signal.send()
            except NotSentError as error:
                is_fine = False
                self._failed(signal, error)
            except BaseException:
                is_fine = False
                self._failed(signal, NotSentError("a fault of cos-inspect", again=False))
                logger.debug("COS telemetry: %s", signal.name, exc_info=True)
            else:
                signal.pause = _FIRST_PAUSE
                self._trouble.end(signal.name)
        return is_fine

    def _failed(self, signal: _Signal, error: NotSentError) -> None:
        pause = signal.pause
        if error.after is not None:
            pause = max(pause, min(error.after, _LONGEST_ASKED_FOR))
        signal.not_before = time.monotonic() + pause
        signal.pause = min(signal.pause * 2, _LONGEST_PAUSE)
        self._trouble.begin(signal.name, str(error))

    def _send_metrics(self) -> None:
        now = time.monotonic()
        if now - self._metrics_at < self._metric_seconds and not self._is_over:
            return
        for (metric, values), value in self._changes().items():
            self._collector.record(metric, value, values)
        for what, count in self._waiting.dropped().items():
            more = count - self._dropped.get(what, 0)
            if more > 0:
                self._dropped[what] = count
                self._collector.record(DROPPED.name, more, (_SIGNAL_OF[what],))
        self._collector.send_metrics()
        self._metrics_at = now
        self.signs += 1

    def _send_logs(self) -> None:
        while waiting := self._waiting.take_logs(_AT_ONCE):
            with self._settled(LOGS, lambda: self._waiting.put_logs_back(waiting)):
                records: list[LogFacts] = []
                slices = Slices()
                for one in waiting:
                    if isinstance(one.about, FlowReport):
                        records += log_records(one.about, one.findings)
                    else:
                        records += connection_records(one.about, one.findings)
                    slices.breathe()
                self._collector.send_logs(records)

    def _send_spans(self) -> None:
        now = time.monotonic()
        is_time = now - self._spans_at >= self._span_seconds or self._is_over
        if not is_time and self._waiting.left()[SPANS] < MANY_SPANS:
            return
        while reports := self._waiting.take_spans(_AT_ONCE):
            with self._settled(SPANS, lambda: self._waiting.put_spans_back(reports)):
                self._collector.send_spans([span_of(report) for report in InSlices(reports)])
        self._spans_at = now

    @contextmanager
    def _settled(self, what: str, put_back: Callable[[], None]) -> Iterator[None]:
        """What was taken is sent within, put back, or dropped."""
        try:
            yield
        except BaseException as error:
            if isinstance(error, NotSentError) and error.again:
                put_back()
            else:
                self._waiting.settle(what, dropped=True)
            raise
        self._waiting.settle(what)
        self.signs += 1

"""Writes reports from a thread of its own, so that no disk stalls a transfer."""

import itertools
import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from cos_inspect.report.directory import ReportDirectory
from cos_inspect.report.flow_files import write_flow_files
from cos_inspect.report.junit import add_suites, lost_suite
from cos_inspect.report.junit_spool import JunitSpool
from cos_inspect.report.model import FlowReport, Verdict
from cos_inspect.report.pages import PagesWriter
from cos_inspect.report.summary import ConnectionTrouble, Lost, SessionSummary, Tally


class _Revision(msgspec.Struct, frozen=True):
    report: FlowReport


class _Written(msgspec.Struct, frozen=True, gc=False):
    """What is kept of a flow that is on disk, in case that its report is revised."""

    sequence: int
    verdict: Verdict
    rules: frozenset[str]


_Item = FlowReport | _Revision | ConnectionTrouble | SessionSummary

logger = logging.getLogger(__name__)

_LONGEST_QUEUE = 10_000
"""Reports that wait for a slow disk; some 10 KB each."""
TOO_SLOW = "disk too slow"
_LARGEST_BATCH = 256
_REVISABLE = 2048
_GATHER_SECONDS = 0.1
_SUMMARY_SECONDS = 0.5
_CLOSE_SECONDS = 60.0


class ReportWriter:
    """Takes finished reports and has them on disk within a second.

    What cannot be written is told once a batch as a log error, and the next
    report is tried again.
    """

    def __init__(self, path: Path, formats: Sequence[str]) -> None:
        self.path = path
        self._directory = ReportDirectory(path)
        self._formats = frozenset(formats)
        self._pages = PagesWriter(self._directory) if "html" in self._formats else None
        self._spool = JunitSpool() if "junit" in self._formats else None
        self._queue: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._written: OrderedDict[str, _Written] = OrderedDict()
        """The newest flows on disk, which may still be revised."""
        self._tally = Tally()
        self._others = 0
        self._others_told = 0
        self._lost = Lost()
        self._lost_told = Lost()
        self._lost_lock = threading.Lock()
        self._told = time.monotonic()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cos-inspect-writer", daemon=True)
        self._thread.start()

    def submit(self, report: FlowReport) -> None:
        """Never blocks; a report too many is dropped and counted."""
        if self._queue.qsize() >= _LONGEST_QUEUE:
            if not self._lost.reasons.get(TOO_SLOW):
                logger.error("COS reports are dropped: %s cannot keep up", self.path)
            self.lose(TOO_SLOW)
            return
        self._queue.put(report)

    def revise(self, report: FlowReport) -> None:
        """Replaces the report of a flow that was submitted before; in ``flows.jsonl`` the
        last line of a flow counts."""
        if self._queue.qsize() < _LONGEST_QUEUE:
            self._queue.put(_Revision(report))

    def submit_session(self, summary: SessionSummary) -> None:
        """For the summary: what several flows of this run say together, so far or in the end."""
        self._queue.put(summary)

    def submit_connection(self, trouble: ConnectionTrouble) -> None:
        """For the summary: adds to what is known of its host, client and failure."""
        if self._queue.qsize() < _LONGEST_QUEUE:
            self._queue.put(trouble)

    def count_other(self) -> None:
        """Counts a flow that was not COS traffic."""
        self._others += 1

    def lose(self, reason: str, count: int = 1) -> None:
        """Counts flows that have no report, and why: a few plain words that stand in the
        summary as they are. Any thread may call it."""
        with self._lost_lock:
            self._lost.add(reason, count)

    @property
    def lost(self) -> Lost:
        """What this writer has lost so far."""
        with self._lost_lock:
            return Lost(count=self._lost.count, reasons=dict(self._lost.reasons))

    def close(self) -> None:
        """Returns when everything submitted before is on disk, or given up."""
        self._closing.set()
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        closing = False
        while not closing:
            # Waking for each report would cost more than writing it does.
            closing = self._closing.wait(_GATHER_SECONDS)
            self._work(closing=closing)

    def _work(self, *, closing: bool) -> None:
        while True:
            batch = self._gathered()
            due = closing or time.monotonic() - self._told >= _SUMMARY_SECONDS
            if batch or due:
                self._write(batch, summary=due)
                if due:
                    self._told = time.monotonic()
            if len(batch) < _LARGEST_BATCH:
                break
        if closing:
            self._write_suites()

    def _gathered(self) -> list[FlowReport | _Revision]:
        """What waits to be written, up to a batch; the rest of the queue is for the summary."""
        batch: list[FlowReport | _Revision] = []
        while len(batch) < _LARGEST_BATCH:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                break
            if isinstance(item, ConnectionTrouble):
                self._tally.add_connection(item)
            elif isinstance(item, SessionSummary):
                self._tally.session = item
                if self._spool is not None:
                    self._spool.transfers = item.transfers
            else:
                batch.append(item)
        return batch

    def _write(self, batch: list[FlowReport | _Revision], *, summary: bool) -> None:
        for item in batch:
            if isinstance(item, FlowReport):
                self._tally.add(item)
        self._tally.others = self._others - self._others_told
        lost = self.lost
        self._tally.lost = lost.since(self._lost_told)
        if not batch and not self._tally:
            return
        try:
            with self._directory.exclusively():
                if batch:
                    self._write_flows(batch)
                if summary and self._tally:
                    whole = self._directory.add_to_summary(self._tally)
                    if self._pages is not None:
                        self._pages.renew_summary(whole)
                    self._others_told += self._tally.others
                    self._lost_told = lost
                    self._tally = Tally()
        except OSError as error:
            logger.error("COS reports cannot be written to %s: %s", self.path, error)
        except Exception:
            logger.exception("COS reports cannot be written to %s", self.path)

    def _write_suites(self) -> None:
        """``junit.xml`` takes suites that nothing will change any more."""
        if self._spool is None:
            return
        path = self.path / "junit.xml"
        suites = self._spool.suites()
        lost = self.lost
        if lost.count:
            suites = itertools.chain(suites, (lost_suite(lost),))
        try:
            while batch := list(itertools.islice(suites, _LARGEST_BATCH)):
                with self._directory.exclusively():
                    add_suites(path, batch)
        except OSError as error:
            logger.error("%s cannot be written: %s", path, error)
        finally:
            self._spool.close()

    def _write_flows(self, batch: list[FlowReport | _Revision]) -> None:
        lines: list[bytes] = []
        failure: OSError | None = None
        for report in self._numbered(batch):
            encoded = msgspec.json.encode(report)
            try:
                write_flow_files(self._directory, report, encoded, self._formats)
            except OSError as error:
                failure = error
            if "jsonl" in self._formats:
                lines.append(encoded)
            if self._pages is not None:
                self._pages.add(report, encoded)
            if self._spool is not None:
                self._spool.add(report, encoded)
        if lines:
            self._directory.append("flows.jsonl", lines)
        if self._pages is not None:
            self._pages.flush()
        if failure is not None:
            raise failure

    def _numbered(self, batch: list[FlowReport | _Revision]) -> Iterator[FlowReport]:
        """The reports with their sequences; a revised one keeps its own."""
        new = sum(1 for item in batch if isinstance(item, FlowReport))
        sequences = iter(self._directory.take_sequences(new) if new else ())
        for item in batch:
            if isinstance(item, FlowReport):
                report = msgspec.structs.replace(item, sequence=next(sequences))
                written = _written(report)
            else:
                before = self._written.get(item.report.flow_id)
                if before is None:
                    continue
                report = msgspec.structs.replace(item.report, sequence=before.sequence)
                written = _written(report)
                self._tally.replace(before.verdict, before.rules, written.verdict, written.rules)
            self._written[report.flow_id] = written
            if len(self._written) > _REVISABLE:
                self._written.popitem(last=False)
            yield report


_NO_RULES: frozenset[str] = frozenset()


def _written(report: FlowReport) -> _Written:
    findings = report.findings
    rules = frozenset([finding.rule for finding in findings]) if findings else _NO_RULES
    return _Written(report.sequence, report.verdict, rules)

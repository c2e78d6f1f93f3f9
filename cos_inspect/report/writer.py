"""Writes reports from a thread of its own, so that no disk stalls a transfer."""

import logging
import queue
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from cos_inspect.report.directory import ReportDirectory
from cos_inspect.report.model import FlowReport
from cos_inspect.report.summary import Tally

logger = logging.getLogger(__name__)

_LONGEST_QUEUE = 10_000
"""Reports that wait for a slow disk; some 10 KB each."""
_LARGEST_BATCH = 256
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
        self._queue: queue.SimpleQueue[FlowReport | None] = queue.SimpleQueue()
        self._tally = Tally()
        self._others = 0
        self._others_told = 0
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="cos-inspect-writer", daemon=True)
        self._thread.start()

    def submit(self, report: FlowReport) -> None:
        """Never blocks; a report too many is dropped and counted."""
        if self._queue.qsize() >= _LONGEST_QUEUE:
            self._dropped += 1
            if self._dropped == 1:
                logger.error("COS reports are dropped: %s cannot keep up", self.path)
            return
        self._queue.put(report)

    def count_other(self) -> None:
        """Counts a flow that was not COS traffic."""
        self._others += 1

    def close(self) -> None:
        """Returns when everything submitted before is on disk, or given up."""
        self._queue.put(None)
        self._thread.join(_CLOSE_SECONDS)
        if self._dropped:
            logger.error("%d COS reports were dropped: the disk was too slow", self._dropped)

    def _run(self) -> None:
        closing = False
        told = time.monotonic()
        while not closing:
            batch: list[FlowReport] = []
            try:
                item = self._queue.get(timeout=_SUMMARY_SECONDS)
                while item is not None:
                    batch.append(item)
                    if len(batch) == _LARGEST_BATCH:
                        break
                    item = self._queue.get_nowait()
                closing = item is None
            except queue.Empty:
                pass
            due = closing or time.monotonic() - told >= _SUMMARY_SECONDS
            if batch or due:
                self._write(batch, summary=due)
                if due:
                    told = time.monotonic()

    def _write(self, batch: list[FlowReport], *, summary: bool) -> None:
        for report in batch:
            self._tally.add(report)
        self._tally.others = self._others - self._others_told
        if not batch and not self._tally:
            return
        try:
            with self._directory.exclusively():
                if batch:
                    self._write_flows(batch)
                if summary and self._tally:
                    self._directory.add_to_summary(self._tally)
                    self._others_told += self._tally.others
                    self._tally = Tally()
        except OSError as error:
            logger.error("COS reports cannot be written to %s: %s", self.path, error)
        except Exception:
            logger.exception("COS reports cannot be written to %s", self.path)

    def _write_flows(self, batch: list[FlowReport]) -> None:
        lines: list[bytes] = []
        failure: OSError | None = None
        for sequence, report in zip(self._directory.take_sequences(len(batch)), batch, strict=True):
            numbered = msgspec.structs.replace(report, sequence=sequence)
            encoded = msgspec.json.encode(numbered)
            try:
                if "json" in self._formats:
                    readable = msgspec.json.format(encoded, indent=2)
                    self._directory.write_flow(numbered, ".json", readable + b"\n")
            except OSError as error:
                failure = error
            if "jsonl" in self._formats:
                lines.append(encoded)
        if lines:
            self._directory.append("flows.jsonl", lines)
        if failure is not None:
            raise failure

"""``--dataset``: rows are made where reports are, and wait in the spool; when all are made,
tasks put them into Parquet, each the flows of so many numbers.

So a file holds the same whoever did the work, and however the captures were divided.
"""

import heapq
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from itertools import batched
from pathlib import Path
from typing import Any

import msgspec

from cos_inspect import __version__
from cos_inspect.analyze.executors import Executor, InProcess, TaskLostError
from cos_inspect.analyze.spool import SpoolWriter, records
from cos_inspect.captures import places
from cos_inspect.captures.places import MissingExtraError
from cos_inspect.dataset.marks import (
    DatasetRun,
    DatasetSummary,
    add_counts,
    check_place,
    new_run,
    write_run,
    write_summary,
)
from cos_inspect.dataset.parquet import DatasetFiles, RowsWritten, require_pyarrow
from cos_inspect.dataset.rows import FlowRows, day_of, rows_of
from cos_inspect.dataset.schemas import TABLES, CaptureRow
from cos_inspect.dataset.transfer_rows import part_rows, retry_row, transfer_row
from cos_inspect.inspection.redaction import fault_text
from cos_inspect.inspection.transfer_summary import HistorySummary
from cos_inspect.model.capture_summary import CaptureSummary
from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.moments import earliest, latest, utc_text
from cos_inspect.model.plain_text import packed, whole
from cos_inspect.model.summary import Counts, Lost, RetryChain, TransferSummary, count_name
from cos_inspect.settings.analysis_settings import AnalysisSettings
from cos_inspect.settings.execution import DEVICE, labels_of

_PER_FILE = 20_000
"""Flows, or transfers."""


class RowsPiece(msgspec.Struct, frozen=True):
    """A file that ``FlowRowsWriter`` has written."""

    first: int
    """The number of its first flow."""
    count: int
    """Numbers that its flows have; fewer flows where reports could not be made."""
    path: str


class FlowRowsWriter:
    """Rows of reports, on their way to those who write them: a file of ``FlowRows``."""

    def __init__(self, path: str) -> None:
        self._spool = SpoolWriter(path)

    def add(self, report: FlowReport, capture: str) -> None:
        """Takes a report that is final, and masked where it is to be."""
        self._spool.add(packed(rows_of(report, capture)))

    def close(self) -> None:
        """Puts the file under its name."""
        self._spool.close()


class Told(msgspec.Struct, frozen=True, array_like=True):
    """A transfer or a chain of retries, and when it began; in seconds since 1970."""

    begun: float
    transfer: TransferSummary | None = None
    retry: RetryChain | None = None

    @property
    def order(self) -> tuple[Any, ...]:
        """No other one has the same, as in the summary."""
        if self.transfer is not None:
            of = self.transfer
            place = of.bucket or "", of.key or "", *of.flows[:1]
            return self.begun, of.kind, of.id, *place
        retry = self.retry
        return self.begun, "retry", retry.id if retry else "", *(retry.flows if retry else ())


def told_of(listing: HistorySummary) -> Iterator[Told]:
    """What one history gives, all of it."""
    for begun, transfer in listing.transfers:
        yield Told(begun, transfer=transfer)
    for begun, retry in listing.retries:
        yield Told(begun, retry=retry)


def write_told(path: str, told: Iterable[Told]) -> str:
    """A file of them, in their order; its path."""
    spool = SpoolWriter(path)
    for each in sorted(told, key=lambda each: each.order):
        spool.add(packed(each))
    spool.close()
    return path


class FlowsOfCapture(msgspec.Struct, array_like=True):
    """What a capture has in the table ``flows``."""

    flows: int = 0
    started: int | None = None
    ended: int | None = None

    def add(self, flows: int, started: int | None, ended: int | None) -> None:
        """Counts more of them."""
        self.flows += flows
        self.started = earliest(self.started, started)
        self.ended = latest(self.ended, ended)


class DatasetPart(msgspec.Struct, kw_only=True):
    """What one task has written."""

    tables: dict[str, RowsWritten] = msgspec.field(default_factory=dict)
    counts: Counts = msgspec.field(default_factory=Counts)
    captures: dict[str, FlowsOfCapture] = msgspec.field(default_factory=dict)

    def merge(self, other: "DatasetPart") -> None:
        """Adds what another one has written."""
        for name, written in other.tables.items():
            self.tables.setdefault(name, RowsWritten()).merge(written)
        add_counts(self.counts, other.counts)
        for name, told in other.captures.items():
            own = self.captures.setdefault(name, FlowsOfCapture())
            own.add(told.flows, told.started, told.ended)


def write_flows(
    paths: Sequence[str], sequences: range, first: int, place: str, run: str
) -> DatasetPart:
    """The flows that have these numbers; ``first``: the run's first one."""
    require_pyarrow()
    part, files = DatasetPart(), DatasetFiles(place, run)
    decoder = msgspec.msgpack.Decoder(FlowRows)
    for raw in _raw(paths):
        rows = decoder.decode(raw)
        flow = rows.flow
        if flow.sequence not in sequences:
            continue
        files.begin(flow.sequence - first + 1, len(raw))
        files.add(flow.started, (flow, *rows.findings, *rows.checks, *rows.connections))
        counts = part.counts
        counts.flows += 1
        count_name(counts.verdict, flow.verdict)
        for rule in flow.rules:
            count_name(counts.rule, rule)
        count_name(counts.operation, flow.operation)
        count_name(counts.host, flow.host)
        count_name(counts.client, flow.client_name or "unknown")
        told = part.captures.setdefault(flow.capture, FlowsOfCapture())
        told.add(1, flow.started, rows.ended)
    files.write()
    part.tables = files.written
    return part


def _raw(paths: Sequence[str]) -> Iterator[bytes]:
    decoder = msgspec.msgpack.Decoder(msgspec.Raw)
    for path in paths:
        for raw in records(path, decoder):
            yield bytes(raw)


def write_transfers(paths: Sequence[str], place: str, run: str) -> DatasetPart:
    """The transfers, their parts and the retries of all partitions, in the order of time."""
    require_pyarrow()
    part, files = DatasetPart(), DatasetFiles(place, run)
    with tempfile.TemporaryDirectory(prefix="cos-inspect-") as folder:
        streams = [_told_in(path) for path in _near(paths, folder)]
        merged = heapq.merge(*streams, key=lambda each: each[1].order)
        for number, (size, told) in enumerate(merged):
            if number and number % _PER_FILE == 0:
                files.write()
            files.begin(number + 1, size)
            begun = round(told.begun * 1_000_000)
            if told.transfer is not None:
                transfer = told.transfer
                files.add(begun, [transfer_row(begun, transfer), *part_rows(begun, transfer)])
                if transfer.verdict != "ok":
                    count_name(part.counts.transfers, transfer.verdict)
            if told.retry is not None:
                files.add(begun, [retry_row(begun, told.retry)])
        files.write()
    part.tables = files.written
    return part


def _near(paths: Sequence[str], folder: str) -> Iterator[str]:
    """Files of this machine: all are open at once, and at a URL each would hold megabytes."""
    for number, path in enumerate(paths):
        if not places.is_url(path):
            yield path
            continue
        near = Path(folder) / f"{number}"
        with places.open_to_read(path) as there, near.open("wb") as here:
            shutil.copyfileobj(there, here)
        yield str(near)


def _told_in(path: str) -> Iterator[tuple[int, Told]]:
    decoder = msgspec.msgpack.Decoder(Told)
    for raw in _raw([path]):
        yield len(raw), decoder.decode(raw)


class Dataset:
    """The dataset of one analysis."""

    def __init__(self, settings: AnalysisSettings) -> None:
        """:raises MissingExtraError: without what it needs.
        :raises OSError: when nothing can be written there.
        """
        assert settings.dataset is not None
        require_pyarrow()
        self._settings = settings
        self._place = settings.dataset
        self._pieces: list[RowsPiece] = []
        self._told = DatasetRun(
            run=new_run(datetime.now(UTC)),
            name=settings.label or "analyze",
            program=__version__,
            masked=settings.redact,
        )
        check_place(self._place)
        if not places.is_url(self._place):
            # For its owner alone, as reports are.
            Path(self._place).mkdir(parents=True, exist_ok=True, mode=0o700)
        write_run(self._place, DatasetSummary(runs=[self._told]))

    @property
    def shown(self) -> str:
        """Where it is, and as what run."""
        return f"{places.name_of(self._place)}, run={self._told.run}"

    def meet(self, executor: Executor) -> None:
        """:raises MissingExtraError: when who is to write it has not what it needs."""
        with self._executor(executor) as chosen:
            if not chosen.is_near:
                chosen.gather(chosen.submit(require_pyarrow))

    def add(self, piece: RowsPiece) -> None:
        """More rows; in the order of the flows."""
        self._pieces.append(piece)

    def finish(
        self,
        executor: Executor,
        told: Sequence[str],
        captures: Sequence[CaptureSummary],
        *,
        others: int,
        lost: Lost,
        errors: list[str],
    ) -> bool:
        """Writes all of it. ``told``: the files that ``write_told`` has written. What goes wrong
        is added to ``errors``, and False: the dataset is not whole."""
        try:
            with self._executor(executor) as chosen:
                part = self._write(chosen, told)
            self._write_rest(part, captures)
            self._mark(part, others, lost, len(errors))
        except (OSError, MissingExtraError, TaskLostError) as error:
            errors.append(f"the dataset is not whole: {self._why(error)}")
            return False
        except (ValueError, TypeError, ArithmeticError) as error:
            errors.append(f"the dataset is not whole: {fault_text(error)}")
            return False
        return True

    def _why(self, error: Exception) -> str:
        if isinstance(error, OSError) and not isinstance(error, places.PlaceError):
            return f"{places.name_of(self._place)}: {error.strerror or error}"
        return str(error)

    def _executor(self, executor: Executor) -> Any:
        """Who writes: on a cluster this process, where the others may not see the place."""
        alone = places.is_of_one_process(self._place)
        if alone or not (executor.is_near or places.is_url(self._place)):
            return InProcess()
        # Somebody else ends this one.
        return nullcontext(executor)

    def _write(self, executor: Executor, told: Sequence[str]) -> DatasetPart:
        place, run = self._place, self._told.run
        first = self._pieces[0].first if self._pieces else 1
        submitted = [
            executor.submit(write_flows, paths, sequences, first, place, run)
            for sequences, paths in _groups(self._pieces, first)
        ]
        submitted.append(executor.submit(write_transfers, list(told), place, run))
        part = DatasetPart()
        for each in submitted:
            part.merge(executor.gather(each))
        return part

    def _write_rest(self, part: DatasetPart, captures: Sequence[CaptureSummary]) -> None:
        files = DatasetFiles(self._place, self._told.run)
        for at, some in enumerate(batched(captures, _PER_FILE)):
            files.begin(at * _PER_FILE + 1, 1)
            for capture in some:
                row = self._capture_row(capture, part.captures.get(whole(capture.file)))
                files.add(row.started, [row])
            files.write()
        part.merge(DatasetPart(tables=files.written))
        began = earliest(*(each.started for each in part.captures.values()))
        for name, row_type in TABLES.items():
            if not part.tables[name].rows:
                files.write_empty(row_type, day_of(began))

    def _capture_row(self, capture: CaptureSummary, told: FlowsOfCapture | None) -> CaptureRow:
        told = told or FlowsOfCapture()
        labels = labels_of(capture.file, self._settings.labels)
        row = CaptureRow(
            file=capture.file,
            format=capture.format,
            program=capture.program,
            device=labels.get(DEVICE),
            labels=labels,
            exchanges=capture.exchanges,
            flows=told.flows,
            started=told.started,
            ended=told.ended,
            left_out=capture.left_out,
            bytes_lost=capture.bytes_lost,
            packets_lost=capture.packets_lost,
        )
        # Names of files may be no text.
        return msgspec.msgpack.decode(packed(row), type=CaptureRow)

    def _mark(self, part: DatasetPart, others: int, lost: Lost, errors: int) -> None:
        times = list(part.captures.values())
        began = earliest(*(each.started for each in times))
        ended = latest(*(each.ended for each in times))
        run = msgspec.structs.replace(
            self._told,
            whole=True,
            started=_text(began),
            ended=_text(ended),
            flows=part.counts.flows,
            others=others,
            lost=lost.count,
            errors=errors,
            tables={name: part.tables[name] for name in TABLES},
        )
        told = DatasetSummary(counts=part.counts, others=others, lost=lost, runs=[run])
        write_run(self._place, told)
        write_summary(self._place)


def _text(moment: int | None) -> str | None:
    return utc_text(None if moment is None else moment / 1_000_000)


def _groups(pieces: Sequence[RowsPiece], first: int) -> Iterator[tuple[range, list[str]]]:
    """Numbers that one file is to hold, and the files of rows that have them."""
    end = max((piece.first + piece.count for piece in pieces), default=first)
    at = 0
    for begin in range(first, end, _PER_FILE):
        sequences = range(begin, min(begin + _PER_FILE, end))
        while pieces[at].first + pieces[at].count <= begin:
            at += 1
        paths: list[str] = []
        for piece in pieces[at:]:
            if piece.first >= sequences.stop:
                break
            paths.append(piece.path)
        yield sequences, paths

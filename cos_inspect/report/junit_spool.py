"""Keeps what goes into ``junit.xml`` until the end of a run, since a report may be revised.

It lies in files without a name, so that nobody else can reach it. OSError when they cannot
be written.
"""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import IO

import msgspec

from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.summary import ConnectionFailureSummary, Lost, TransferSummary
from cos_inspect.report.folder import pieces, write_all
from cos_inspect.report.junit import (
    RuleChecks,
    connection_suite,
    flow_suite,
    left_out_suite,
    lost_suite,
    transfer_suite,
)


class _Unnamed:
    """A file that is made when it is first written to."""

    @cached_property
    def _file(self) -> IO[bytes]:
        return tempfile.TemporaryFile(prefix="cos-inspect-", buffering=0)

    def add(self, content: bytes) -> int:
        """All of it or nothing; where it begins."""
        descriptor = self._file.fileno()
        start = os.lseek(descriptor, 0, os.SEEK_END)
        try:
            write_all(descriptor, content)
        except OSError:
            os.ftruncate(descriptor, start)
            raise
        return start

    def read(self, start: int, size: int | None = None) -> Iterator[bytes]:
        os.lseek(self._file.fileno(), start, os.SEEK_SET)
        yield from pieces(self._file.fileno(), size)

    def close(self) -> None:
        if "_file" in self.__dict__:
            self._file.close()


class SuiteSpool:
    """Suites in the order in which they came; those of failed tries after which another one came
    through stand behind all others."""

    def __init__(self) -> None:
        self._file = _Unnamed()
        self._healed = _Unnamed()

    def add(self, suite: bytes, *, is_healed: bool = False) -> None:
        """One suite as XML; ``is_healed``: of a failed try after which another one came through.

        :raises OSError: it could not be written, and nothing of it was.
        """
        (self._healed if is_healed else self._file).add(suite)

    def add_lost(self, lost: Lost) -> None:
        """A suite of lost reports, where there are any."""
        if lost.count:
            self.add(lost_suite(lost))

    def add_left_out(self, transfers: int, failing: int) -> None:
        """A suite of transfers that are not listed, where there are any."""
        if transfers:
            self.add(left_out_suite(transfers, failing))

    def add_connections(self, connections: Iterable[ConnectionFailureSummary]) -> int:
        """A suite for each of which something was found; how many these are."""
        found = [each for each in connections if each.count > 0 and each.findings]
        for each in found:
            self.add(connection_suite(each))
        return len(found)

    def content(self) -> Iterator[bytes]:
        """All of them, in pieces of any size."""
        yield from self._file.read(0)
        yield from self._healed.read(0)

    def close(self) -> None:
        """Gives the files back."""
        self._file.close()
        self._healed.close()


class JunitSpool:
    """The reports of a run; a place of some 100 bytes is kept of each."""

    def __init__(self, rule_checks: RuleChecks) -> None:
        self._rule_checks = rule_checks
        self._file = _Unnamed()
        self._places: dict[str, tuple[int, int]] = {}

    def add(self, report: FlowReport, encoded: bytes) -> None:
        """``encoded`` is the report as JSON; a later one of the same flow counts."""
        self._places[report.flow_id] = self._file.add(encoded), len(encoded)

    @property
    def flows(self) -> int:
        """How many flows have a report."""
        return len(self._places)

    def put_suites(
        self, into: SuiteSpool, transfers: Sequence[TransferSummary], sign: Callable[[], None]
    ) -> None:
        """A suite per flow, then one per transfer. ``sign`` is called after each."""
        decoder = msgspec.json.Decoder(FlowReport)
        for start, length in self._places.values():
            report = decoder.decode(b"".join(self._file.read(start, length)))
            suite = flow_suite(report, rule_checks=self._rule_checks)
            into.add(suite, is_healed=report.is_healed)
            sign()
        for transfer in transfers:
            into.add(transfer_suite(transfer, rule_checks=self._rule_checks))
            sign()

    def close(self) -> None:
        """Gives the file back."""
        self._file.close()

"""Keeps a run's reports for ``junit.xml`` until its end, since a report may be revised."""

import tempfile
from collections.abc import Iterator

import msgspec

from cos_inspect.report.junit import flow_suite, transfer_suite
from cos_inspect.report.model import FlowReport
from cos_inspect.report.summary import TransferSummary


class JunitSpool:
    """The reports lie in an unnamed file; a place of some 100 bytes is kept of each."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="cos-inspect-")  # noqa: SIM115
        self._places: dict[str, tuple[int, int]] = {}
        self.transfers: list[TransferSummary] = []

    def add(self, report: FlowReport, encoded: bytes) -> None:
        """``encoded`` is the report as JSON; a later one of the same flow counts."""
        start = self._file.seek(0, 2)
        self._file.write(encoded)
        self._places[report.flow_id] = (start, len(encoded))

    def suites(self) -> Iterator[bytes]:
        """A suite per flow, then one per transfer."""
        for start, length in self._places.values():
            self._file.seek(start)
            yield flow_suite(msgspec.json.decode(self._file.read(length), type=FlowReport))
        for transfer in self.transfers:
            yield transfer_suite(transfer)

    def close(self) -> None:
        self._file.close()

"""What is known of a shard that was read, and the records in its files."""

import bisect
from array import array
from collections import Counter

import msgspec

from cos_inspect.inspection.transfer_summary import TransferNote
from cos_inspect.model.capture_summary import CaptureFacts
from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.summary import Lost
from cos_inspect.rules.rule import PendingFinding
from cos_inspect.transfers.objects import ListEntry
from cos_inspect.transfers.observation import Observation

OTHER = -1
"""In the place of an index: the flow is no COS traffic."""


class SpooledReport(msgspec.Struct, frozen=True, array_like=True):
    """A report as the exchange alone gives it."""

    alone: FlowReport
    pending: tuple[PendingFinding, ...] = ()
    seen: Observation | None = None
    """Where the second look needs it: something is pending, or said once for many flows."""


class FlowIdentity(msgspec.Struct, frozen=True, array_like=True):
    """A flow that was read. Of those with the same name, the highest rank counts."""

    name: int
    rank: tuple[int, ...]
    shard: int
    index: int
    """In the spool, or ``OTHER``."""
    host: str | None = None
    """Who was asked, where it is no COS traffic."""


class ConnectionUse(msgspec.Struct, frozen=True, array_like=True):
    """A flow on a connection; the first one has its times."""

    name: int
    begin: tuple[float, str]
    shard: int
    index: int


class SpooledObservation(msgspec.Struct, frozen=True, array_like=True):
    """An exchange for the history that it belongs to; or, ``is_copy``, for that of what was
    copied."""

    shard: int
    index: int
    seen: Observation
    marks: tuple[tuple[int, int], ...] = ()
    note: TransferNote | None = None
    is_copy: bool = False


class SpooledListing(msgspec.Struct, frozen=True, array_like=True):
    """What a list showed of an object."""

    shard: int
    index: int
    name: str
    """Of the object's history."""
    listing: ListEntry


class CaptureRead(msgspec.Struct, kw_only=True):
    """What is known of a capture, or of the parts of it that a shard has."""

    format: str
    facts: CaptureFacts
    exchanges: int = 0
    lost: Counter[str] = msgspec.field(default_factory=Counter)
    """Exchanges without a report, by reason."""

    def merge(self, other: "CaptureRead") -> None:
        """Adds what is known of other parts of the same capture."""
        self.facts.merge(other.facts)
        self.exchanges += other.exchanges
        self.lost.update(other.lost)


class ShardRead(msgspec.Struct, kw_only=True):
    """What is known of a shard that was read; all that grows with it lies in files."""

    number: int
    spool: str
    offsets: array[int]
    """Where each report begins in the spool."""
    places: array[int]
    """Where the flow of each begins in its capture."""
    captures: list[tuple[int, str]] = []
    """The captures, and the index of the first report of each."""
    identities: dict[int, str] = {}
    """Files of ``Identity`` by partition."""
    connections: dict[int, str] = {}
    observations: dict[int, str] = {}
    listings: dict[int, str] = {}
    """Files of ``SpooledListing``, beside the observations of the same partition."""
    secret_ids: dict[int, int] = {}
    """What was seen of each SecretId, as flags."""
    gaps: list[tuple[int, int]] = []
    """The first index of the reports, and the one behind the last, of captures that may not
    show all that happened."""
    said_once: array[int]
    """Indexes of the reports with a finding that is said once for many flows."""
    notes: list[str] = []
    faults: list[str] = []
    """A line for each flow that is lost, and for each capture that was not read to its end."""
    lost: Lost = msgspec.field(default_factory=Lost)
    """Flows that are in the shard, but could not be judged."""
    met: Counter[str] = msgspec.field(default_factory=Counter)
    """Flows, judged or lost, by capture."""
    facts: dict[str, CaptureRead] = {}
    """Of the captures themselves, by their names."""

    def place_of(self, index: int) -> tuple[str, int]:
        """The capture of a report, and where in it its flow begins."""
        at = bisect.bisect_right(self.captures, index, key=lambda each: each[0])
        return self.captures[at - 1][1], self.places[index]


WITH_TOKEN, ACCEPTED = 1, 2

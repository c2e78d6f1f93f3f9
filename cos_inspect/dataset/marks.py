"""``summary.json`` of a dataset: which runs are whole, and what was counted in them.

A run has a file of its own below ``runs``, which says that it is under way, and in the end that
it is whole; ``summary.json`` is made of these, and written last. Who has written it looks
whether another run became whole meanwhile: so of several that end at the same time none is lost.
"""

from datetime import datetime
from typing import Literal
from uuid import uuid4

import msgspec

from cos_inspect.captures import places
from cos_inspect.dataset.parquet import RowsWritten
from cos_inspect.dataset.schemas import VERSION
from cos_inspect.model.plain_text import encoded
from cos_inspect.model.summary import Counts, Lost, count_name

SUMMARY = "summary.json"
_RUNS = "runs"
_ENDING = ".json"
_COUNTED = ("verdict", "rule", "operation", "host", "client", "transfers")


class DatasetRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run into a dataset."""

    run: str
    """As in the names of the folders: ``run=…``."""
    name: str
    """The label that was given to the analysis."""
    program: str
    """The version of cos_inspect."""
    masked: bool
    """False where secrets were not masked."""
    whole: bool = False
    """False while it is under way, and where it was ended."""
    started: str | None = None
    """When the first of its flows began; ISO 8601 in UTC."""
    ended: str | None = None
    """When the last of its flows ended."""
    flows: int = 0
    """Of COS, each once."""
    others: int = 0
    """Flows that were not COS traffic."""
    lost: int = 0
    """Flows of COS without a report."""
    errors: int = 0
    """Inputs that could not be read, or not to their end, and other lines that told of a loss."""
    tables: dict[str, RowsWritten] = {}
    """Rows and files of each table."""


class DatasetSummary(msgspec.Struct, kw_only=True):
    """What ``summary.json`` of a dataset holds, and each file of a run."""

    schema: Literal["cos-inspect/dataset/1"] = "cos-inspect/dataset/1"
    counts: Counts = msgspec.field(default_factory=Counts)
    """Of all flows and transfers of the runs, as in a report directory's."""
    others: int = 0
    """Flows that were not COS traffic."""
    lost: Lost = msgspec.field(default_factory=Lost)
    """Flows of COS without a report."""
    runs: list[DatasetRun] = msgspec.field(default_factory=list)
    """Those that are whole, in the order in which they began."""

    def add(self, other: "DatasetSummary") -> None:
        """Counts another run as well."""
        add_counts(self.counts, other.counts)
        self.others += other.others
        self.lost.merge(other.lost)
        self.runs = sorted([*self.runs, *other.runs], key=lambda each: each.run)


assert DatasetSummary().schema == VERSION


def add_counts(counts: Counts, other: Counts) -> None:
    """Adds what others have counted."""
    counts.flows += other.flows
    for name in _COUNTED:
        into: dict[str, int] = getattr(counts, name)
        added: dict[str, int] = getattr(other, name)
        for key, number in added.items():
            count_name(into, key, number)
        setattr(counts, name, dict(sorted(into.items())))


def new_run(now: datetime) -> str:
    """A name that no other run has, and that sorts by time; ``now`` in UTC."""
    return f"{now:%Y%m%dT%H%M%SZ}-{uuid4().hex[:8]}"


class _Schema(msgspec.Struct):
    schema: str = ""


def check_place(place: str) -> None:
    """Whether a dataset may be written there.

    :raises OSError: where something else has a ``summary.json``, such as a report directory, or
        a dataset of another version; and when nobody can look.
    """
    if SUMMARY not in places.names_in(place):
        return
    try:
        found = msgspec.json.decode(places.read(places.join(place, SUMMARY)), type=_Schema).schema
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    if found != VERSION:
        what = f"its {SUMMARY} is of {found or 'something else'}, not of {VERSION}"
        raise places.PlaceError(places.name_of(place), what)


def write_run(place: str, told: DatasetSummary) -> None:
    """The file of one run, first and last.

    :raises OSError: when it cannot be written.
    """
    (run,) = told.runs
    _write(_place_of(place, run.run), told)


def write_summary(place: str) -> None:
    """Makes ``summary.json`` of the runs that are whole.

    :raises OSError: when something cannot be read or written.
    """
    # What once was whole stays so.
    open_runs: set[str] = set()
    while True:
        summary = _read(places.join(place, SUMMARY)) or DatasetSummary()
        known = {run.run for run in summary.runs} | open_runs
        names = places.names_in(places.join(place, _RUNS))
        found = [name.removesuffix(_ENDING) for name in names if name.endswith(_ENDING)]
        added = False
        for name in found:
            if name in known:
                continue
            told = _read(_place_of(place, name))
            if told is not None and all(run.whole for run in told.runs):
                summary.add(told)
                added = True
            else:
                open_runs.add(name)
        if not added:
            return
        _write(places.join(place, SUMMARY), summary)


def _place_of(place: str, run: str) -> str:
    return places.join(place, _RUNS, f"{run}{_ENDING}")


def _read(place: str) -> DatasetSummary | None:
    folder, _, name = place.rpartition("/")
    if name not in places.names_in(folder):
        return None
    try:
        return msgspec.json.decode(places.read(place), type=DatasetSummary)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _write(place: str, told: DatasetSummary) -> None:
    places.write(place, msgspec.json.format(encoded(told), indent=2) + b"\n")

"""``junit.xml``: suites are kept until the end of a run, since a report may be revised.

They lie in files without a name, so that nobody else can reach them. ``junit.xml`` can be
added to, and is whole after each addition. Of very many flows those that fail are listed first,
and how many are not listed is said in a suite of its own.
"""

import os
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from typing import IO, NamedTuple, override

import msgspec

from cos_inspect.report.directory import ReportDirectory
from cos_inspect.report.folder import RefusedError, pieces, write_all
from cos_inspect.report.junit import (
    connection_suite,
    flow_suite,
    left_out_suite,
    lost_suite,
    transfer_suite,
    unlisted_suite,
)
from cos_inspect.report.listing import MOST_LISTED
from cos_inspect.report.report_format import (
    NO_SETTINGS,
    FormatInput,
    FormatSettings,
    FormatWriter,
    Rendered,
    ReportFormat,
    RunEnd,
)

NAME = "junit.xml"

_HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="cos-inspect">\n'
_TAIL = b"</testsuites>\n"


class Suite(msgspec.Struct, frozen=True, gc=False):
    """The suite of one flow."""

    xml: bytes
    is_healed: bool
    """A failed try after which another one came through; these stand behind all others."""
    fails: bool
    """One of its test cases does."""


class JunitWriter(FormatWriter[Suite]):
    """Keeps 16 bytes of each report in memory, and some 100 of each that is revised."""

    def __init__(self, directory: ReportDirectory, settings: FormatSettings = NO_SETTINGS) -> None:
        super().__init__(directory, settings)
        self._suites = _Suites()
        self._numbers = array("Q")
        """The sequence of each suite, in order."""
        self._revised = _Suites()
        self._revisions: dict[int, int] = {}
        """Which one of ``_revised`` counts for a sequence."""
        self._kept = {False: 0, True: 0}
        """How many of ``_suites`` fail, and how many do not."""
        self._unlisted = {False: array("Q"), True: array("Q")}
        """The sequences of flows of which nothing is kept, since there are enough that fail, or
        do not, as they do."""

    @property
    @override
    def held(self) -> int:
        return len(self._numbers) + sum(map(len, self._unlisted.values()))

    @override
    def add(self, reports: Sequence[Rendered[Suite]]) -> None:
        kept: list[Rendered[Suite]] = []
        left_out: list[Rendered[Suite]] = []
        count = dict(self._kept)
        for each in reports:
            fails = each.content.fails
            count[fails] += 1
            (kept if count[fails] <= MOST_LISTED else left_out).append(each)
        self._suites.add([each.content for each in kept])
        self._numbers.extend(each.sequence for each in kept)
        for each in kept:
            self._kept[each.content.fails] += 1
        for each in left_out:
            self._unlisted[each.content.fails].append(each.sequence)

    @override
    def revise(self, reports: Sequence[Rendered[Suite]]) -> None:
        first = len(self._revised)
        self._revised.add([each.content for each in reports])
        for number, each in enumerate(reports, start=first):
            self._revisions[each.sequence] = number

    @override
    def finish(self, end: RunEnd) -> None:
        places = self._places()
        listed = _listed(places)
        made = [transfer_suite(transfer, self.settings) for transfer in end.transfers]
        left = self._left_out(fails=True)
        failing = sum(each.fails for each in places) - sum(each.fails for each in listed) + left
        unlisted = len(places) - len(listed) + self._left_out(fails=False) + left
        if unlisted:
            made.append(unlisted_suite(unlisted, failing))
        if end.left_out:
            made.append(left_out_suite(end.left_out, end.left_out_failing))
        made += [connection_suite(each, self.settings) for each in end.connections]
        if end.lost.count:
            made.append(lost_suite(end.lost))
        _add_suites(
            self.directory,
            chain(
                self._read(listed, end.sign, healed=False),
                made,
                self._read(listed, end.sign, healed=True),
            ),
        )

    def _places(self) -> "list[_Place]":
        """Each suite as it is in the end; those that another writer was given first come last."""
        revisions = dict(self._revisions)
        found: list[_Place] = []
        for number, sequence in enumerate(self._numbers):
            revision = revisions.pop(sequence, None)
            if revision is None:
                found.append(_Place(self._suites, number))
            else:
                found.append(_Place(self._revised, revision))
        found += [_Place(self._revised, revision) for revision in revisions.values()]
        return found

    def _left_out(self, *, fails: bool) -> int:
        """How many flows nothing is kept of. One that was revised since is kept."""
        return sum(sequence not in self._revisions for sequence in self._unlisted[fails])

    @staticmethod
    def _read(
        places: "Sequence[_Place]", sign: Callable[[], None], *, healed: bool
    ) -> Iterator[bytes]:
        for each in places:
            if each.is_healed == healed:
                yield from each.suites.read(each.number)
            sign()

    @override
    def close(self) -> None:
        self._suites.close()
        self._revised.close()


def _listed(places: "list[_Place]") -> "list[_Place]":
    """In their order; where there are too many, the first of those that fail go before."""
    if len(places) <= MOST_LISTED:
        return places
    ranked = sorted(range(len(places)), key=lambda index: (not places[index].fails, index))
    return [places[index] for index in sorted(ranked[:MOST_LISTED])]


class _Place(NamedTuple):
    """One suite in a file."""

    suites: "_Suites"
    number: int

    @property
    def is_healed(self) -> bool:
        return self.suites.is_healed(self.number)

    @property
    def fails(self) -> bool:
        return self.suites.fails(self.number)


class _Suites:
    """A file that is made when it is first written to."""

    def __init__(self) -> None:
        self._places = array("Q")
        """Where each suite ends, four times, and one more for a healed one, two for one that
        fails."""

    @cached_property
    def _file(self) -> IO[bytes]:
        return tempfile.TemporaryFile(prefix="cos-inspect-", buffering=0)

    def __len__(self) -> int:
        return len(self._places)

    @property
    def _size(self) -> int:
        return self._places[-1] >> 2 if self._places else 0

    def add(self, suites: Sequence[Suite]) -> None:
        """All of them or none."""
        size = self._size
        descriptor = self._file.fileno()
        os.lseek(descriptor, size, os.SEEK_SET)
        try:
            write_all(descriptor, b"".join(each.xml for each in suites))
        except OSError:
            os.ftruncate(descriptor, size)
            raise
        for each in suites:
            size += len(each.xml)
            self._places.append(size << 2 | each.fails << 1 | each.is_healed)

    def is_healed(self, number: int) -> bool:
        """Whether a suite is of a try after which another one came through."""
        return bool(self._places[number] & 1)

    def fails(self, number: int) -> bool:
        """Whether something in a suite fails."""
        return bool(self._places[number] & 2)

    def read(self, number: int) -> Iterator[bytes]:
        """A suite, in pieces."""
        start = self._places[number - 1] >> 2 if number else 0
        os.lseek(self._file.fileno(), start, os.SEEK_SET)
        yield from pieces(self._file.fileno(), (self._places[number] >> 2) - start)

    def close(self) -> None:
        if "_file" in self.__dict__:
            self._file.close()


def _add_suites(directory: ReportDirectory, suites: Iterable[bytes]) -> None:
    """Adds to the file, or begins it; readers see it as it was before, or whole. To be called
    while holding the directory's lock. OSError when it cannot be written, or is not ours."""
    descriptor = directory.open_to_read(NAME)
    try:
        directory.write(NAME, chain(_so_far(descriptor, directory), suites, (_TAIL,)))
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _so_far(descriptor: int | None, directory: ReportDirectory) -> Iterator[bytes]:
    """What the file holds without its end."""
    size = 0 if descriptor is None else os.fstat(descriptor).st_size
    if descriptor is None or not size:
        yield _HEAD
        return
    left = size - len(_TAIL)
    if left >= len(_HEAD):
        os.lseek(descriptor, left, os.SEEK_SET)
    if left < len(_HEAD) or os.read(descriptor, len(_TAIL)) != _TAIL:
        why = "is not a file of cos-inspect, or was cut; move it away"
        raise RefusedError(directory.path / NAME, "not a file of cos-inspect", why)
    os.lseek(descriptor, 0, os.SEEK_SET)
    yield from pieces(descriptor, left)


def _render(given: FormatInput) -> Suite:
    xml = flow_suite(given.report, given.settings)
    # In a text the sign would be spelt out.
    return Suite(xml, given.report.is_healed, fails=b"<failure " in xml)


JUNIT = ReportFormat(name="junit", render=_render, writer=JunitWriter, content=Suite)

"""The report directory: its layout, its numbering, and how files get there.

Several processes may write into one directory, and a later run goes on
counting: numbers are handed out under a lock, a file is written to a
temporary name and renamed, and ``summary.json`` is added to, never replaced.
Descriptors of directories and growing files are kept, and looked at anew each
time the lock is taken: what was moved away, removed or swapped meanwhile is
opened again.
"""

import os
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.summary import RunSummary, Summary
from cos_inspect.model.summary_delta import SummaryDelta
from cos_inspect.report.folder import Folder, RefusedError, pieces, status_of, write_all
from cos_inspect.report.sequence_file import SequenceFile
from cos_inspect.report.summary_file import SummaryFile

_LOCK_SECONDS = 10.0
_BLOCK = 4096
_MOST_GROWING = 8
"""Files to which lines are added that are kept open."""
_FLOWS = "flows"
_RUN = ".run"
"""The number of the latest run."""
_NUMBERED = re.compile(r"^(\d{6,18})_")
_ROWS = re.compile(r"^rows-\d+\.js$")
_NUMBER_OF_ROW = re.compile(rb"""^cosInspect\.row\('\{"n":(\d{1,18})\b""", re.MULTILINE)
_NUMBER_OF_LINE = re.compile(rb'"sequence":(\d{1,18})\b')
_LONGEST_NUMBER = 18
_LONGEST_MATCH = 64
_UNSAFE = re.compile(r"[^A-Za-z0-9.-]")


def flow_file_stem(report: FlowReport) -> str:
    """``000001_PutObject_200_3f2a9c1b``: never a character of an object key."""
    status = "error" if report.response is None else str(report.response.status)
    flow = _UNSAFE.sub("-", report.flow_id[:8])
    return f"{report.sequence:06d}_{operation_in_name(report.cos.operation)}_{status}_{flow}"


@lru_cache(maxsize=512)
def operation_in_name(name: str) -> str:
    """An operation as it stands in the names of files."""
    return _UNSAFE.sub("-", name)[:60]


def refusal_of(path: Path) -> str | None:
    """Why reports are not to be written to a directory, in one line; None where they may, and
    where it is not there yet."""
    try:
        Folder.open(path, make=False).close()
    except RefusedError as error:
        return str(error)
    except OSError:
        return None
    return None


class _Growing(msgspec.Struct):
    """A file to which lines are added."""

    descriptor: int
    identity: tuple[int, int]
    whole: int = -1
    """The size that it had after lines were added last: then its last line is whole."""


class ReportDirectory:
    """Files below one directory; made if missing, also when it went missing meanwhile.

    To be used by one thread at a time. All methods raise OSError when something cannot be
    done: ``RefusedError`` with a line that says why where the directory is not safe to
    write to.
    """

    def __init__(self, path: Path, answered: Callable[[], None] = lambda: None) -> None:
        """``answered`` is called whenever the disk has done what it was asked for."""
        self.path = path
        self._answered = answered
        self._root: Folder | None = None
        self._folders: dict[str, Folder] = {}
        self._sequence: SequenceFile | None = None
        self._last = 0
        """The highest number that was handed out here."""
        self._growing: OrderedDict[str, _Growing] = OrderedDict()
        self._summary = SummaryFile()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Gives the descriptors back; the next use opens them again.

        :raises OSError: of one or more of them, which are given back all the same, the disk says
            now that it has not taken all that was written.
        """
        with ExitStack() as all_of_it:
            for each in (self._root, *self._folders.values(), self._sequence, self._summary):
                if each is not None:
                    all_of_it.callback(each.close)
            for growing in self._growing.values():
                all_of_it.callback(os.close, growing.descriptor)
            self._root = self._sequence = None
            self._folders = {}
            self._growing = OrderedDict()

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Holds the directory's lock, which other processes wait for. TimeoutError when it
        cannot be had."""
        self._look()
        # What stands in its place keeps back what lies in it, and nothing else.
        with suppress(OSError):
            self._folder(_FLOWS)
        if self._sequence is None:
            self._sequence = SequenceFile(self._top())
        sequence = self._sequence
        sequence.acquire(_LOCK_SECONDS)
        self._answered()
        try:
            yield
        finally:
            sequence.release()

    def _look(self) -> None:
        """Gives up what is kept of directories that are no longer there under their names."""
        root = self._root
        if root is None:
            return
        if not root.is_still(None):
            self.close()
            return
        for name, folder in list(self._folders.items()):
            if not folder.is_still(root, name):
                del self._folders[name]
                folder.close()
                for kept in [each for each in self._growing if each.startswith(f"{name}/")]:
                    os.close(self._growing.pop(kept).descriptor)

    def _top(self) -> Folder:
        if self._root is None:
            self._root = Folder.open(self.path)
        return self._root

    def _folder(self, name: str) -> Folder:
        """Below the directory; ``""``: the directory itself."""
        if not name:
            return self._top()
        folder = self._folders.get(name)
        if folder is None:
            folder = self._folders[name] = self._top().folder(name)
        return folder

    def _split(self, name: str) -> tuple[Folder, str]:
        folder, _, last = name.rpartition("/")
        return self._folder(folder), last

    def take_sequences(self, count: int) -> range:
        """The next ``count`` sequence numbers; to be called while holding the lock."""
        assert self._sequence is not None
        last = self._sequence.read()
        if last is None:
            last = max(self._last, self._last_written())
        self._sequence.write(last + count)
        self._answered()
        self._last = last + count
        return range(last + 1, last + count + 1)

    def _last_written(self) -> int:
        """The highest number that any file holds."""
        flows: list[str] = []
        rows: list[str] = []
        # What is not safe to read holds no number of ours, and keeps no other format back.
        with suppress(RefusedError):
            flows = self.names(_FLOWS)
        with suppress(RefusedError):
            rows = [name for name in self.names("data") if _ROWS.match(name)]
        numbers = [int(found[1]) for name in flows if (found := _NUMBERED.match(name))]
        if rows:
            numbers.append(self._greatest(f"data/{max(rows)}", _NUMBER_OF_ROW))
        numbers.append(self._greatest("flows.jsonl", _NUMBER_OF_LINE))
        return max(numbers, default=0)

    def _greatest(self, name: str, number: re.Pattern[bytes]) -> int:
        folder, last = self._split(name)
        descriptor = folder.open_to_read(last)
        if descriptor is None:
            return 0
        greatest, rest = 0, b""
        try:
            for piece in pieces(descriptor):
                text = rest + piece
                found = [int(each) for each in number.findall(text)]
                greatest = max([greatest, *found])
                # A number that stands across two pieces is seen whole the next time.
                rest = text[-_LONGEST_MATCH:]
        finally:
            os.close(descriptor)
        return greatest

    def names(self, folder: str) -> list[str]:
        """What lies in a folder below the directory; none where there is no such folder."""
        try:
            if folder not in self._folders:
                self._top().status(folder)
            return self._folder(folder).names()
        except FileNotFoundError:
            return []

    def exists(self, name: str) -> bool:
        """Whether there is such a file; ``name`` may have a folder before it."""
        folder, last = self._split(name)
        try:
            folder.status(last)
        except FileNotFoundError:
            return False
        return True

    def write_flow(self, name: str, content: bytes) -> str:
        """Writes or replaces the file of one flow; its path."""
        folder = self._folder(_FLOWS)
        folder.replace(name, (content,))
        self._answered()
        return f"{folder.path}/{name}"

    def append(self, name: str, lines: Sequence[bytes]) -> bool:
        """Adds lines to a file in one write, or none of them; to be called holding the lock.
        True when the file is new. A line that a crash has cut short is taken away first."""
        growing, size = self._opened_to_grow(name)
        descriptor = growing.descriptor
        if size != growing.whole:
            size = _whole_lines(descriptor)
        content = b"\n".join([*lines, b""])
        growing.whole = -1
        try:
            write_all(descriptor, content)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
        growing.whole = size + len(content)
        self._answered()
        return size == 0

    def _opened_to_grow(self, name: str) -> tuple["_Growing", int]:
        """And its size."""
        folder, last = self._split(name)
        kept = self._growing.get(name)
        if kept is not None:
            try:
                status = folder.status(last)
            except FileNotFoundError:
                status = None
            if (
                status is not None
                and (status.st_dev, status.st_ino) == kept.identity
                and status.st_nlink == 1
            ):
                self._growing.move_to_end(name)
                return kept, status.st_size
            del self._growing[name]
            os.close(kept.descriptor)
        descriptor = folder.open_to_change(last, os.O_APPEND)
        status = status_of(descriptor)
        self._growing[name] = kept = _Growing(descriptor, (status.st_dev, status.st_ino))
        if len(self._growing) > _MOST_GROWING:
            os.close(self._growing.popitem(last=False)[1].descriptor)
        return kept, status.st_size

    def read(self, name: str) -> bytes | None:
        """The content of a file; None where there is none, or a link or something else that
        is no file."""
        folder, last = self._split(name)
        return folder.read(last)

    def open_to_read(self, name: str) -> int | None:
        """The same as a descriptor, which is the caller's to close."""
        folder, last = self._split(name)
        return folder.open_to_read(last)

    def write(self, name: str, content: bytes | Iterable[bytes]) -> None:
        """Writes or replaces a file; ``name`` may have a folder before it."""
        folder, last = self._split(name)
        folder.replace(last, (content,) if isinstance(content, bytes) else content)
        self._answered()

    def remove(self, name: str) -> None:
        """Takes a file away; ``name`` may have a folder before it."""
        folder, last = self._split(name)
        folder.remove(last)

    def add_to_summary(self, *tallies: SummaryDelta) -> Summary:
        """Adds what a run has counted since its last call; the whole summary. To be called
        holding the lock."""
        summary = self._summary.add(self._top(), tallies)
        self._answered()
        return summary

    def begin_run(self, name: str, started: str | None) -> RunSummary:
        """A run with a number of its own, which the summary does not know yet. To be called
        holding the lock."""
        last = (self.read(_RUN) or b"").strip()[:_LONGEST_NUMBER]
        summary = self._summary.read(self._top())
        runs = [run.id for run in summary.runs] if summary else []
        run = RunSummary(
            id=max([0, *runs, int(last) if last.isdigit() else 0]) + 1, name=name, started=started
        )
        self.write(_RUN, b"%d\n" % run.id)
        return run


def _whole_lines(descriptor: int) -> int:
    """The size of a file of lines, after a last line without an end was cut off."""
    size = end = os.lseek(descriptor, 0, os.SEEK_END)
    if not end or _part(descriptor, end - 1, 1) == b"\n":
        return end
    while end > 0:
        start = max(0, end - _BLOCK)
        found = _part(descriptor, start, end - start).rfind(b"\n")
        if found >= 0:
            end = start + found + 1
            break
        end = start
    if end != size:
        os.ftruncate(descriptor, end)
    return end


def _part(descriptor: int, start: int, size: int) -> bytes:
    os.lseek(descriptor, start, os.SEEK_SET)
    return os.read(descriptor, size)

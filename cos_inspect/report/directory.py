"""The report directory: its layout, its numbering, and how files get there.

Several processes may write into one directory, and a later run goes on
counting: numbers are handed out under a lock, a file is written to a
temporary name and renamed, and ``summary.json`` is added to, never replaced.
"""

import errno
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import msgspec
from filelock import FileLock

from cos_inspect.report.model import FlowReport
from cos_inspect.report.summary import Summary, Tally, merged

_LOCK_SECONDS = 10.0
_BLOCK = 4096
_NUMBERED = re.compile(r"^(\d{6,})_")
_REASONS = {
    errno.ENOSPC: "disk full",
    errno.EDQUOT: "disk quota reached",
    errno.EROFS: "read-only file system",
    errno.EACCES: "no permission",
    errno.EPERM: "no permission",
    errno.EMFILE: "too many open files",
    errno.ENFILE: "too many open files",
    errno.ENOENT: "directory gone",
    errno.EIO: "input/output error",
}
_UNSAFE = re.compile(r"[^A-Za-z0-9.-]")


def flow_file_stem(report: FlowReport) -> str:
    """``000001_PutObject_200_3f2a9c1b``: never a character of an object key."""
    status = "error" if report.response is None else str(report.response.status)
    flow = _UNSAFE.sub("-", report.flow_id[:8])
    return f"{report.sequence:06d}_{_operation(report.cos.operation)}_{status}_{flow}"


@lru_cache(maxsize=512)
def _operation(name: str) -> str:
    return _UNSAFE.sub("-", name)[:60]


def reason_of(error: OSError) -> str:
    """Why something could not be written, in a few plain words that stand in the summary."""
    known = _REASONS.get(error.errno or 0)
    return known or (error.strerror or type(error).__name__).lower()


class ReportDirectory:
    """Files below one directory; made if missing, also when it went missing meanwhile."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._flows = path / "flows"
        self._flows_text = str(self._flows)
        self._counter = path / ".sequence"
        self._serial = 0

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Holds the directory's lock. OSError or ``filelock.Timeout`` (an OSError)
        when it cannot be had."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._flows.mkdir(mode=0o700, exist_ok=True)
        with FileLock(self.path / ".lock", timeout=_LOCK_SECONDS, mode=0o600):
            yield

    def take_sequences(self, count: int) -> range:
        """The next ``count`` sequence numbers; to be called while holding the lock."""
        try:
            last = int(self._counter.read_text())
        except (OSError, ValueError):
            last = self._last_written()
        self._replace(self._counter, str(last + count).encode())
        return range(last + 1, last + count + 1)

    def _last_written(self) -> int:
        numbers = (
            int(found[1]) for path in self._flows.iterdir() if (found := _NUMBERED.match(path.name))
        )
        return max(numbers, default=0)

    def write_flow(self, report: FlowReport, suffix: str, content: bytes) -> str:
        """The new file's path."""
        # As text: pathlib would cost as much as the writing does.
        return self._replace_in(self._flows_text, f"{flow_file_stem(report)}{suffix}", content)

    def append(self, name: str, lines: Sequence[bytes]) -> bool:
        """Adds lines to a file in one write, or none of them; to be called holding the lock.
        True when the file is new. A line that a crash has cut short is taken away first."""
        descriptor = os.open(self.path / name, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            size = _whole_lines(descriptor)
            try:
                _write_all(descriptor, b"".join(line + b"\n" for line in lines))
            except OSError:
                os.ftruncate(descriptor, size)
                raise
            return size == 0
        finally:
            os.close(descriptor)

    def write(self, name: str, content: bytes) -> None:
        """Writes or replaces a file; ``name`` may have a folder before it."""
        path = self.path / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        self._replace(path, content)

    def add_to_summary(self, tally: Tally) -> Summary:
        """Adds what a run has counted since its last call; the whole summary. To be called
        holding the lock."""
        path = self.path / "summary.json"
        before = None
        try:
            before = msgspec.json.decode(path.read_bytes(), type=Summary)
        except (OSError, msgspec.DecodeError):
            before = None
        summary = merged(before, tally)
        self._replace(path, msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n")
        return summary

    def _replace(self, path: Path, content: bytes) -> None:
        self._replace_in(str(path.parent), path.name, content)

    def _replace_in(self, folder: str, name: str, content: bytes) -> str:
        """Writes to a temporary name, then renames, so that nobody sees half a file."""
        self._serial += 1
        temporary = f"{folder}/.{os.getpid()}-{self._serial}.tmp"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            try:
                _write_all(descriptor, content)
            finally:
                os.close(descriptor)
            path = f"{folder}/{name}"
            os.replace(temporary, path)  # noqa: PTH105
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise
        return path


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)[os.write(descriptor, content) :]
    while view:
        view = view[os.write(descriptor, view) :]


def _whole_lines(descriptor: int) -> int:
    """The size of a file of lines, after a last line without an end was cut off."""
    size = end = os.fstat(descriptor).st_size
    while end > 0:
        start = max(0, end - _BLOCK)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            end = start + found + 1
            break
        end = start
    if end != size:
        os.ftruncate(descriptor, end)
    return end

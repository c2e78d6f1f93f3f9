"""The number and the lock in one file, whatever is done to it."""

import multiprocessing
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.report.folder import Folder
from cos_inspect.report.sequence_file import _NUMBER, _WIDTH, NAME, SequenceFile


@pytest.fixture
def sequence(tmp_path: Path) -> SequenceFile:
    return SequenceFile(Folder.open(tmp_path))


def test_what_was_written_is_read(sequence: SequenceFile, tmp_path: Path) -> None:
    assert sequence.read() is None
    for number in (1, 99, 100, 10**9, 3):
        sequence.write(number)
        assert sequence.read() == number
        assert SequenceFile(Folder.open(tmp_path)).read() == number
    assert (tmp_path / NAME).stat().st_size == 21
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


def test_the_file_stays_the_same_one(sequence: SequenceFile, tmp_path: Path) -> None:
    before = (tmp_path / NAME).stat().st_ino
    for number in range(100):
        sequence.write(number)
    assert (tmp_path / NAME).stat().st_ino == before


def test_a_number_of_before_is_read(sequence: SequenceFile, tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("4711")
    assert sequence.read() == 4711
    sequence.write(4712)
    assert SequenceFile(Folder.open(tmp_path)).read() == 4712


@given(st.integers(0, 10**18), st.data())
def test_a_torn_number_is_none(number: int, data: st.DataObject) -> None:
    """A crash may leave the front of it."""
    whole = b"%0*d\n" % (_WIDTH, number)
    assert _NUMBER.fullmatch(whole)
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert not _NUMBER.fullmatch(whole[:cut])


@pytest.mark.parametrize("content", [b"", b"x", b"-5", b"007", b"1e9", b"1_000", b"9" * 40])
def test_what_is_no_number_is_none(sequence: SequenceFile, tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    assert sequence.read() is None


def test_only_one_holds_the_lock(tmp_path: Path) -> None:
    first, second = (SequenceFile(Folder.open(tmp_path)) for _ in range(2))
    first.acquire(1)
    with pytest.raises(TimeoutError, match="another process keeps the directory locked"):
        second.acquire(0.05)
    first.release()
    second.acquire(1)


def test_a_lock_that_was_taken_away_is_taken_anew(tmp_path: Path) -> None:
    first, second, third = (SequenceFile(Folder.open(tmp_path)) for _ in range(3))
    first.acquire(1)
    got = threading.Event()

    def wait() -> None:
        second.acquire(20)
        got.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    (tmp_path / NAME).unlink()
    first.release()
    assert got.wait(20)
    waiting.join()
    with pytest.raises(TimeoutError):
        third.acquire(0.05)
    second.write(5)
    assert (tmp_path / NAME).read_text() == f"{5:020d}\n"


def _count(path: str, times: int) -> None:
    sequence = SequenceFile(Folder.open(Path(path)))
    for _ in range(times):
        sequence.acquire(30)
        sequence.write((sequence.read() or 0) + 1)
        sequence.release()


def test_processes_take_turns(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_count, args=(str(tmp_path), 100)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert SequenceFile(Folder.open(tmp_path)).read() == 300


def test_the_lock_ends_with_its_holder(tmp_path: Path) -> None:
    first, second = (SequenceFile(Folder.open(tmp_path)) for _ in range(2))
    first.acquire(1)
    first.close()
    second.acquire(1)


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    folder = Folder.open(tmp_path)
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0  # noqa: PTH208
    for _ in range(20):
        sequence = SequenceFile(folder)
        sequence.acquire(1)
        (tmp_path / NAME).unlink()
        sequence.release()
        sequence.acquire(1)
        sequence.release()
        sequence.close()
    if before:
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_number_that_the_disk_takes_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequence = SequenceFile(Folder.open(tmp_path))
    sequence.acquire(1)
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data)[:1]))
    sequence.write(12)
    assert sequence.read() == 12

"""A value that is too large for memory lies in the file, or in a copy, and is read in pieces."""

import gzip
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.captures import blob as blobs
from cos_inspect.captures.blob import Blob, BlobWriter
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.source import Stream

CONTENT = bytes(range(256)) * 40


@given(st.integers(0, len(CONTENT)), st.integers(0, len(CONTENT)), st.integers(1, 3000))
def test_a_value_in_a_file_is_read_where_it_lies(
    tmp_path_factory: pytest.TempPathFactory, offset: int, length: int, chunk: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "blob"
    path.write_bytes(CONTENT)
    stream = Stream(str(path))
    writer = BlobWriter(stream, offset)
    writer.write(CONTENT[offset : offset + length])
    value = writer.blob()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blobs, "_CHUNK", chunk)
        for _ in range(2):
            pieces = list(value.chunks())
            assert b"".join(pieces) == CONTENT[offset : offset + length]
            assert max(map(len, pieces), default=0) <= chunk
    stream.close()


def _packed(folder: Path) -> Stream:
    path = folder / "a.gz"
    path.write_bytes(gzip.compress(CONTENT))
    return Stream(str(path))


def test_of_what_cannot_be_read_again_a_copy_is_made(tmp_path: Path) -> None:
    stream = _packed(tmp_path)
    writer = BlobWriter(stream, 7)
    for at in range(0, len(CONTENT), 1000):
        writer.write(CONTENT[at : at + 1000])
    value = writer.blob()
    stream.close()
    assert value.length == len(CONTENT)
    assert b"".join(value.chunks()) == b"".join(value.chunks()) == CONTENT


def test_a_value_that_nobody_wants_is_not_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", None)
    writer = BlobWriter(_packed(tmp_path), 0, keeps=False)
    writer.write(CONTENT)
    assert writer.blob().length == len(CONTENT)


def test_where_there_is_no_room_for_a_copy_the_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    stream = _packed(tmp_path)
    with pytest.raises(CaptureError, match=f"{stream.name}: no copy .*: No space left on device"):
        BlobWriter(stream, 0)


def test_a_file_that_has_become_shorter_gives_what_it_has(tmp_path: Path) -> None:
    with (tmp_path / "a").open("w+b") as file:
        file.write(CONTENT)
        assert b"".join(Blob(file, 100, 2 * len(CONTENT)).chunks()) == CONTENT[100:]

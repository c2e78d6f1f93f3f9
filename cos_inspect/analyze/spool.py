"""Files between the steps of an analysis: what a step hands to the next, one record after
another, so that memory does not grow with the input.

A record is msgpack with its length in front. Files lie in a folder, or at a URL where the
machines of a cluster find them. Each is named by what it was made of and appears whole, so
that a step may run twice, also at the same time.
"""

from array import array
from collections.abc import Iterator
from hashlib import blake2b
from io import BufferedWriter
from pathlib import Path
from typing import BinaryIO

import msgspec

from cos_inspect.captures.places import NewFile, join, open_to_read
from cos_inspect.model.plain_text import packed

_BUFFERED = 256 * 1024
"""Bytes of one partition that are held before they are written."""


class SpoolWriter:
    """Records that are found again by the offset at which they begin."""

    def __init__(self, path: str) -> None:
        self._new = NewFile(path)
        self._file: BufferedWriter = Path(self._new.path).open("wb")  # noqa: SIM115
        self.offsets = array("Q")
        self._at = 0

    def add(self, data: bytes) -> None:
        """Takes a record that is packed."""
        self._file.write(len(data).to_bytes(4, "little"))
        self._file.write(data)
        self.offsets.append(self._at)
        self._at += 4 + len(data)

    def close(self) -> None:
        """Writes what is left, and puts the file under its name."""
        self._file.close()
        self._new.publish()


def read_at[R](file: BinaryIO, offset: int, decoder: msgspec.msgpack.Decoder[R]) -> R:
    """The record that begins at ``offset``."""
    file.seek(offset)
    return decoder.decode(file.read(int.from_bytes(file.read(4), "little")))


def records[R](path: str, decoder: msgspec.msgpack.Decoder[R]) -> Iterator[R]:
    """All records of a file, in order."""
    with open_to_read(path) as file:
        while size := file.read(4):
            yield decoder.decode(file.read(int.from_bytes(size, "little")))


class PartitionsWriter:
    """Records in one of several files, by a name: what has the same name lies in the same
    one, whoever wrote it."""

    def __init__(self, folder: str, prefix: str, count: int) -> None:
        self._base = join(folder, prefix)
        self._buffers = [bytearray() for _ in range(count)]
        self._files: dict[int, NewFile] = {}

    def add(self, name: str, record: object) -> None:
        """Puts a record into the partition of what bears this name."""
        number = partition_of(name, len(self._buffers))
        data = packed(record)
        buffer = self._buffers[number]
        buffer += len(data).to_bytes(4, "little")
        buffer += data
        if len(buffer) > _BUFFERED:
            self._write(number)

    def _write(self, number: int) -> None:
        buffer = self._buffers[number]
        if buffer:
            new = self._files.get(number)
            if new is None:
                new = self._files[number] = NewFile(f"{self._base}.{number}")
            with Path(new.path).open("ab") as file:
                file.write(buffer)
            buffer.clear()

    def close(self) -> dict[int, str]:
        """The files that were written, by the number of the partition."""
        for number in range(len(self._buffers)):
            self._write(number)
        for new in self._files.values():
            new.publish()
        return {number: f"{self._base}.{number}" for number in sorted(self._files)}


def partition_of(name: str, count: int) -> int:
    """Which of ``count`` partitions has what bears a name; the same in every process."""
    return hash_of(name) % count if count > 1 else 0


def hash_of(name: str) -> int:
    """64 bits, the same in every process."""
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")

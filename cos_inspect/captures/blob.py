"""A value too large for memory: where it lies, to be read in pieces."""

import tempfile
from collections.abc import Iterator
from typing import IO

from cos_inspect.captures.source import Stream

LARGE = 1024 * 1024
"""Longer values are not held in memory."""
_CHUNK = 256 * 1024


class Blob:
    """Bytes in a file that can be read again, or in a temporary copy."""

    def __init__(self, source: Stream | IO[bytes], offset: int, length: int) -> None:
        self._source = source
        self._offset = offset
        self.length = length

    def chunks(self) -> Iterator[bytes]:
        at, end = self._offset, self._offset + self.length
        while at < end:
            size = min(_CHUNK, end - at)
            if isinstance(self._source, Stream):
                data = self._source.at(at, size)
            else:
                self._source.seek(at)
                data = self._source.read(size)
            if not data:
                return
            at += len(data)
            yield data


class BlobWriter:
    """Takes the bytes of one value as they are met; keeps them only where it must."""

    def __init__(self, stream: Stream, offset: int) -> None:
        self._stream = stream
        self._offset = offset
        self._copy: IO[bytes] | None = None if stream.seekable else _temporary()
        self._length = 0

    def write(self, data: bytes) -> None:
        self._length += len(data)
        if self._copy is not None:
            self._copy.write(data)

    def blob(self) -> Blob:
        if self._copy is not None:
            return Blob(self._copy, 0, self._length)
        return Blob(self._stream, self._offset, self._length)


def _temporary() -> IO[bytes]:
    return tempfile.TemporaryFile()

"""A value too large for memory: where it lies, to be read in pieces."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from cos_inspect.captures.errors import CaptureError
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
        """Its bytes, read anew each time.

        :raises OSError: the file cannot be read any more.
        """
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
    """Takes the bytes of one value as they are met; copies them where they cannot be read
    again, but with ``keeps`` False."""

    def __init__(self, stream: Stream, offset: int, *, keeps: bool = True) -> None:
        self._stream = stream
        self._offset = offset
        self._copy: IO[bytes] | None = None
        self._length = 0
        if keeps and not stream.seekable:
            with self._told():
                self._copy = tempfile.TemporaryFile()  # noqa: SIM115

    def write(self, data: bytes) -> None:
        """:raises CaptureError: when there is no room for a copy."""
        self._length += len(data)
        if self._copy is not None:
            with self._told():
                self._copy.write(data)

    def blob(self) -> Blob:
        """:raises CaptureError: when there is no room for a copy."""
        if self._copy is not None:
            with self._told():
                self._copy.flush()
            return Blob(self._copy, 0, self._length)
        return Blob(self._stream, self._offset, self._length)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            what = f"no copy of a long value can be made in {tempfile.gettempdir()}"
            why = f"{what}: {error.strerror or error}"
            raise CaptureError(self._stream.name, why, self._offset, loses=True) from error

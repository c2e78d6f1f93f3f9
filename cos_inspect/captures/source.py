"""The bytes of one file, unpacked where it is compressed."""

import gzip
import io
import os
import sys
import zlib
from collections.abc import Callable
from typing import BinaryIO

from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.places import PlaceError, open_to_read, reason_of

Progress = Callable[[int], None]
"""Told how many more bytes of the file (as it lies on the disk) were read."""

_CHUNK = 1024 * 1024
_HEAD = 64
"""Bytes that tell how it is packed."""
_UNPACKED, _UNPACKED_RATIO = 256 * _CHUNK, 200
"""Bytes that any compressed input may unpack to, and for each of its bytes. Text shrinks to a
tenth; what shrinks to a thousandth is made for it, or an object that is empty all through."""
_PACKED_FLOWS, _SMALLEST_PACKED_FLOW = 100_000, 16
"""The same for flows: the ids and times of one alone do not shrink to so few bytes."""
_ZLIB_HEADS = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


class Stream:
    """The unpacked bytes of one input, read forwards in pieces of bounded size."""

    def __init__(
        self,
        path: str,
        progress: Progress | None = None,
        begin: int = 0,
        name: str | None = None,
    ) -> None:
        """``name`` is what messages call it.

        :raises CaptureError: when there is no such file, or it cannot be read.
        """
        self.path = path
        self.name = path if name is None else name
        self.offset = begin
        """Of the next byte that ``read`` returns."""
        self._second: BinaryIO | None = None
        self._fault: Exception | None = None
        try:
            self._file: BinaryIO = open_to_read(path)
            self._raw = _Counted(self._file, progress)
            head = self._raw.read(_HEAD)
            self.packed = is_packed(head)
            self.seekable = not self.packed and self._file.seekable()
            self.size = self._file.seek(0, os.SEEK_END) if self.seekable else None
            """Bytes when it was opened; None where nobody knows."""
        except OSError as error:
            raise CaptureError(self.name, reason_of(error)) from error
        if self.packed:
            rest = _Joined(head, self._raw)
            self._bytes: io.BufferedIOBase = (
                gzip.GzipFile(fileobj=rest)
                if head.startswith(b"\x1f\x8b")
                else io.BufferedReader(_Inflated(rest))
            )
        elif self.seekable:
            self._file.seek(begin)
            self._bytes = self._raw
        else:
            self._bytes = _Joined(head, self._raw)

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes; fewer only at the end.

        :raises CaptureError: when the packing is broken, or holds what no capture does.
        """
        try:
            data = self._read_packed(size) if self.packed else self._bytes.read(size)
        except (OSError, EOFError, zlib.error) as error:
            raise CaptureError(self.name, _fault_of(error), self.offset, loses=True) from error
        self.offset += len(data)
        if self.packed:
            self._admit(self.offset, "bytes", _UNPACKED + self._raw.total * _UNPACKED_RATIO)
        return data

    def _read_packed(self, size: int) -> bytes:
        """What comes before a fault counts; the fault is told by the next call."""
        data = bytearray()
        while len(data) < size and self._fault is None:
            try:
                more = self._bytes.read1(size - len(data))
            except (OSError, EOFError, zlib.error) as error:
                self._fault = error
            else:
                if not more:
                    break
                data += more
        if self._fault is not None and not data:
            raise self._fault
        return bytes(data)

    def finish(self) -> None:
        """Reads to the end what is packed, for at its end stands whether it is whole.

        :raises CaptureError: where it is not.
        """
        while self.packed and self.read(_CHUNK):
            pass

    def admit(self, flows: int) -> None:
        """:raises CaptureError: where compressed data are too short for so many flows."""
        if self.packed:
            self._admit(flows, "flows", _PACKED_FLOWS + self._raw.total // _SMALLEST_PACKED_FLOW)

    def _admit(self, count: int, what: str, most: int) -> None:
        if count > most:
            raise CaptureError(
                self.name,
                f"its first {self._raw.total} compressed bytes hold more than {most} {what}, as"
                " those of no capture do: the rest is not read; unpack it to have it read",
                self.offset,
                loses=True,
            )

    def at(self, offset: int, size: int) -> bytes:
        """Bytes from elsewhere in a file that is ``seekable``."""
        if self._second is None:
            self._second = open_to_read(self.path)
        self._second.seek(offset)
        return self._second.read(size)

    def close(self) -> None:
        """Closes the input."""
        if self._second is not None:
            self._second.close()
        self._file.close()


def _fault_of(error: Exception) -> str:
    if isinstance(error, PlaceError):
        return error.what
    if isinstance(error, EOFError):
        return "the compressed data end early"
    if isinstance(error, gzip.BadGzipFile) and "gzipped" in str(error):
        return "behind the compressed data stands something else"
    return str(error)


def is_packed(head: bytes) -> bool:
    """By the first bytes, whether what lies there is compressed."""
    return head.startswith((b"\x1f\x8b", *_ZLIB_HEADS))


class _Counted(io.BufferedIOBase):
    def __init__(self, file: BinaryIO, progress: Progress | None) -> None:
        self._file = file
        self._progress = progress
        self.total = 0
        """Bytes that were read."""

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        data = self._file.read(-1 if size is None else size)
        self.total += len(data)
        if self._progress is not None and data:
            self._progress(len(data))
        return data


class _Joined(io.BufferedIOBase):
    """Bytes that were read already, and what follows them."""

    def __init__(self, head: bytes, rest: io.BufferedIOBase) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            size = sys.maxsize
        head, self._head = self._head[:size], self._head[size:]
        if len(head) == size:
            return head
        return head + self._rest.read(size - len(head) if size < sys.maxsize else -1)


class _Inflated(io.RawIOBase):
    """zlib data, as mitmproxy writes ``.zhar`` files."""

    def __init__(self, packed: io.BufferedIOBase) -> None:
        self._packed = packed
        self._inflate = zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        while not self._inflate.eof:
            given = self._inflate.unconsumed_tail or self._packed.read(_CHUNK)
            if not given:
                raise EOFError
            data = self._inflate.decompress(given, len(buffer))
            if data:
                buffer[: len(data)] = data
                return len(data)
        return 0

"""Files, folders and standard input; what is in them is found by content."""

import gzip
import io
import shutil
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Literal

from cos_inspect.captures.errors import CaptureError

Format = Literal["mitm", "har"]
Progress = Callable[[int], None]
"""Told how many more bytes of the file (as it lies on the disk) were read."""

STDIN = "-"
STDIN_NAME = "standard input"
_CHUNK = 1024 * 1024
_HEAD = 64
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_ZLIB_HEADS = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


def keep_stdin(folder: str) -> str:
    """Copies standard input into a file of this folder; its path.

    :raises CaptureError: when it cannot be read, or the file not be written.
    """
    path = Path(folder) / STDIN_NAME
    try:
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file, _CHUNK)
    except OSError as error:
        raise CaptureError(STDIN_NAME, error.strerror or str(error)) from error
    return str(path)


def name_of(path: str) -> str:
    """As messages call an input."""
    return STDIN_NAME if Path(path).name == STDIN_NAME else path


class Stream:
    """The unpacked bytes of one input, read forwards in pieces of bounded size."""

    def __init__(self, path: str, progress: Progress | None = None, begin: int = 0) -> None:
        """:raises CaptureError: when there is no such file, or it cannot be read."""
        self.path = path
        self.name = name_of(path)
        self.offset = begin
        """Of the next byte that ``read`` returns."""
        self._second: BinaryIO | None = None
        try:
            self._file: BinaryIO = (
                Path(path).open("rb")  # noqa: SIM115
            )
            self._raw: io.BufferedIOBase = _Counted(self._file, progress)
            head = self._raw.read(_HEAD)
        except OSError as error:
            raise CaptureError(self.name, error.strerror or str(error)) from error
        self.packed = head.startswith((b"\x1f\x8b", *_ZLIB_HEADS))
        self.seekable = not self.packed and self._file.seekable()
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
        """Up to ``size`` bytes; fewer only at the end. CaptureError when the packing is broken."""
        try:
            data = self._bytes.read(size)
        except (OSError, EOFError, zlib.error) as error:
            what = "the compressed data end early" if isinstance(error, EOFError) else str(error)
            raise CaptureError(self.name, what, self.offset) from error
        self.offset += len(data)
        return data

    def at(self, offset: int, size: int) -> bytes:
        """Bytes from elsewhere in a file that is ``seekable``."""
        if self._second is None:
            self._second = Path(self.path).open("rb")  # noqa: SIM115
        self._second.seek(offset)
        return self._second.read(size)

    def close(self) -> None:
        if self._second is not None:
            self._second.close()
        self._file.close()


class _Counted(io.BufferedIOBase):
    def __init__(self, file: BinaryIO, progress: Progress | None) -> None:
        self._file = file
        self._progress = progress

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        data = self._file.read(-1 if size is None else size)
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


def find_format(head: bytes) -> Format | None:
    """By the first bytes of the unpacked content: a number and a colon begin a flow of
    mitmproxy, a brace begins JSON."""
    head = head.removeprefix(_UTF8_BOM).lstrip(b" \t\r\n")
    number, colon, _ = head.partition(b":")
    if colon and number.isdigit() and len(number) <= 12:
        return "mitm"
    return "har" if head[:1] in (b"{", b"[") else None


def format_of(path: str) -> Format:
    """:raises CaptureError: for what is neither a flow file nor a HAR, or cannot be read."""
    stream = Stream(path)
    try:
        head = stream.read(_HEAD)
    finally:
        stream.close()
    return recognised(stream.name, head)


def recognised(name: str, head: bytes) -> Format:
    """:raises CaptureError: for what is neither a flow file nor a HAR."""
    found = find_format(head)
    if found is None:
        if not head:
            what = "the file is empty"
        elif head.startswith(_UTF16_BOMS):
            what = "this is UTF-16, and HAR is UTF-8: save it as UTF-8"
        else:
            what = "this is neither a flow file of mitmproxy nor a HAR"
        raise CaptureError(name, what, 0)
    return found


def files_of(argument: str) -> Iterator[str]:
    """The file itself, or the captures below a folder, by name.

    :raises CaptureError: for what does not exist, or a folder without a capture.
    """
    if not Path(argument).is_dir():
        yield argument
        return
    found = False
    for path in sorted(Path(argument).rglob("*")):
        if path.is_file() and _is_capture(path):
            found = True
            yield str(path)
    if not found:
        raise CaptureError(argument, "there is no capture in this folder")


def _is_capture(path: Path) -> bool:
    """Reports lie in folders too, so JSON counts as HAR only where its beginning says so."""
    try:
        stream = Stream(str(path))
        try:
            head = stream.read(4096)
        finally:
            stream.close()
    except CaptureError:
        return False
    found = find_format(head)
    return found == "mitm" or (found == "har" and b'"log"' in head)

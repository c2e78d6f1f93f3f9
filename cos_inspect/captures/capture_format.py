"""What a format of captures is: how a file of it is told, cut and read."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec

from cos_inspect.captures.captured_flow import CapturedFlow, InputRemarks
from cos_inspect.captures.source import Stream

_UTF8_BOM = b"\xef\xbb\xbf"


class CapturePart(msgspec.Struct, frozen=True, kw_only=True):
    """A capture, or a run of whole flows of it."""

    path: str
    name: str
    """As messages call the file."""
    format: "CaptureFormat"
    begin: int = 0
    """Bytes of the file before the run."""
    end: int | None = None
    """Where the run ends; None: with the file."""
    before: object = None
    """What the reader has to know of what stands before ``begin``: what its ``cut`` has put
    here, which other processes must be able to unpickle."""
    asked_again: bool = False
    """It was read before, and is read again for what its flows can tell when they are asked
    (``CapturedFlow.marks``)."""
    key_logs: tuple[str, ...] = ()
    """Files with secrets of TLS, for what was encrypted."""


Reader = Callable[[Stream, CapturePart, Sequence[str], InputRemarks], Iterator[CapturedFlow]]
"""Given what is open at ``begin``, patterns of further hosts of COS, and where to say what is
left out or lost. Raises CaptureError where the file is cut or broken, after what came before;
one flow that cannot be read costs no other."""


class FileReader(Protocol):
    """What reads one file, made of what is open and of patterns of further hosts."""

    def saved(self, remarks: InputRemarks) -> Iterator[CapturedFlow]:
        """As a ``Reader`` does."""


def read_whole(
    reader: Callable[[Stream, Sequence[str]], FileReader],
    stream: Stream,
    _part: CapturePart,
    hosts: Sequence[str],
    remarks: InputRemarks,
) -> Iterator[CapturedFlow]:
    """A ``Reader``, once ``partial`` has bound the first argument: of formats that are not cut."""
    return reader(stream, hosts).saved(remarks)


Cutter = Callable[[CapturePart, Stream, int], Iterator[CapturePart]]
"""Given a whole file that is ``seekable``, and about how many bytes a part should have. Where
the file is broken it ends quietly: whoever reads the last part will tell."""


class CaptureFormat(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``CAPTURE_FORMATS``. Its functions, also in a ``partial``, stand in a module by
    their names, so that other processes find them."""

    name: str
    """One word."""
    called: str
    """As messages call a file of it: ``a HAR``."""
    recognises: Callable[[bytes], bool]
    """By the first ``formats.HEAD`` bytes of the unpacked content."""
    recognises_in_folder: Callable[[bytes], bool] | None = None
    """The same for a file that nobody named: it lies in a folder among others."""
    suffixes: tuple[str, ...]
    """Of files that should be of this format, in lower case; a ``.gz`` may follow."""
    packed_suffixes: tuple[str, ...] = ()
    """The same of files that are compressed."""
    read: Reader
    cut: Cutter | None = None
    """None: files are read from the beginning to the end, by one process."""


def beginning(head: bytes) -> bytes:
    """Where text begins: behind a byte order mark and white space."""
    return head.removeprefix(_UTF8_BOM).lstrip(b" \t\r\n")

"""What there is to read: files, the captures of folders, and what can be read only once."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.formats import HEAD, find_in_folder, is_named_so, recognised
from cos_inspect.captures.source import Stream, is_packed

STDIN = "-"
_CHUNK = 1024 * 1024
_SPARE = 256 * _CHUNK
"""Bytes of a disk that a copy leaves free."""

Problem = Callable[[CaptureError], None]


class Input(msgspec.Struct, frozen=True):
    """A file that can be read again, from anywhere."""

    path: str
    name: str
    """As messages call it."""


def inputs_of(argument: str, folder: str, problem: Problem) -> Iterator[Input]:
    """A file, the captures below a folder in the order of their names, or a copy in
    ``folder`` of standard input, a pipe or a device.

    ``problem`` is told what does not exist or cannot be read, a folder without a capture,
    and files that are captures by their name alone.
    """
    if argument != STDIN and Path(argument).is_dir():
        for path in _captures_below(argument, problem):
            yield Input(path, path)
    elif argument != STDIN and (Path(argument).is_file() or not Path(argument).exists()):
        yield Input(argument, argument)
    else:
        try:
            yield _copy(argument, folder)
        except CaptureError as error:
            problem(error)


def _captures_below(folder: str, problem: Problem) -> Iterator[str]:
    found = troubles = 0

    def tell(error: CaptureError) -> None:
        nonlocal troubles
        troubles += 1
        problem(error)

    def unread(error: OSError) -> None:
        tell(CaptureError(str(error.filename or folder), error.strerror or str(error)))

    paths = [
        Path(place, name) for place, _, names in os.walk(folder, onerror=unread) for name in names
    ]
    for path in sorted(paths):
        try:
            if path.is_file() and _is_capture(path):
                found += 1
                yield str(path)
        except CaptureError as error:
            tell(error)
    if not found and not troubles:
        problem(CaptureError(folder, "there is no capture in this folder"))


def _is_capture(path: Path) -> bool:
    """:raises CaptureError: for what cannot be read, and for a name that promises too much."""
    stream = Stream(str(path))
    try:
        head = stream.read(HEAD)
    finally:
        stream.close()
    if is_named_so(path):
        recognised(stream.name, head)
        return True
    return find_in_folder(head) is not None


def _copy(argument: str, folder: str) -> Input:
    """:raises CaptureError: when it cannot be read, is no capture, or there is no room."""
    name = "standard input" if argument == STDIN else argument
    number = sum(1 for _ in Path(folder).glob("*.copy"))
    path = Path(folder) / f"{number}.copy"
    try:
        with _opened(argument) as source, path.open("wb") as file:
            head = source.read(HEAD)
            if not is_packed(head):
                # What is endless and no capture ends here.
                recognised(name, head)
            while head:
                if shutil.disk_usage(folder).free < _SPARE + len(head):
                    raise OSError(f"there is no room for a copy of it in {folder}")
                file.write(head)
                head = source.read(_CHUNK)
    except (OSError, CaptureError) as error:
        path.unlink(missing_ok=True)
        if isinstance(error, CaptureError):
            raise
        raise CaptureError(name, error.strerror or str(error)) from error
    return Input(str(path), name)


@contextmanager
def _opened(argument: str) -> Iterator[BinaryIO]:
    if argument == STDIN:
        if sys.stdin is None:
            raise OSError("it is closed")
        yield sys.stdin.buffer
        return
    with Path(argument).open("rb") as file:
        yield file

"""What there is to read: files, the captures of folders, and what can be read only once."""

import glob
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.exports.archive import is_zip
from cos_inspect.captures.formats import (
    HEAD,
    is_named_so,
    looks_like_capture,
    other_in,
    recognised,
)
from cos_inspect.captures.other_files import OtherFile
from cos_inspect.captures.places import (
    files_below,
    has_glob,
    is_folder,
    is_url,
    name_of,
    plain,
    reason_of,
)
from cos_inspect.captures.source import Stream, is_packed
from cos_inspect.inspection.redaction import Redactor

STDIN = "-"
_CHUNK = 1024 * 1024
_SPARE = 256 * _CHUNK
"""Bytes of a disk that a copy leaves free."""

Problem = Callable[[CaptureError], None]
Note = Callable[[str], None]
"""Told, in a line, what was passed over."""
_MOST_NAMED = 10


class Input(msgspec.Struct, frozen=True):
    """A file that can be read again, from anywhere."""

    path: str
    name: str
    """As messages call it."""


def shown_name(place: str) -> str:
    """A file or a URL as it may be shown; files may be called after the URL that they came from,
    with the signature in it."""
    name = name_of(place)
    return Redactor().text(name) if "=" in name else name


def inputs_of(
    argument: str, folder: str, problem: Problem, note: Note = lambda _line: None
) -> Iterator[Input]:
    """A file, the captures below a folder in the order of their names, or a copy in
    ``folder`` of standard input, a pipe or a device.

    ``problem`` is told what does not exist or cannot be read, a folder without a capture,
    and files that are captures by their name alone; ``note`` what lies in a folder besides.
    """
    argument = plain(argument)
    if is_url(argument):
        yield from _at_url(argument, problem)
    elif argument != STDIN and has_glob(argument) and not Path(argument).exists():
        yield from _matching(argument, problem)
    elif argument != STDIN and Path(argument).is_dir():
        for path in _captures_below(argument, problem, note):
            yield Input(path, shown_name(path))
    elif argument != STDIN and (Path(argument).is_file() or not Path(argument).exists()):
        yield Input(argument, shown_name(argument))
    else:
        try:
            yield _copy(argument, folder)
        except CaptureError as error:
            problem(error)


def _at_url(place: str, problem: Problem) -> Iterator[Input]:
    """Files at a URL: one, those below a folder that are captures, or those that a pattern
    names."""
    try:
        if not has_glob(place) and not is_folder(place):
            yield Input(place, shown_name(place))
            return
        paths = files_below(place)
    except OSError as error:
        problem(CaptureError(shown_name(place), reason_of(error)))
        return
    found = troubles = 0
    for path in paths:
        try:
            if has_glob(place) or _is_capture(path, _head_of(path)):
                found += 1
                yield Input(path, shown_name(path))
        except CaptureError as error:
            troubles += 1
            problem(error)
    if not found and not troubles:
        problem(CaptureError(shown_name(place), _nothing_there(place)))


def _nothing_there(place: str) -> str:
    if has_glob(place):
        return "no file is called so"
    return "there is no capture in this folder"


def _matching(pattern: str, problem: Problem) -> Iterator[Input]:
    """What a pattern names that the shell has left alone."""
    # Patterns may be absolute, which those of Path may not.
    found = glob.glob(pattern, recursive=True)  # noqa: PTH207
    paths = sorted(path for path in found if Path(path).is_file())
    if not paths:
        problem(CaptureError(shown_name(pattern), _nothing_there(pattern)))
    for path in paths:
        yield Input(path, shown_name(path))


def _captures_below(folder: str, problem: Problem, note: Note) -> Iterator[str]:
    found = troubles = 0
    passed_over = _PassedOver(folder)

    def tell(error: CaptureError) -> None:
        nonlocal troubles
        troubles += 1
        problem(error)

    def unread(error: OSError) -> None:
        place = shown_name(str(error.filename or folder))
        tell(CaptureError(place, error.strerror or str(error)))

    paths = [
        Path(place, name) for place, _, names in os.walk(folder, onerror=unread) for name in names
    ]
    for path in sorted(paths):
        try:
            if not path.is_file():
                continue
            head = _head_of(path)
            if _is_capture(path, head):
                found += 1
                yield str(path)
            else:
                passed_over.add(path, head)
        except CaptureError as error:
            tell(error)
    for line in passed_over.lines():
        note(line)
    if not found and not troubles:
        problem(CaptureError(folder, "there is no capture in this folder"))


def _head_of(path: Path | str) -> bytes:
    """:raises CaptureError: for what cannot be read."""
    stream = Stream(str(path), name=shown_name(str(path)))
    try:
        return stream.read(HEAD)
    finally:
        stream.close()


def _is_capture(path: Path | str, head: bytes) -> bool:
    """:raises CaptureError: for a name that promises too much."""
    if is_named_so(Path(path)):
        recognised(shown_name(str(path)), head, str(path))
        return True
    return looks_like_capture(str(path), shown_name(str(path)), head)


class _PassedOver:
    """Files of a folder that are no capture."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._captures: list[tuple[str, OtherFile]] = []
        self._more = 0
        self._others: Counter[str] = Counter()

    def add(self, path: Path, head: bytes) -> None:
        name = shown_name(str(path))
        other = other_in(name, head, str(path))
        if other is not None and other.is_capture:
            if len(self._captures) < _MOST_NAMED:
                self._captures.append((name, other))
            else:
                self._more += 1
        else:
            what = "an empty file" if not head else "another file" if other is None else other.what
            self._others[what] += 1

    def lines(self) -> Iterator[str]:
        for path, other in self._captures:
            yield f"{path}: passed over, {other.sentence}"
        if self._more:
            yield f"{self._folder}: and {self._more} more captures that are not read"
        if self._others:
            count = self._others.total()
            told = ", ".join(
                what if number == 1 else f"{number} times {what}"
                for what, number in sorted(
                    self._others.items(), key=lambda each: (-each[1], each[0])
                )[:_MOST_NAMED]
            )
            files = (
                "1 file that is no capture" if count == 1 else f"{count} files that are no captures"
            )
            yield f"{self._folder}: passed over {files}: {told}"


def _copy(argument: str, folder: str) -> Input:
    """:raises CaptureError: when it cannot be read, is no capture, or there is no room."""
    name = "standard input" if argument == STDIN else shown_name(argument)
    number = sum(1 for _ in Path(folder).glob("*.copy"))
    path = Path(folder) / f"{number}.copy"
    try:
        with _opened(argument) as source, path.open("wb") as file:
            head = source.read(HEAD)
            if not is_packed(head) and not is_zip(head):
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

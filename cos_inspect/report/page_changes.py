"""What was added to a report directory's pages since somebody looked last.

The data files of the pages only grow (``pages.py``), so what is new is what stands behind the
place where the reader stopped. The answer is a script like these files, for a page that may
load scripts and nothing else.
"""

import os
import re
from contextlib import ExitStack
from pathlib import Path

import msgspec

from cos_inspect.report.folder import Folder, pieces
from cos_inspect.report.page_lines import call

_MOST = 1 << 20
"""Bytes of rows in one answer: some 3,000 flows. The rest comes with the next one."""
_NAME = re.compile(r"rows-(\d{4,9})\.js")
_PLACES = re.compile(r"\d{1,9}:\d{1,15}(?:,\d{1,9}:\d{1,15})*")
_SUMMARY = "summary.js"


class _State(msgspec.Struct):
    """Where the reader stands now; ``rows`` are offsets by the number of the file."""

    rows: dict[str, int]
    summary: str
    more: bool
    """Another answer has the rest."""
    anew: bool
    """The files are others than before: everything is to be read again."""
    trouble: str | None = None
    """Why nothing more can be written at present."""


def changes_since(
    directory: Path, rows: str | None, summary: str, trouble: str | None = None
) -> bytes:
    """A script of the lines that came since, which ends with the place reached.

    :param rows: the offsets of the answer before, as ``1:2048,2:100``; None asks for the
        present ones alone. What is no such text counts as none.
    :param summary: the mark of the summary in the answer before.
    :param trouble: why nothing more can be written at present, in one line.
    """
    reached = _read_places(rows)
    lines: list[bytes] = []
    left = _MOST
    state = _State(rows={}, summary="", more=False, anew=False, trouble=trouble)
    with ExitStack() as opened:
        try:
            folder = Folder.open(directory, make=False)
            opened.callback(folder.close)
            data = folder.folder("data", make=False)
            opened.callback(data.close)
            names = sorted(name for name in data.names() if _NAME.fullmatch(name))
            for name in names:
                number = str(int(name[5:-3]))
                size = data.status(name).st_size
                if reached is None:
                    state.rows[number] = size
                    continue
                before = reached.get(number, 0)
                state.anew = state.anew or size < before
                found = b""
                if size > before and left > 0:
                    found = _read(data, name, before, min(size - before, left))
                lines.append(found)
                left -= len(found)
                state.rows[number] = before + len(found)
                state.more = state.more or state.rows[number] < size
            state.anew = state.anew or bool(reached and reached.keys() - state.rows.keys())
            status = data.status(_SUMMARY)
            state.summary = f"{status.st_mtime_ns}-{status.st_size}-{status.st_ino}"
            if reached is not None and state.summary != summary:
                lines.append(data.read(_SUMMARY) or b"")
        except OSError:
            # Nothing is written yet, or the directory went away: the next look will tell.
            state.rows = state.rows or dict.fromkeys(reached or (), 0)
    return b"".join((*lines, call("changes", msgspec.json.encode(state))))


def _read_places(rows: str | None) -> dict[str, int] | None:
    if rows is None:
        return None
    if not _PLACES.fullmatch(rows):
        return {}
    pairs = (pair.split(":") for pair in rows.split(","))
    return {str(int(number)): int(offset) for number, offset in pairs}


def _read(data: Folder, name: str, offset: int, size: int) -> bytes:
    """Whole lines only: the last one may be under way. A line longer than what is read stays
    for a reader of the whole file."""
    descriptor = data.open_to_read(name)
    if descriptor is None:
        return b""
    try:
        os.lseek(descriptor, offset, os.SEEK_SET)
        found = b"".join(pieces(descriptor, size))
    finally:
        os.close(descriptor)
    return found[: found.rfind(b"\n") + 1]

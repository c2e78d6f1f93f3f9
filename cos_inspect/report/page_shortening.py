"""Takes flows out of the pages of a report directory that list too many.

What is listed is read from the data files themselves, so that it does not matter which process
put it there. To be called while holding the directory's lock.
"""

import re
from collections.abc import Callable, Iterable

import msgspec

from cos_inspect.report.directory import ReportDirectory
from cos_inspect.report.listing import Choice, Entry, choose
from cos_inspect.report.page_lines import json_of

ROWS = re.compile(r"^rows-\d+\.js$")
_FLOW = re.compile(rb"cosInspect\.flow\((\d{1,18}),")
_ROW = re.compile(rb"""cosInspect\.row\('\{"n":(\d{1,18})\b""")


def row_files(directory: ReportDirectory) -> list[str]:
    """Names in the folder ``data``, in order."""
    return sorted(name for name in directory.names("data") if ROWS.match(name))


def lines_listed(directory: ReportDirectory) -> int:
    """How many rows there are; of a flow that was revised each counts."""
    contents = (directory.read(f"data/{name}") or b"" for name in row_files(directory))
    return sum(content.count(b"\n") for content in contents)


def shorten(
    directory: ReportDirectory,
    flows_file_of: Callable[[int], str],
    most: int,
    newest: int = 0,
    sign: Callable[[], None] = lambda: None,
) -> Choice:
    """Leaves what ``choose`` chooses, of each flow its last row.

    :param flows_file_of: the file in the folder ``data`` that has the report of a number.
    :param sign: is called now and then; it may raise, to have it given up.
    :raises OSError: a file could not be read or written; then some may be shorter already.
    """
    entries: dict[int, Entry] = {}
    for name in row_files(directory):
        for line in _lines(directory, name):
            entry = _entry_of(line)
            if entry is not None:
                entries[entry.n] = entry
        sign()
    choice = choose(entries.values(), most, newest)
    # A row goes before its report: none is seen without one.
    for name in row_files(directory):
        _rewrite(directory, name, _ROW, choice.numbers)
        sign()
    for name in sorted({flows_file_of(number) for number in entries.keys() - choice.numbers}):
        _rewrite(directory, name, _FLOW, choice.numbers)
        sign()
    return choice


_decode = msgspec.json.Decoder(Entry).decode


def _entry_of(line: bytes) -> Entry | None:
    json = json_of(line)
    try:
        return None if json is None else _decode(json)
    except msgspec.DecodeError:
        return None


def _lines(directory: ReportDirectory, name: str) -> list[bytes]:
    return (directory.read(f"data/{name}") or b"").split(b"\n")[:-1]


def _rewrite(
    directory: ReportDirectory, name: str, number: re.Pattern[bytes], listed: frozenset[int]
) -> None:
    """Of each listed flow the last line stays, in its place."""
    before = _lines(directory, name)
    kept: dict[int, bytes] = {}
    for line in before:
        found = number.match(line)
        if found is not None and int(found[1]) in listed:
            kept.pop(int(found[1]), None)
            kept[int(found[1])] = line
    if len(kept) == len(before):
        return
    if kept:
        directory.write(f"data/{name}", _ended(kept.values()))
    else:
        directory.remove(f"data/{name}")


def _ended(lines: Iterable[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)

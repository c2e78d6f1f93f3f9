"""Who does the work of an analysis, and which labels its captures bear."""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import msgspec

HERE = "here"
DEVICE = "device"
"""The label by which clients of equal addresses are told apart."""
_LOCAL = re.compile(r"local(?::([1-9][0-9]{0,3}))?")
_CLUSTER_HERE = re.compile(r"dask(?::([1-9][0-9]{0,3}))?")
_CLUSTER = re.compile(r"(dask|tcp|tls)://([^/\s:]+|\[[0-9A-Fa-f:]+\]):([0-9]{1,5})/?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_PLACE = re.compile(r"\{([^{}]*)\}|\*+|\?")
_LONGEST = 255
"""Characters of a file's name, as systems bound it."""


class Where(msgspec.Struct, frozen=True):
    """What ``--on`` says."""

    jobs: int | None = None
    """Processes of this machine; None: as many as it has processors."""
    cluster: str | None = None
    """The address of a Dask scheduler, the path of its scheduler file, or ``here`` for a
    cluster on this machine."""


def where_of(text: str) -> Where:
    """What ``--on`` takes.

    :raises ValueError: with what it takes, in one line.
    """
    if found := _LOCAL.fullmatch(text):
        return Where(jobs=int(found[1]) if found[1] else None)
    if found := _CLUSTER_HERE.fullmatch(text):
        return Where(jobs=int(found[1]) if found[1] else None, cluster=HERE)
    if (found := _CLUSTER.fullmatch(text)) and 0 < int(found[3]) < 65536:
        scheme = "tls" if found[1] == "tls" else "tcp"
        return Where(cluster=f"{scheme}://{found[2]}:{found[3]}")
    if "://" not in text and Path(text).is_file():
        return Where(cluster=text)
    raise ValueError(
        f"{text!r} is none of local, local:N, dask, dask:N, dask://HOST:PORT or a scheduler file"
    )


class Label(msgspec.Struct, frozen=True):
    """One ``--label`` that labels captures: a name and its value, or a pattern over paths."""

    name: str | None = None
    value: str = ""
    pattern: str | None = None
    """With ``{name}`` where a value stands, ``*``, ``**`` and ``?`` where anything may."""


def label_of(text: str) -> Label:
    """What ``--label`` takes besides a run's name: ``device=pixel-7``, or
    ``captures/{device}/*.mitm``.

    :raises ValueError: with what is wrong, in one line.
    """
    if "{" in text:
        _compiled(text)
        return Label(pattern=text)
    name, _, value = text.partition("=")
    if not _NAME.fullmatch(name) or not value:
        raise ValueError(f"{text!r} is no label such as device=pixel-7")
    return Label(name=name, value=value)


def is_label(text: str) -> bool:
    """Whether it labels captures; else it is the run's name."""
    return "=" in text or "{" in text


def labels_of(path: str, labels: Sequence[Label]) -> dict[str, str]:
    """The labels of a capture, by name; of several for one name the last counts."""
    found: dict[str, str] = {}
    for label in labels:
        if label.name is not None:
            found[label.name] = label.value
        elif label.pattern is not None:
            found |= _found_in(path, _compiled(label.pattern)) or {}
    return found


_Segments = tuple[tuple[re.Pattern[str], ...], ...]
"""Runs of a pattern's segments; between two runs stand any segments (``**``)."""


def _found_in(path: str, runs: _Segments) -> dict[str, str] | None:
    """The first run stands as far in front as it can, behind any slash of the path, the last
    one at its end."""
    segments = path.split("/")
    if any(len(segment) > _LONGEST for segment in segments):
        return None
    *before, last = runs
    found: dict[str, str] = {}
    at = 0
    end = len(segments) - len(last)
    for run in before:
        for begin in range(at, end - len(run) + 1):
            values = _values(segments[begin : begin + len(run)], run)
            if values is not None:
                found |= values
                at = begin + len(run)
                break
        else:
            return None
    values = _values(segments[end:], last) if end >= at else None
    return None if values is None else found | values


def _values(segments: Sequence[str], run: Sequence[re.Pattern[str]]) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for segment, pattern in zip(segments, run, strict=True):
        match = pattern.fullmatch(segment)
        if match is None:
            return None
        found |= match.groupdict()
    return found


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> _Segments:
    names: set[str] = set()
    runs: list[tuple[re.Pattern[str], ...]] = []
    run: list[re.Pattern[str]] = []
    for segment in pattern.split("/"):
        if segment == "**":
            runs.append(tuple(run))
            run = []
        else:
            run.append(_segment(segment, pattern, names))
    if not names:
        raise ValueError(f"{pattern!r} names no label: write {{device}} where its value stands")
    return (*runs, tuple(run))


def _segment(segment: str, pattern: str, names: set[str]) -> re.Pattern[str]:
    made, at = [], 0
    for found in _PLACE.finditer(segment):
        made.append(re.escape(segment[at : found.start()]))
        at = found.end()
        name = found[1]
        if name is None:
            made.append("." if found[0] == "?" else ".*")
        elif not _NAME.fullmatch(name) or name in names:
            raise ValueError(f"{pattern!r}: {{{name}}} names no label, or stands there twice")
        else:
            names.add(name)
            made.append(f"(?P<{name}>.+?)")
    made.append(re.escape(segment[at:]))
    return re.compile("".join(made), re.DOTALL)

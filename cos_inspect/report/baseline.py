"""BaselineEntry findings: a file of them, so that a build fails only for new ones.

An entry names a rule and where it was found. Ids and times differ from run to
run, so they have no part in it. A member that is left out fits everything,
which lets a person widen an entry by hand.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Literal

import msgspec

from cos_inspect.model.flow_report import Finding, FlowReport
from cos_inspect.model.plain_text import escaped
from cos_inspect.model.report_facts import host_of
from cos_inspect.model.summary import TransferSummary

_LARGEST = 16 * 1024 * 1024


class BaselineEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One finding that is known. ``operation`` is a transfer's kind where the finding stands
    on a transfer, ``bucket`` the host where there is no bucket."""

    rule: str
    operation: str | None = None
    bucket: str | None = None
    key: str | None = None


class BaselineFile(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What lies on disk: the findings that are known."""

    schema: Literal["cos-inspect/baseline/1"] = "cos-inspect/baseline/1"
    findings: list[BaselineEntry] = []


class BaselineError(ValueError):
    """One line: the file, and what is wrong with it."""


class Baseline:
    """Asks whether a finding is known."""

    def __init__(self, known: Iterable[BaselineEntry] = ()) -> None:
        self._known = frozenset(known)

    def __bool__(self) -> bool:
        return bool(self._known)

    def knows(self, found: BaselineEntry) -> bool:
        """Whether an entry fits what was found; what an entry leaves out fits anything."""
        return any(entry in self._known for entry in _entries_for(found))

    def not_seen(self, found: Iterable[BaselineEntry]) -> list[BaselineEntry]:
        """Entries that fit nothing of what was found; they can be taken out."""
        seen = {entry for each in found for entry in _entries_for(each)}
        return sorted(self._known - seen, key=_order)


def _entries_for(found: BaselineEntry) -> Iterator[BaselineEntry]:
    """Every entry that knows it: one that leaves something out fits whatever stands there."""
    for operation, bucket, key in product(
        {found.operation, None}, {found.bucket, None}, {found.key, None}
    ):
        yield BaselineEntry(rule=found.rule, operation=operation, bucket=bucket, key=key)


def entry_of(report: FlowReport, finding: Finding) -> BaselineEntry:
    """The entry that would make a finding of this report a known one."""
    cos = report.cos
    return BaselineEntry(
        rule=finding.rule,
        operation=cos.operation,
        bucket=cos.bucket or host_of(report),
        key=cos.key,
    )


def entry_of_transfer(transfer: TransferSummary, finding: Finding) -> BaselineEntry:
    """The same for a finding about a whole transfer; its kind stands for the operation."""
    return BaselineEntry(
        rule=finding.rule, operation=transfer.kind, bucket=transfer.bucket, key=transfer.key
    )


def read_baseline(path: Path) -> Baseline:
    """:raises BaselineError: the file is missing, or is none that ``write_baseline`` writes."""
    try:
        held = msgspec.json.decode(_content(path), type=BaselineFile)
    except OSError as error:
        raise BaselineError(f"{escaped(str(path))}: {error.strerror or error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BaselineError(f"{escaped(str(path))}: is no baseline: {error}") from error
    return Baseline(held.findings)


def _content(path: Path) -> bytes:
    """A device may be endless, and a pipe that nobody writes into would block."""
    with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
        kind = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(kind) and not stat.S_ISFIFO(kind):
            raise BaselineError(f"{escaped(str(path))}: is not a file")
        if stat.S_ISFIFO(kind):
            os.set_blocking(file.fileno(), True)
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise BaselineError(f"{escaped(str(path))}: is larger than 16 MiB, as no baseline is")
    return content


def write_baseline(path: Path, found: Iterable[BaselineEntry]) -> None:
    """Replaces the file. OSError when it cannot be written."""
    held = BaselineFile(findings=sorted(set(found), key=_order))
    path.write_bytes(msgspec.json.format(msgspec.json.encode(held), indent=2) + b"\n")


def _order(known: BaselineEntry) -> tuple[str, list[tuple[bool, str]]]:
    # What is left out and what is empty are two things: equal sets make equal files.
    parts = (known.operation, known.bucket, known.key)
    return known.rule, [(part is not None, part or "") for part in parts]

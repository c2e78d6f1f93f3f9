"""Reads flow reports back from a report directory."""

import re
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.summary import Summary
from cos_inspect.report.compare import proposed
from cos_inspect.report.directory import operation_in_name

_NUMBER = re.compile(r"#?([0-9]{1,12})")
_ID = re.compile(r"@?([0-9a-f]{8})[0-9a-f-]*", re.IGNORECASE)
_LARGEST = 64 * 1024 * 1024
_MOST_READ = 500
"""Reports that are read to find one to compare with; the nearest by number go first."""


class NotFoundError(ValueError):
    """One line: what was looked for, where, and what is there."""


def find_flow(directory: Path, which: str) -> FlowReport:
    """The report by its number (``7``, ``#000007``), its flow id or the beginning of it (8
    digits or more; the newest where there are several), or the path of its file.

    :raises NotFoundError: there is none, or it cannot be read.
    """
    flows = directory / "flows"
    if number := _NUMBER.fullmatch(which):
        found = sorted(flows.glob(f"{int(number[1]):06d}_*.json"))
    elif which.endswith(".json"):
        found = [Path(which)]
    elif flow_id := _ID.fullmatch(which):
        found = sorted(flows.glob(f"*_{flow_id[1].lower()}.json"), key=_sequence)
        whole = which.removeprefix("@").lower()
        while found and not (report := read_flow(found[-1])).flow_id.lower().startswith(whole):
            del found[-1]
        if found:
            return report
    else:
        raise NotFoundError(f"{which!r} is neither a number, a flow id nor a report's file")
    if not found:
        known = "" if any(flows.glob("*.json")) else "; reports of the format json are needed"
        raise NotFoundError(f"{flows}: has no report on {which}{known}")
    return read_flow(found[-1])


def read_flow(path: Path) -> FlowReport:
    """:raises NotFoundError: the file is missing, or no flow report."""
    return _read(path, FlowReport, "flow report")


def read_summary(directory: Path) -> Summary:
    """:raises NotFoundError: there is none, or it cannot be read."""
    return _read(directory / "summary.json", Summary, "summary")


def _read[T](path: Path, kind: type[T], name: str) -> T:
    try:
        # To open a pipe would wait until somebody writes to it.
        if not stat.S_ISREG(path.stat().st_mode):
            raise NotFoundError(f"{path}: is no file")
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(_LARGEST), type=kind)
    except OSError as error:
        raise NotFoundError(f"{path}: {error.strerror or error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotFoundError(f"{path}: is no {name}: {error}") from error


def flow_to_compare(directory: Path, report: FlowReport) -> FlowReport | None:
    """The flow of the directory that ``compare.proposed`` would choose."""
    operation = operation_in_name(report.cos.operation)
    files = (directory / "flows").glob(f"*_{operation}_[23]??_*.json")
    nearest = sorted(files, key=lambda path: abs(_sequence(path) - report.sequence))
    return proposed(report, _readable(nearest[:_MOST_READ], report.sequence))


def _readable(paths: list[Path], but: int) -> Iterator[FlowReport]:
    for path in paths:
        try:
            report = read_flow(path)
        except NotFoundError:
            continue
        if report.sequence != but:
            yield report


def _sequence(path: Path) -> int:
    number = path.name.partition("_")[0]
    return int(number) if number.isdigit() else -1

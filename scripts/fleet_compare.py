"""Compares what two analyses of the same captures have written, field by field."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.analyze.test_any_split import Answer

_MOST = 20


class Reports(NamedTuple):
    """What an analysis has written as ``jsonl``."""

    by_flow: dict[str, dict[str, Any]]
    summary: dict[str, Any]

    @property
    def answer(self) -> Answer:
        """To be asked what was found."""
        return Answer(list(self.by_flow.values()), self.summary)


def reports_in(folder: Path) -> Reports:
    """Numbers follow the order of the inputs, so they are left out."""
    by_flow: dict[str, dict[str, Any]] = {}
    with (folder / "flows.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            report = json.loads(line)
            del report["sequence"]
            if report["flow_id"] in by_flow:
                raise ValueError(f"flow {report['flow_id']} has two reports")
            by_flow[report["flow_id"]] = report
    return Reports(by_flow, json.loads((folder / "summary.json").read_bytes()))


def differences(one: Reports, other: Reports) -> list[str]:
    """Each field that differs, as a path; the first ones of many."""
    found: list[str] = []
    for difference in _differences("", [one.by_flow, one.summary], [other.by_flow, other.summary]):
        found.append(difference)
        if len(found) == _MOST:
            break
    return found


def _differences(path: str, one: Any, other: Any) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for name in sorted(one.keys() | other.keys()):
            if name not in one or name not in other:
                yield f"{path}/{name}: only in one of them"
            else:
                yield from _differences(f"{path}/{name}", one[name], other[name])
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (here, there) in enumerate(zip(one, other, strict=True)):
            yield from _differences(f"{path}/{number}", here, there)
    elif one != other or type(one) is not type(other):
        yield f"{path}: {str(one)[:60]} and {str(other)[:60]}"


def fields_in(value: Any) -> int:
    """How many values are compared."""
    if isinstance(value, dict):
        return sum(map(fields_in, value.values()))
    if isinstance(value, list):
        return sum(map(fields_in, value))
    return 1


def files_that_differ(one: Path, other: Path) -> tuple[int, list[str]]:
    """How many files were compared byte for byte, and which are not equal."""
    names = {
        path.relative_to(folder).as_posix()
        for folder in (one, other)
        for path in folder.rglob("*")
        if path.is_file()
    }
    odd = [
        name
        for name in sorted(names)
        if not (one / name).is_file()
        or not (other / name).is_file()
        or (one / name).read_bytes() != (other / name).read_bytes()
    ]
    return len(names), odd

"""Findings that are told once for all flows that one client sends with one key: they stand on
the earliest of them, with the number of the others."""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from cos_inspect.inspection.second_look import Revision
from cos_inspect.model.flow_report import Finding
from cos_inspect.rules.registry import SAID_ONCE
from cos_inspect.transfers.observation import Observation


class SaidOnce(msgspec.Struct):
    """Flows of one client and key that break one rule as badly."""

    earliest: tuple[float, str]
    """When it began, in seconds since the epoch, and its id."""
    count: int = 1

    @classmethod
    def of(cls, seen: Observation) -> "SaidOnce":
        """The first one that is seen."""
        return cls((seen.started, seen.flow_id))

    def add(self, seen: Observation) -> None:
        """Counts one more, in any order."""
        self.count += 1
        self.earliest = min(self.earliest, (seen.started, seen.flow_id))

    def merged(self, other: "SaidOnce") -> "SaidOnce":
        """Those of both."""
        return SaidOnce(min(self.earliest, other.earliest), self.count + other.count)


def said_once_names(findings: Iterable[Finding], seen: Observation) -> Iterator[tuple[str, str]]:
    """The rule of each such finding, and the name under which flows are counted for it; none of
    what has no time, for it is not earlier than others."""
    if seen.is_dated:
        for finding in findings:
            if finding.rule in SAID_ONCE:
                severity = finding.severity.value
                yield finding.rule, f"{finding.rule}\0{severity}\0{seen.client}\0{seen.secret_id}"


def say_once(
    revision: Revision,
    findings: Iterable[Finding],
    seen: Observation,
    known: Callable[[str], SaidOnce | None],
) -> None:
    """Tells on the earliest flow of how many it stands for, and nothing on the others.
    ``known`` has what was counted under a name."""
    for rule, name in said_once_names(findings, seen):
        once = known(name)
        if once is None:
            continue
        if (seen.started, seen.flow_id) != once.earliest:
            revision.mutes.append(rule)
        elif once.count > 1:
            revision.counts[rule] = once.count

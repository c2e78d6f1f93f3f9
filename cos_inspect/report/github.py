"""For GitHub Actions: annotations on standard output, and a summary of the step in Markdown.

An annotation is a line of its own (workflow commands, ``::error title=…::…``). GitHub shows ten
of each severity for a step, so that one stands for all flows that break a rule.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from cos_inspect.model.devices import ConnectionFailureSummary
from cos_inspect.model.flow_report import Finding, FlowReport, Severity
from cos_inspect.model.summary import Lost, TransferSummary
from cos_inspect.report.markdown import code, text
from cos_inspect.report.terminal import place_of

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTICE: "notice"}
_MOST_EACH = 10
_MOST_RULES = 100
_LONGEST = 500


class Group(msgspec.Struct):
    """All findings of one rule and severity; the first stands for them."""

    severity: Severity
    rule: str
    title: str
    detail: str
    fix: str
    where: str
    count: int = 0


class Groups:
    """Findings by severity and rule, of flows, transfers and connections; those that are known
    before are not to be added."""

    def __init__(self) -> None:
        self._groups: dict[tuple[Severity, str], Group] = {}

    def add(self, finding: Finding, where: str, count: int = 1) -> None:
        """Counts a finding that was made ``count`` times; ``where`` names its first place."""
        name = finding.severity, finding.rule
        group = self._groups.get(name)
        if group is None:
            group = self._groups[name] = Group(
                finding.severity, finding.rule, finding.title, finding.detail, finding.fix, where
            )
        group.count += count

    def add_flow(self, report: FlowReport, findings: Iterable[Finding]) -> None:
        """Counts the findings of a flow."""
        for finding in findings:
            self.add(finding, f"flow {report.sequence}, {report.cos.operation} {place_of(report)}")

    def add_transfer(self, transfer: TransferSummary, findings: Iterable[Finding]) -> None:
        """Counts the findings of a whole transfer."""
        for finding in findings:
            name = f"{transfer.bucket}/{transfer.key}" if transfer.key else transfer.id
            self.add(finding, f"{transfer.kind} {name}")

    def add_connection(self, trouble: ConnectionFailureSummary) -> None:
        """Counts the findings of connections that failed alike."""
        for finding in trouble.findings:
            self.add(finding, f"{trouble.client} to {trouble.host}", trouble.count)

    def merge(self, other: "Groups") -> None:
        """Counts all that another one has."""
        for name, group in other.by_name().items():
            known = self._groups.get(name)
            if known is None:
                self._groups[name] = msgspec.structs.replace(group)
            else:
                known.count += group.count

    def by_name(self) -> Mapping[tuple[Severity, str], Group]:
        """Groups by severity and rule. Not to be changed."""
        return self._groups

    def worst_first(self) -> list[Group]:
        """The most severe first, of those the most frequent."""
        return sorted(
            self._groups.values(), key=lambda each: (-each.severity.rank, -each.count, each.rule)
        )


def annotations(groups: Sequence[Group], lost: Lost) -> Iterator[str]:
    """One line for each rule, as many as GitHub shows, the worst first."""
    left = dict.fromkeys(Severity, _MOST_EACH)
    if lost.count:
        left[Severity.ERROR] -= 1
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(lost.reasons.items()))
        yield _command("error", "COS reports are lost", f"{lost.count} reports: {reasons}")
    for group in groups:
        if left[group.severity] <= 0:
            continue
        left[group.severity] -= 1
        times = f" ({group.count} times)" if group.count > 1 else ""
        message = f"{group.detail[:_LONGEST]}{times}\n{group.where}\n{group.fix}"
        yield _command(_COMMANDS[group.severity], f"{group.rule}: {group.title}", message)


def _command(name: str, title: str, message: str) -> str:
    return f"::{name} title={_escaped(title, in_property=True)}::{_escaped(message)}"


def _escaped(value: str, *, in_property: bool = False) -> str:
    """As the runner reads it; nothing of the wire begins a line of its own."""
    value = value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    for sign in ("\x85", "\u2028", "\u2029", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"):
        value = value.replace(sign, " ")
    return value.replace(":", "%3A").replace(",", "%2C") if in_property else value


def step_summary(closing: str, groups: Sequence[Group]) -> str:
    """Markdown: the closing lines, and a table of what was found."""
    lines = ["## COS traffic", "", "```", *closing.splitlines(), "```", ""]
    if groups:
        lines += ["| | rule | count | first | what to do |", "| --- | --- | --- | --- | --- |"]
        for group in groups[:_MOST_RULES]:
            cells = (
                group.severity.value,
                code(group.rule),
                str(group.count),
                f"{text(group.detail[:_LONGEST])} {code(group.where[:_LONGEST])}",
                text(group.fix),
            )
            lines.append(f"| {' | '.join(cells)} |")
        if len(groups) > _MOST_RULES:
            lines.append(f"| | | | {len(groups) - _MOST_RULES} more rules | |")
        lines.append("")
    return "\n".join(lines)

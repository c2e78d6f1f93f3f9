"""The last lines of a run: what it has seen, and why it fails."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from cos_inspect.model.capture_summary import CaptureSummary
from cos_inspect.model.devices import ConnectionFailureSummary
from cos_inspect.model.summary import Lost, TransferSummary
from cos_inspect.report.terminal_text import one_line

_MOST_RULES = 8
_MOST_CAPTURES = 5
_PLAIN = ("mitm", "har")
"""Formats of captures of which nothing is said where they lack nothing."""
_NONE: Mapping[str, int] = {}
_SEVERITIES = ("error", "warning", "notice", "ok")


def closing_lines(
    *,
    verdicts: Mapping[str, int],
    rules: Mapping[str, int],
    transfers: Iterable[TransferSummary] = (),
    left_out: int = 0,
    others: int = 0,
    lost: Lost | None = None,
    reports: str | None = None,
    wrong_transfers: Mapping[str, int] = _NONE,
    connections: Iterable[ConnectionFailureSummary] = (),
    said_once: Mapping[str, int] = _NONE,
    nothing: Iterable[str] = (),
    captures: Sequence[CaptureSummary] = (),
    failed: str | None = None,
) -> str:
    """What a run has seen: ``verdicts`` of flows, flows by rule, transfers (and how many more
    there were), ``others`` that were not COS, flows without a report, and where the reports
    lie. ``wrong_transfers``: those that went wrong, by verdict; ``said_once``: how many flows
    a rule speaks of that is said once for many; ``nothing``: what to say where nothing was
    seen; ``captures``: those that were read; ``failed``: why the exit status is 1."""
    total = sum(verdicts.values())
    counted = [f"{verdicts[name]} {name}" for name in _SEVERITIES if verdicts.get(name)]
    line = f"COS summary: {total} COS flows among {total + others}"
    line = f"{line}: {', '.join(counted)}" if counted else line
    troubles = [each for each in connections if each.count > 0 and each.findings]
    also = ", ".join(_also(wrong_transfers, troubles, lost))
    lines = [f"{line}; also wrong: {also}" if also else line]
    lines += nothing
    if rules:
        lines.append(f"rules      {_counts(rules, said_once)}")
    states: dict[str, dict[str, int]] = {}
    for transfer in transfers:
        of_kind = states.setdefault(transfer.kind, {})
        of_kind[transfer.state] = of_kind.get(transfer.state, 0) + 1
    for number, (kind, of_kind) in enumerate(sorted(states.items())):
        lines.append(f"{'' if number else 'transfers':9}  {kind}: {_counts(of_kind)}")
    if left_out:
        lines.append(f"left out   {left_out} more transfers; those above are the worst")
    if troubles:
        by_rule: dict[str, int] = {}
        for each in troubles:
            for finding in each.findings[:1]:
                by_rule[finding.rule] = by_rule.get(finding.rule, 0) + each.count
        hosts = sorted({one_line(each.host) for each in troubles if each.host})
        more = f" and {len(hosts) - 3} more" if len(hosts) > 3 else ""
        lines.append(f"connected  not: {_counts(by_rule)}: {', '.join(hosts[:3])}{more}")
    lines += _captures(captures)
    if lost is not None and lost.count:
        what = "report" if lost.count == 1 else "reports"
        lines.append(f"lost       {lost.count} {what}: {one_line(_counts(lost.reasons))}")
    if reports is not None:
        lines.append(f"reports    {one_line(reports)}")
    if failed is not None:
        lines.append(f"exit 1     {failed}")
    return "\n    ".join(lines)


def _captures(captures: Sequence[CaptureSummary]) -> Iterator[str]:
    """A line for each that does not hold all there was, or whose bytes are not simply those
    that passed; of a flow file or a HAR that lacks nothing there is nothing to say."""
    told = [
        each
        for each in captures
        if each.left_out or each.packets_lost or each.bytes_lost or each.format not in _PLAIN
    ]
    for number, each in enumerate(told[:_MOST_CAPTURES]):
        lost = [
            f"{each.packets_lost} packets" if each.packets_lost else "",
            f"{each.bytes_lost} bytes" if each.bytes_lost else "",
        ]
        parts = [
            f"{each.format} of {each.program}" if each.program else each.format,
            f"{each.exchanges} exchanges" if each.exchanges != 1 else "1 exchange",
        ]
        if any(lost):
            parts.append(f"lost {' and '.join(filter(None, lost))}")
        if each.left_out:
            parts.append(f"left out {_counts(each.left_out)}")
        yield one_line(f"{'' if number else 'captures':9}  {each.file}: {', '.join(parts)}")
    if len(told) > _MOST_CAPTURES:
        yield f"{'':9}  and {len(told) - _MOST_CAPTURES} more captures: summary.json has them all"


def _also(
    transfers: Mapping[str, int], troubles: Sequence[ConnectionFailureSummary], lost: Lost | None
) -> Iterator[str]:
    """What went wrong and is no flow."""
    number = sum(transfers.get(verdict, 0) for verdict in ("error", "warning"))
    if number:
        yield _counted(number, "transfer")
    number = sum(each.count for each in troubles)
    if number:
        yield _counted(number, "connection")
    if lost is not None and lost.count:
        yield _counted(lost.count, "lost report")


def _counted(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


def why_failed(
    option: str,
    *,
    flows: int = 0,
    rules: Iterable[str] = (),
    transfers: int = 0,
    connections: int = 0,
    lost: int = 0,
) -> str:
    """Why a run fails, in one line: what was as bad as ``option`` says, and the rules."""
    parts = [
        _counted(number, name)
        for number, name in (
            (flows, "flow"),
            (transfers, "transfer"),
            (connections, "connection"),
            (lost, "lost report"),
        )
        if number
    ]
    named = list(dict.fromkeys(rules))
    shown = ", ".join(named[:_MOST_RULES]) + (", …" if len(named) > _MOST_RULES else "")
    return f"{option}: {', '.join(parts)}" + (f" ({shown})" if shown else "")


def _counts(numbers: Mapping[str, int], of_flows: Mapping[str, int] = _NONE) -> str:
    """Names with their numbers, the greatest first."""
    ordered = sorted(numbers.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(
        f"{number} {name}"
        + (f" (said once for {of_flows[name]} flows)" if of_flows.get(name, 0) > number else "")
        for name, number in ordered
    )

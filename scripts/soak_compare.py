"""Compares the reports of a run with what really happened."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from scripts.soak_truth import TOLERATED, Act, Fault, Pairs, act_key

Report = Mapping[str, Any]
STOPPED = "proxy-stopped"
"""The reason of checks on a flow that a reload of the addon cut in two."""
PASSED_ON = "not-captured"
"""The reason of checks on a body that mitmproxy began to stream in its middle."""
MIDWAY_SECONDS = 5.0
"""A busy proxy takes so long to hear of an option."""
BROKEN = "not-inspected"
OTHER_THAN_WRITTEN = frozenset({"object-changed notice"})
"""A read of what an upload with a fault wrote, where nothing could check the upload: of what COS
says of the two, one is the fault, and nobody can tell which."""


@dataclass
class Outcome:
    """``wrong`` are lines for people, one for each thing that is off."""

    flows: int = 0
    faults: int = 0
    """Flows that a fault was done to, and connections."""
    found: int = 0
    cut_by_reload: int = 0
    """Faults on flows of which the addon says itself that a reload cut them."""
    streamed_midway: int = 0
    """Faults on bodies of which it says that they were not captured, because an option of
    mitmproxy's own had it stream from their middle on, past all addons."""
    false_alarms: int = 0
    wrong: list[str] = field(default_factory=list)
    kinds: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """By kind of fault: how many were ``injected`` and ``found``."""


def compare(
    acts: Iterable[Act],
    flows: Mapping[str, Act | None],
    reports: Sequence[Report],
    summary: Report,
    streaming_began: Sequence[float] = (),
) -> Outcome:
    """``flows`` are those that reached the server, with their acts. ``streaming_began`` are the
    times at which mitmproxy was told to stream large bodies itself."""
    by_key = {act.key: act for act in acts}
    outcome = Outcome(flows=len(reports))
    seen: Counter[str] = Counter()
    told: dict[str, list[tuple[Report, frozenset[str]]]] = defaultdict(list)
    for report in reports:
        flow = report["flow_id"]
        seen[flow] += 1
        act = flows.get(flow) or by_key.get(act_key(report["cos"]["key"]))
        if act is None:
            _judge(outcome, report, frozenset(), "no act")
            if flow not in flows:
                outcome.wrong.append(f"{_name(report)}: a report on a flow that nobody made")
        else:
            told[act.key].append((report, _pairs_of(report["findings"])))
    for flow in flows:
        if not seen[flow]:
            act = flows[flow]
            outcome.wrong.append(f"flow {flow} of {act.key if act else 'no act'}: no report")
    outcome.wrong += [f"flow {flow}: {count} reports" for flow, count in seen.items() if count > 1]
    for act in by_key.values():
        _judge_act(outcome, act, told[act.key], streaming_began)
    _judge_transfers(outcome, by_key, summary)
    _judge_connections(outcome, by_key, summary)
    if summary["counts"]["flows"] != len(reports):
        outcome.wrong.append(
            f"the summary counts {summary['counts']['flows']} flows, there are {len(reports)}"
        )
    if summary.get("lost", {}).get("count"):
        outcome.wrong.append(f"reports were lost: {summary['lost']}")
    return outcome


def matches(found: Pairs, wanted: Pairs, also: Pairs = frozenset()) -> bool:
    """Everything that is wanted, and nothing else but what may be there besides."""
    rest = set(found)
    for pair in wanted:
        hits = {each for each in rest if _fits(each, pair)}
        if not hits:
            return False
        rest -= hits
    return not within(frozenset(rest), also)


def _fits(found: str, wanted: str) -> bool:
    return any(found == each or found.partition(" ")[0] == each for each in wanted.split("|"))


def within(found: Pairs, allowed: Pairs) -> Pairs:
    """What is found and neither allowed nor tolerated."""
    return frozenset(
        each for each in found - TOLERATED if not any(_fits(each, pair) for pair in allowed)
    )


def _pairs_of(findings: Sequence[Report]) -> Pairs:
    return frozenset(f"{item['rule']} {item['severity']}" for item in findings)


def _name(report: Report) -> str:
    return f"{report['cos']['operation']} {report['cos']['key']} ({report['flow_id'][:8]})"


def _reasons(report: Report) -> set[str | None]:
    return {check["reason"] for check in report["checks"]}


def _judge(outcome: Outcome, report: Report, allowed: Pairs, about: str) -> None:
    """A flow that no fault was done to."""
    wrong = within(_pairs_of(report["findings"]), allowed)
    if wrong:
        outcome.false_alarms += 1
        outcome.wrong.append(f"{_name(report)}, {about}: accused of {', '.join(sorted(wrong))}")
    if BROKEN in _reasons(report):
        outcome.wrong.append(f"{_name(report)}, {about}: a check was not made ({BROKEN})")


def _judge_act(
    outcome: Outcome,
    act: Act,
    told: list[tuple[Report, Pairs]],
    streaming_began: Sequence[float],
) -> None:
    if act.trouble is not None:
        outcome.wrong.append(f"{act.key}: the client met what nobody did: {act.trouble}")
    fault = act.fault
    if fault is None:
        for report, _ in told:
            _judge(outcome, report, frozenset(), "nothing was done to it")
        return
    hits = act.hits if fault.effects else {report["flow_id"] for report, _ in told}
    later = _later(act, fault, told)
    around = fault.around
    if any(r["flow_id"] in hits and _reasons(r) & {STOPPED, PASSED_ON} for r, _ in told):
        around |= OTHER_THAN_WRITTEN
    for report, found in told:
        flow = report["flow_id"]
        midway = _was_under_way(report, streaming_began)
        if flow in hits:
            _judge_fault(outcome, report, found, fault.found, fault.also, fault.name, midway)
        elif flow == later and fault.last is not None:
            kind = f"{fault.name}, later"
            _judge_fault(outcome, report, found, fault.last, around, kind, midway)
        else:
            _judge(outcome, report, around, f"beside {fault.name}")
    if fault.effects is None and not fault.connection and not told:
        outcome.wrong.append(f"{act.key}: {fault.name} has no report")


def _later(act: Act, fault: Fault, told: list[tuple[Report, Pairs]]) -> str | None:
    """The flow that a fault shows on in the end: of those of its operation that came after
    it the last one that is accused, for parts of an upload come in any order; else the last one
    that a reload cut, which may be why nothing is said of it; else the last."""
    flows = [seen.flow for seen in act.seen if seen.operation == fault.operation]
    met = [index for index, flow in enumerate(flows) if flow in act.hits]
    if not met:
        return None
    after = [flow for flow in flows[met[0] :] if flow not in act.hits]
    found = {report["flow_id"]: pairs for report, pairs in told}
    cut = {report["flow_id"] for report, _ in told if STOPPED in _reasons(report)}
    accused = [flow for flow in after if found.get(flow, frozenset()) - TOLERATED]
    return next(reversed(accused or [flow for flow in after if flow in cut] or after), None)


def _was_under_way(report: Report, times: Sequence[float]) -> bool:
    """Whether the flow was at one of these times."""
    began = datetime.fromisoformat(report["started"]).timestamp()
    ended = began + (report["timing"]["total_ms"] or 0) / 1000
    return any(began - MIDWAY_SECONDS <= at <= ended for at in times)


def _judge_fault(
    outcome: Outcome,
    report: Report,
    found: Pairs,
    wanted: Pairs,
    also: Pairs,
    kind: str,
    midway: bool,
) -> None:
    if not wanted:
        _judge(outcome, report, wanted, kind)
        return
    outcome.faults += 1
    outcome.kinds[kind]["injected"] += 1
    if matches(found, wanted, also):
        outcome.found += 1
        outcome.kinds[kind]["found"] += 1
    elif STOPPED in _reasons(report):
        outcome.cut_by_reload += 1
    elif midway and PASSED_ON in _reasons(report):
        outcome.streamed_midway += 1
    else:
        outcome.wrong.append(
            f"{_name(report)}, {kind}: found {', '.join(sorted(found)) or 'nothing'},"
            f" not {', '.join(sorted(wanted))}; checks were not made for:"
            f" {', '.join(sorted(filter(None, _reasons(report)))) or 'nothing'}"
        )


def _judge_transfers(outcome: Outcome, acts: Mapping[str, Act], summary: Report) -> None:
    for transfer in summary["transfers"]:
        act = acts.get(act_key(transfer["key"]))
        allowed = act.fault.transfer if act is not None and act.fault is not None else frozenset()
        wrong = within(_pairs_of(transfer["findings"]), allowed)
        if wrong:
            outcome.false_alarms += 1
            outcome.wrong.append(
                f"{transfer['kind']} {transfer['key']}: accused of {', '.join(sorted(wrong))}"
            )


def _judge_connections(outcome: Outcome, acts: Mapping[str, Act], summary: Report) -> None:
    wanted = {
        act.host: act.fault
        for act in acts.values()
        if act.fault is not None and act.fault.connection
    }
    for trouble in summary["connections"]:
        fault = wanted.pop(trouble["host"], None)
        found = _pairs_of(trouble["findings"])
        if fault is None:
            if found:
                outcome.false_alarms += 1
                outcome.wrong.append(f"connection to {trouble['host']}: {sorted(found)}")
            continue
        outcome.faults += 1
        outcome.kinds[fault.name]["injected"] += 1
        if matches(found, fault.connection):
            outcome.found += 1
            outcome.kinds[fault.name]["found"] += 1
        else:
            outcome.wrong.append(f"connection to {trouble['host']}: found {sorted(found)}")
    for host, fault in wanted.items():
        outcome.faults += 1
        outcome.kinds[fault.name]["injected"] += 1
        outcome.wrong.append(f"connection to {host}: {fault.name} was not found")

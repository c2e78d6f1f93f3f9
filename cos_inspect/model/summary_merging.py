"""The summary with added what a run has counted: lists and names are bounded."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from cos_inspect.model.devices import ConnectionFailureSummary, with_connections
from cos_inspect.model.flow_report import VERDICT_RANKS
from cos_inspect.model.statistics import Statistics
from cos_inspect.model.summary import (
    Counts,
    RunSummary,
    SessionSummary,
    Summary,
    TransferSummary,
    count_name,
)
from cos_inspect.model.summary_delta import SummaryDelta, Unlisted, add_failure, count_host

_MOST_RUNS = 1000
_MOST_CAPTURES = 1000
MOST_LISTED = 10_000
"""Transfers, and chains of retries, in the summary."""
MOST_ROWS = 50_000
"""Parts in all tables of the summary together."""
MOST_NAMED = 500_000
"""Flows in all its lists."""


def _replace_session(summary: Summary, session: SessionSummary, run: int | None) -> SessionSummary:
    """Puts what a run says now in the place of what it said before; other runs' stay. What was
    put there."""
    told: dict[tuple[str, str], set[str]] = {}
    for item in session.transfers:
        told.setdefault((item.kind, item.id), set()).update(item.flows)
    put = SessionSummary(
        transfers=_of_run(session.transfers, run),
        retries=_of_run(session.retries, run),
        read_back=_of_run(session.read_back, run),
    )
    summary.transfers = [
        item for item in summary.transfers if item.run != run or not _is_told_anew(item, told)
    ] + put.transfers
    tried = {flow for chain in session.retries for flow in chain.flows}
    summary.retries = [
        chain for chain in summary.retries if chain.run != run or tried.isdisjoint(chain.flows)
    ] + put.retries
    written = {item.write for item in session.read_back}
    summary.read_back = [
        item for item in summary.read_back if item.run != run or item.write not in written
    ] + put.read_back
    return put


def _of_run[T: msgspec.Struct](items: list[T], run: int | None) -> list[T]:
    if run is None:
        return items
    return [msgspec.structs.replace(item, run=run) for item in items]


def _add_sessions(summary: Summary, tally: SummaryDelta, run: int | None) -> None:
    """Bounds the lists, however many runs have added to them; what goes is counted."""
    if not tally.sessions:
        return
    # Another file may have taken the place of the one in which they were counted.
    summary.left_out = max(0, summary.left_out - tally.unlisted.transfers)
    summary.retries_left_out = max(0, summary.retries_left_out - tally.unlisted.retries)
    last = SessionSummary()
    for session in tally.sessions:
        last = _replace_session(summary, session, run)
    summary.transfers, dropped = _worst(summary.transfers, lambda item: VERDICT_RANKS[item.verdict])
    summary.retries, dropped_retries = _worst(summary.retries, lambda item: not item.succeeded)
    summary.read_back, _ = _worst(summary.read_back, lambda item: not item.same)
    summary.transfers = without_long_tables(summary.transfers)
    summary.left_out += len(dropped)
    summary.retries_left_out += len(dropped_retries)
    tally.unlisted_now = Unlisted(_of(last.transfers, dropped), _of(last.retries, dropped_retries))


def _worst[T](items: list[T], badness: Callable[[T], int]) -> tuple[list[T], list[T]]:
    """As many as are listed, in their order, and the others: of the same badness the oldest."""
    if len(items) <= MOST_LISTED:
        return items, []
    ranked = sorted(range(len(items)), key=lambda index: (badness(items[index]), index))
    out = set(ranked[: len(items) - MOST_LISTED])
    kept = [item for index, item in enumerate(items) if index not in out]
    return kept, [items[index] for index in sorted(out)]


def _of[T](items: Iterable[T], among: Iterable[T]) -> int:
    ids = set(map(id, items))
    return sum(id(item) in ids for item in among)


def without_long_tables(transfers: list[TransferSummary]) -> list[TransferSummary]:
    """The tables of parts, and lists of flows, of the last transfers are left out once there
    are too many."""
    rows = flows = 0
    found = []
    for transfer in transfers:
        rows += len(transfer.part_table)
        flows += len(transfer.flows)
        if rows > MOST_ROWS or flows > MOST_NAMED:
            transfer = msgspec.structs.replace(  # noqa: PLW2901
                transfer,
                part_table=transfer.part_table if rows <= MOST_ROWS else [],
                flows=transfer.flows if flows <= MOST_NAMED else [],
            )
        found.append(transfer)
    return found


def _is_told_anew(item: TransferSummary, told: dict[tuple[str, str], set[str]]) -> bool:
    """Another run may have seen a transfer of the same id, but not the same flows."""
    flows = told.get((item.kind, item.id))
    if flows is None:
        return False
    return not flows or not item.flows or not flows.isdisjoint(item.flows)


_BY_FLOW = (
    *("verdict", "rule", "operation", "host", "client"),
    *("region", "status", "healed", "error_rule", "warning_rule"),
)
"""Counts that each flow adds to."""


def merged(before: Summary | None, tally: SummaryDelta) -> Summary:
    """The summary on disk with a run's tally added."""
    summary = before or Summary()
    run = tally.run.id if tally.run is not None else None
    summary.others += tally.others
    for host, number in tally.other_hosts.items():
        count_host(summary.other_hosts, host, number)
    summary.lost.merge(tally.lost)
    summary.captures = [*summary.captures, *_of_run(tally.captures, run)][-_MOST_CAPTURES:]
    summary.counts.flows += tally.counts.flows
    for name in _BY_FLOW:
        into: dict[str, int] = getattr(summary.counts, name)
        added: dict[str, Any] = getattr(tally.counts, name)
        for key, number in added.items():
            count_name(into, key, number)
    _add_sessions(summary, tally, run)
    counts = tally.session_counts
    summary.left_out += counts.left_out
    summary.retries_left_out += counts.retries_left_out
    summary.forgotten += counts.forgotten
    for verdict, number in counts.went_wrong.items():
        count_name(summary.counts.transfers, verdict, number)
    for trouble in _of_run(tally.connections, run):
        add_failure(summary.connections, trouble)
    summary.connections = [trouble for trouble in summary.connections if trouble.count > 0]
    summary.counts.connections = verdicts_of(summary.connections)
    if tally.statistics:
        statistics = Statistics()
        statistics.merge(summary.statistics)
        statistics.merge(tally.statistics.raw().values())
        summary.statistics = statistics.rows()
    summary.time_line.merge(tally.time_line)
    devices = tally.devices.added_to(summary.devices, run)
    summary.devices = with_connections(devices, summary.connections)
    if tally.run is not None:
        _add_run(summary, tally, tally.run)
    for name in Counts.__struct_fields__:
        counted = getattr(summary.counts, name)
        if isinstance(counted, dict):
            # Rules come out of sets, whose order is another one in each process.
            setattr(summary.counts, name, dict(sorted(counted.items())))
    summary.lost.reasons = dict(sorted(summary.lost.reasons.items()))
    return summary


def _add_run(summary: Summary, tally: SummaryDelta, told: RunSummary) -> None:
    runs = {run.id: run for run in summary.runs}
    run = runs.get(told.id, told)
    verdict, transfers = dict(run.verdict), dict(run.transfers)
    for into, added in (
        (verdict, tally.counts.verdict),
        (transfers, tally.session_counts.went_wrong),
    ):
        for name, number in added.items():
            count_name(into, name, number)
    runs[told.id] = msgspec.structs.replace(
        run,
        name=told.name,
        started=told.started,
        ended=told.ended,
        masked=run.masked and told.masked,
        flows=run.flows + tally.counts.flows,
        others=run.others + tally.others,
        lost=run.lost + tally.lost.count,
        verdict=verdict,
        transfers=transfers,
        connections=verdicts_of(each for each in summary.connections if each.run == told.id),
    )
    summary.runs = [runs[number] for number in sorted(runs)][-_MOST_RUNS:]


def verdicts_of(connections: Iterable[ConnectionFailureSummary]) -> dict[str, int]:
    """How many connections by the worst that was found; without findings they may be fine."""
    found: dict[str, int] = {}
    for trouble in connections:
        if trouble.findings:
            worst = max((each.severity for each in trouble.findings), key=lambda each: each.rank)
            count_name(found, worst.value, trouble.count)
    return found

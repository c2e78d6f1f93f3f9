"""What histories on disk give to the summary, when that is too much to be held."""

from collections import Counter

from cos_inspect.inspection.spilled_summaries import SpilledSummaries, worse_of
from cos_inspect.inspection.transfer_summary import HistorySummary
from cos_inspect.model.flow_report import Severity
from cos_inspect.model.summary import TransferSummary


def transfer(name: str, severity: Severity | None = None) -> HistorySummary:
    made = TransferSummary.judged(
        kind="append",
        id=name,
        bucket=None,
        key=None,
        state="appended",
        size=None,
        parts=1,
        duration_ms=1.0,
        findings=[],
        flows=[],
        checks=[],
        at_least=severity,
    )
    return HistorySummary([(0.0, made)])


def test_the_worst_are_held_and_the_others_counted() -> None:
    spilled = SpilledSummaries(most=4)
    told = [None, Severity.ERROR, None, Severity.NOTICE, None, Severity.ERROR, None]
    for number, severity in enumerate(told):
        spilled.put(f"{number}", transfer(f"{number}", severity))
        held = [each for _, listing in spilled.items() for _, each in listing.transfers]
        counted = spilled.counted()
        assert len(held) <= 4
        assert len(held) + counted.left_out == number + 1
        verdicts = Counter(each.verdict for each in held) + Counter(counted.verdicts)
        assert verdicts["error"] == sum(one is Severity.ERROR for one in told[: number + 1])
    assert spilled.get("1") is not None
    assert spilled.get("0") is None
    for number, severity in enumerate(told):
        spilled.take_back(f"{number}", lambda n=number, s=severity: transfer(f"{n}", s))  # type: ignore[misc]
    assert not dict(spilled.items())
    assert (spilled.counted().left_out, spilled.counted().verdicts) == (0, {})


def test_a_transfer_that_was_forgotten_and_began_anew_is_listed_once() -> None:
    bad, good, other = transfer("a", Severity.ERROR), transfer("a"), transfer("b")
    both = HistorySummary([*good.transfers, *other.transfers])
    for before, now in ((bad, both), (both, bad)):
        found = worse_of(before, now).transfers
        assert sorted((each.id, each.verdict) for _, each in found) == [("a", "error"), ("b", "ok")]

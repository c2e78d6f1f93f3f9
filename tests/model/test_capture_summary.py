"""What is counted of captures adds up, however a file is cut into parts."""

from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.model.capture_summary import CaptureFacts, CaptureSummary
from cos_inspect.model.summary import RunSummary
from cos_inspect.model.summary_delta import SummaryDelta
from cos_inspect.model.summary_merging import merged

FACTS = st.lists(
    st.tuples(st.sampled_from(["WebSocket", "tunnel", "never sent"]), st.integers(0, 5)),
    max_size=8,
)


@given(FACTS, st.integers(0, 8))
def test_parts_add_up(counts: list[tuple[str, int]], at: int) -> None:
    whole, first, second = CaptureFacts(), CaptureFacts(), CaptureFacts()
    for number, (reason, count) in enumerate(counts):
        whole.leave_out(reason, count)
        (first if number < at else second).leave_out(reason, count)
    first.merge(second)
    assert first == whole


def test_what_a_format_cannot_tell_is_not_nothing() -> None:
    one, other = CaptureFacts(), CaptureFacts()
    one.merge(other)
    assert (one.bytes_lost, one.packets_lost) == (None, None)
    other.lose()
    one.merge(other)
    assert (one.bytes_lost, one.packets_lost) == (0, 0)
    other.lose(bytes_=5, packets=1)
    other.misses_exchanges = True
    other.program = "x"
    one.merge(other)
    assert (one.bytes_lost, one.packets_lost) == (5, 1)
    assert one.misses_exchanges
    assert one.program == "x"


def test_reasons_are_bounded() -> None:
    facts = CaptureFacts()
    for number in range(300):
        facts.leave_out(f"reason {number}")
    assert len(facts.left_out) == 101
    assert sum(facts.left_out.values()) == 300


def test_the_summary_keeps_the_newest_captures() -> None:
    summary = None
    for number in range(3):
        tally = SummaryDelta()
        tally.run = RunSummary(id=number + 1, name="analyze", started=None)
        tally.captures = [CaptureSummary(file=f"{number}.{at}", format="har") for at in range(500)]
        summary = merged(summary, tally)
    assert summary is not None
    assert len(summary.captures) == 1000
    assert [(each.file, each.run) for each in summary.captures[::999]] == [("1.0", 2), ("2.499", 3)]

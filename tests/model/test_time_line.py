"""Bars of the time line add up in any order, and their number is bounded."""

from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.model.time_line import MOST_BARS, TimeLine

FLOWS = st.lists(
    st.tuples(
        st.integers(min_value=0, max_value=2_000_000_000),
        st.sampled_from(["error", "warning", "notice", "ok"]),
    ),
    max_size=600,
)


def line_of(flows: list[tuple[int, str]]) -> TimeLine:
    line, whole = TimeLine(), TimeLine()
    for at, verdict in flows:
        line.add(at, verdict)
    whole.merge(line)
    return whole


@given(FLOWS, st.integers(min_value=1, max_value=50))
def test_parts_in_any_order_give_the_same_bars(flows: list[tuple[int, str]], size: int) -> None:
    parts = [line_of(flows[at : at + size]) for at in range(0, len(flows), size)]
    forward, backward = TimeLine(), TimeLine()
    for part in parts:
        forward.merge(part)
    for part in reversed(parts):
        backward.merge(part)
    assert forward == backward == line_of(flows)
    assert sum(map(sum, forward.bars.values())) == len(flows)
    assert len(forward.bars) <= MOST_BARS
    # No shorter bars would have done.
    half = forward.seconds // 2
    assert not half or len({at // half for at, _ in flows}) > MOST_BARS
    for at, _ in flows:
        assert at - at % forward.seconds in forward.bars


def test_what_is_taken_back_leaves_nothing() -> None:
    line = line_of([(100, "ok"), (5000, "ok")])
    change = TimeLine()
    change.add(100, "ok", -1)
    change.add(100, "error")
    line.merge(change)
    assert line.bars == {100: [1, 0, 0, 0], 5000: [0, 0, 0, 1]}
    gone = TimeLine()
    gone.add(5000, "ok", -1)
    line.merge(gone)
    assert list(line.bars) == [100]


def test_a_flow_at_an_unknown_time_has_no_bar() -> None:
    line = TimeLine()
    line.add(None, "ok")
    assert not line.bars

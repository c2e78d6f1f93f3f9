from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.transfers.account import (
    DigestComparison,
    Fact,
    busy_seconds,
    compared,
    keep,
    newest,
    skipped,
)

SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=12).map(
    lambda found: [(float(start), float(start + length)) for start, length in found]
)
FACTS = st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 5), st.integers(0, 5))).map(
    lambda found: [
        Fact(flow_id=flow, started=float(start), ended=float(start + length))
        for flow, start, length in found
    ]
)


@given(SPANS, st.randoms(use_true_random=False))
def test_busy_is_each_second_in_which_something_was_under_way(
    spans: list[tuple[float, float]], chance: object
) -> None:
    seconds = {second for start, end in spans for second in range(int(start), int(end))}
    chance.shuffle(spans)  # type: ignore[attr-defined]
    assert busy_seconds(spans) == len(seconds)


@given(FACTS, st.randoms(use_true_random=False))
def test_of_one_flow_the_later_fact_counts_in_any_order(facts: list[Fact], chance: object) -> None:
    kept: dict[str, Fact] = {}
    for fact in facts:
        assert keep(kept, fact) == (kept.get(fact.flow_id) is fact)
    shuffled: dict[str, Fact] = {}
    chance.shuffle(facts)  # type: ignore[attr-defined]
    for fact in facts:
        keep(shuffled, fact)
    assert shuffled == kept


def test_the_newest_are_kept_once_there_are_half_as_many_more() -> None:
    facts = {f"{n}": Fact(flow_id=f"{n}", started=0.0, ended=float(n)) for n in range(15)}
    assert newest(facts, 10) is facts
    facts["15"] = Fact(flow_id="15", started=0.0, ended=15.0)
    assert set(newest(facts, 10)) == {f"{n}" for n in range(6, 16)}


def test_a_comparison_was_made_or_says_why_not() -> None:
    assert compared(5, 5) == DigestComparison("5", "5", same=True)
    assert compared("5", 5).same is False
    assert skipped("copy", 5) == DigestComparison("5", None, reason="copy")

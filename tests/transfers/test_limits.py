from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.transfers.limits import LIVE, UNBOUNDED, JudgingBudget


def test_saved_captures_have_no_bound() -> None:
    for name in LIVE.__struct_fields__:
        assert getattr(UNBOUNDED, name) > 10**12 > getattr(LIVE, name) > 0


@given(st.lists(st.integers(0, 10_000), max_size=200))
def test_what_is_spent_grows_with_the_facts_alone(costs: list[int]) -> None:
    effort, spent = JudgingBudget(), 0
    for facts, cost in enumerate(costs, 1):
        if effort.allows(cost, facts):
            spent += cost
        assert spent <= JudgingBudget.FREE + JudgingBudget.RATE * facts


def test_what_was_put_off_is_allowed_once_more_facts_came() -> None:
    effort = JudgingBudget()
    assert not effort.allows(JudgingBudget.FREE + JudgingBudget.RATE + 1, 1)
    assert effort.allows(JudgingBudget.FREE + JudgingBudget.RATE + 1, 2)

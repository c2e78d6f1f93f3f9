"""Which flows are listed depends on all of them alone: not on their order, nor on when some were
left out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.model.flow_report import Severity
from cos_inspect.report import listing
from cos_inspect.report.listing import Entry, choose
from tests.report.build import finding, flow_report, healed_try

MOST = 30


def _entry(n: int, which: tuple[str, str | None, bool, int]) -> Entry:
    verdict, rule, healed, second = which
    return Entry(
        n=n,
        verdict=verdict,  # type: ignore[arg-type]
        op="GetObject" if second % 3 else "PutObject",
        flow=f"{n:08x}",
        started=f"2026-11-22T10:00:{second:02d}.000Z" if second else None,
        worst=None if verdict == "ok" else rule,
        healed=healed and verdict != "ok",
    )


FLOWS = st.lists(
    st.tuples(
        st.sampled_from(["error", "warning", "notice", "ok"]),
        st.sampled_from(["etag-mismatch", "clock-skew", "retried"]),
        st.booleans(),
        st.integers(min_value=0, max_value=59),
    ),
    min_size=1,
    max_size=200,
).map(lambda found: [_entry(n, one) for n, one in enumerate(found, start=1)])


@pytest.fixture(autouse=True, scope="module")
def few() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "FIRST_OF_EACH", 2)
        yield


@given(FLOWS, st.randoms(use_true_random=False), st.integers(min_value=1, max_value=60))
def test_shortening_in_between_changes_nothing(
    flows: list[Entry], random: "object", size: int
) -> None:
    whole = choose(flows, MOST)
    shuffled = flows[:]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    held: dict[int, Entry] = {}
    floor = None
    for at in range(0, len(shuffled), size):
        for each in shuffled[at : at + size]:
            # What is spared is never among those that are listed.
            if floor is not None and floor.rules_out(each):
                assert each.n not in whole.numbers
                continue
            held[each.n] = each
        choice = choose(held.values(), MOST)
        held = {n: each for n, each in held.items() if n in choice.numbers}
        floor = choice.floor or floor
    assert choose(held.values(), MOST).numbers == whole.numbers
    assert len(whole.numbers) == min(MOST, len(flows))


@given(FLOWS)
def test_the_worst_are_listed_and_the_first_of_each_kind(flows: list[Entry]) -> None:
    listed = choose(flows, MOST).numbers
    kinds: dict[tuple[str, str, bool], list[Entry]] = {}
    for each in sorted(flows, key=lambda one: one.order):
        kinds.setdefault(each.kind, []).append(each)
    for each in (one for of_kind in kinds.values() for one in of_kind[:2]):
        assert each.n in listed
    others = [one for of_kind in kinds.values() for one in of_kind[2:]]
    left_out = [one.order for one in others if one.n not in listed]
    assert all(one.order < min(left_out, default=(99,)) for one in others if one.n in listed)


def test_of_a_kind_no_more_than_the_first_are_listed_before_what_is_worse() -> None:
    fine = [_entry(n, ("ok", None, False, n)) for n in range(1, 11)]
    worse = [_entry(n, ("error", "etag-mismatch", False, n % 60)) for n in range(11, 11 + MOST)]
    listed = choose([*fine, *worse], MOST).numbers
    of_kind = {each.kind: 0 for each in fine}
    for each in fine:
        of_kind[each.kind] += each.n in listed
    assert set(of_kind.values()) == {2}


@given(FLOWS, st.integers(min_value=1, max_value=50))
def test_the_newest_are_listed_besides(flows: list[Entry], newest: int) -> None:
    listed = choose(flows, MOST, newest).numbers
    assert listed >= choose(flows, MOST).numbers
    if len(flows) > MOST:
        assert listed >= {each.n for each in flows[-newest:]}
        assert len(listed) <= MOST + newest


def test_an_entry_is_what_the_row_says() -> None:
    notice = finding("retried", Severity.NOTICE)
    assert Entry.of(flow_report(findings=[notice, finding("etag-mismatch")])).worst == (
        "etag-mismatch"
    )
    healed = Entry.of(healed_try(7))
    assert (healed.n, healed.healed, healed.worst) == (7, True, "error-response")
    assert Entry.of(flow_report()).kind == ("ok", "PutObject", False)

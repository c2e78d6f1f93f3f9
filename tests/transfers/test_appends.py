import random

from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.model.exchange import Exchange
from cos_inspect.transfers.appends import AppendHistory, account_of, judge_append
from cos_inspect.transfers.limits import UNBOUNDED, Limits
from tests.transfers.build import START, append, crc64, failure, seen


def log(*flows: Exchange, judge: bool = True) -> AppendHistory:
    made = AppendHistory(id="x", bucket=None, key="log")
    for flow in flows:
        made.add(seen(flow), UNBOUNDED, judge=judge)
    if not judge:
        made.settle()
    return made


FLOWS = [
    append("a", b"one", 0, 0.0, whole=b"one"),
    append("b", b"two", 3, 1.0, whole=b"onetwo"),
    append("x", b"two", 3, 2.0, **failure(409, "AppendPositionErr")),
    append("c", b"three", 6, 3.0, whole=b"onetwothree"),
    append("d", b"anew", 0, 4.0, whole=b"anew"),
    append("e", b"!", 4, 5.0, whole=b"anew!"),
]


def status(made: AppendHistory, flow_id: str) -> bool | str | None:
    verdict = judge_append(made, flow_id)
    return None if verdict is None else verdict.crc64.reason or verdict.crc64.same


@given(st.randoms(use_true_random=False), st.booleans())
def test_any_order(shuffle: random.Random, judge: bool) -> None:
    flows = list(FLOWS)
    shuffle.shuffle(flows)
    one = log(*flows, judge=judge)
    assert [status(one, flow) for flow in "abcde"] == [True] * 5
    assert status(one, "x") is None
    assert account_of(one) == account_of(log(*FLOWS))


def test_a_missing_piece_breaks_the_chain_until_it_begins_anew() -> None:
    made = log(*FLOWS[:1], *FLOWS[3:])
    assert [status(made, flow) for flow in "acde"] == [True, "unseen-parts", True, True]


KNOWN = crc64(b"before")


@given(st.permutations(range(4)), st.booleans())
def test_what_was_read_before_is_what_is_appended_to(order: list[int], judge: bool) -> None:
    flows = [
        append("a", b"one", 6, 10.0, whole=b"beforeone"),
        append("b", b"two", 9, 11.0, whole=b"beforeonetwo"),
        append("c", b"damage", 12, 12.0, whole=b"beforeonetwodemage"),
    ]
    one = log()
    for each in order:
        if each == 3:
            one.learn(6, KNOWN, START + 9.0, UNBOUNDED, judge=judge)
        else:
            one.add(seen(flows[each]), UNBOUNDED, judge=judge)
    one.settle()
    assert [status(one, flow) for flow in "abc"] == [True, True, False]


def test_what_was_read_later_or_two_ways_says_nothing() -> None:
    flow = append("a", b"one", 6, 10.0, whole=b"beforeone")
    later = log(flow)
    assert later.learn(6, KNOWN, START + 11.0, UNBOUNDED, judge=True) == set()
    assert status(later, "a") == "unseen-parts"
    assert later.learn(6, KNOWN, START + 9.0, UNBOUNDED, judge=True) == {"a"}
    assert status(later, "a") is True
    assert later.learn(6, KNOWN + 1, START + 8.0, UNBOUNDED, judge=True) == {"a"}
    assert status(later, "a") == "unseen-parts"


def test_reading_the_same_again_and_again_is_one_fact() -> None:
    made = log(*FLOWS[:1])
    for at in range(50):
        made.learn(3, crc64(b"one"), START + at, Limits(parts=10), judge=True)
    assert (made.facts, made.left_out) == (2, 0)


def test_next_position() -> None:
    made = log(append("a", b"one", 0, 0.0), append("b", b"two", 3, 1.0, whole=b"onetwo"))
    assert judge_append(made, "a").next_position is None  # type: ignore[union-attr]
    wrong = {"x-cos-next-append-position": "7"}
    verdict = judge_append(log(append("a", b"one", 0, 0.0, answered=wrong)), "a")
    assert verdict is not None
    assert verdict.next_position == (7, 3)
    assert verdict.crc64.reason == "no-header"


def test_late_arrival_names_the_flows_it_changes() -> None:
    made = log(FLOWS[0], FLOWS[3])
    assert status(made, "c") == "unseen-parts"
    assert made.add(seen(FLOWS[1]), UNBOUNDED, judge=True) == {"b", "c"}
    assert status(made, "c") is True


def test_account() -> None:
    account = account_of(log(*FLOWS))
    assert (account.size, account.parts, account.tries) == (5, 5, 6)
    assert account.bytes_sent_twice == 3

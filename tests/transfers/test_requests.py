import random

from cos_inspect.model.exchange import Exchange
from cos_inspect.transfers.limits import UNBOUNDED, Limits
from cos_inspect.transfers.requests import RequestHistory
from tests.transfers.build import failure, put, seen


def requests(*flows: Exchange, limits: Limits = UNBOUNDED, judge: bool = True) -> RequestHistory:
    made = RequestHistory()
    for flow in flows:
        made.add(seen(flow), limits, judge=judge)
    return made


def test_place_among_tries() -> None:
    made = requests(put("1", b"x", 0.0, status=503), put("2", b"x", 1.0))
    places = [made.place_of(seen(put(flow_id, b"x", 0.0))) for flow_id in ("1", "2")]
    assert [place.attempt for place in places if place] == [1, 2]
    assert [place.is_last for place in places if place] == [False, True]
    assert made.replaced() == {"1"}
    assert made.place_of(seen(put("3", b"x", 0.0))) is None


def test_of_a_try_that_is_the_last_no_more_something_else_is_said() -> None:
    made = requests(put("1", b"x", 0.0, status=503))
    assert made.add(seen(put("2", b"x", 1.0)), UNBOUNDED, judge=True) == {"1", "2"}
    assert made.add(seen(put("3", b"y", 1.0, key="b")), UNBOUNDED, judge=True) <= {"3"}
    assert made.add(seen(put("4", b"x", 2.0)), UNBOUNDED, judge=False) == set()


def test_what_nobody_tries_again_is_dropped_first() -> None:
    fine = [put(f"{number}", b"x", float(number), key=f"{number}") for number in range(1, 5)]
    failed = put("failed", b"y", 0.0, key="failed", **failure(503, "SlowDown"))
    limits = Limits(requests=5)
    made = requests(failed, *fine, limits=limits)
    assert len(made.by_name) == 5
    made.add(seen(put("late", b"z", 1e6, key="late")), limits, judge=True)
    assert seen(failed).same_request in made.by_name
    assert seen(fine[0]).same_request not in made.by_name
    assert made.left_out == 0
    assert made.dropped_until > 0
    assert made.facts == sum(tries.facts for tries in made.by_name.values())


def test_any_order_gives_the_same_places() -> None:
    flows = [put(f"{n}", b"x", float(n), **failure(503, "SlowDown")) for n in range(5)]
    shuffled = random.Random(5).sample(flows, len(flows))
    one, other = requests(*flows), requests(*shuffled, judge=False)
    for flow in flows:
        assert one.place_of(seen(flow)) == other.place_of(seen(flow))

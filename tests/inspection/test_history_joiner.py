"""What one more exchange adds to the histories of objects, and which flows that touches."""

from collections.abc import Iterable

import pytest

from cos_inspect.inspection.first_look import FirstLook, first_look
from cos_inspect.inspection.histories import Histories
from cos_inspect.inspection.history_joiner import HistoryJoiner
from cos_inspect.inspection.transfer_summary import HistorySummary
from cos_inspect.model.exchange import Exchange
from cos_inspect.transfers.limits import LIVE
from cos_inspect.transfers.objects import copy_of, judge_copy
from cos_inspect.transfers.unanswered_complete import unanswered_complete
from tests.inspection.test_recent_lists import a_list
from tests.transfers.build import HOST, complete, crc64, exchange, md5, part, put

DATA = b"the one part"


def look_at(one: Exchange) -> FirstLook:
    look = first_look(one)
    assert look is not None
    return look


class Joined:
    """A joiner that was fed with exchanges."""

    def __init__(self, flows: Iterable[Exchange] = (), *, lists: int = 8, wanting: int = 8) -> None:
        self.histories = Histories(
            facts=1000,
            on_disk=10,
            put_off=10,
            small=10,
            limits=LIVE,
            list_one=lambda _tracked, _over: HistorySummary(),
        )
        self.joiner = HistoryJoiner(self.histories, LIVE, lists=lists, wanting_proof=wanting)
        for flow in flows:
            self.take(flow)

    def take(self, flow: Exchange) -> set[str]:
        look = look_at(flow)
        touched = self.joiner.add(look.report, look.seen, ())
        if look.seen.operation == "GetBucket":
            touched |= self.joiner.add_list(look.cos, look.seen)
        return touched - {look.seen.flow_id}


def unheard(key: str = "a", at: float = 2.0) -> Exchange:
    """A Complete of which nobody heard whether it was done."""
    listed = [(1, md5(DATA))]
    return complete(f"lost-{key}", listed, crc64(DATA), at, key=key, status=None, error="lost")


def test_a_part_touches_a_complete_that_came_before_it() -> None:
    done = complete("done", [(1, md5(DATA))], crc64(DATA), 2.0)
    joined = Joined([done])
    assert joined.take(part("p", 1, DATA, 1.0)) == {"done"}


@pytest.mark.parametrize("late", [False, True])
def test_a_copy_is_joined_with_its_source_whichever_comes_first(late: bool) -> None:
    source = put("source", DATA, 0.0, key="b")
    asked = {"x-cos-copy-source": f"{HOST}/b"}
    told = {"x-cos-hash-crc64ecma": str(crc64(DATA))}
    copied = exchange("copy", "PUT", "/a", 1.0, sent=asked, answered=told)
    joined = Joined([copied, source] if late else [source, copied])
    history = joined.histories.of(look_at(source).seen).history
    verdict = judge_copy(copy_of(look_at(copied).seen), history.events)
    assert verdict.crc64.expected == verdict.crc64.actual == str(crc64(DATA))


@pytest.mark.parametrize("late", [False, True])
def test_a_list_shows_what_became_of_a_complete(late: bool) -> None:
    before = [part("p", 1, DATA, 1.0)]
    listed, lost = a_list(9.0), unheard()
    if late:
        joined = Joined([*before, listed])
        joined.take(lost)
    else:
        joined = Joined([*before, lost])
        joined.take(listed)
    history = joined.histories.of(look_at(lost).seen).history
    (upload,) = history.uploads.values()
    found = unanswered_complete(upload, history.events)
    assert found is not None
    assert found.proof is not None
    assert joined.joiner.left_out == 0


def test_objects_that_are_looked_for_in_lists_are_bounded_and_counted() -> None:
    flows = [unheard(key, 2.0 + at) for at, key in enumerate("abc")]
    assert Joined(flows, wanting=2).joiner.left_out == 1


def test_a_list_that_was_dropped_is_counted_where_it_might_have_shown_something() -> None:
    lists = [a_list(float(at), f"{at}") for at in range(5, 8)]
    assert Joined([*lists, unheard()], lists=2).joiner.left_out == 1
    assert Joined([*lists, unheard(at=20.0)], lists=2).joiner.left_out == 0

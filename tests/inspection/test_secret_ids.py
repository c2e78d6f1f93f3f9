"""What is known of SecretIds, and who waits for more of them."""

from typing import Literal, get_args

import msgspec
import pytest

from cos_inspect.inspection.secret_ids import SecretIds
from cos_inspect.rules.rule import PendingFinding
from cos_inspect.transfers.observation import Observation
from tests.report.build import finding
from tests.transfers.build import put, seen

ID = "AKIDEXAMPLE"
Shown = Literal["with-token", "accepted"]


def flow(name: str, *, with_token: bool = False, accepted: bool = False) -> Observation:
    return msgspec.structs.replace(
        seen(put(name, b"x", 0.0)), secret_id=ID, with_token=with_token, accepted=accepted
    )


def pending(shown: Shown) -> PendingFinding:
    return PendingFinding(shown=shown, finding=finding())


@pytest.mark.parametrize("shown", get_args(Shown))
def test_flows_that_wait_are_told_once_of_what_is_seen_first(shown: Shown) -> None:
    known = SecretIds(most=10, most_waiting=10)
    new = flow("new", with_token=shown == "with-token", accepted=shown == "accepted")
    assert known.add(flow("a"), waits=True) == set()
    assert known.add(flow("b"), waits=True) == set()
    assert not known.holds(pending(shown), ID)
    assert known.add(new, waits=False) == {"a", "b"}
    assert known.holds(pending(shown), ID)
    assert known.add(new, waits=False) == set()
    assert not known.holds(pending("accepted" if shown == "with-token" else "with-token"), ID)
    assert not known.holds(pending(shown), "AKIDOTHER")
    assert not known.holds(pending(shown), None)


def test_what_is_not_noted_is_counted() -> None:
    known = SecretIds(most=10, most_waiting=2)
    for name in "abcde":
        known.add(flow(name), waits=True)
    assert known.forgotten == 3
    assert known.add(flow("new", accepted=True), waits=False) == {"a", "b"}


def test_ids_beyond_those_in_memory_are_known() -> None:
    known = SecretIds(most=2, most_waiting=2)
    for number in range(20):
        one = msgspec.structs.replace(flow("f", accepted=True), secret_id=f"AKID{number}")
        known.add(one, waits=False)
    assert all(known.holds(pending("accepted"), f"AKID{number}") for number in range(20))
    known.close()

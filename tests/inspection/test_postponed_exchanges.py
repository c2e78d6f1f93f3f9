"""What waits for a history: in order, from memory and from the file."""

from cos_inspect.inspection.postponed_exchanges import PostponedExchange, PostponedExchanges
from tests.transfers.build import part, seen


def _waiting(name: str) -> PostponedExchange:
    return PostponedExchange(seen(part(name, 1, b"x", 0.0)), ((1, 2),), None, True)


def test_all_of_a_name_comes_back_once_in_order() -> None:
    held = PostponedExchanges(most=3, most_on_disk=100)
    for number in range(10):
        held.add(f"{number % 2}", _waiting(f"f{number}"))
    assert [each.seen.flow_id for each in held.take("0")] == ["f0", "f2", "f4", "f6", "f8"]
    assert held.take("0") == []
    assert held.take("1")[0] == _waiting("f1")
    assert held.forgotten == 0


def test_names_are_those_that_wait() -> None:
    held = PostponedExchanges(most=2, most_on_disk=100)
    for number in range(5):
        held.add(f"n{number}", _waiting("f"))
    found = []
    for name in held.names():
        found.append(name)
        assert len(held.take(name)) == 1
    assert sorted(found) == ["n0", "n1", "n2", "n3", "n4"]


def test_any_text_is_a_name() -> None:
    held = PostponedExchanges(most=1, most_on_disk=100)
    names = ["\ud83d", "\ude00", "\ud83d\ude00", "腾", "a\0b", ""]
    for name in names:
        held.add(name, _waiting(name))
    found = []
    for name in held.names():
        found.append(name)
        assert len(held.take(name)) == 1
    assert sorted(found) == sorted(names)
    assert held.forgotten == 0


def test_what_the_file_has_no_room_for_is_counted() -> None:
    held = PostponedExchanges(most=1, most_on_disk=2)
    for number in range(10):
        held.add(f"n{number}", _waiting(f"f{number}"))
    kept = sum(len(held.take(name)) for name in held.names())
    assert kept + held.forgotten == 10
    assert held.forgotten > 0

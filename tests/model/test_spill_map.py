import sqlite3
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.model.spill_map import SpillMap

STEPS = st.lists(st.tuples(st.integers(0, 30), st.none() | st.integers(0, 2**63 - 1)), max_size=200)


@given(STEPS, st.integers(1, 12))
def test_it_is_a_mapping_whatever_lies_on_disk(
    steps: list[tuple[int, int | None]], most: int
) -> None:
    """A None asks, a number puts."""
    bounded: SpillMap[list[int]] = SpillMap(list[int], most_weight=most)
    plain: dict[str, list[int]] = {}
    for number, value in steps:
        key = str(number)
        if value is None:
            assert bounded.get(key) == plain.get(key)
        else:
            bounded.put(key, [value])
            plain[key] = [value]
        assert len(list(bounded.in_memory())) <= most
    assert {key: bounded.get(key) for key in plain} == plain
    assert bounded.forgotten == 0
    bounded.close()


ANY = st.characters()
"""Halves of surrogate pairs as well."""


@given(
    st.dictionaries(
        st.text(ANY, max_size=6) | st.text("\ud83d\ude00a", max_size=6), st.integers(0, 9)
    )
)
def test_any_text_is_a_key(values: dict[str, int]) -> None:
    bounded: SpillMap[int] = SpillMap(int, most_weight=1, on_spill=lambda *_: True)
    for key, value in values.items():
        bounded.put(key, value)
    held = dict(bounded.in_memory())
    assert dict(bounded.marked()) | held == values
    assert {key: bounded.get(key) for key in values} == values
    assert bounded.forgotten == 0
    bounded.close()


def test_what_is_forgotten_is_counted() -> None:
    bounded: SpillMap[int] = SpillMap(int, most_weight=8, most_on_disk=10)
    for number in range(100):
        bounded.put(str(number), number)
    assert bounded.forgotten == 100 - len(list(bounded.in_memory())) - 10
    assert bounded.get("0") is None
    assert bounded.get("99") == 99


def test_what_is_not_worth_it_is_no_loss() -> None:
    bounded: SpillMap[int] = SpillMap(int, most_weight=4, is_worth_it=lambda value: value % 2 == 0)
    for number in range(20):
        bounded.put(str(number), number)
    assert bounded.get("0") == 0
    assert bounded.get("1") is None
    assert bounded.forgotten == 0


def test_who_leaves_and_comes_back_is_told() -> None:
    told: list[tuple[str, str]] = []

    def leaves(key: str, value: int) -> bool:
        told.append(("leaves", key))
        return value > 1

    bounded: SpillMap[int] = SpillMap(
        int,
        most_weight=2,
        on_spill=leaves,
        on_return=lambda key, _value: told.append(("returns", key)),
    )
    for number in range(4):
        bounded.put(str(number), number)
    assert told[:2] == [("leaves", "0"), ("leaves", "1")]
    assert dict(bounded.marked()) == {
        key: int(key) for what, key in told if what == "leaves" and int(key) > 1
    }
    assert bounded.get("0") == 0
    assert ("returns", "0") in told


def test_a_file_that_fails_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_arguments: Any) -> sqlite3.Connection:
        raise sqlite3.OperationalError("disk full")

    monkeypatch.setattr("cos_inspect.model.spill_map.open_temporary", fails)
    bounded: SpillMap[int] = SpillMap(int, most_weight=2)
    for number in range(10):
        bounded.put(str(number), number)
    assert bounded.get("9") == 9
    assert bounded.get("0") is None
    assert bounded.forgotten == 10 - len(list(bounded.in_memory()))


def test_little_is_moved_at_once() -> None:
    """The proxy waits for it."""
    moved = 0

    def leaves(_key: str, _value: int) -> bool:
        nonlocal moved
        moved += 1
        return False

    bounded: SpillMap[int] = SpillMap(int, most_weight=10_000, on_spill=leaves)
    most = 0
    for number in range(20_000):
        before = moved
        bounded.put(str(number), number)
        most = max(most, moved - before)
    assert 0 < most <= 65
    assert bounded.get("0") == 0

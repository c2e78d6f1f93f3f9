"""Who works in slices lets others run in between."""

import threading
import time

import pytest

from cos_inspect.report.slices import InSlices, Slices


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Those that are made."""
    found: list[float] = []
    monkeypatch.setattr(time, "sleep", found.append)
    return found


def _work(seconds: float) -> None:
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        pass


def test_short_work_is_not_held_up(pauses: list[float]) -> None:
    given = Slices(3600)
    for _ in range(100):
        given.breathe()
    assert not pauses


def test_long_work_is(pauses: list[float]) -> None:
    given = Slices(0.001)
    for number in range(1, 4):
        _work(0.001)
        given.breathe()
        assert len(pauses) == number


def test_nobody_is_held_up_who_is_in_a_hurry(pauses: list[float]) -> None:
    hurry = threading.Event()
    given = Slices(0, 0.5, time.thread_time, hurry)
    given.breathe()
    assert pauses == [0.5]
    hurry.set()
    given.breathe()
    assert pauses == [0.5]


def test_a_list_is_gone_through_in_slices(pauses: list[float]) -> None:
    given = InSlices(range(5), 0.001)
    assert len(given) == 5
    seen = []
    for each in given:
        seen.append(each)
        _work(0.001)
    assert seen == [0, 1, 2, 3, 4]
    assert len(pauses) >= 4

"""What else the machine does decides nothing of what ``growth`` says."""

from collections.abc import Callable
from random import Random

import pytest

from tests.growth import assert_linear

Work = Callable[[], object]


class _Clock:
    """CPU time of a machine on which everything takes up to three times as long for a while.

    Works take the time that they are told to, so that nothing else decides a test.
    """

    def __init__(self, seed: int) -> None:
        self._chance = Random(seed)
        self._now = self._until = 0.0
        self._slow = 1.0

    def thread_time(self) -> float:
        return self._now

    def work_of(self, power: float) -> Callable[[int], Work]:
        return lambda count: lambda: self._spend((count / 5e5) ** power)

    def _spend(self, seconds: float) -> None:
        if self._now >= self._until:
            self._slow = self._chance.choice((1.0, 1.0, 1.5, 2.0, 3.0))
            self._until = self._now + self._chance.uniform(0.01, 0.5)
        self._now += seconds * self._slow


@pytest.mark.parametrize("seed", range(60))
def test_noise_decides_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = _Clock(seed)
    monkeypatch.setattr("tests.growth.time", clock)
    assert_linear(clock.work_of(1.0), 500, 1_000_000)
    with pytest.raises(AssertionError):
        assert_linear(clock.work_of(2.0), 500, 1_000_000)

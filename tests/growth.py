"""How the time of a piece of work grows with its input, in CPU seconds, whatever else runs.

Times are the least of several runs. Ratios are taken over two doublings, where linear work
takes 4 times as long and quadratic work 16 times. Where the first ratio is in doubt, both sizes
are run in turn, so that what slows them down for a while slows both, until noise decides nothing.
"""

import gc
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

TOO_FAST = 8.0
"""More than this over two doublings is no linear growth any more."""
_IN_DOUBT = 5.0
"""From here on a ratio is taken again: linear work does not have it in peace."""
_ROUNDS = 8
_MEASURABLE = 0.004
"""Seconds under which a time says nothing."""
_LONGEST = 20.0
"""Seconds of CPU after which a single run is given up."""


class TookTooLongError(Exception):
    """A run was given up."""


@contextmanager
def at_most(seconds: float = _LONGEST) -> Iterator[None]:
    """Ends what runs inside after so many seconds of this process's own CPU time.

    :raises TookTooLongError: in what runs inside, also from within ``re``.
    """

    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise TookTooLongError(f"still running after {seconds} s of CPU time")

    before = signal.signal(signal.SIGVTALRM, give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def cpu_seconds(work: Callable[[], object], runs: int = 3) -> float:
    """The least CPU time of several runs, without what the collection of garbage takes: that is
    more the more the tests before have left in memory."""
    best = float("inf")
    for _ in range(runs):
        gc.collect(0)
        gc.disable()
        try:
            begin = time.thread_time()
            work()
            best = min(best, time.thread_time() - begin)
        finally:
            gc.enable()
    return best


def growth(
    work_of: Callable[[int], Callable[[], object]], start: int, largest: int, runs: int = 3
) -> tuple[int, float]:
    """The size up to which was measured, and how many times as long the work took then as
    at a quarter of it; 0.0 where it was too short to be measured at the largest size.

    :param work_of: makes the work for a size; what it does itself is not timed.
    :param start: the smallest size; the first ratio is that of four times as much.
    :param largest: no size above is tried. Sizes double until the time at a quarter of one
        can be measured.
    """
    size = start
    times: dict[int, float] = {}
    while True:
        with at_most():
            work = work_of(size)
            times[size] = cpu_seconds(work, runs)
        quarter = times.get(size // 4)
        is_last = size * 2 > largest
        if quarter is not None and (quarter >= _MEASURABLE or is_last):
            whole, quarter = _settled(work_of, size, times[size], quarter)
            # Else a moment's trouble alone made them seem long enough.
            if quarter >= _MEASURABLE or whole >= 4 * _MEASURABLE:
                return size, whole / quarter
            times[size] = whole
        if is_last:
            return size, 0.0
        size *= 2


def _settled(
    work_of: Callable[[int], Callable[[], object]], size: int, whole: float, quarter: float
) -> tuple[float, float]:
    """The least times of both sizes, of further rounds as well where their ratio accuses or is in
    doubt: a moment's trouble accuses nobody, and hides nothing."""
    for _ in range(_ROUNDS if whole < 1 else 2):
        if whole / quarter < _IN_DOUBT:
            break
        with at_most():
            quarter = min(quarter, cpu_seconds(work_of(size // 4), 1))
            whole = min(whole, cpu_seconds(work_of(size), 1))
    return whole, quarter


def assert_linear(
    work_of: Callable[[int], Callable[[], object]], start: int, largest: int, runs: int = 3
) -> None:
    """:raises AssertionError: where the work grows faster than its input."""
    size, ratio = growth(work_of, start, largest, runs)
    assert ratio < TOO_FAST, f"{ratio:.1f} times as long for {size} as for {size // 4}"

"""Work in slices: threads of one process take turns, and traffic comes first.

A thread that only computes is made to stop after five milliseconds, when another one has waited so
long; a system call that ends at once gives the interpreter to nobody. Of requests that come
meanwhile each would take so much longer.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator

_SLICE_SECONDS = 0.001
_PAUSE_SECONDS = 0.0001
"""Long enough for another thread to wake; to give way without it has no effect, mostly."""


class Slices:
    """``breathe`` is to be called between small pieces of work."""

    def __init__(
        self,
        seconds: float = _SLICE_SECONDS,
        pause: float = _PAUSE_SECONDS,
        clock: Callable[[], float] = time.perf_counter,
        hurry: threading.Event | None = None,
    ) -> None:
        """``seconds``: of work between two pauses, by the ``clock``, in the thread that makes it;
        there is no pause once ``hurry`` is set."""
        self._seconds = seconds
        self._pause = pause
        self._clock = clock
        self._hurry = hurry
        self._ends = clock() + seconds

    def breathe(self) -> None:
        """Lets others run, where a slice is over."""
        if self._clock() >= self._ends:
            if self._hurry is None or not self._hurry.is_set():
                time.sleep(self._pause)
            self._ends = self._clock() + self._seconds


class InSlices[Each](list[Each]):
    """A list, which who goes through it does in slices, one after each of its entries."""

    def __init__(self, entries: Iterable[Each] = (), seconds: float = _SLICE_SECONDS) -> None:
        super().__init__(entries)
        self._seconds = seconds

    def __iter__(self) -> Iterator[Each]:
        slices = Slices(self._seconds)
        for each in super().__iter__():
            slices.breathe()
            yield each

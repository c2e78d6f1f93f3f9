"""How many flows of each verdict began when: bars of equal length, in bounded number.

The length of a bar is a power of two, in seconds, and doubles when there are too many. Bars begin
at multiples of it, so that those of several runs, captures and processes add up in any order.
"""

from collections.abc import Mapping

import msgspec

MOST_BARS = 240
_VERDICTS = ("error", "warning", "notice", "ok")


class TimeLine(msgspec.Struct, kw_only=True):
    """Flows whose time is known, over time."""

    seconds: int = 1
    """How long a bar is."""
    bars: dict[int, list[int]] = msgspec.field(default_factory=dict)
    """By the second since the epoch in which a bar begins, how many flows are errors, warnings,
    notices and ok."""

    def add(self, at: int | None, verdict: str, number: int = 1) -> None:
        """Counts a flow; ``at`` is the second since the epoch in which it began."""
        if at is None:
            return
        self._bar(at)[_VERDICTS.index(verdict)] += number
        if len(self.bars) > MOST_BARS:
            self._shorten()

    def merge(self, other: "TimeLine") -> None:
        """Adds what another one counts."""
        while self.seconds < other.seconds:
            self._double()
        for begin, counts in other.bars.items():
            bar = self._bar(begin)
            for place, count in enumerate(counts):
                bar[place] += count
        self.bars = {
            begin: self.bars[begin] for begin in sorted(self.bars) if any(self.bars[begin])
        }
        self._shorten()

    def _bar(self, at: int) -> list[int]:
        return self.bars.setdefault(at - at % self.seconds, [0] * len(_VERDICTS))

    def _shorten(self) -> None:
        while len(self.bars) > MOST_BARS:
            self._double()

    def _double(self) -> None:
        self.seconds *= 2
        before: Mapping[int, list[int]] = self.bars
        self.bars = {}
        for begin, counts in before.items():
            bar = self._bar(begin)
            for place, count in enumerate(counts):
                bar[place] += count

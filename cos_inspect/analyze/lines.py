"""Which lines of an analysis are printed: a bounded number, the worst first kept, in order."""

from collections.abc import Callable, Iterable, Iterator

from cos_inspect.model.flow_report import Verdict
from cos_inspect.model.summary import TransferSummary
from cos_inspect.report.terminal import transfer_line
from cos_inspect.settings.analysis_settings import Shown

_MOST: dict[str, int] = {"error": 40, "warning": 20, "notice": 10}
"""Flows of each verdict."""
_SEVERITIES: tuple[Verdict, ...] = ("error", "warning", "notice")
_MANY: dict[str, str] = {"error": "errors", "warning": "warnings", "notice": "notices"}


class Lines:
    """``shown``: every flow as it comes; or, at the end, those that are not ok; or those that are
    errors. ``say`` takes a line."""

    def __init__(self, shown: Shown, say: Callable[[str], None]) -> None:
        self._shown = shown
        self._say = say
        self._kept: list[tuple[int, str]] = []
        self._counts: dict[str, int] = {}
        self._number = 0

    def add(self, lines: Iterable[tuple[Verdict, str]]) -> None:
        """Takes the lines of flows, each with the flow's verdict."""
        for verdict, line in lines:
            if self._shown == "all":
                self._say(line)
            else:
                self._take(verdict, line)

    def add_transfers(self, transfers: Iterable[TransferSummary]) -> None:
        """Of those that went wrong; what stands on one of their flows is told there too."""
        if self._shown == "all":
            return
        for transfer in transfers:
            if transfer.verdict in ("warning", "error"):
                self._take(transfer.verdict, transfer_line(transfer))

    def _take(self, verdict: Verdict, line: str) -> None:
        self._number += 1
        if verdict == "ok" or (self._shown == "errors" and verdict != "error"):
            return
        count = self._counts.get(verdict, 0)
        self._counts[verdict] = count + 1
        if count < _MOST[verdict]:
            self._kept.append((self._number, line))

    def close(self, reports: str | None) -> None:
        """Says what was kept, and how much more there is. ``reports``: where all of it lies."""
        for _, line in self._kept:
            self._say(line)
        more = ", ".join(self._more())
        if more:
            where = f"{reports} has them all" if reports else "--all prints every flow"
            self._say(f"… and {more} more: {where}")

    def _more(self) -> Iterator[str]:
        for severity in _SEVERITIES:
            left = self._counts.get(severity, 0) - _MOST[severity]
            if left > 0:
                yield f"{left} {severity if left == 1 else _MANY[severity]}"


def told_of(lines: Iterable[tuple[Verdict, str]], shown: Shown) -> list[tuple[Verdict, str]]:
    """Those that ``Lines`` has a use for, out of a run of lines; of what it only counts the
    text is left out."""
    if shown == "all":
        return list(lines)
    found: list[tuple[Verdict, str]] = []
    counts: dict[str, int] = {}
    for verdict, line in lines:
        if verdict != "ok" and (shown != "errors" or verdict == "error"):
            counts[verdict] = counts.get(verdict, 0) + 1
            found.append((verdict, line if counts[verdict] <= _MOST[verdict] else ""))
    return found

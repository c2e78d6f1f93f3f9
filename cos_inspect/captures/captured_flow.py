"""What a reader of captures hands out, one by one."""

from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from cos_inspect.captures.errors import CaptureError
from cos_inspect.cos.cos_exchange import Recognised
from cos_inspect.model.capture_account import CaptureAccount
from cos_inspect.model.capture_summary import CaptureFacts
from cos_inspect.model.exchange import Exchange

Marks = Callable[[Sequence[int]], list[tuple[int, int]]]

UNREADABLE = "cannot be read"
UNINSPECTED = "cannot be inspected"
"""Why a flow of a capture has no report: its bytes are at fault, or the inspection is."""

_MOST_LINES = 100
_MOST_LOST = 100_000
"""Flows of one input that cannot be read; behind so many nothing good is to be expected."""


class CapturedFlow(msgspec.Struct, frozen=True, kw_only=True):
    """One flow or entry of a capture."""

    flow_id: str
    exchange: Exchange | None
    """None when it is not COS traffic."""
    recognised: Recognised | None = None
    """What its head says it is."""
    offset: int
    """Where it begins, in bytes of the (unpacked) file."""
    entry: int | None = None
    """Its number in a HAR, from 1."""
    host: str | None = None
    """Who was asked, where it is not COS traffic."""
    judged: bool = False
    """An earlier run left on it what it had learned."""
    connection: str | None = None
    """Names the connection to the server, where the capture says which flows shared one."""
    marks: Marks | None = None
    """The CRC-64 of the answer's body up to each of some offsets; None where its bytes are
    not at hand."""


class InputRemarks:
    """What there is to say of an input besides its flows; bounded."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._notes = _Lines()
        self._faults = _Lines()
        self.lost: Counter[str] = Counter()
        """Flows without a report, by reason."""
        self.account: CaptureAccount | None = None
        """What the input gave and what it had not, of formats that tell; filled in as it is
        read."""
        self.facts = CaptureFacts()
        """Of the file; the reader fills it as it reads, and it counts when the reader has ended,
        also by an error."""

    @property
    def notes(self) -> list[str]:
        """A line for each thing that was left out and is no loss."""
        return self._notes.told(f"{self.file}: and {{}} more that are left out")

    @property
    def faults(self) -> list[str]:
        """A line for each flow without a report, the first hundred, and one for the others."""
        return self._faults.told(f"{self.file}: and {{}} more without a report")

    def note(self, line: str) -> None:
        """Adds a line to ``notes``."""
        self._notes.add(line)

    def lose(
        self, what: str, offset: int, entry: int | None = None, reason: str = UNREADABLE
    ) -> None:
        """A flow has no report.

        :raises CaptureError: when there are so many that the input is none.
        """
        self.lost[reason] += 1
        line = str(CaptureError(self.file, what, offset))
        if entry is not None:
            line = f"{self.file}: entry {entry}, at byte {offset}: {what}"
        self._faults.add(line)
        if self.lost[reason] >= _MOST_LOST:
            what = f"{_MOST_LOST} of its flows {reason}: the rest is not looked at"
            raise CaptureError(self.file, what, offset)


class _Lines:
    def __init__(self) -> None:
        self._lines: list[str] = []
        self._more = 0

    def add(self, line: str) -> None:
        if len(self._lines) < _MOST_LINES:
            self._lines.append(line)
        else:
            self._more += 1

    def told(self, rest: str) -> list[str]:
        return [*self._lines, rest.format(self._more)] if self._more else self._lines

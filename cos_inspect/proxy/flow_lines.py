"""What the log says of flows: in order, and of a flow that went wrong with the number that its
report has, which is known a moment later.
"""

import asyncio
import collections
import itertools
import logging
import time
from collections.abc import Callable, Iterable

import msgspec

from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.summary import SessionSummary
from cos_inspect.proxy.terminal_log import FlowMessage
from cos_inspect.report.report_queue import name_of
from cos_inspect.report.terminal import level_of, retry_line, transfer_line

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.1
_MOST_SECONDS = 1.0
"""After which a line comes without the number: reports cannot be written just now."""
_MOST_LOGGED = 20_000
_UNDER_WAY = frozenset({"open", "incomplete", "partial", "appended", "refused", "unanswered"})
"""States of transfers of which more may come."""


class FlowLines:
    """``numbers`` gives the numbers that reports got since it was asked last, by ``name_of``."""

    def __init__(self, numbers: Callable[[], Iterable[tuple[str, int]]]) -> None:
        self._numbers = numbers
        self._waiting: collections.deque[tuple[float, FlowReport]] = collections.deque()
        self._known: dict[str, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._logged_transfers: collections.OrderedDict[tuple[str, str, str], None] = (
            collections.OrderedDict()
        )
        self.problems_only = False
        """Of flows that are fine nothing is said, but of transfers when they end."""

    def add(self, reports: Iterable[FlowReport], *, numbered: bool) -> None:
        """``numbered``: they are written, and get numbers."""
        now = time.monotonic()
        for report in reports:
            if self.problems_only and report.verdict == "ok":
                continue
            waits = numbered and report.verdict != "ok"
            self._waiting.append((now + _MOST_SECONDS if waits else 0.0, report))
        self.flush()

    def flush(self, *, all_of_them: bool = False) -> None:
        """Logs what is ready; the rest a moment later."""
        for name, number in self._numbers():
            self._known[name] = number
        now, ready = time.monotonic(), []
        while self._waiting:
            until, report = self._waiting[0]
            number = self._known.get(name_of(report), 0)
            if not number and until > now and not all_of_them:
                break
            self._waiting.popleft()
            ready.append(msgspec.structs.replace(report, sequence=number) if number else report)
        if not self._waiting:
            self._known.clear()
        for level, group in itertools.groupby(ready, level_of):
            if logger.isEnabledFor(level):
                logger.log(level, FlowMessage(tuple(group)))
        if self._waiting and self._timer is None:
            loop = _running_loop()
            if loop is None:
                self.flush(all_of_them=True)
            else:
                self._timer = loop.call_later(_LOOK_SECONDS, self._flush_later)

    def _flush_later(self) -> None:
        self._timer = None
        self.flush()

    def log_transfers(self, session: SessionSummary, *, over: bool) -> None:
        """Logs of each transfer how it ended, once; nothing where all flows are logged."""
        if not self.problems_only:
            return
        for transfer in session.transfers:
            if over or transfer.state not in _UNDER_WAY:
                self._log_transfer(
                    (transfer.kind, transfer.id, f"{transfer.state} {transfer.verdict}"),
                    transfer_line(transfer),
                    is_bad=transfer.verdict in ("warning", "error"),
                )
        for chain in session.retries:
            if over or chain.succeeded:
                name = ("retry", chain.id, str(chain.succeeded))
                self._log_transfer(name, retry_line(chain), is_bad=not chain.succeeded)

    def _log_transfer(self, name: tuple[str, str, str], line: str, *, is_bad: bool) -> None:
        if name in self._logged_transfers:
            return
        self._logged_transfers[name] = None
        if len(self._logged_transfers) > _MOST_LOGGED:
            self._logged_transfers.popitem(last=False)
        logger.log(logging.WARNING if is_bad else logging.INFO, "%s", line)

    def close(self) -> None:
        """Logs all that is left."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.flush(all_of_them=True)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None

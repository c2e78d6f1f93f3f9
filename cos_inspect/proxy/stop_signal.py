"""Notes that the process was told to end.

Ctrl-C in a terminal reaches clients and servers that were started there as well. Their
connections end while mitmproxy is still on its way from the signal to its own end, some turns
of the event loop later, and look as if they had broken. Addons that are told of the end before
this one may take their time over it; and not every end begins with a signal. A terminal that is
closed ends mitmproxy as well, which does not ask for that signal: it would be gone at once, with
all that is not written yet. So it is told of its end as by SIGTERM.
"""

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from mitmproxy import ctx

SECONDS = 1.0
"""How long after a signal the proxy may still be about to end; the console asks first, and
may go on."""

_NUMBERS = (signal.SIGINT, signal.SIGTERM)
_HANGUP = getattr(signal, "SIGHUP", None)
"""Not on Windows."""


class StopSignal:
    """To be used on the main thread, where alone signals are handled."""

    def __init__(
        self,
        noted: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``noted`` is called within the signal's handler, before anything else ends; where
        no signal came, once it is seen that mitmproxy ends."""
        self._call = noted
        self._clock = clock
        self._noted: float | None = None
        self._before: dict[signal.Signals, tuple[Any, Any]] = {}
        self._task: asyncio.Task[Any] | None = None
        """Lives as long as mitmproxy, or its script, does."""

    def watch(self) -> None:
        """Has signals noted; who handled them before does so still. The event loop hears of
        them by other means, and later."""
        with contextlib.suppress(RuntimeError):
            self._task = asyncio.current_task()
        if self._before or threading.current_thread() is not threading.main_thread():
            return
        for number in _NUMBERS:
            before = signal.getsignal(number)
            # Set to be ignored or to end the process at once, there is nobody to tell apart.
            if callable(before):
                self._handle(number, before, self._noting(before))
        if _HANGUP is not None and signal.getsignal(_HANGUP) is signal.SIG_DFL:
            self._handle(_HANGUP, signal.SIG_DFL, self._hang_up)

    def _handle(
        self,
        number: signal.Signals,
        before: Any,
        ours: Callable[[int, FrameType | None], None],
    ) -> None:
        signal.signal(number, ours)
        if hasattr(signal, "siginterrupt"):
            # As event loops set it: a system call that is under way goes on.
            signal.siginterrupt(number, False)
        self._before[number] = before, ours

    def _hang_up(self, _number: int, _frame: FrameType | None) -> None:
        self._note()
        ctx.master.shutdown()  # type: ignore[no-untyped-call]

    def done(self) -> None:
        """Leaves the handlers as they were, unless somebody else has set others."""
        for number, (before, ours) in self._before.items():
            if signal.getsignal(number) == ours:
                signal.signal(number, before)
        self._before = {}

    @property
    def is_recent(self) -> bool:
        """Whether what breaks now may break because everything ends."""
        if self._noted is not None and self._clock() - self._noted < SECONDS:
            return True
        is_cancelled = self._task is not None and self._task.cancelling() > 0
        if not is_cancelled and not _is_ending():
            return False
        if self._noted is None:
            self._note()
        return True

    def _note(self) -> None:
        self._noted = self._clock()
        with contextlib.suppress(Exception):
            self._call()

    def _noting(self, before: Callable[[int, FrameType | None], Any]) -> Any:
        def handle(number: int, frame: FrameType | None) -> None:
            self._note()
            before(number, frame)

        return handle


def _is_ending() -> bool:
    """Whether mitmproxy is on its way out for certain, however it was told so."""
    master = getattr(ctx, "master", None)
    return master is not None and master.should_exit.is_set()

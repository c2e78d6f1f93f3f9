"""What the log says of a collector that does not take what it is sent."""

import logging
import threading
from collections import Counter

from cos_inspect.telemetry.waiting import Waiting

logger = logging.getLogger(__name__)


class Trouble:
    """Says once that something cannot be sent, and once that it can again, or that the run is
    over. Warnings: an error in the log would end ``mitmdump -nr`` with status 1."""

    def __init__(self, collector: str, waiting: Waiting) -> None:
        """``collector``: what it is called."""
        self._collector = collector
        self._waiting = waiting
        self._lock = threading.Lock()
        self._failing: set[str] = set()
        self._told: Counter[str] = Counter()
        """How much of what was dropped the log has said."""
        self._is_on = False
        self.is_over = False
        """The last word is said."""

    def begin(self, what: str, why: str) -> None:
        """``what``: a signal; ``why``: a few words without anything secret."""
        with self._lock:
            self._failing.add(what)
            if self._is_on or self.is_over:
                return
            self._is_on = True
        logger.warning(
            "COS telemetry: %s cannot be sent to %s: %s; what comes waits while there is room",
            what,
            self._collector,
            why,
        )

    def end(self, what: str) -> None:
        """It goes well, perhaps again."""
        with self._lock:
            self._failing.discard(what)
            if not self._is_on or self._failing or self.is_over:
                return
            self._is_on = False
            lost = self._untold()
        logger.info("COS telemetry is sent to %s again: %s", self._collector, _lost(lost))

    def close(self, *, all_is_sent: bool) -> None:
        """The run is over; what still waits is lost."""
        with self._lock:
            if self.is_over:
                return
            self.is_over = True
            lost = self._waiting.left() + self._untold()
        if self._is_on or lost.total() or not all_is_sent:
            logger.warning(
                "COS telemetry could not be sent to %s before the end: %s",
                self._collector,
                _lost(lost),
            )

    def _untold(self) -> Counter[str]:
        """What was dropped since the log said so last."""
        dropped = self._waiting.dropped()
        untold, self._told = dropped - self._told, dropped
        return untold


def _lost(counts: Counter[str]) -> str:
    told = [f"{count} {what}" for what, count in sorted(counts.items()) if count > 0]
    return f"lost: {', '.join(told)}" if told else "nothing was lost"

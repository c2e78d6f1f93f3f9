"""What the log says of a report directory that cannot be written to."""

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

from cos_inspect.report.reasons import line_of, reason_of

logger = logging.getLogger(__name__)

FAULT = "fault of cos-inspect"
"""Why a report is lost that no disk kept from being written."""


class Trouble:
    """Says once that reports cannot be written, and once that they can again."""

    def __init__(self, path: Path, lost: Callable[[], int]) -> None:
        """``lost`` gives how many reports are lost so far."""
        self._path = path
        self._lost = lost
        self._lost_before = 0
        self._told: set[str] = set()
        self.is_on = False
        """Whether something could not be written, and was not since."""
        self.late = 0
        """Reports that were written after all."""
        self.failure: OSError | None = None
        """The last one; None where all is well, or what went wrong was no disk."""

    @property
    def line(self) -> str | None:
        """Why nothing can be written at present; None where all is well. From any thread."""
        if not self.is_on:
            return None
        failure = self.failure
        return FAULT if failure is None else line_of(failure, self._path)

    def note(self, error: OSError) -> None:
        """What cannot be written is kept."""
        self.failure = error
        if self._is_new(reason_of(error)):
            text = "COS reports cannot be written, and are kept to be tried again: %s"
            say(logging.ERROR, text, line_of(error, self._path))

    def note_fault(self, error: BaseException) -> None:
        """A fault of the writer itself, of which the log has the traceback."""
        if self._is_new(f"{type(error).__name__}: {error}"):
            text = "COS reports cannot be written to %s"
            say(logging.ERROR, text, self._path, fault=error)

    def _is_new(self, what: str) -> bool:
        if not self.is_on:
            self.is_on, self.late, self._lost_before = True, 0, self._lost()
        is_new = what not in self._told
        self._told.add(what)
        return is_new

    def end(self) -> None:
        """Nothing waits any more."""
        if not self.is_on:
            return
        self.is_on, self.failure = False, None
        self._told.clear()
        say(
            logging.INFO,
            "COS reports are written to %s again: %d came late, %d are lost",
            self._path,
            self.late,
            self._lost() - self._lost_before,
        )


def say(level: int, text: str, *arguments: object, fault: BaseException | None = None) -> None:
    """Logs something from the writer's thread: where mitmproxy's log cannot print, it would end
    the thread, and not the process."""
    with contextlib.suppress(SystemExit):
        logger.log(level, text, *arguments, exc_info=fault)

"""How far the reading has come, with rate and time left; only on a terminal."""

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


class ReadingProgress:
    """``with ReadingProgress(total, shown=…) as progress:``, then ``progress.at(bytes)``."""

    def __init__(self, total: int, *, shown: bool) -> None:
        self._total = total or None
        self._bar: Progress | None = None
        if shown:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                DownloadColumn(),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("reading", total=self._total)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def at(self, count: int) -> None:
        """Bytes read so far, of all inputs together."""
        if self._bar is not None:
            if self._total is not None:
                count = min(count, self._total)
            self._bar.update(self._task, completed=count)


def on_terminal() -> bool:
    """Whether somebody sees what is written to standard error."""
    return sys.stderr.isatty()

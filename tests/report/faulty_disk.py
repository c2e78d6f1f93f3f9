"""A disk that fails, hangs or is slow, for the writer's thread alone."""

import errno
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

_CREATES = os.O_CREAT | os.O_EXCL


class Disk:
    """``error``: what writing gives; ``seconds``: how long it takes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error: int | None = None
        self.seconds = 0.0
        self.free = threading.Event()
        """While it is not set, writing waits."""
        self.free.set()
        self.tries = 0
        self.waiting = threading.Event()
        """Set when somebody waits."""
        for name in ("write", "open", "replace", "mkdir"):
            monkeypatch.setattr(os, name, self._instead_of(name, getattr(os, name)))

    def hang(self) -> None:
        self.free.clear()

    def _instead_of(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def faulty(*arguments: Any, **more: Any) -> Any:
            if threading.current_thread().name != "cos-inspect-writer":
                return real(*arguments, **more)
            if not self.free.is_set():
                self.waiting.set()
                self.free.wait(60)
            time.sleep(self.seconds)
            # What makes a file or fills one; to open one that is there needs no room.
            if self.error is not None and (name == "write" or _makes_a_file(name, arguments)):
                self.tries += 1
                raise OSError(self.error, os.strerror(self.error))
            return real(*arguments, **more)

        return faulty


def _makes_a_file(name: str, arguments: tuple[Any, ...]) -> bool:
    return name == "open" and arguments[1] & _CREATES == _CREATES


FULL = errno.ENOSPC

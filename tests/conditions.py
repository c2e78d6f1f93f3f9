"""Waiting for something to come to be so, never for a time."""

import time
from collections.abc import Callable

_SECONDS = 60.0
"""More than a loaded machine takes."""


def wait_until(holds: Callable[[], object], *, seconds: float = _SECONDS) -> None:
    """Returns when something is so, which must be soon."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it does not come to be so"
        time.sleep(0.01)

"""How mitmdump ends when a finding was as bad as ``cos_fail_on``."""

from collections.abc import Callable
from typing import Any

from mitmproxy import ctx


class FailOnReached(SystemExit):
    """A finding as bad as ``cos_fail_on`` was made."""


class ExitStatus:
    """Ends mitmdump with exit status 1 when a finding was as bad as ``cos_fail_on``."""

    name = "cos-inspect-exit-status"

    def __init__(self, is_failure: Callable[[], bool]) -> None:
        self._is_failure = is_failure

    def done(self) -> None:
        """mitmproxy's hook, when it ends.

        :raises FailOnReached: with exit status 1, when the run is a failure.
        """
        if self._is_failure():
            raise FailOnReached(1)


def prepare_exit(is_failure: Callable[[], bool], *, wanted: bool) -> None:
    """Where a finding may fail the run, puts an addon behind every other one, so that its exit
    skips nobody's last words."""
    addons: Any = ctx.master.addons
    before = addons.get(ExitStatus.name)
    if before is not None:
        # Also that of a script which was changed and loaded anew.
        addons.lookup.pop(ExitStatus.name)
        addons.chain = [addon for addon in addons.chain if addon is not before]
    if wanted:
        addons.add(ExitStatus(is_failure))

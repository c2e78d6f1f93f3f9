"""How much of each thing is kept in mind while traffic is live.

Live memory is bounded, so a transfer beyond these bounds is judged by what is known of it,
its checks are skipped as ``unseen-parts``, and the summary says how much was left out. For
saved captures everything is kept (on disk where it is much): no bound decides a verdict.
"""

import sys

import msgspec

_NONE = sys.maxsize


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of exchanges, but for ``versions``."""

    parts: int = 20_000
    """Of one transfer: every part of the largest upload, twice."""
    steps: int = 512
    """Of one upload, that are not parts."""
    versions: int = 16
    """Of one object that a client reads in ranges."""
    tries: int = 64
    """Of one request: the newest, and half as many more."""
    requests: int = 8192
    """Of one object, all different."""
    events: int = 32
    """That tell what one object is: the newest, and half as many more."""


LIVE = Limits()
UNBOUNDED = Limits(
    parts=_NONE, steps=_NONE, versions=_NONE, tries=_NONE, requests=_NONE, events=_NONE
)


class JudgingBudget:
    """Spreads what is judged anew over the facts that came, so that each of them costs the
    same, in whatever order they come. What is put off is judged when all is settled."""

    __slots__ = ("_spent",)

    FREE = 2048
    RATE = 4

    def __init__(self) -> None:
        self._spent = 0

    def allows(self, cost: int, facts: int) -> bool:
        """Whether ``cost`` facts can be looked at again, of ``facts`` that came in all."""
        if self._spent + cost > self.FREE + self.RATE * facts:
            return False
        self._spent += cost
        return True

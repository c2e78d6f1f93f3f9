"""Retries: the same request again after a failed try.

A retry is not told by a mark alone (PHP sends none, older SDKs neither): the
request must ask the same for the same client, begin after the failure, and
not long after it. What is asked again after a success is polling; what runs
side by side is parallel.
"""

import itertools
from typing import Literal

import msgspec

from cos_inspect.transfers.account import keep, newest
from cos_inspect.transfers.limits import Limits
from cos_inspect.transfers.observation import flow_of
from cos_inspect.transfers.tries import Try, may_be_retried

PAUSE = 30.0
"""Seconds between a failure and an unmarked retry: SDKs wait up to 20 (read in the Java SDK)."""
MARKED_PAUSE = 180.0
"""The same where the SDK says that it is one, and between a download that the client left off and
the same once more: people pause downloads."""
_MOST_BODIES = 8
_OVERLAP = 0.05
"""A client may begin again a moment before its failure is noted."""
_CLOCK_SHIFT = 30
"""Seconds; SDKs correct nothing below (read in the Node SDK)."""

BodyDifference = Literal["empty", "shorter", "other"]


class ChangedBody(msgspec.Struct, frozen=True):
    """A try that was stored with another body than an earlier, failed one had."""

    flow_id: str
    before: str
    """The flow of the failed try."""
    kind: BodyDifference
    sizes: tuple[int | None, int | None]
    """Of the failed try and of the stored one."""


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """Tries of one request, in order; all but the last failed."""

    id: str
    operation: str | None = None
    bucket: str | None = None
    key: str | None = None
    started: float
    flows: tuple[str, ...]
    causes: tuple[str, ...]
    """Of each try but the last, then of the last one too if it failed."""
    hosts: tuple[str, ...]
    """Each host once, in order; more than one when the SDK switched."""
    host_switches: int
    time_lost: float
    """Seconds from the first try's begin to the last one's."""
    succeeded: bool
    clock_corrected: tuple[str, ...] = ()
    """Tries refused for their signing time, after which another time succeeded."""
    clock_shift: int | None = None
    """By how many seconds the client moved its signing time."""
    other_body: ChangedBody | None = None
    got_before: tuple[int, int] | None = None
    """Bytes of a download that had come when an earlier try broke off, and of how many; the
    last try asked for all of them again."""


class ChainPosition(msgspec.Struct, frozen=True):
    """Where a flow stands in a chain."""

    chain: Chain
    attempt: int
    """From 1."""

    @property
    def is_last(self) -> bool:
        """Whether no other try followed."""
        return self.attempt == len(self.chain.flows)

    @property
    def is_healed(self) -> bool:
        """Whether a later try came through, with the same body."""
        return not self.is_last and self.chain.succeeded and self.chain.other_body is None

    @property
    def is_corrected(self) -> bool:
        """Whether it was refused for the clock, which the client then corrected."""
        return self.chain.flows[self.attempt - 1] in self.chain.clock_corrected


class RetryHistory(msgspec.Struct, kw_only=True, dict=True):
    """All tries of one request."""

    id: str
    operation: str | None = None
    bucket: str | None = None
    key: str | None = None
    tries: dict[str, Try] = {}
    last: float = 0.0
    any_failed: bool = False
    any_followed: bool = False
    """One of them may be a try behind another one, or have one behind it."""
    dropped_until: float = 0.0
    """When the newest try ended that was dropped to bound memory."""

    def __post_init__(self) -> None:
        self._places: dict[str, ChainPosition] | None = None

    @property
    def facts(self) -> int:
        """How many tries are held; bounds of memory count them."""
        return len(self.tries)

    def add(self, one: Try, limits: Limits) -> int:
        """How many tries are not joined, to bound memory: older ones that failed and were
        dropped, of others nothing more is to be said; and one that failed and comes when what
        followed it was dropped already."""
        is_late = may_be_retried(one) and one.started < self.dropped_until
        keep(self.tries, one)
        self.last = max(self.last, one.ended)
        self.any_failed = self.any_failed or may_be_retried(one)
        self.any_followed = self.any_followed or _may_follow_or_be_followed(one)
        self._places = None
        kept = newest(self.tries, limits.tries)
        if kept is self.tries:
            return int(is_late)
        dropped = [each for name, each in self.tries.items() if name not in kept]
        self.dropped_until = max(self.dropped_until, *(each.ended for each in dropped))
        self.tries = kept
        self.any_failed = any(map(may_be_retried, kept.values()))
        self.any_followed = any(map(_may_follow_or_be_followed, kept.values()))
        return is_late + sum(map(may_be_retried, dropped))

    @property
    def places(self) -> dict[str, ChainPosition]:
        """By flow; those alone that are part of a chain."""
        if self._places is None:
            self._places = {
                flow_id: ChainPosition(chain, attempt)
                for chain in _chains_of(self)
                for attempt, flow_id in enumerate(chain.flows, start=1)
            }
        return self._places

    @property
    def chains(self) -> list[Chain]:
        """The chains of two tries and more, by time."""
        return [place.chain for place in self.places.values() if place.attempt == 1]


def _may_follow_or_be_followed(one: Try) -> bool:
    """Whether ``_follows`` can say so of it and another one."""
    return one.cause is not None or one.sdk_retry or one.got > 0


def _chains_of(tries: RetryHistory) -> list[Chain]:
    if not tries.any_followed or len(tries.tries) < 2:
        return []
    ordered = sorted(tries.tries.values(), key=lambda one: (one.started, one.flow_id))
    groups: list[list[Try]] = [[ordered[0]]]
    bodies = _Bodies(ordered[0])
    for one in ordered[1:]:
        if _follows(groups[-1][-1], bodies, one):
            groups[-1].append(one)
            bodies.add(one)
        else:
            groups.append([one])
            bodies = _Bodies(one)
    return [_chain(tries, group) for group in groups if len(group) > 1]


class _Bodies:
    """The different bodies that tries of a chain had, by the first try that had each; of many,
    only the first and the last."""

    def __init__(self, first: Try) -> None:
        self._found = {_body_of(first): first}

    def add(self, one: Try) -> None:
        self._found.setdefault(_body_of(one), one)
        if len(self._found) > _MOST_BODIES:
            del self._found[list(self._found)[1]]

    def differences(self, after: Try) -> list[tuple[BodyDifference | None, Try]]:
        return [(_difference(each, after), each) for each in self._found.values()]


def _body_of(one: Try) -> tuple[int | None, str | None, int | None]:
    return one.size, one.md5, one.crc64


def _follows(before: Try, bodies: _Bodies, after: Try) -> bool:
    left_off = before.got > 0 and before.of is not None
    if before.cause is None and not (before.refused and (after.sdk_retry or left_off)):
        return False
    pause = after.started - before.ended
    longest = MARKED_PAUSE if after.sdk_retry or left_off else PAUSE
    if pause < -_OVERLAP or pause > longest:
        return False
    # A stream that was not rewound for one try may be whole again at the next.
    kinds = [kind for kind, _ in bodies.differences(after)]
    kind = None if None in kinds else _difference(before, after)
    if kind == "other" and not after.sdk_retry:
        # Something else was stored under the same key: nobody says that it is the same again.
        return False
    # A bodiless 403 may be anything; only another time of signing makes it one of the clock.
    return kind is None or after.stores


def _difference(before: Try, after: Try) -> BodyDifference | None:
    """How the later body differs from the earlier one; None where it does not, as far as both
    are known."""
    if after.stores and before.size is not None and after.size is not None:
        if after.size == 0 < before.size:
            return "empty"
        if after.size < before.size:
            return "shorter"
    differs = any(
        a is not None and b is not None and a != b
        for a, b in ((before.md5, after.md5), (before.crc64, after.crc64))
    )
    grew = after.stores and before.size is not None and (after.size or 0) > before.size
    return "other" if differs or grew else None


def _other_body(group: list[Try]) -> ChangedBody | None:
    """Where the end of a chain stored what an earlier try did not send."""
    end = group[-1]
    if not (end.succeeded and end.stores):
        return None
    bodies = _Bodies(group[0])
    for each in group[1:-1]:
        bodies.add(each)
    kinds = bodies.differences(end)
    is_same = any(kind is None for kind, _ in kinds)
    for kind, before in kinds:
        if kind is not None and not (kind == "other" and is_same):
            return ChangedBody(end.flow_id, before.flow_id, kind, (before.size, end.size))
    return None


def _got_before(group: list[Try]) -> tuple[int, int] | None:
    """The most that an earlier try had of a download."""
    found = [(one.got, one.of) for one in group[:-1] if one.got and one.of is not None]
    return max(found, default=None)


def _chain(tries: RetryHistory, group: list[Try]) -> Chain:
    causes = [one.cause or one.refused for one in group]
    hosts = [one.host for one in group]
    corrected: list[str] = []
    shift: int | None = None
    end = group[-1]
    for before, after in itertools.pairwise(group):
        if before.clock and end.succeeded and _moved(before, after):
            corrected.append(before.flow_id)
            shift = (after.sign_start or 0) - (before.sign_start or 0)
    return Chain(
        id=f"{tries.id}-{flow_of(group[0].flow_id)}",
        operation=tries.operation,
        bucket=tries.bucket,
        key=tries.key,
        started=group[0].started,
        flows=tuple(one.flow_id for one in group),
        causes=tuple(cause for cause in causes if cause is not None),
        hosts=tuple(dict.fromkeys(hosts)),
        host_switches=sum(a != b for a, b in itertools.pairwise(hosts)),
        time_lost=end.started - group[0].started,
        succeeded=end.succeeded,
        clock_corrected=tuple(corrected),
        clock_shift=shift,
        other_body=_other_body(group),
        got_before=_got_before(group),
    )


def _moved(before: Try, after: Try) -> bool:
    """Whether the signing time changed by more than the time that passed."""
    if before.sign_start is None or after.sign_start is None:
        return False
    passed = after.started - before.started
    return abs(after.sign_start - before.sign_start - passed) >= _CLOCK_SHIFT

"""Faults that a test switches on. Nothing on the wire can do so.

A ``Damage`` is a matcher (which requests), a number of times, and effects. An
effect writes into the ``Plan`` of one request; the server carries the plan
out. Most effects are edits of the finished reply, so that new ones are one
line in a test: ``on_reply(lambda reply, request: reply.drop("Date"))``.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.origin.message import OriginRequest, Reply

Matcher = Callable[[OriginRequest], bool]
ReplyEdit = Callable[[Reply, OriginRequest], object]
RequestEdit = Callable[[OriginRequest], object]


@dataclass
class Plan:
    """What is to go wrong with one request."""

    request_edits: list[RequestEdit] = field(default_factory=list)
    """Run before the request is handled."""
    reply_edits: list[ReplyEdit] = field(default_factory=list)
    """Run on the finished reply, ids and lengths included."""
    flips: list[int] = field(default_factory=list)
    """Offsets of uploaded bytes to invert before they are hashed and stored."""
    instead: Callable[[OriginRequest], Reply] | None = None
    """Answers in place of the handler, which is not run."""
    early_after: int | None = None
    """Send ``instead`` when so many body bytes were read, not at the end."""
    keep_reading: bool = False
    """Read the rest of the body after an early answer; else close."""
    abort_after: int | None = None
    """Close when so many body bytes were read."""
    abort_by_reset: bool = True
    stall_reading: tuple[int, float] | None = None
    """After so many body bytes, read nothing for so many seconds."""


Effect = Callable[[Plan], None]


def always(request: OriginRequest) -> bool:
    return True


def operation(*names: str) -> Matcher:
    return lambda request: request.operation in names


def method(*names: str) -> Matcher:
    return lambda request: request.method in names


def key(name: str) -> Matcher:
    return lambda request: request.key == name


def both(*matchers: Matcher) -> Matcher:
    return lambda request: all(matcher(request) for matcher in matchers)


def nth(number: int, matcher: Matcher = always) -> Matcher:
    """Only the nth request (from 1) among those that ``matcher`` accepts."""
    seen = 0

    def matches(request: OriginRequest) -> bool:
        nonlocal seen
        if not matcher(request):
            return False
        seen += 1
        return seen == number

    return matches


class Damage:
    """``Damage(wrong_etag(), when=operation("PutObject"), times=1)``."""

    def __init__(self, *effects: Effect, when: Matcher = always, times: int | None = None) -> None:
        self.effects = effects
        self.when = when
        self.left = times
        self.hits = 0
        """How many requests it has met."""


class DamageList:
    """The switched-on damage of a server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: list[Damage] = []

    def add(self, *items: Damage) -> None:
        with self._lock:
            self._items.extend(items)

    def remove(self, item: Damage) -> None:
        with self._lock:
            if item in self._items:
                self._items.remove(item)

    def clear(self) -> None:
        with self._lock:
            self._items.clear()

    def plan(self, request: OriginRequest) -> Plan:
        plan = Plan()
        with self._lock:
            for item in self._items:
                if item.left == 0 or not item.when(request):
                    continue
                item.hits += 1
                if item.left is not None:
                    item.left -= 1
                for effect in item.effects:
                    effect(plan)
        return plan


def on_reply(edit: ReplyEdit) -> Effect:
    return lambda plan: plan.reply_edits.append(edit)


def on_request(edit: RequestEdit) -> Effect:
    """Edits the head before it is handled: ``on_request(lambda r: r.set_header(…))``."""
    return lambda plan: plan.request_edits.append(edit)


def answer(make: Callable[[OriginRequest], Reply]) -> Effect:
    """Another reply in place of the handler's; ids and Date are not added to it."""

    def effect(plan: Plan) -> None:
        plan.instead = make

    return effect


def flip_upload(offset: int = 0) -> Effect:
    """The stored object differs in one byte from what was sent."""
    return lambda plan: plan.flips.append(offset)


def abort_upload(after: int = 0, by_reset: bool = True) -> Effect:
    """The connection ends while the request body is arriving."""

    def effect(plan: Plan) -> None:
        plan.abort_after = after
        plan.abort_by_reset = by_reset

    return effect


def stall_upload(seconds: float, after: int = 0) -> Effect:
    """Stops reading the request body for a while."""

    def effect(plan: Plan) -> None:
        plan.stall_reading = (after, seconds)

    return effect

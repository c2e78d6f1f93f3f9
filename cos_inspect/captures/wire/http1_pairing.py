"""Which answer of an HTTP/1 connection belongs to which request, also where heads were lost.

The n-th answer belongs to the n-th request, as long as no head was lost. Behind a hole that may
hold one, a request counts again when its client had heard an answer right before it, and its
answer is what begins at the very byte up to which the client had received the other side. Where
the hole has room for two, the first request behind it may have been asked in one breath with a
lost one, so that the next one counts. What cannot be paired so is counted, never guessed.
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from cos_inspect.captures.wire.events import SEQUENCE_HALF, SEQUENCE_MASK
from cos_inspect.captures.wire.http1_messages import begins_answer
from cos_inspect.captures.wire.open_exchange import OpenExchange
from cos_inspect.model.capture_account import NOT_HTTP, REQUEST_LOST, CaptureAccount

_LONGEST_INTERIM = 128
"""Bytes of a ``100 Continue``; most have 25."""


class Asked(NamedTuple):
    """A request whose answer has not come; without an exchange: CONNECT, or some unknown number of
    requests that the capture has not."""

    exchange: OpenExchange | None
    acknowledged: int = -1
    """Up to where the client had received the other side when it asked."""
    is_connect: bool = False


class Recognition:
    """Whether a connection speaks HTTP at all, and what that hides."""

    def __init__(self, account: CaptureAccount, *, is_sure: bool) -> None:
        self._account = account
        self.is_sure = is_sure
        self.is_given_up = False
        """Nothing more of it is read."""
        self._has_lost = False
        """Heads may have been lost."""
        self._refused = False

    def met_head(self) -> None:
        """It is HTTP from here on."""
        if not self.is_sure:
            self.is_sure = True
            self._account.hides_exchanges |= self._has_lost

    def lost_heads(self) -> None:
        """Heads of messages may have been in what the capture has not."""
        self._has_lost = True
        self._account.hides_exchanges |= self.is_sure

    def refuse(self) -> None:
        """What the client sent is no request, so that the connection speaks something else."""
        if not self._refused:
            self._refused = True
            self._account.give_up(NOT_HTTP)


class PendingRequests:
    """Requests of one connection that wait for their answers, in order."""

    def __init__(self, account: CaptureAccount, recognition: Recognition) -> None:
        self._account = account
        self._recognition = recognition
        self._waiting: deque[Asked] = deque()
        self._before: Asked | None = None
        """The request before the next one."""
        self._pipelines = False
        """The client asks before it has heard an answer: behind a lost head nothing tells then
        which answer is whose."""
        self._lost_at: int | None = None
        """Where the answer to a request begins that the capture has not."""
        self._strange_answers = 0
        """That were met while the place was lost, and belong to no request that is known."""

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Asked]:
        return iter(self._waiting)

    def add(self, asked: Asked) -> None:
        """One more request whose head was read."""
        if not asked.is_connect:
            self._pipelines |= self._has_not_heard(asked)
            self._before = asked
        self._waiting.append(asked)

    def add_unknown(self) -> None:
        """Requests may have come here that the capture has not."""
        self._waiting.append(Asked(None))

    def forget_order(self) -> None:
        """Between the last request and the next one others may have been."""
        self._before = None

    def next(self) -> Asked:
        """The one whose answer has come; it waits no more."""
        return self._waiting.popleft()

    def is_next_known(self, position: int) -> bool:
        """Whether the answer that begins there is that of a request which is known."""
        asked = self._waiting[0]
        if asked.exchange is None and not asked.is_connect:
            self._waiting.popleft()
            self._lost_at = position
            return False
        return True

    def is_answered_at(self, position: int) -> bool:
        """Whether the answer to one of them may begin there."""
        return any(asked.acknowledged == position for asked in self._waiting)

    def found_again(self, data: bytes, position: int) -> bool:
        """Whether an answer begins there whose request is known, where the place was lost; then
        that request is the next."""
        if not data.startswith(b"HTTP/1."):
            return False
        known = next(
            (
                number
                for number, asked in enumerate(self._waiting)
                if asked.acknowledged == position and asked.exchange is not None
            ),
            None,
        )
        if known is None or self._pipelines or position == self._lost_at:
            if begins_answer(data):
                self._recognition.met_head()
                self._strange_answers += 1
            return False
        self.forget(known)
        return True

    def forget(self, count: int | None = None) -> None:
        """The first ones have no answer that is known; all of them without a number."""
        lost = 0
        for _ in range(len(self._waiting) if count is None else count):
            exchange = self._waiting.popleft().exchange
            if exchange is not None and not exchange.over:
                lost += 1
                exchange.leave_out("answer-lost")
        # Some of the strange answers were theirs.
        self._account.leave_out(REQUEST_LOST, max(0, self._strange_answers - lost))
        self._strange_answers = 0

    def leave_open(self) -> None:
        """The capture ends before their answers."""
        for asked in self._waiting:
            if asked.exchange is not None:
                asked.exchange.leave_out()

    def give_up(self) -> None:
        """Nobody will read their answers."""
        for asked in self._waiting:
            if asked.exchange is not None:
                asked.exchange.leave_out("answer-lost")
        self._waiting.clear()

    def _has_not_heard(self, asked: Asked) -> bool:
        """Whether the client asks without having heard an answer to what it asked before."""
        before = self._before
        if before is None or before.exchange is None or before.acknowledged < 0:
            return False
        heard = (asked.acknowledged - before.acknowledged) & SEQUENCE_MASK
        return heard < (_LONGEST_INTERIM if before.exchange.expects_interim else 1)


def has_heard_an_answer(before: int | None, now: int) -> bool:
    """Whether between two sequence numbers lies more than what is interim."""
    if before is None or before < 0 or now < 0:
        return False
    return _LONGEST_INTERIM <= ((now - before) & SEQUENCE_MASK) < SEQUENCE_HALF

"""HTTP/1 from the two directions of a connection; ``http1_pairing`` tells which answer belongs to
which request."""

from collections.abc import Callable

from cos_inspect.captures.wire.context import WireContext
from cos_inspect.captures.wire.events import (
    End,
    Hole,
    Peers,
    Segment,
    Side,
    StreamEnd,
    StreamEvent,
    StreamReader,
)
from cos_inspect.captures.wire.http1_answers import AnswerReader
from cos_inspect.captures.wire.http1_pairing import PendingRequests, Recognition
from cos_inspect.captures.wire.http1_requests import RequestReader
from cos_inspect.model.capture_account import NOT_HTTP


class Http1Reader:
    """Reads one connection."""

    def __init__(
        self,
        context: WireContext,
        peers: Peers,
        scheme: str,
        open_tunnel: Callable[[Peers], StreamReader],
        *,
        is_sure: bool = True,
    ) -> None:
        """
        :param open_tunnel: makes who reads what is inside of a CONNECT.
        :param is_sure: False where the capture begins inside of a connection that may speak
            anything: it counts as HTTP from the first head on.
        """
        self._account = context.account
        self._recognition = Recognition(context.account, is_sure=is_sure)
        pending = PendingRequests(context.account, self._recognition)
        self._requests = RequestReader(
            context, peers, scheme, pending, self._recognition, lambda: self._answers.early
        )
        self._answers = AnswerReader(
            context, pending, self._recognition, self._requests, lambda: open_tunnel(peers)
        )
        self._ends = 0

    def data(self, side: Side, data: bytes, time: float, position: int, acknowledged: int) -> None:
        """As in ``StreamReader``."""
        if self._answers.tunnel is not None:
            self._answers.tunnel.data(side, data, time, position, acknowledged)
        elif self._recognition.is_given_up:
            return
        elif side == "server":
            self._requests.hear(position)
            self._answers.data(data, time, position, acknowledged)
        else:
            self._take(side, Segment(data, time, position, acknowledged))

    def hole(self, side: Side, length: int | None, time: float) -> None:
        """As in ``StreamReader``."""
        if self._answers.tunnel is not None:
            self._answers.tunnel.hole(side, length, time)
        elif not self._recognition.is_given_up:
            self._take(side, Hole(length, time))

    def end(self, side: Side, how: StreamEnd, time: float) -> None:
        """As in ``StreamReader``."""
        if self._answers.tunnel is not None:
            self._answers.tunnel.end(side, how, time)
        elif not self._recognition.is_given_up:
            self._ends += 1
            self._take(side, End(how, time))
            if self._ends == 2 and not self._recognition.is_sure:
                self._account.give_up(NOT_HTTP, hides=False)

    @property
    def held(self) -> int:
        """As in ``StreamReader``."""
        return self._requests.held + self._answers.held

    def _take(self, side: Side, event: StreamEvent) -> None:
        if side == "server":
            self._answers.take(event)
        else:
            self._requests.take(event)
            self._answers.read_on()

"""What a connection speaks, by its first bytes."""

import re

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
    cost_of,
    tell,
)
from cos_inspect.captures.wire.http1 import Http1Reader
from cos_inspect.captures.wire.http2 import Http2Reader
from cos_inspect.captures.wire.tls_reader import TlsReader
from cos_inspect.captures.wire.tls_records import looks_like_tls
from cos_inspect.cos.endpoint import read_endpoint
from cos_inspect.model.capture_account import NOT_HTTP

_HTTPS = "https"
_HTTP2 = b"PRI * HTTP/2.0\r\n"
_REQUEST = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64} ")
_MOST_HELD = 256 * 1024
"""Bytes of a side that are looked at before it is known what the connection speaks."""
_MOST_KEPT = 4 * _MOST_HELD
"""Bytes of memory for them: a connection may be nothing but holes, and packets of one byte."""
_ENOUGH = 65
"""Bytes that tell."""


class _Unread:
    """Of a connection that cannot be read."""

    def data(self, side: Side, data: bytes, time: float, position: int, acknowledged: int) -> None:
        """As in ``StreamReader``."""

    def hole(self, side: Side, length: int | None, time: float) -> None:
        """As in ``StreamReader``."""

    def end(self, side: Side, how: StreamEnd, time: float) -> None:
        """As in ``StreamReader``."""

    @property
    def held(self) -> int:
        """As in ``StreamReader``."""
        return 0


class ProtocolReader:
    """Waits for the first bytes of a connection, then hands all of it to who can read it."""

    def __init__(self, context: WireContext, peers: Peers, scheme: str = "http") -> None:
        """``scheme`` is ``https`` for what was inside of TLS."""
        self._context = context
        self._peers = peers
        self._scheme = scheme
        self._reader: StreamReader | None = None
        self._events: list[tuple[Side, StreamEvent]] = []
        self._first: dict[Side, bytearray] = {"client": bytearray(), "server": bytearray()}
        self._held = 0
        """Bytes of memory that the events take, about."""
        self._ends = 0
        self._in_the_middle = False
        self._is_inside_tls = False
        """A record begins where a piece of a connection does that is met in the middle."""

    def data(self, side: Side, data: bytes, time: float, position: int, acknowledged: int) -> None:
        """As in ``StreamReader``."""
        if self._reader is not None:
            self._reader.data(side, data, time, position, acknowledged)
            return
        self._keep(side, Segment(data, time, position, acknowledged))
        if len(self._first[side]) < _MOST_HELD:
            self._first[side] += data
            self._held += len(data)
        self._is_inside_tls |= self._in_the_middle and looks_like_tls(data)
        self._choose()

    def hole(self, side: Side, length: int | None, time: float) -> None:
        """As in ``StreamReader``."""
        if self._reader is not None:
            self._reader.hole(side, length, time)
            return
        self._keep(side, Hole(length, time))
        if not self._first[side]:
            self._in_the_middle = True
        self._choose()

    def end(self, side: Side, how: StreamEnd, time: float) -> None:
        """As in ``StreamReader``."""
        if self._reader is not None:
            self._reader.end(side, how, time)
            return
        self._keep(side, End(how, time))
        self._ends += 1
        self._choose(last=self._ends == 2)

    @property
    def held(self) -> int:
        """As in ``StreamReader``."""
        return self._held if self._reader is None else self._reader.held

    def _keep(self, side: Side, event: StreamEvent) -> None:
        self._events.append((side, event))
        self._held += cost_of(event)

    def _choose(self, *, last: bool = False) -> None:
        reader = self._found(last=last)
        if reader is None:
            return
        self._reader = reader
        events, self._events = self._events, []
        for side, event in events:
            tell(reader, side, event)

    def _found(self, *, last: bool) -> StreamReader | None:
        """Who reads it; None as long as nobody knows."""
        client, server = self._first["client"], self._first["server"]
        if self._is_inside_tls or looks_like_tls(client) or (not client and looks_like_tls(server)):
            return self._tls()
        if client.startswith(_HTTP2):
            return Http2Reader(self._context, self._peers, self._scheme)
        if client and _HTTP2.startswith(bytes(client[: len(_HTTP2)])) and not last:
            return None
        if _REQUEST.match(client):
            return self._http1()
        if not last and max(len(client), len(server)) < _MOST_HELD and self._held < _MOST_KEPT:
            answers = self._in_the_middle and server.startswith(b"HTTP/1.")
            if not answers and (self._in_the_middle or len(client) < _ENOUGH):
                return None
        if server.startswith(b"HTTP/1.") and (self._in_the_middle or not client):
            return self._http1()
        if self._in_the_middle:
            # It may be inside of a body.
            return self._http1(is_sure=False)
        if client or server:
            self._context.account.give_up(NOT_HTTP, hides=False)
        return _Unread()

    def _http1(self, *, is_sure: bool = True) -> StreamReader:
        return Http1Reader(self._context, self._peers, self._scheme, self._tunnel, is_sure=is_sure)

    def _tls(self) -> StreamReader:
        if self._scheme == _HTTPS:
            # TLS inside of TLS: nobody does that.
            self._context.account.give_up(NOT_HTTP, hides=self._in_the_middle)
            return _Unread()
        context = self._context
        return TlsReader(
            context.keys, self._peers, context.account, self._inside, may_be_cos=self._may_be_cos
        )

    def _inside(self, _first: bytes, alpn: str | None) -> StreamReader:
        if alpn == "h2":
            return Http2Reader(self._context, self._peers, _HTTPS)
        return ProtocolReader(self._context, self._peers, _HTTPS)

    def _may_be_cos(self, name: str | None) -> bool:
        return name is None or read_endpoint(name.lower(), "/", self._context.hosts) is not None

    def _tunnel(self, peers: Peers) -> StreamReader:
        return ProtocolReader(self._context, peers)

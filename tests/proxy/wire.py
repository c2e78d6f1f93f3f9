"""Exchanges through mitmproxy's own HTTP layers, without a network.

The layers ask for hooks and connections, and are given what a client and a server send; between
any two steps something else may happen, as it may between two turns of mitmproxy's event loop.
"""

import hashlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import h2.config
import h2.connection
import h2.events
import h11
from mitmproxy import connection
from mitmproxy.proxy import commands, context, events, server_hooks
from mitmproxy.proxy.layers import http
from mitmproxy.proxy.layers.http import HTTPMode
from mitmproxy.proxy.mode_specs import ProxyMode

from tests.origin.checksums import crc64
from tests.origin.ids import Ids
from tests.proxy.inspected import HOST

Gap = Callable[[], Awaitable[None]]
Fields = list[tuple[str, str]]
CONTENT = random.Random(1).randbytes(4096)
_IDS = Ids(random.Random(2), time.time)


class Way(NamedTuple):
    """How an object of ``CONTENT`` goes, and which versions of HTTP both sides speak."""

    kind: str
    """``put``, ``chunked`` (no length), ``aws-chunked``, or ``get``."""
    client_http2: bool = False
    server_http2: bool = False
    answered_early: bool = False
    """The server answers before the upload has ended, where it sees that much of it."""


class Came(NamedTuple):
    """What came at either end is what was sent."""

    to_server: bool
    to_client: bool


class Wire:
    """A client's connection. ``gap`` is awaited between any two steps."""

    def __init__(self, master: Any, gap: Gap, way: Way) -> None:
        self._master = master
        self._gap = gap
        self._server_alpn = b"h2" if way.server_http2 else b"http/1.1"
        self.client = connection.Client(
            peername=("127.0.0.1", 50001),
            sockname=("127.0.0.1", 8080),
            timestamp_start=time.time(),
            proxy_mode=ProxyMode.parse("regular"),
            state=connection.ConnectionState.OPEN,
            alpn=b"h2" if way.client_http2 else b"http/1.1",
        )
        self._layer = http.HttpLayer(context.Context(self.client, master.options), HTTPMode.regular)
        self.server: connection.Server | None = None
        self.to_client = bytearray()
        self.to_server = bytearray()

    async def begin(self) -> None:
        """A client is there."""
        await self._hook(server_hooks.ClientConnectedHook(self.client))
        await self._feed(events.Start())

    async def client_sends(self, data: bytes) -> None:
        """Bytes that came from the client."""
        await self._gap()
        await self._feed(events.DataReceived(self.client, data))

    async def server_sends(self, data: bytes) -> None:
        """Bytes that came from the server."""
        assert self.server is not None
        await self._gap()
        await self._feed(events.DataReceived(self.server, data))

    async def client_goes(self) -> None:
        """The client closes its connection."""
        await self._gap()
        self.client.state = connection.ConnectionState.CLOSED
        await self._feed(events.ConnectionClosed(self.client))
        await self._hook(server_hooks.ClientDisconnectedHook(self.client))

    async def _feed(self, event: events.Event) -> None:
        waiting = [event]
        while waiting:
            for command in list(self._layer.handle_event(waiting.pop(0))):
                waiting += [each async for each in self._obey(command)]

    async def _obey(self, command: commands.Command) -> AsyncIterator[events.Event]:
        match command:
            case commands.StartHook():
                await self._hook(command)
                if command.blocking:
                    yield events.HookCompleted(command)
            case commands.OpenConnection():
                yield await self._open(command)
            case commands.SendData():
                sent = self.to_client if command.connection is self.client else self.to_server
                sent += command.data

    async def _hook(self, hook: Any) -> None:
        await self._gap()
        await self._master.addons.handle_lifecycle(hook)
        await self._gap()

    async def _open(self, command: commands.OpenConnection) -> events.Event:
        server = self.server = command.connection
        assert isinstance(server, connection.Server)
        data = server_hooks.ServerConnectionHookData(server, self.client)
        await self._hook(server_hooks.ServerConnectHook(data))
        server.timestamp_start = server.timestamp_tcp_setup = time.time()
        server.peername = ("127.0.0.1", 80)
        server.alpn = self._server_alpn
        server.state = connection.ConnectionState.OPEN
        await self._hook(server_hooks.ServerConnectedHook(data))
        return events.OpenConnectionCompleted(command, None)


async def transfer(wire: Wire, way: Way, *, damaged: bool) -> Came:
    """One upload or download; ``damaged``: the answer says other digests than the bytes have."""
    method, fields, body = _asked(way)
    pieces = _cut(body, 3) if body else []
    speak = _Http2 if way.client_http2 else _Http1
    client = speak(client_side=True)
    sent = client.request(method, fields, pieces)
    answer = _answer_fields(way, damaged=damaged)
    content = _cut(CONTENT, 3) if way.kind == "get" else []
    server = (_Http2 if way.server_http2 else _Http1)(client_side=False)
    await wire.begin()
    waits = True
    for at, piece in enumerate(sent):
        is_last = at == len(sent) - 1
        if way.answered_early and is_last and wire.server is not None and wire.to_server:
            waits = False
            for each in server.response(bytes(wire.to_server), answer, content):
                await wire.server_sends(each)
        await wire.client_sends(piece)
    if waits:
        for each in server.response(bytes(wire.to_server), answer, content):
            await wire.server_sends(each)
    await wire.client_goes()
    return Came(
        server.body_of(bytes(wire.to_server)) == body,
        client.body_of(bytes(wire.to_client)) == b"".join(content),
    )


def _asked(way: Way) -> tuple[str, Fields, bytes]:
    fields = [("Host", HOST.decode()), ("User-Agent", "wire/1")]
    if way.kind == "get":
        return "GET", fields, b""
    body = CONTENT
    if way.kind == "aws-chunked":
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in _cut(CONTENT, 2))
        body = chunks + b"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
        fields += [
            ("Content-Encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", str(len(CONTENT))),
            ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
        ]
    if way.kind == "chunked":
        fields.append(("Transfer-Encoding", "chunked"))
    else:
        fields.append(("Content-Length", str(len(body))))
    return "PUT", fields, body


def _answer_fields(way: Way, *, damaged: bool) -> Fields:
    md5, crc = hashlib.md5(CONTENT).hexdigest(), crc64(CONTENT)
    if damaged:
        md5, crc = "0" * 32, crc ^ 1
    length = len(CONTENT) if way.kind == "get" else 0
    return [
        ("Server", "tencent-cos"),
        ("x-cos-request-id", _IDS.request_id()),
        ("ETag", f'"{md5}"'),
        ("x-cos-hash-crc64ecma", str(crc)),
        ("Content-Type", "text/plain"),
        ("Content-Length", str(length)),
    ]


def _cut(content: bytes, count: int) -> list[bytes]:
    size = -(-len(content) // count)
    return [content[at : at + size] for at in range(0, len(content), size)]


class _Http1:
    """Bytes of one side; of the other side's, ``body_of`` reads the body."""

    def __init__(self, *, client_side: bool) -> None:
        self._is_client = client_side
        self._asked = "PUT"

    def request(self, method: str, fields: Fields, pieces: Sequence[bytes]) -> list[bytes]:
        self._asked = method
        target = f"http://{HOST.decode()}/a.txt"
        head = h11.Request(method=method, target=target, headers=fields)
        writer = h11.Connection(h11.CLIENT)
        sent = [writer.send(head), *(writer.send(h11.Data(data=each)) for each in pieces)]
        end = writer.send(h11.EndOfMessage())
        return [each for each in (*sent, end) if each]

    def response(self, came: bytes, fields: Fields, pieces: Sequence[bytes]) -> list[bytes]:
        lines = ["HTTP/1.1 200 OK", *(f"{name}: {value}" for name, value in fields), "", ""]
        return ["\r\n".join(lines).encode(), *pieces]

    def body_of(self, data: bytes) -> bytes:
        reader = h11.Connection(h11.CLIENT if self._is_client else h11.SERVER)
        if self._is_client:
            # It has to know what was asked for.
            reader.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
            reader.send(h11.EndOfMessage())
        reader.receive_data(data)
        body = b""
        while not isinstance(event := reader.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                return body + b"and then nothing"
            if isinstance(event, h11.Data):
                body += event.data
        return body


class _Http2:
    """The same."""

    def __init__(self, *, client_side: bool) -> None:
        self._connection = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=client_side, header_encoding="utf-8")
        )
        self._connection.initiate_connection()
        self._body = b""
        self._taken = 0
        self._has_ended = False

    def request(self, method: str, fields: Fields, pieces: Sequence[bytes]) -> list[bytes]:
        head = [(":method", method), (":scheme", "http"), (":path", "/a.txt")]
        head += [(":authority", HOST.decode())]
        return self._messages(head, [each for each in fields if each[0] != "Host"], pieces)

    def response(self, came: bytes, fields: Fields, pieces: Sequence[bytes]) -> list[bytes]:
        self._take(came)
        return self._messages([(":status", "200")], fields, pieces)

    def _messages(self, head: Fields, fields: Fields, pieces: Sequence[bytes]) -> list[bytes]:
        fields = head + [(name.lower(), value) for name, value in fields]
        self._connection.send_headers(1, fields, end_stream=not pieces)
        sent = [self._connection.data_to_send()]
        for at, piece in enumerate(pieces, 1):
            self._connection.send_data(1, piece, end_stream=at == len(pieces))
            sent.append(self._connection.data_to_send())
        return sent

    def _take(self, data: bytes) -> None:
        for event in self._connection.receive_data(data[self._taken :]):
            if isinstance(event, h2.events.DataReceived):
                self._body += event.data
            elif isinstance(event, h2.events.StreamEnded):
                self._has_ended = True
        self._taken = len(data)

    def body_of(self, data: bytes) -> bytes:
        self._take(data)
        return self._body if self._has_ended else self._body + b"and then nothing"

"""A small HTTP/3 client."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, QuicEvent, StreamReset

TIMEOUT = 30.0


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Came:
    """What came back on one stream."""

    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    whole: bool = False
    """Whether the stream came to its end."""

    @property
    def status(self) -> int:
        return int(self.headers.get(":status", 0))


def send_http3(port: int, host: str, ca_pem: str, *calls: Call) -> Sequence[Came]:
    """Sends all calls at once over one connection to 127.0.0.1, with ``host`` as the server's
    name, and waits for their ends."""
    return asyncio.run(asyncio.wait_for(_send(port, host, ca_pem, calls), TIMEOUT))


async def _send(port: int, host: str, ca_pem: str, calls: Sequence[Call]) -> Sequence[Came]:
    configuration = QuicConfiguration(
        is_client=True, alpn_protocols=H3_ALPN, server_name=host, cafile=ca_pem
    )
    async with connect(
        "127.0.0.1", port, configuration=configuration, create_protocol=_Client
    ) as made:
        client = cast(_Client, made)
        return await asyncio.gather(*(client.send(host, call) for call in calls))


class _Client(QuicConnectionProtocol):
    def __init__(self, *given: object, **named: object) -> None:
        super().__init__(*given, **named)  # type: ignore[arg-type]
        self._http = H3Connection(self._quic)
        self._came: dict[int, Came] = {}
        self._ended: dict[int, asyncio.Event] = {}

    async def send(self, host: str, call: Call) -> Came:
        number = self._quic.get_next_available_stream_id()
        came, ended = self._came[number], self._ended[number] = Came(), asyncio.Event()
        fields = {
            ":method": call.method,
            ":scheme": "https",
            ":authority": host,
            ":path": call.path,
            **call.headers,
        }
        if call.body:
            fields["content-length"] = str(len(call.body))
        head = [(name.encode(), value.encode()) for name, value in fields.items()]
        self._http.send_headers(number, head, end_stream=not call.body)
        if call.body:
            self._http.send_data(number, call.body, end_stream=True)
        self.transmit()
        await ended.wait()
        return came

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, StreamReset):
            self._end(event.stream_id)
        elif isinstance(event, ConnectionTerminated):
            for number in self._ended:
                self._end(number)
        for part in self._http.handle_event(event):
            self._take(part)

    def _take(self, part: H3Event) -> None:
        if not isinstance(part, HeadersReceived | DataReceived):
            return
        came = self._came[part.stream_id]
        if isinstance(part, HeadersReceived):
            came.headers |= {name.decode(): value.decode() for name, value in part.headers}
        else:
            came.body += part.data
        if part.stream_ended:
            came.whole = True
            self._end(part.stream_id)

    def _end(self, number: int) -> None:
        if number in self._ended:
            self._ended[number].set()

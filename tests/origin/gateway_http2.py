"""HTTP/2 for the gateway."""

import asyncio
import contextlib

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from tests.origin.certificates import Certificates
from tests.origin.gateway_streams import BrokenOffError, Head, Request, Serving, Streams


async def serve_http2(
    streams: Streams, certificates: Certificates, stack: contextlib.AsyncExitStack
) -> int:
    """Listens until the stack is left. Returns the port."""
    server = await asyncio.get_running_loop().create_server(
        lambda: _Http2(streams), "127.0.0.1", 0, ssl=certificates.server_context()
    )
    stack.callback(server.close)
    port: int = server.sockets[0].getsockname()[1]
    return port


class _Http2(asyncio.Protocol):
    """One connection of a client."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._serving = Serving(streams)
        self._connection = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="latin-1")
        )
        self._requests: dict[int, Request] = {}
        self._window_opened = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connection.initiate_connection()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._serving.cancel_all()

    def _flush(self) -> None:
        self._transport.write(self._connection.data_to_send())

    def data_received(self, data: bytes) -> None:
        try:
            events = self._connection.receive_data(data)
        except h2.exceptions.ProtocolError as fault:
            self._streams.faults.append(fault)
            self._flush()
            self._transport.close()
            return
        for event in events:
            self._take(event)
        self._flush()

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            fields = [(str(name), str(value)) for name, value in event.headers or ()]
            self._requests[event.stream_id or 0] = Request(fields)
        elif isinstance(event, h2.events.DataReceived):
            number = event.stream_id or 0
            self._requests[number].body += event.data or b""
            self._connection.acknowledge_received_data(event.flow_controlled_length or 0, number)
        elif isinstance(event, h2.events.StreamEnded):
            number = event.stream_id or 0
            self._serving.begin(number, "HTTP/2", self._serve(number, self._requests.pop(number)))
        elif isinstance(event, h2.events.StreamReset):
            self._requests.pop(event.stream_id or 0, None)
            self._serving.cancel(event.stream_id or 0)
        elif isinstance(event, h2.events.WindowUpdated | h2.events.RemoteSettingsChanged):
            self._window_opened.set()
        elif isinstance(event, h2.events.ConnectionTerminated):
            self._transport.close()

    async def _serve(self, number: int, request: Request) -> None:
        try:
            async for part in self._streams.forward(request):
                if isinstance(part, Head):
                    fields = [(":status", str(part.status)), *part.fields]
                    self._connection.send_headers(number, fields)
                else:
                    await self._send(number, part)
                self._flush()
            self._connection.end_stream(number)
        except BrokenOffError:
            codes = h2.errors.ErrorCodes
            code = codes.CANCEL if self._streams.cancels else codes.INTERNAL_ERROR
            self._connection.reset_stream(number, code)
        self._flush()

    async def _send(self, number: int, data: bytes) -> None:
        """As fast as the client opens its windows."""
        while data:
            room = min(
                self._connection.local_flow_control_window(number),
                self._connection.max_outbound_frame_size,
            )
            if room > 0:
                self._connection.send_data(number, data[:room])
                data = data[room:]
            else:
                self._window_opened.clear()
                self._flush()
                await self._window_opened.wait()

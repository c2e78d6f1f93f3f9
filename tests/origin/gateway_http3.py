"""HTTP/3 for the gateway, by aioquic, which comes with mitmproxy."""

import asyncio
import contextlib
from pathlib import Path

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import serve
from aioquic.h3.connection import H3_ALPN, ErrorCode, H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ProtocolNegotiated, QuicEvent, StreamReset

from tests.origin.certificates import Certificates
from tests.origin.gateway_streams import BrokenOffError, Head, Request, Serving, Streams

NAMES = ("*.cos.ap-guangzhou.myqcloud.com", "cos.ap-guangzhou.myqcloud.com", "localhost")


async def serve_http3(
    streams: Streams, certificates: Certificates, folder: Path, stack: contextlib.AsyncExitStack
) -> int:
    """Listens until the stack is left. Returns the UDP port."""
    chain, key = folder / "server.pem", folder / "server.key"
    certificates.write_certificate(chain, key, *NAMES)
    configuration = QuicConfiguration(is_client=False, alpn_protocols=H3_ALPN)
    configuration.load_cert_chain(chain, key)
    server = await serve(
        "127.0.0.1",
        0,
        configuration=configuration,
        create_protocol=lambda *given, **named: _Http3(streams, *given, **named),
    )
    stack.callback(server.close)
    transport = server._transport
    assert transport is not None
    port: int = transport.get_extra_info("sockname")[1]
    return port


class _Http3(QuicConnectionProtocol):
    """One connection of a client."""

    def __init__(self, streams: Streams, *given: object, **named: object) -> None:
        super().__init__(*given, **named)  # type: ignore[arg-type]
        self._streams = streams
        self._serving = Serving(streams)
        self._http: H3Connection | None = None
        self._requests: dict[int, Request] = {}

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, ProtocolNegotiated):
            self._http = H3Connection(self._quic)
        elif isinstance(event, StreamReset):
            self._requests.pop(event.stream_id, None)
            self._serving.cancel(event.stream_id)
        if self._http is not None:
            for part in self._http.handle_event(event):
                self._take(part)

    def _take(self, event: H3Event) -> None:
        if not isinstance(event, HeadersReceived | DataReceived):
            return
        number = event.stream_id
        if isinstance(event, DataReceived):
            self._requests[number].body += event.data
        elif number not in self._requests:
            fields = [(name.decode(), value.decode("latin-1")) for name, value in event.headers]
            self._requests[number] = Request(fields)
        if event.stream_ended:
            self._serving.begin(number, "HTTP/3", self._serve(number, self._requests.pop(number)))

    async def _serve(self, number: int, request: Request) -> None:
        assert self._http is not None
        try:
            async for part in self._streams.forward(request):
                if isinstance(part, Head):
                    fields = [(":status", str(part.status)), *part.fields]
                    self._http.send_headers(
                        number, [(name.encode(), value.encode("latin-1")) for name, value in fields]
                    )
                else:
                    self._http.send_data(number, part, end_stream=False)
                self.transmit()
            self._http.send_data(number, b"", end_stream=True)
        except BrokenOffError:
            # Data that waits is dropped by a reset, so that it goes out first.
            await self._drained(number)
            self._quic.reset_stream(number, ErrorCode.H3_INTERNAL_ERROR)
        self.transmit()

    async def _drained(self, number: int) -> None:
        sender = self._quic._streams[number].sender
        # aioquic tells nobody when everything was acknowledged.
        while not sender.buffer_is_empty or sender._buffer:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

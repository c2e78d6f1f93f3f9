"""HTTP/2 and HTTP/3 in front of an ``Origin``, which speaks HTTP/1.1 alone.

What the origin does to an answer (wrong bytes, wrong headers) passes through;
where it breaks off, the stream is reset after the bytes that came.
"""

import asyncio
import contextlib
import ssl
import tempfile
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Self

import h11

from tests.origin.certificates import Certificates
from tests.origin.gateway_http2 import serve_http2
from tests.origin.gateway_http3 import serve_http3
from tests.origin.gateway_streams import BrokenOffError, Head, Request, Streams
from tests.origin.server import Origin

READ = 1 << 16
HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade"})


class Gateway:
    """``with Gateway(origin) as gateway:`` and ``gateway`` in place of ``origin`` for a
    proxy. ``https_port`` speaks HTTP/2 alone, ``http3_port`` (UDP) HTTP/3; plain HTTP goes
    to the origin itself."""

    def __init__(self, origin: Origin) -> None:
        self.http_port = origin.http_port
        self.https_port = 0
        self.http3_port = 0
        self.streams = Streams(self._forward)
        self._origin = origin
        self._towards_origin = ssl.create_default_context(cafile=origin.ca_pem)
        self._folder = tempfile.TemporaryDirectory(prefix="cos-gateway-")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    @property
    def ca_pem(self) -> str:
        return str(self.folder / "ca.pem")

    @property
    def folder(self) -> Path:
        return Path(self._folder.name)

    def __enter__(self) -> Self:
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="cos-gateway")
        self._thread.start()
        ready.wait()
        if self.streams.faults:
            raise self.streams.faults[0]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._loop is not None and self._stopping is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
        if self._thread is not None:
            self._thread.join()
        self._folder.cleanup()

    def _run(self, ready: threading.Event) -> None:
        try:
            asyncio.run(self._main(ready))
        except BaseException as fault:  # told by __enter__, or by the test
            self.streams.faults.append(fault)
        finally:
            ready.set()

    async def _main(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        certificates = Certificates("h2")
        certificates.write_ca(self.ca_pem)
        async with contextlib.AsyncExitStack() as stack:
            self.https_port = await serve_http2(self.streams, certificates, stack)
            self.http3_port = await serve_http3(self.streams, certificates, self.folder, stack)
            ready.set()
            await self._stopping.wait()

    async def _forward(self, request: Request) -> AsyncIterator[Head | bytes]:
        """Asks the origin, and hands on what comes as it comes."""
        host = request.get(":authority") or request.get("host")
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            self._origin.https_port,
            ssl=self._towards_origin,
            server_hostname=host.rpartition(":")[0] or host,
        )
        try:
            connection = h11.Connection(h11.CLIENT)
            _send(connection, request, host, writer)
            # The origin may answer, and close, before it has read everything.
            with contextlib.suppress(OSError):
                await writer.drain()
            async for part in _answer(connection, reader):
                yield part
        except (OSError, h11.RemoteProtocolError) as end:
            raise BrokenOffError from end
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def _send(
    connection: h11.Connection, request: Request, host: str, writer: asyncio.StreamWriter
) -> None:
    fields = [pair for pair in request.fields if not pair[0].startswith(":") and pair[0] != "host"]
    if request.body and not request.get("content-length"):
        fields.append(("content-length", str(len(request.body))))
    head = h11.Request(
        method=request.get(":method"),
        target=request.get(":path"),
        headers=[("host", host), *fields, ("connection", "close")],
    )
    writer.write(connection.send(head) or b"")
    if request.body:
        writer.write(connection.send(h11.Data(data=bytes(request.body))) or b"")
    writer.write(connection.send(h11.EndOfMessage()) or b"")


async def _answer(
    connection: h11.Connection, reader: asyncio.StreamReader
) -> AsyncIterator[Head | bytes]:
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(READ))
        elif isinstance(event, h11.Response):
            yield Head(
                event.status_code,
                [
                    (name.decode(), value.decode("latin-1"))
                    for name, value in event.headers
                    if name.decode() not in HOP_BY_HOP
                ],
            )
        elif isinstance(event, h11.Data):
            yield bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return
        elif isinstance(event, h11.ConnectionClosed):
            raise BrokenOffError

"""Runs inside the proxy, before the addon: marks requests, and changes options when told.

Each line that is sent to its port (``soak control port …`` on standard output) is a JSON
object of options, or null: then the process gives back the memory that nothing needs. It is
answered with a line: ``ok``, or what was wrong.
"""

import asyncio
import contextlib
import ctypes
import gc
import json

from mitmproxy import ctx, http

MARKER = "x-soak-flow"


class SoakControl:
    """It has no ``request`` or ``response`` hook, for with these bodies would be kept."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None

    async def running(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            port = self._server.sockets[0].getsockname()[1]
            print(f"soak control port {port}", flush=True)

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        flow.request.headers[MARKER] = flow.id

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            try:
                options = json.loads(line)
                if options is None:
                    _give_back()
                else:
                    ctx.options.update(**options)  # type: ignore[no-untyped-call]
                answer = "ok"
            except Exception as failure:
                answer = repr(failure)
            writer.write(answer.encode() + b"\n")
            await writer.drain()
        writer.close()

    async def done(self) -> None:
        if self._server is not None:
            self._server.close()


def _give_back() -> None:
    gc.collect()
    # Of glibc alone; elsewhere the allocator keeps what it keeps.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


addons = [SoakControl()]

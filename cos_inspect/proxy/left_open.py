"""Connections that mitmproxy has done with and has not closed.

Where a server answers an upload early and goes, mitmproxy (12.2 and 12.3, ``proxy/server.py``)
cancels the task that reads from the client. One that has just read something, and waits for its
turn to handle it, ends without closing the connection: the client goes on sending to nobody, until
its own patience ends. Of uploads that are streamed this is the usual case.
"""

import asyncio
import contextlib
import logging
from typing import Any

from mitmproxy import connection, ctx

logger = logging.getLogger(__name__)

_SECONDS = 30.0
"""How long a client may go on sending, so that it reads the answer that it has; what ends at once
with bytes unread resets the connection."""
_MOST_READ = 1 << 16

_closing: set[asyncio.Task[None]] = set()
"""Kept, as the event loop does not."""


def close_left_open(client: connection.Client) -> None:
    """To be called when mitmproxy has let go of a client: closes what is left of its connections,
    for nobody else will."""
    try:
        for owner, each in _left(client):
            if owner is client:
                task = asyncio.get_running_loop().create_task(_close_slowly(each))
                _closing.add(task)
                task.add_done_callback(_closing.discard)
            else:
                each.writer.close()
    except Exception:
        # Nothing of this is promised by mitmproxy.
        logger.debug("connections that are left open cannot be looked up", exc_info=True)


def _left(client: connection.Client) -> list[tuple[connection.Connection, Any]]:
    proxyserver: Any = ctx.master.addons.get("proxyserver")  # type: ignore[no-untyped-call]
    if proxyserver is None:
        return []
    handler = proxyserver.connections.get(client.id)
    if handler is None:
        return []
    return [(owner, each) for owner, each in handler.transports.items() if _is_left(each)]


def _is_left(transport: Any) -> bool:
    """Its task has ended, and it is open."""
    writer, task = transport.writer, transport.handler
    # What goes over UDP has a writer of another kind.
    is_tcp = isinstance(writer, asyncio.StreamWriter)
    return is_tcp and task is not None and task.done() and not writer.is_closing()


async def _close_slowly(transport: Any) -> None:
    try:
        with contextlib.suppress(OSError, TimeoutError):
            transport.writer.write_eof()
            async with asyncio.timeout(_SECONDS):
                while await transport.reader.read(_MOST_READ):
                    pass
    finally:
        transport.writer.close()

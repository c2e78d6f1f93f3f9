"""Traffic of sockets without a library: odd pieces, chunks, aborts, many connections."""

import asyncio
import base64
import contextlib
import hashlib
import socket
from collections.abc import Iterator

import h11

from scripts.soak_tools import TIMEOUT, Tools
from scripts.soak_truth import Act
from tests.end_to_end.harness import BUCKET, HOST

MIB = 1 << 20
CONNECTIONS = 200
"""Of a burst, all open at the same time."""

PATIENCE = 5.0
"""Seconds that a client waits for the begin of what it will break off anyway."""


@contextlib.contextmanager
def expected(*kinds: type[BaseException]) -> Iterator[None]:
    """Something of this kind has to happen."""
    try:
        yield
    except kinds:
        return
    raise AssertionError(f"none of {kinds} came")


@contextlib.contextmanager
def connected(tools: Tools) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", tools.setting.port), timeout=TIMEOUT) as made:
        yield made


@contextlib.contextmanager
def tunnel(tools: Tools, host: str) -> Iterator[socket.socket]:
    """A connection on which CONNECT was answered."""
    with connected(tools) as connection:
        connection.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            piece = connection.recv(4096)
            if not piece:
                raise ConnectionError("no tunnel")
            answer += piece
        if b" 200 " not in answer.splitlines()[0]:
            raise ConnectionError(answer.decode(errors="replace"))
        yield connection


def head(method: str, key: str, *fields: str) -> bytes:
    """As it is sent to a proxy."""
    lines = [f"{method} http://{HOST}/{key} HTTP/1.1", f"Host: {HOST}", "User-Agent: soak/1"]
    return "\r\n".join([*lines, *fields, "", ""]).encode()


class Raw:
    """One connection for one request after the other; h11 reads the answers alone."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def ask(self, method: str, pieces: Iterator[bytes]) -> tuple[int, bytes]:
        """Status and body. ``pieces`` are the request, sent one by one."""
        reader = h11.Connection(h11.CLIENT)
        # It has to know what was asked for, and is told that nothing more is to be sent.
        reader.send(h11.Request(method=method, target="/", headers=[("Host", HOST)]))
        reader.send(h11.EndOfMessage())
        for piece in pieces:
            self._connection.sendall(piece)
        status, body = 0, b""
        while True:
            event = reader.next_event()
            if event is h11.NEED_DATA:
                reader.receive_data(self._connection.recv(65536))
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                return status, body


def _cut(act: Act, data: bytes) -> Iterator[bytes]:
    """The same bytes in pieces of odd sizes; none is so small that there are thousands."""
    smallest = max(1, len(data) // 40)
    start = 0
    while start < len(data):
        size = act.random.randrange(smallest, 4 * smallest)
        yield data[start : start + size]
        start += size


def _upload(act: Act, data: bytes, *fields: str) -> Iterator[bytes]:
    whole = head("PUT", act.key, f"Content-Length: {len(data)}", *fields) + data
    yield from _cut(act, whole)


def _chunked_upload(act: Act, data: bytes) -> Iterator[bytes]:
    framed = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in _cut(act, data))
    whole = head("PUT", act.key, "Transfer-Encoding: chunked") + framed + b"0\r\n\r\n"
    yield from _cut(act, whole)


def raw(act: Act, tools: Tools) -> None:
    kind = act.fault.name if act.fault else ""
    if kind in _WITH_FAULT:
        _WITH_FAULT[kind](act, tools)
        return
    data = act.content(act.random.choice((1, 3000, 100_000, MIB + 100_000)))
    upload = act.random.choice((_upload, _chunked_upload))
    with connected(tools) as connection:
        client = Raw(connection)
        for _ in range(act.random.randrange(1, 4)):
            status, _ = client.ask("PUT", upload(act, data))
            if status != 200:
                raise ConnectionError(f"the upload was answered {status}")
            if act.fault is not None:
                return
            if tools.origin.get_object(BUCKET, act.key) != data:
                raise AssertionError("other bytes were stored than were sent")
            status, came = client.ask("GET", iter([head("GET", act.key)]))
            if (status, came) != (200, data):
                raise AssertionError(f"{status} and {len(came)} bytes came, not {len(data)}")
            client.ask("HEAD", _cut(act, head("HEAD", act.key)))


def _other_md5(act: Act, tools: Tools) -> None:
    wrong = base64.b64encode(hashlib.md5(b"another buffer").digest()).decode()
    with connected(tools) as connection:
        Raw(connection).ask("PUT", _upload(act, act.content(3000), f"Content-MD5: {wrong}"))


def _abort_upload(act: Act, tools: Tools) -> None:
    size = act.random.choice((10_000, 3 * MIB))
    with connected(tools) as connection:
        connection.sendall(head("PUT", act.key, f"Content-Length: {size}"))
        connection.sendall(act.content(act.random.randrange(size)))


def _abort_download(act: Act, tools: Tools) -> None:
    tools.origin.put_object(BUCKET, act.key, act.content(2 * MIB))
    with connected(tools) as connection:
        connection.sendall(head("GET", act.key))
        # A proxy that keeps the whole body has sent nothing yet, and the server waits.
        connection.settimeout(PATIENCE)
        with contextlib.suppress(TimeoutError):
            connection.recv(1000)


def _large_upload(act: Act, tools: Tools) -> None:
    """More than a server reads that breaks off, or refuses early."""
    with connected(tools) as connection, contextlib.suppress(OSError, h11.RemoteProtocolError):
        Raw(connection).ask("PUT", _upload(act, act.content(5 * MIB)))


_WITH_FAULT = {
    "other-content-md5": _other_md5,
    "upload-aborted": _abort_upload,
    "download-aborted": _abort_download,
    "server-breaks-off": _large_upload,
    "refused-early": _large_upload,
    "refused-early-and-closed": _large_upload,
}


def burst(act: Act, tools: Tools) -> None:
    """Many connections at once, each with an upload and a download."""
    asyncio.run(asyncio.wait_for(_burst(act, tools), 2 * TIMEOUT))


async def _burst(act: Act, tools: Tools) -> None:
    meeting = asyncio.Barrier(CONNECTIONS)
    async with asyncio.TaskGroup() as group:
        for number in range(CONNECTIONS):
            group.create_task(_one_of_many(act, tools, number, meeting))


async def _one_of_many(act: Act, tools: Tools, number: int, meeting: asyncio.Barrier) -> None:
    key, data = f"{act.key}/{number}", act.content(2000, str(number))
    reader, writer = await asyncio.open_connection("127.0.0.1", tools.setting.port)
    try:
        await meeting.wait()
        for method, body in (("PUT", data), ("GET", b"")):
            writer.write(head(method, key, f"Content-Length: {len(body)}") + body)
            top = await reader.readuntil(b"\r\n\r\n")
            fields = top.decode().lower().split("\r\n")
            (length,) = (line for line in fields if line.startswith("content-length:"))
            came = await reader.readexactly(int(length.partition(":")[2]))
            if b" 200 " not in top.splitlines()[0] or (method == "GET" and came != data):
                raise AssertionError(f"{top.splitlines()[0]!r} and {len(came)} bytes")
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

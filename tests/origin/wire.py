"""HTTP/1.1 on asyncio streams: heads and bodies in, replies out."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tests.origin.errors import OriginError
from tests.origin.message import Fields, Reply

READ = 1 << 20
EMPTY_STATUS = frozenset({204, 304})


@dataclass(frozen=True)
class Head:
    method: str
    target: str
    version: str
    headers: Fields

    def get(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")


class GoneError(Exception):
    """The client closed the connection inside a message."""


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """The next request line and header block; None when no further request comes."""
    try:
        block = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as end:
        if end.partial.strip():
            raise GoneError from None
        return None
    except asyncio.LimitOverrunError:
        raise OriginError("MaxMessageLengthExceeded") from None
    lines = block.decode("utf-8", "surrogateescape").lstrip("\r\n").split("\r\n")
    try:
        method, target, version = lines[0].split(" ")
    except ValueError:
        raise OriginError("BadRequest", "The request line cannot be read.") from None
    headers: Fields = []
    for line in lines[1:]:
        if line:
            name, colon, value = line.partition(":")
            if not colon:
                raise OriginError("BadRequest", "A header line has no colon.")
            headers.append((name, value.strip(" \t")))
    return Head(method, target, version, headers)


def body_length(head: Head) -> int | None:
    """Bytes to come; -1 for chunked, None when no framing was sent."""
    coding = head.get("transfer-encoding").lower()
    length = head.get("content-length")
    if coding:
        if coding != "chunked" or length:
            raise OriginError("InvalidRequest", "Unsupported framing of the body.")
        return -1
    if not length:
        return None
    if not length.isdecimal():
        raise OriginError("InvalidArgument", "Content-Length is no number.")
    return int(length)


async def read_body(reader: asyncio.StreamReader, length: int | None) -> AsyncIterator[bytes]:
    """The pieces of a body, transfer coding taken off. Raises ``GoneError`` when it breaks off."""
    if length is None:
        return
    if length >= 0:
        async for piece in _exactly(reader, length):
            yield piece
        return
    while True:
        line = await _line(reader)
        try:
            size = int(line.partition(b";")[0], 16)
        except ValueError:
            raise OriginError("BadRequest", "A chunk has no size.") from None
        if size == 0:
            break
        async for piece in _exactly(reader, size):
            yield piece
        await _line(reader)
    while await _line(reader):
        pass


async def _exactly(reader: asyncio.StreamReader, length: int) -> AsyncIterator[bytes]:
    while length:
        piece = await reader.read(min(length, READ))
        if not piece:
            raise GoneError
        length -= len(piece)
        yield piece


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return (await reader.readuntil(b"\r\n"))[:-2]
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        raise GoneError from None


async def write_reply(writer: asyncio.StreamWriter, reply: Reply, head_only: bool) -> bool:
    """Sends a reply. Returns whether the connection can go on afterwards."""
    delivery = reply.delivery
    if delivery.stall and delivery.stall_after is None:
        await asyncio.sleep(delivery.stall)
    if delivery.no_reply:
        reset(writer)
        return False
    lines = [f"HTTP/1.1 {reply.status} {reply.phrase}"]
    lines += [f"{name}: {value}" for name, value in reply.headers]
    block = "\r\n".join(lines) + "\r\n\r\n"
    writer.write(block.encode("utf-8", "surrogateescape"))
    if head_only or reply.status in EMPTY_STATUS:
        await writer.drain()
        return not delivery.close
    if delivery.head_first:
        await writer.drain()
        await asyncio.sleep(0.005)
    whole = await _write_body(writer, reply)
    await writer.drain()
    if not whole and delivery.cut_by_reset:
        reset(writer)
    return whole and not delivery.close


async def _write_body(writer: asyncio.StreamWriter, reply: Reply) -> bool:
    delivery = reply.delivery
    size = reply.body.size
    stop = size if delivery.cut_after is None else min(size, delivery.cut_after)
    pauses = [stop]
    if delivery.stall_after is not None and delivery.stall_after < stop:
        pauses.insert(0, delivery.stall_after)
    start = 0
    for number, end in enumerate(pauses):
        if number:
            await asyncio.sleep(delivery.stall)
        for piece in reply.body.read(start, end):
            if delivery.chunked:
                writer.write(b"%x\r\n" % len(piece))
                writer.write(piece)
                writer.write(b"\r\n")
            else:
                writer.write(piece)
            await writer.drain()
        start = end
    if delivery.cut_after is not None:
        return False
    if delivery.chunked:
        writer.write(b"0\r\n\r\n")
    return True


def reset(writer: asyncio.StreamWriter) -> None:
    """Ends the connection with a TCP reset."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()

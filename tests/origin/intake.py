"""Takes a request body in: hashes it, takes aws-chunked framing off, keeps it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from tests.origin.checksums import Hasher, Sums
from tests.origin.content import Content, Discarded, Held
from tests.origin.errors import OriginError

OFF_LOOP = 1 << 16
"""Pieces from this size on are hashed in a thread."""


@dataclass(frozen=True)
class Upload:
    """A body that arrived whole."""

    content: Content
    sums: Sums
    """Of the content, after de-framing and after damage done on purpose."""

    def data(self) -> bytes:
        return b"".join(self.content.read(0, self.content.size))


class AwsChunked:
    """Takes ``size[;chunk-signature=…]`` framing and its trailer off."""

    def __init__(self) -> None:
        self._buffer = b""
        self._left = 0
        self._data_end = False
        self._trailer = False
        self.trailers: list[tuple[str, str]] = []
        self.complete = False
        self.problem = ""

    def feed(self, data: bytes) -> list[bytes]:
        """The content bytes in ``data``. What stands behind a mistake is ignored."""
        pieces: list[bytes] = []
        buffer, place = self._buffer + data, 0
        while place < len(buffer) and not self.complete and not self.problem:
            if self._left:
                piece = buffer[place : place + self._left]
                pieces.append(piece)
                place += len(piece)
                self._left -= len(piece)
                self._data_end = not self._left
                continue
            end = buffer.find(b"\r\n", place)
            if end < 0:
                break
            self._line(buffer[place:end])
            place = end + 2
        self._buffer = buffer[place:]
        return pieces

    def _line(self, line: bytes) -> None:
        if self._data_end:
            self._data_end = False
            if line:
                self.problem = "aws-chunked: no line end behind a chunk"
        elif self._trailer:
            if line:
                name, _, value = line.decode("latin-1").partition(":")
                self.trailers.append((name.strip(), value.strip()))
            else:
                self.complete = True
        else:
            try:
                self._left = int(line.partition(b";")[0], 16)
            except ValueError:
                self.problem = "aws-chunked: no chunk size"
            else:
                self._trailer = self._left == 0

    def finish(self) -> None:
        """The last blank line may be missing; the zero-length chunk may not."""
        if self.problem or not self._trailer:
            raise OriginError("IncompleteBody", self.problem or "aws-chunked: no last chunk")


class Intake:
    """Feeds on the pieces of one body. ``flips`` are offsets of content bytes to invert
    before the content is hashed and stored."""

    def __init__(
        self,
        framed: bool = False,
        flips: Sequence[int] = (),
        hash_limit: int | None = None,
        keep_limit: int | None = None,
    ) -> None:
        self._wire = Hasher(hash_limit)
        self._inner = Hasher(hash_limit) if framed or flips else None
        self._framing = AwsChunked() if framed else None
        self._flips = flips
        self._keep_limit = keep_limit
        self._size = 0
        self._pieces: list[bytes] = []
        self._running: asyncio.Future[None] | None = None

    @property
    def received(self) -> int:
        return self._wire.size

    def wire_sums(self) -> Sums:
        """Of the bytes as they came, transfer coding taken off."""
        return self._wire.sums()

    async def feed(self, piece: bytes) -> None:
        """Hashes a long piece in a thread while the next one is read."""
        await self.settle()
        if len(piece) < OFF_LOOP:
            self.take(piece)
        else:
            self._running = asyncio.get_running_loop().run_in_executor(None, self.take, piece)

    async def settle(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            await running

    def take(self, piece: bytes) -> None:
        self._wire.update(piece)
        for inner in self._framing.feed(piece) if self._framing else (piece,):
            self._keep(inner)

    def _keep(self, piece: bytes) -> None:
        start, end = self._size, self._size + len(piece)
        for offset in self._flips:
            if start <= offset < end:
                changed = bytearray(piece)
                changed[offset - start] ^= 0xFF
                piece = bytes(changed)
        self._size = end
        if self._inner is not None:
            self._inner.update(piece)
        if self._keep_limit is None or end <= self._keep_limit:
            self._pieces.append(piece)
        else:
            self._pieces.clear()

    async def finish(self) -> Upload:
        await self.settle()
        if self._framing is not None:
            self._framing.finish()
        kept = self._keep_limit is None or self._size <= self._keep_limit
        content: Content = Held(self._pieces) if kept else Discarded(self._size)
        return Upload(content, (self._inner or self._wire).sums())

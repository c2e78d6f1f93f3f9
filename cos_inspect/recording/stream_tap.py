"""Taps: what mitmproxy calls with each chunk of a body that it passes on.

mitmproxy drops a chunk whose callable raises, and hangs on the last one, so a
tap catches everything and always hands on what it was given.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from cos_inspect.cos.digest_plan import DigestPlan
from cos_inspect.cos.payload import PayloadReader
from cos_inspect.digests import Bytes, Digester, crc64
from cos_inspect.model.exchange import Body, BodyEnd
from cos_inspect.recording.hashing_threads import Hashing

logger = logging.getLogger(__name__)

Chunks = bytes | Iterable[bytes]
StreamCallable = Callable[[bytes], Chunks]


class BodyMeter:
    """Meets a body's bytes in order and knows its facts in the end."""

    __slots__ = ("_digester", "_payload", "_plan", "_sample", "_wanted", "marks", "size")

    def __init__(
        self,
        plan: DigestPlan,
        payload: PayloadReader | None = None,
        wanted_marks: Sequence[int] = (),
    ) -> None:
        self._plan = plan
        self._digester = Digester(md5=plan.md5, crc64=plan.crc64)
        self._payload = payload
        self._sample = bytearray()
        self._wanted = sorted(wanted_marks, reverse=True)
        self.marks: list[tuple[int, int]] = []
        """Offsets that were asked for, and the CRC-64 of the body up to each."""
        self.size = 0

    @property
    def is_costly(self) -> bool:
        """Whether hashing takes longer than passing on does."""
        return self._plan.md5 or self._payload is not None

    @property
    def is_slow(self) -> bool:
        """Whether there is more to do with the bytes than to hash them."""
        return self._payload is not None

    def feed(self, data: Bytes) -> None:
        """Take the next bytes of the body, in order."""
        if self._wanted:
            self._feed_to_marks(data)
        else:
            self._digester.feed(data)
        self.size += len(data)
        if self._payload is not None:
            self._payload.feed(bytes(data))
        missing = self._plan.sample - len(self._sample)
        if missing > 0:
            self._sample += data[:missing]

    def _feed_to_marks(self, data: Bytes) -> None:
        """Feeds piece by piece, and notes the running CRC-64 at each offset asked for."""
        view, at = memoryview(data), 0
        while self._wanted and self._wanted[-1] <= self.size + len(data):
            offset = self._wanted.pop()
            cut = max(at, offset - self.size)
            self._digester.feed(view[at:cut])
            at = cut
            crc64 = self._digester.crc64_value()
            if crc64 is not None:
                self.marks.append((offset, crc64))
        self._digester.feed(view[at:])

    def body(self, *, complete: bool) -> Body:
        """To be asked once, after the last byte."""
        keeps = self._plan.sample > 0
        return Body(
            end=BodyEnd.COMPLETE if complete else BodyEnd.CUT,
            size=self.size,
            md5=self._digester.md5_hex(),
            crc64=self._digester.crc64_value(),
            sample=bytes(self._sample) if keeps else None,
            sample_is_whole=keeps and complete and len(self._sample) == self.size,
            payload=self._payload.result(complete) if self._payload else None,
        )


class Tap:
    """A stream callable. ``inner`` is one that somebody else had set before. Of a body of up
    to ``most_copied`` bytes it makes a copy."""

    __slots__ = (
        "_copy",
        "_feed",
        "_flow_id",
        "_meter",
        "_most_copied",
        "_queue",
        "called",
        "ended",
        "inner",
        "size",
    )

    def __init__(
        self,
        flow_id: str,
        meter: BodyMeter,
        inner: StreamCallable | None = None,
        hashing: Hashing | None = None,
        *,
        most_copied: int = 0,
    ) -> None:
        self._flow_id = flow_id
        self._most_copied = most_copied
        self._copy: list[bytes] = []
        self._meter: BodyMeter | None = meter
        self.inner = inner
        self._queue = hashing.queue_for(meter) if hashing is not None and meter.is_costly else None
        self._feed = meter.feed if self._queue is None else self._queue.put
        self.called = False
        self.ended = False
        self.size = 0
        """Bytes that passed."""

    def __call__(self, data: bytes) -> Chunks:
        """As mitmproxy calls ``stream``, with the next bytes and at the end with none. Gives them
        back as they are, or what ``inner`` makes of them, whatever becomes of the measuring."""
        self.called = True
        if not data:
            self.ended = True
        else:
            self.size += len(data)
            if self.size <= self._most_copied:
                self._copy.append(data)
            elif self._copy:
                self._copy = []
            if self._meter is not None:
                try:
                    self._feed(data)
                except Exception as fault:
                    self._give_up(fault)
        return data if self.inner is None else self.inner(data)

    def _give_up(self, fault: BaseException) -> None:
        """No error in the log: while mitmdump starts, one would end it."""
        self._meter = None
        logger.warning("flow %s: its body is passed on unchecked", self._flow_id, exc_info=fault)

    def release(self) -> None:
        """Has it pass on what comes, and no more."""
        self._meter = None
        self._most_copied = 0
        self._copy = []

    def _settle(self) -> None:
        """Has all bytes hashed that passed."""
        if self._queue is not None and self._meter is not None:
            self._queue.drain()
            if self._queue.fault is not None:
                self._give_up(self._queue.fault)

    @property
    def marks(self) -> list[tuple[int, int]]:
        """Offsets that were asked for, with the CRC-64 of all before each."""
        self._settle()
        return [] if self._meter is None else self._meter.marks

    @property
    def copied(self) -> bytes | None:
        """All that passed so far; None where nothing was called for, or where it was more."""
        if not self.called or self.size > self._most_copied or not self._most_copied:
            return None
        return b"".join(self._copy)

    def body(self) -> Body:
        """What passed so far; complete when the end was seen."""
        self._settle()
        if self._meter is None:
            end = BodyEnd.NOT_INSPECTED if self.ended else BodyEnd.CUT
            return Body(end=end, size=self.size)
        return self._meter.body(complete=self.ended)


def body_of_content(content: bytes, plan: DigestPlan, *, complete: bool = True) -> Body:
    """The facts of a body that was kept whole and has no framing; those that a meter has."""
    if not content:
        return _empty_body(plan, complete)
    most = plan.sample
    return Body(
        end=BodyEnd.COMPLETE if complete else BodyEnd.CUT,
        size=len(content),
        md5=hashlib.md5(content, usedforsecurity=False).hexdigest() if plan.md5 else None,
        crc64=crc64(content) if plan.crc64 else None,
        sample=content[:most] if most > 0 else None,
        sample_is_whole=complete and most > 0 and len(content) <= most,
    )


@lru_cache(maxsize=64)
def _empty_body(plan: DigestPlan, complete: bool) -> Body:
    """Half of all bodies are empty."""
    return BodyMeter(plan).body(complete=complete)


def meter_content(
    content: bytes,
    plan: DigestPlan,
    payload: PayloadReader | None = None,
    wanted_marks: Sequence[int] = (),
) -> BodyMeter:
    """A meter that has met a body which was kept whole."""
    meter = BodyMeter(plan, payload, wanted_marks)
    if content:
        meter.feed(content)
    return meter

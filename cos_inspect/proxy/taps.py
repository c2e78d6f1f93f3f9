"""Taps: what mitmproxy calls with each chunk of a body that it passes on.

mitmproxy drops a chunk whose callable raises, and hangs on the last one, so a
tap catches everything and always hands on what it was given.
"""

import logging
from collections.abc import Callable, Iterable

from cos_inspect.cos.digest_plan import DigestPlan
from cos_inspect.cos.payload import PayloadReader
from cos_inspect.digests import Digester
from cos_inspect.exchange import EMPTY_BODY, Body, BodyEnd

logger = logging.getLogger(__name__)

Chunks = bytes | Iterable[bytes]
StreamCallable = Callable[[bytes], Chunks]


class Meter:
    """Meets a body's bytes in order and knows its facts in the end."""

    __slots__ = ("_digester", "_payload", "_plan", "_sample", "size")

    def __init__(self, plan: DigestPlan, payload: PayloadReader | None = None) -> None:
        self._plan = plan
        self._digester = Digester(md5=plan.md5, crc64=plan.crc64)
        self._payload = payload
        self._sample = bytearray()
        self.size = 0

    def feed(self, data: bytes) -> None:
        self.size += len(data)
        self._digester.feed(data)
        if self._payload is not None:
            self._payload.feed(data)
        missing = self._plan.sample - len(self._sample)
        if missing > 0:
            self._sample += data[:missing]

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
    """A stream callable. ``inner`` is one that somebody else had set before."""

    __slots__ = ("_flow_id", "_inner", "_meter", "ended")

    def __init__(self, flow_id: str, meter: Meter, inner: StreamCallable | None = None) -> None:
        self._flow_id = flow_id
        self._meter: Meter | None = meter
        self._inner = inner
        self.ended = False

    def __call__(self, data: bytes) -> Chunks:
        meter = self._meter
        if meter is not None:
            try:
                if data:
                    meter.feed(data)
                else:
                    self.ended = True
            except Exception:
                self._meter = None
                logger.exception("flow %s: its body is passed on unchecked", self._flow_id)
        elif not data:
            self.ended = True
        return data if self._inner is None else self._inner(data)

    def body(self) -> Body:
        """What passed so far; complete when the end was seen."""
        if self._meter is None:
            return Body(end=BodyEnd.NOT_CAPTURED, size=None)
        return self._meter.body(complete=self.ended)


def body_of_content(content: bytes, plan: DigestPlan, payload: PayloadReader | None = None) -> Body:
    """The facts of a body that was kept whole."""
    if not content and not plan.reads_body and payload is None:
        return EMPTY_BODY
    meter = Meter(plan, payload)
    if content:
        meter.feed(content)
    return meter.body(complete=True)

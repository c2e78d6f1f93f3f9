"""Bodies as other proxies export them: facts only where the bytes at hand are provably the
wire's.

One program keeps every byte with its framing, the next takes codings off and leaves the headers
as they were, or drops what is long. What an export says of itself is weighed here, the same way
for all of them. A body that is not proven is ``re-encoded`` or ``not-captured``: no digest of it
is compared with anything.
"""

import zlib
from collections.abc import Callable, Iterable, Sequence

import msgspec

from cos_inspect.captures.exports.chunked import ChunkedDecoder
from cos_inspect.cos.digest_plan import XML_SAMPLE, DigestPlan
from cos_inspect.cos.header_values import read_length
from cos_inspect.cos.payload import PayloadReader
from cos_inspect.model.exchange import Body, BodyEnd
from cos_inspect.model.headers import Headers
from cos_inspect.recording.stream_tap import BodyMeter, body_of_content

NOT_CAPTURED = Body(end=BodyEnd.NOT_CAPTURED, size=None)
_SMALL = 64 * 1024
_GZIP_FRAME = 12
"""Bytes that gzip has more than zlib around the same data."""
_LEVELS = 8
"""Bytes by which the levels of compression differ where little is saved."""


class ExportedBody(msgspec.Struct, frozen=True, kw_only=True):
    """One body, and what its export says of it."""

    content: Callable[[], Iterable[bytes]] | None
    """Gives its bytes from the first one; None where none are kept. Raises ValueError for what
    cannot be decoded; what else it raises costs the exchange."""
    stored: int | None = None
    """Bytes that ``content`` gives, where that is known beforehand."""
    length: int | None = None
    """Bytes that passed, as the export counted them: of the content where it takes the transfer
    coding off, else of all."""
    keeps_wire: bool = False
    """The program keeps the bytes of the wire, with transfer coding and content coding."""
    ended: bool = False
    """The program saw the message's end, so that bytes which are missing were never sent."""
    dropped: bool = False
    """The export says that it left the body out, or a part of it."""
    decoded: bool = False
    """It says that the bytes are others than those of the wire."""
    hides_coding: bool = False
    """A content coding was taken off together with the header that names it."""


NO_BODY = ExportedBody(content=None, stored=0, ended=True)


def met_body(
    held: ExportedBody,
    headers: Headers,
    plan: DigestPlan,
    *,
    may_have: bool,
    new_reader: Callable[[], PayloadReader | None] = lambda: None,
    answer: Headers | None = None,
) -> Body:
    """The facts of a body.

    :param headers: of its message.
    :param may_have: whether such a message has a body where nothing announces one.
    :param new_reader: for an object in a framed body.
    :param answer: the headers that may name the body's digests.
    """
    announced = announced_length(headers)
    chunked = is_chunked(headers)
    if held.dropped:
        return NOT_CAPTURED
    if held.content is None or held.stored == 0:
        empty = announced == 0 or (announced is None and not chunked and not may_have)
        return body_of_content(b"", plan) if empty else NOT_CAPTURED
    try:
        if chunked and held.keeps_wire:
            body = _unframed(held, plan, new_reader)
            if body is not None:
                return body
            # The transfer coding is off already; how long the content was, nothing says.
            return _proven_by_digest(_metered(held, plan, new_reader), answer)
        body = _metered(held, plan, new_reader)
    except ValueError:
        return NOT_CAPTURED
    if body.size == 0:
        empty = announced == 0 or (announced is None and not may_have)
        return body if empty else NOT_CAPTURED
    return _weighed(held, body, announced, answer)


def _weighed(held: ExportedBody, body: Body, announced: int | None, answer: Headers | None) -> Body:
    size = body.size or 0
    if held.decoded:
        return re_encoded(body)
    if held.keeps_wire and held.length is not None and held.length != size:
        # A person had the program decode it, which writes headers to fit.
        return re_encoded(body) if size > held.length else NOT_CAPTURED
    expected = held.length if announced is None else announced
    if expected is None:
        return body if held.keeps_wire and held.ended else _proven_by_digest(body, answer)
    if size < expected:
        seen_whole = held.keeps_wire and held.ended and held.length == size
        if not seen_whole:
            return NOT_CAPTURED
        return msgspec.structs.replace(body, end=BodyEnd.CUT, sample_is_whole=False)
    if size > expected or (held.length is not None and held.length != size):
        return re_encoded(body)
    if held.hides_coding and _may_be_unpacked(held, size):
        return _proven_by_digest(body, answer)
    return body


def _metered(
    held: ExportedBody, plan: DigestPlan, new_reader: Callable[[], PayloadReader | None]
) -> Body:
    meter = BodyMeter(plan, new_reader())
    for chunk in held.content() if held.content is not None else ():
        meter.feed(chunk)
    return meter.body(complete=True)


def _unframed(
    held: ExportedBody, plan: DigestPlan, new_reader: Callable[[], PayloadReader | None]
) -> Body | None:
    """The body inside its chunks; None where there are no chunks."""
    meter, decoder = BodyMeter(plan, new_reader()), ChunkedDecoder()
    total = 0
    for data in held.content() if held.content is not None else ():
        total += len(data)
        for piece in decoder.feed(data):
            meter.feed(piece)
        if decoder.broken or decoder.surplus:
            return None
    if not decoder.started or (held.length is not None and held.length < total):
        return None
    if held.length is not None and held.length > total:
        return NOT_CAPTURED
    if decoder.complete:
        return meter.body(complete=True)
    seen_whole = held.ended and held.length == total
    return meter.body(complete=False) if seen_whole else NOT_CAPTURED


def re_encoded(body: Body) -> Body:
    """What is left to say of a body whose bytes are not those of the wire: its text."""
    readable = body.sample is not None and body.sample_is_whole
    return Body(
        end=BodyEnd.RE_ENCODED,
        size=body.size,
        sample=body.sample[:XML_SAMPLE] if body.sample is not None else None,
        sample_is_whole=readable and (body.size or 0) <= XML_SAMPLE,
    )


def _proven_by_digest(body: Body, answer: Headers | None) -> Body:
    """Where the answer names its digest it has the bytes of the wire; else nothing can be said
    of them."""
    named = Headers() if answer is None else answer
    etag = (named.get("etag") or "").strip('"').lower()
    crc64 = named.get("x-cos-hash-crc64ecma")
    if body.md5 is not None and etag == body.md5:
        return body
    if body.crc64 is not None and crc64 == str(body.crc64):
        return body
    return re_encoded(body)


def _may_be_unpacked(held: ExportedBody, size: int) -> bool:
    """Whether the bytes, packed by gzip, would be as long as they are themselves: then nothing
    tells that they were."""
    if held.content is None or size > _SMALL:
        return False
    packed = len(zlib.compress(b"".join(held.content()))) + _GZIP_FRAME
    return abs(packed - size) <= _LEVELS


def announced_length(headers: Headers) -> int | None:
    """Content-Length, where it is there, a number, and no other one stands beside it."""
    values = {value.strip() for value in headers.all("content-length")}
    return read_length(values.pop()) if len(values) == 1 else None


def is_chunked(headers: Headers) -> bool:
    """Whether the chunked transfer coding is on."""
    codings = ",".join(headers.all("transfer-encoding")).lower().split(",")
    return any(coding.strip() == "chunked" for coding in codings)


def marks_of(held: ExportedBody, headers: Headers, offsets: Sequence[int]) -> list[tuple[int, int]]:
    """The CRC-64 of a body that is proven, up to each of some offsets."""
    meter = BodyMeter(DigestPlan(crc64=True), None, offsets)
    decoder = ChunkedDecoder() if is_chunked(headers) and held.keeps_wire else None
    for data in held.content() if held.content is not None else ():
        for piece in (data,) if decoder is None else decoder.feed(data):
            meter.feed(piece)
    return meter.marks

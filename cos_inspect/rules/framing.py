"""The framing of aws-chunked uploads where it does not belong: inside of objects."""

import re

from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.model.exchange import Body, BodyEnd, PayloadKind

_FRAME = re.compile(rb"([0-9A-Fa-f]{1,16})(;chunk-signature=[0-9a-f]{64})?\r\n")
_TAIL = re.compile(rb"\r\n0\r\n(?:\r\n$|x-amz-checksum-)")
_SHORTEST_TAIL = len(b"\r\n0\r\n\r\n")
_TAILS = frozenset(
    (
        _SHORTEST_TAIL,
        *(
            _SHORTEST_TAIL + len(f"x-amz-checksum-{name}:") + digits + 2
            for name, digits in (
                ("crc32", 8),
                ("crc32c", 8),
                ("crc64nvme", 12),
                ("sha1", 28),
                ("sha256", 44),
            )
        ),
    )
)
"""Lengths of what stands behind a sole chunk: size 0, and a checksum in base64 or none."""
_SMALLEST_CHUNK = 8192
"""Clients that send more than one chunk take powers of two from here on."""


def framing_stored(cos: CosExchange) -> str | None:
    """Which header of a successful upload describes the framed body and not the decoded one:
    ``CRC-64`` or ``ETag``; None where neither does."""
    body, response = cos.request.body, cos.response
    payload = body.payload
    if (
        response is None
        or payload is None
        or payload.kind is not PayloadKind.AWS_CHUNKED
        or body.end is not BodyEnd.COMPLETE
    ):
        return None
    crc = (response.headers.get("x-cos-hash-crc64ecma") or "").strip()
    if body.crc64 is not None and crc == str(body.crc64) and body.crc64 != payload.crc64:
        return "CRC-64"
    etag = (response.headers.get("etag") or "").strip('"').lower()
    if body.md5 is not None and etag == body.md5 and body.md5 != payload.md5:
        return "ETag"
    return None


def begins_framed(body: Body) -> bool:
    """Whether an object that was read begins with the size line of a chunk."""
    if not body.sample or body.size is None:
        return False
    found = _FRAME.match(body.sample)
    if found is None:
        return False
    size = int(found[1], 16)
    rest = body.size - found.end() - size
    if found[2] is not None:
        return rest > 0
    # Without a signature a size line alone may be text of the object's own.
    if size >= _SMALLEST_CHUNK and size & (size - 1) == 0 and rest > size // 2:
        return True
    behind = body.sample[found.end() + size :]
    if len(behind) >= _SHORTEST_TAIL:
        return size > 0 and _TAIL.match(behind) is not None
    return size > 0 and rest in _TAILS

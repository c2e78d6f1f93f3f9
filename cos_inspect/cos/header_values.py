"""What checks read out of header values and XML fields; None for what cannot be read.

A value that cannot be read is no other value: it is held against nothing. Readers are
more lenient than the grammars of ``header_syntax``: an ETag without quotes is wrong, and
yet can be compared.
"""

import base64
import binascii
import re
from typing import Literal, NamedTuple

from cos_inspect.model.headers import Headers

_MAX_CRC64 = 2**64 - 1
_LONGEST_NUMBER = 20
_ETAG = re.compile(
    r"([0-9a-f]{32}|[0-9a-f]{40})(?:-([1-9][0-9]{0,4}))?((?:--?|;)(?:gzip|br|deflate|zstd))?"
)
_CONTENT_RANGE = re.compile(
    r"bytes[ \t]++([0-9]{1,20})-([0-9]{1,20})/([0-9]{1,20}|\*)", re.ASCII | re.IGNORECASE
)
_LONGEST_ETAG = 128
_MD5_IN_BASE64 = 24


def read_length(value: str | None) -> int | None:
    """A whole number as Content-Length has it, at most 20 digits long."""
    text = (value or "").strip(" \t")
    if text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER:
        return int(text)
    return None


def announced_length(headers: Headers) -> int | None:
    """Content-Length, where it is a number and nothing else says how long the body is."""
    if "transfer-encoding" in headers or "content-length" in headers.unread:
        return None
    return read_length(headers.get("content-length"))


def read_crc64(value: str | None) -> int | None:
    """An unsigned decimal number below 2^64 as COS writes x-cos-hash-crc64ecma: with leading
    zeros it was written by something else, which may have lost digits as well."""
    text = (value or "").strip(" \t")
    number = read_length(text)
    if number is None or number > _MAX_CRC64 or text != str(number):
        return None
    return number


def read_md5(value: str | None) -> str | None:
    """An MD5 in base64 (Content-MD5, …-customer-key-MD5), as lower-case hex."""
    text = (value or "").strip(" \t")
    if len(text) != _MD5_IN_BASE64:
        return None
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return digest.hex() if len(digest) == 16 else None


class Etag(NamedTuple):
    """An ETag, told apart by its form."""

    kind: Literal["md5", "parts", "other"]
    """32 digits; those of a multipart upload (``…-N``); 40 digits, or marked by a cache."""
    text: str
    """In lower case, without quotes and ``W/``."""
    parts: int | None = None


def read_etag(value: str | None) -> Etag | None:
    """An ETag of COS, or what a cache made of one; a weak one may be anything in quotes."""
    text = (value or "").strip(" \t")
    weak = text.startswith("W/")
    bare = text.removeprefix("W/").strip('"').lower()
    if not bare or len(bare) > _LONGEST_ETAG:
        return None
    found = _ETAG.fullmatch(bare)
    if found is None:
        return Etag("other", bare) if weak else None
    _, parts, recoded = found.groups()
    if parts is not None and recoded is None:
        return Etag("parts", bare, int(parts))
    return Etag("md5" if len(bare) == 32 else "other", bare)


class ContentRange(NamedTuple):
    """The bytes that a 206 holds: offsets from 0, both ends included (RFC 9110, 14.4)."""

    first: int
    last: int
    total: int | None
    """None where the size of the object is not told (``*``)."""

    @property
    def is_whole(self) -> bool:
        """It spans the object from its first byte to its last."""
        return self.first == 0 and self.last + 1 == self.total


def read_content_range(value: str | None) -> ContentRange | None:
    """Content-Range of a 206, where its numbers fit together."""
    found = _CONTENT_RANGE.fullmatch((value or "").strip(" \t"))
    if found is None:
        return None
    first, last = int(found[1]), int(found[2])
    total = None if found[3] == "*" else int(found[3])
    if first > last or (total is not None and last >= total):
        return None
    return ContentRange(first, last, total)

"""The check of AppendObject that no other operation has: the MD5 of the piece."""

import re

from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.model.flow_report import Check, SkipReason
from cos_inspect.model.headers import Headers
from cos_inspect.rules.check_basics import compared, short, skipped, why_unread

_DIGEST = "x-cos-content-sha1"
_HEX = re.compile(r"[0-9a-f]{32}(?:[0-9a-f]{8})?")
_MD5_LENGTH = 32


def append_md5(
    cos: CosExchange, headers: Headers, md5: str | None, unread: SkipReason | None
) -> Check:
    """x-cos-content-sha1 of an answer against the MD5 of the piece that was appended.

    In spite of its name it is the MD5 where it has 32 digits: the Go SDK fails the upload
    when it differs. With 40 digits, as in older samples of the documents (436/7741), it is
    a SHA-1, which is not computed here.

    :param md5: of the piece, lower-case hex; None where it is not known, for ``unread``.
    """
    value = headers.get(_DIGEST)
    if value is None:
        return skipped("append-md5", "request", "no-header")
    why = why_unread(headers, _DIGEST, _digest)
    digest = _digest(value)
    if why is None and digest is not None and len(digest) != _MD5_LENGTH:
        why = "not-md5"
    why = why or unread
    if why is not None or digest is None or md5 is None:
        return skipped("append-md5", "request", why or "unsupported", short(value))
    if digest != md5 and {cos.confirmed.etag, cos.asked.etag} != {"md5"}:
        # Whether the digest is that of the plain piece then is written nowhere.
        return skipped("append-md5", "request", "not-md5", value)
    return compared("append-md5", "request", value, md5, same=digest == md5)


def _digest(value: str | None) -> str | None:
    text = (value or "").strip(" \t").lower()
    return text if _HEX.fullmatch(text) else None

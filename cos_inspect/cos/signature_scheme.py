"""Whether and how a request is signed, as far as its form tells."""

from typing import Literal
from urllib.parse import unquote

import msgspec

from cos_inspect.model.headers import Headers

Scheme = Literal["none", "cos", "aws4", "aws2", "unknown"]
SignaturePlace = Literal["header", "query", "sign", "form", "none"]


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """By which scheme a request is signed, and where its signature stands. ``start`` and ``end``
    are those of the signing time (``q-sign-time``, Unix seconds), which SDKs set from the
    device's clock."""

    scheme: Scheme
    place: SignaturePlace
    text: str | None = None
    """The ``q-…`` fields as they stand in the header, the query or ``sign=``."""
    secret_id: str | None = None
    start: int | None = None
    end: int | None = None


_MARKS = ("q-sign-algorithm", "q-signature=", "q-ak=")
"""Each alone shows the scheme, so that a signature with a field missing is told as one."""

UNSIGNED = Signed(scheme="none", place="none")


def _field(text: str, name: str) -> str | None:
    """The value of one ``q-…`` field in an ``&``-joined text."""
    at = text.find(name + "=")
    while at > 0 and text[at - 1] != "&":
        at = text.find(name + "=", at + 1)
    if at < 0:
        return None
    end = text.find("&", at)
    return text[at + len(name) + 1 : len(text) if end < 0 else end]


def _cos(text: str, place: SignaturePlace) -> Signed:
    start = end = None
    window = _field(text, "q-sign-time")
    if window is not None:
        first, _, last = unquote(window).partition(";")
        start = int(first) if first.isascii() and first.isdigit() and len(first) < 12 else None
        end = int(last) if last.isascii() and last.isdigit() and len(last) < 12 else None
    return Signed(
        scheme="cos",
        place=place,
        text=text,
        secret_id=_field(text, "q-ak"),
        start=start,
        end=end,
    )


def read_signed(headers: Headers, target: str, form: Headers | None = None) -> Signed:
    """Finds the signature in the Authorization header, the query, ``sign=``, or a form.

    An empty Authorization header (the Python SDK's anonymous client) is no signature.
    """
    if "authorization" in headers.unread:
        return Signed(scheme="unknown", place="header")
    value = (headers.get("authorization") or "").strip()
    if value:
        if any(mark in value for mark in _MARKS):
            return _cos(value, "header")
        if value.startswith("AWS4-"):
            return Signed(scheme="aws4", place="header", text=value)
        if value.startswith("AWS "):
            return Signed(scheme="aws2", place="header", text=value)
        return Signed(scheme="unknown", place="header", text=value)
    if form is not None:
        if form.get("q-signature") is not None:
            text = "&".join(f"{k}={v}" for k, v in form.fields if k.startswith("q-"))
            return _cos(text, "form")
        merged = form.get("signature")
        if merged is not None:
            if "q-sign-algorithm=" in merged:
                return _cos(merged, "form")
            return Signed(scheme="aws2", place="form", text=merged)
        if form.get("x-amz-signature") is not None:
            return Signed(scheme="aws4", place="form")
    _, mark, query = target.partition("?")
    if not mark:
        return UNSIGNED
    if "q-signature=" in query or "q-sign-algorithm=" in query:
        merged = _field(query, "sign")
        if merged is None:
            return _cos(query, "query")
    merged = _field(query, "sign")
    if merged is not None and ("q-sign-algorithm" in merged or "q-signature" in merged):
        return _cos(unquote(merged), "sign")
    if "X-Amz-Signature=" in query:
        return Signed(scheme="aws4", place="query", text=query)
    if "AWSAccessKeyId=" in query and "Signature=" in query:
        return Signed(scheme="aws2", place="query", text=query)
    return UNSIGNED

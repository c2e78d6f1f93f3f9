"""Bodies of HAR entries: facts only where the text at hand is provably the wire's bytes.

A HAR holds text. An exporter may have taken a content coding off, decoded a
charset, dropped what was binary or long, or cut it short. Digests are taken
only of base64 without a content coding, and of text whose bytes come out as
long as the headers say; all else is ``re-encoded`` or ``not-captured``.
"""

import base64
import binascii
import codecs
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from cos_inspect.captures.blob import Blob
from cos_inspect.captures.har_entries import RawEntry, blob_of, unescaped
from cos_inspect.cos.digest_plan import (
    XML_SAMPLE,
    DigestPlan,
    plan_request,
    plan_response,
)
from cos_inspect.cos.header_values import read_length
from cos_inspect.cos.operation import Operation
from cos_inspect.cos.payload import PayloadReader
from cos_inspect.model.exchange import EMPTY_BODY, Body, BodyEnd
from cos_inspect.model.headers import Headers
from cos_inspect.recording.flow_heads import object_reader
from cos_inspect.recording.stream_tap import BodyMeter, body_of_content

_NOT_CAPTURED = Body(end=BodyEnd.NOT_CAPTURED, size=None)
_CHARSET = re.compile(r"charset=\"?([\w.:-]+)", re.IGNORECASE)
_WINDOWS_1252 = codecs.charmap_build(
    "".join(
        chr(byte) if byte in b"\x81\x8d\x8f\x90\x9d" else bytes([byte]).decode("cp1252")
        for byte in range(256)
    )
)
"""As browsers decode text without a charset: each byte becomes another character."""
_DECLARED = re.compile(r"(?:charset\s?=|encoding\s?=|@charset)\s?[\"']?([\w.:-]+)", re.IGNORECASE)
_BEGINNING = 4096
_ESCAPED_BYTES = re.compile("[\udc80-\udcff]")
"""What mitmproxy writes for bytes that are not of the charset; the others are then UTF-8."""
_TRUNCATED = re.compile(r"truncat|discard|too (?:large|big)|omitted|not captured", re.IGNORECASE)


def har_request_body(
    raw: RawEntry,
    request: dict[str, Any],
    headers: Headers,
    operation: Operation,
    method: str,
    *,
    discarded: bool,
) -> Body:
    """The request's body as a HAR's ``postData`` has it, with the digests that checks will use."""
    posted = next(
        (held for name in ("postData", "_content") if isinstance(held := request.get(name), dict)),
        {},
    )
    text, is_base64 = _text_of(posted)
    announced = read_length(headers.get("content-length"))
    may_have = method in ("PUT", "POST", "PATCH") or "transfer-encoding" in headers or announced
    if not may_have and not text:
        return EMPTY_BODY
    reader = object_reader(operation, headers)
    plan = plan_request(operation, headers, framed=reader is not None)
    if discarded or _says_truncated(posted):
        return _NOT_CAPTURED
    if not text:
        return body_of_content(b"", plan) if announced == 0 else _NOT_CAPTURED
    size = announced if announced is not None else _positive(request.get("bodySize"))
    return _facts(raw, text, is_base64, headers, posted, plan, reader, size)


def har_response_body(
    raw: RawEntry,
    response: dict[str, Any],
    headers: Headers,
    operation: Operation,
    method: str,
    status: int,
    *,
    cut: bool,
    discarded: bool,
) -> Body:
    """The answer's body as a HAR's ``content`` has it."""
    plan = plan_response(operation, method, status, headers)
    if method == "HEAD" or status in (204, 304) or status < 200:
        return body_of_content(b"", plan)
    held = response.get("content")
    content = held if isinstance(held, dict) else {}
    if cut:
        return _cut_body(raw, content, headers, plan)
    if discarded or _says_truncated(content):
        return _NOT_CAPTURED
    text, is_base64 = _text_of(content)
    announced = read_length(headers.get("content-length"))
    if not text:
        # Streamed bodies have size 0 as well in files of mitmproxy.
        return body_of_content(b"", plan) if announced == 0 else _NOT_CAPTURED
    size = announced
    if size is None:
        on_wire = _positive(response.get("bodySize"))
        size = on_wire or (None if is_base64 else _positive(content.get("size")))
    return _facts(raw, text, is_base64, headers, content, plan, None, size)


def bytes_before_the_cut(response: dict[str, Any], headers: Headers) -> int | None:
    """How many bytes of a body had come when it broke off, as a browser counts them; None where
    it does not say, none came, or all that were announced did."""
    content = response.get("content")
    size = _positive(content.get("size")) if isinstance(content, dict) else None
    announced = read_length(headers.get("content-length"))
    if not size or announced is None or size >= announced or "content-encoding" in headers:
        return None
    return size


def _cut_body(raw: RawEntry, content: dict[str, Any], headers: Headers, plan: DigestPlan) -> Body:
    """With the facts of what came, where the exporter kept just that."""
    size = bytes_before_the_cut({"content": content}, headers)
    text, is_base64 = _text_of(content)
    if size is not None and text:
        found = _facts(raw, text, is_base64, headers, content, plan, None, size)
        if found.end is BodyEnd.COMPLETE and found.size == size:
            return msgspec.structs.replace(found, end=BodyEnd.CUT)
    return Body(end=BodyEnd.CUT, size=size)


def _text_of(holder: dict[str, Any]) -> tuple[str, bool]:
    text = holder.get("text")
    encoding = holder.get("encoding") or holder.get("_encoding")
    return (
        text if isinstance(text, str) else "",
        isinstance(encoding, str) and encoding.lower() == "base64",
    )


def _says_truncated(holder: dict[str, Any]) -> bool:
    """Firefox and HTTP Toolkit tell in a comment that a body was left out or cut."""
    comment = holder.get("comment")
    return isinstance(comment, str) and _TRUNCATED.search(comment) is not None


def _positive(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _is_coded(headers: Headers) -> bool:
    """Whether a content coding was on that exporters take off."""
    codings = ",".join(headers.all("content-encoding")).lower().split(",")
    return any(coding.strip() not in ("", "identity", "aws-chunked") for coding in codings)


def har_response_marks(
    raw: RawEntry, response: dict[str, Any], headers: Headers, offsets: Sequence[int]
) -> list[tuple[int, int]]:
    """The CRC-64 of an answer's body, which the entry has to hold as it came, up to each of some
    offsets."""
    held = response.get("content")
    content = held if isinstance(held, dict) else {}
    text, is_base64 = _text_of(content)
    chunks, _ = bytes_in(
        raw, text, is_base64, headers, content, read_length(headers.get("content-length"))
    )
    meter = BodyMeter(DigestPlan(crc64=True), None, offsets)
    for chunk in chunks or ():
        meter.feed(chunk)
    return meter.marks


def bytes_in(
    raw: RawEntry,
    text: str,
    is_base64: bool,
    headers: Headers,
    holder: dict[str, Any],
    size: int | None,
) -> tuple[Iterable[bytes] | None, bool]:
    """The bytes that an entry holds, and whether they may not be those of the wire."""
    blob = blob_of(raw, text)
    if blob is not None:
        return (_decoded(blob) if is_base64 else unescaped(blob)), False
    if is_base64:
        decoded = _from_base64(text)
        return (None if decoded is None else (decoded,)), False
    mime = holder.get("mimeType")
    charset = _CHARSET.search(mime if isinstance(mime, str) else "") or _CHARSET.search(
        headers.get("content-type") or ""
    )
    content, changed = _bytes_of(text, charset[1] if charset else None, size)
    return (content,), changed


def _facts(
    raw: RawEntry,
    text: str,
    is_base64: bool,
    headers: Headers,
    holder: dict[str, Any],
    plan: DigestPlan,
    reader: PayloadReader | None,
    size: int | None,
) -> Body:
    chunks, changed = bytes_in(raw, text, is_base64, headers, holder, size)
    if chunks is None:
        return _NOT_CAPTURED
    meter = BodyMeter(plan, reader)
    try:
        for chunk in chunks:
            # What could not be decoded became U+FFFD.
            changed = changed or (not is_base64 and b"\xef\xbf\xbd" in chunk)
            meter.feed(chunk)
    except ValueError:
        return _NOT_CAPTURED
    if is_base64 and size is None:
        # Exporters cut bodies without a word: where nothing says how long it was, it may be cut.
        size = _positive(holder.get("size"))
    proven = not changed and not _is_coded(headers) and meter.size == size
    body = meter.body(complete=True)
    if proven:
        return body
    if is_base64 and not _is_coded(headers) and size is not None and meter.size < size:
        return _NOT_CAPTURED
    readable = plan.sample > 0 and body.sample is not None
    return Body(
        end=BodyEnd.RE_ENCODED,
        size=meter.size,
        sample=body.sample[:XML_SAMPLE] if readable and body.sample is not None else None,
        sample_is_whole=readable and body.sample_is_whole and meter.size <= XML_SAMPLE,
    )


def _from_base64(text: str) -> bytes | None:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def _decoded(blob: Blob) -> Iterator[bytes]:
    """:raises ValueError: for what is no base64."""
    rest = b""
    for piece in unescaped(blob):
        chunk = rest + b"".join(piece.split())
        whole = len(chunk) - len(chunk) % 4
        rest = chunk[whole:]
        yield base64.b64decode(chunk[:whole], validate=True)
    if rest:
        raise ValueError("base64 is cut")


def _declared(text: str) -> str | None:
    """The charset that a page, a document or a style sheet names itself, which exporters and
    browsers heed."""
    found = _DECLARED.search(text[:_BEGINNING])
    return found[1] if found else None


def _codec(charset: str | None) -> str | None:
    if charset is None:
        return None
    try:
        return codecs.lookup(charset).name
    except (LookupError, ValueError):
        return None


def _single_bytes(text: str, codec: str) -> bytes | None:
    """Its bytes by a charset that has one byte for each character, and no two for one."""
    try:
        found = text.encode(codec)
        back = {bytes([byte]).decode(codec, "replace") for byte in set(found)}
    except (LookupError, UnicodeError, ValueError):
        return None
    return found if len(found) == len(text) and len(back) == len(set(found)) else None


def _bytes_of(text: str, charset: str | None, size: int | None) -> tuple[bytes, bool]:
    """The bytes that the text was decoded from, where one way back has the right length; and
    whether there may be another."""
    try:
        utf8 = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        # Halves of pairs: U+FFFD says that the bytes are lost.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return text.encode(), True
    if text.isascii() or size is None:
        return utf8, False
    if text.startswith("\ufeff") and size in (2 * len(text), 4 * len(text)):
        # A byte order mark that was kept may be that of UTF-16 or UTF-32 as well.
        return utf8, True
    named = _codec(charset or _declared(text))
    if named is not None and named != "utf-8" and not _ESCAPED_BYTES.search(text):
        # One character may stand for several sequences of bytes, a byte order mark is gone,
        # and UTF-8 may have the same length without being meant.
        found = _single_bytes(text, named)
        return (found, False) if found is not None and len(found) == size else (utf8, True)
    if len(utf8) == size:
        return utf8, False
    # Byte for byte as Latin-1, as browsers and mitmproxy show what is binary.
    if len(text) == size:
        if max(text) <= "\xff":
            return text.encode("latin-1"), False
        try:
            return codecs.charmap_encode(text, "strict", _WINDOWS_1252)[0], False
        except UnicodeEncodeError:
            return utf8, True
    return utf8, True

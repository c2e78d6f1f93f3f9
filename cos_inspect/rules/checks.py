"""The comparisons of one exchange: each is made, or says why it was not.

Every check that the operation could have had is listed, so that a reader can
trust silence. Nothing here decides how bad a mismatch is.
"""

import base64
import binascii
from collections.abc import Iterator

from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.cos.digest_plan import covers_whole_object, etag_may_be_md5, is_appendable
from cos_inspect.exchange import Body, BodyEnd, Headers, PayloadKind
from cos_inspect.report.model import Check, CheckName, Side, SkipReason


def run_checks(cos: CosExchange) -> list[Check]:
    """All checks that one exchange alone can decide."""
    return [
        *_content_length(cos),
        *_content_md5(cos),
        *_object_digests(cos),
        *_several_flows(cos),
        *_customer_key(cos),
        *_signature(cos),
    ]


def _skipped(
    check: CheckName, body: Side, reason: SkipReason, expected: str | None = None
) -> Check:
    return Check(check=check, body=body, status="skipped", expected=expected, reason=reason)


def _compared(check: CheckName, body: Side, expected: str, actual: str, *, same: bool) -> Check:
    return Check(
        check=check,
        body=body,
        status="match" if same else "mismatch",
        expected=expected,
        actual=actual,
    )


def _announced(headers: Headers) -> int | None:
    """Content-Length, where it is a number that a body could have."""
    length = (headers.get("content-length") or "").strip()
    return int(length) if length.isascii() and length.isdigit() and len(length) <= 20 else None


def _absence(body: Body, headers: Headers) -> SkipReason | None:
    """Why a body cannot be compared at all."""
    match body.end:
        case BodyEnd.NOT_CAPTURED:
            return "not-captured"
        case BodyEnd.RE_ENCODED:
            return "re-encoded"
        case BodyEnd.CUT:
            return "incomplete"
        case BodyEnd.COMPLETE:
            # A record may be shorter than what went over the wire without saying so.
            announced = _announced(headers)
            short = announced is not None and announced > (body.size or 0)
            return "incomplete" if short else None


def _content_length(cos: CosExchange) -> Iterator[Check]:
    request = cos.request
    if (
        "content-length" in request.headers
        or request.body.size
        or request.method in ("PUT", "POST")
    ):
        yield _length(request.headers, request.body, "request")
    response = cos.response
    if response is None:
        return
    if request.method == "HEAD":
        yield _skipped("content-length", "response", "head")
    elif response.status == 304:
        yield _skipped("content-length", "response", "not-modified")
    elif response.status == 204 or response.status < 200:
        yield _skipped("content-length", "response", "no-body")
    else:
        yield _length(response.headers, response.body, "response")


def _length(headers: Headers, body: Body, side: Side) -> Check:
    announced = _announced(headers)
    if announced is None:
        return _skipped("content-length", side, "incomplete" if not body.complete else "no-header")
    expected = str(announced)
    if body.size is None or body.end in (BodyEnd.NOT_CAPTURED, BodyEnd.RE_ENCODED):
        absent = _absence(body, headers) or "not-captured"
        return _skipped("content-length", side, absent, expected)
    same = announced == body.size
    if same and body.end is BodyEnd.CUT:
        return _skipped("content-length", side, "incomplete", expected)
    return _compared("content-length", side, expected, str(body.size), same=same)


def _hex_of_base64(value: str) -> str | None:
    try:
        digest = base64.b64decode(value.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    return digest.hex() if len(digest) == 16 else None


def _content_md5(cos: CosExchange) -> Iterator[Check]:
    request = cos.request
    value = request.headers.get("content-md5")
    body = request.body
    digests: tuple[str | None, ...] = (body.md5,)
    if value is None and cos.form is not None:
        # A form's Content-MD5 field is that of the file alone.
        value = cos.form.get("content-md5")
        digests = (body.payload.md5 if body.payload else None,)
    elif body.payload is not None and body.payload.kind is PayloadKind.AWS_CHUNKED:
        # Which of the two a client hashes is not written down anywhere.
        digests = (body.md5, body.payload.md5)
    if value is None:
        if body.size or request.method in ("PUT", "POST"):
            yield _skipped("content-md5", "request", "no-header")
        return
    absent = _absence(body, request.headers)
    if absent is not None:
        yield _skipped("content-md5", "request", absent, value)
        return
    known = [digest for digest in digests if digest is not None]
    if not known:
        yield _skipped("content-md5", "request", "client-encoded", value)
        return
    expected = _hex_of_base64(value)
    actual = expected if expected in known else known[-1]
    yield _compared(
        "content-md5",
        "request",
        value,
        base64.b64encode(bytes.fromhex(actual)).decode(),
        same=expected == actual,
    )


def _object_digests(cos: CosExchange) -> Iterator[Check]:
    """``etag`` and ``crc64`` against the body that the headers describe."""
    operation = cos.operation
    if operation.uploads_object:
        yield from _uploaded(cos)
    elif operation.copies:
        yield _skipped("etag", "request", "copy")
        yield _skipped("crc64", "request", "copy")
    elif operation.name == "CompleteMultipartUpload":
        yield _skipped("etag", "request", _failed(cos) or "not-md5")
    elif cos.describes_object:
        yield from _downloaded(cos)


def _failed(cos: CosExchange) -> SkipReason | None:
    return None if cos.succeeded else "failed-request"


def _uploaded(cos: CosExchange) -> Iterator[Check]:
    body = cos.request.body
    response = cos.response
    append = cos.operation.name == "AppendObject"
    if response is None or not cos.succeeded:
        # A success header in front of a 200 that carries an error says nothing either.
        yield _skipped("etag", "request", "append" if append else "failed-request")
        yield _skipped("append-crc64" if append else "crc64", "request", "failed-request")
        return
    headers = response.headers
    missing: SkipReason = "callback" if _has_callback(cos) else "no-header"
    md5, crc64, unread = _object_bytes(body, cos.request.headers)

    crc = _crc_of_upload(cos, headers.get("x-cos-hash-crc64ecma"), missing, crc64, unread)
    etag = headers.get("etag")
    why: SkipReason | None = None
    if append:
        why = "append"
    elif cos.operation.processed_upload:
        why = "processed"
    elif etag is None:
        why = missing
    else:
        why = _encrypted(cos) or (None if etag_may_be_md5(etag) else "not-md5") or unread
    if why is None and md5 is None:
        why = "unsupported"
    if why is not None or etag is None or md5 is None:
        yield _skipped("etag", "request", why or missing, etag)
    else:
        compared = _compared("etag", "request", etag, f'"{md5}"', same=_same_etag(etag, md5))
        yield _unless_no_md5(cos, compared, crc)
    yield crc


def _crc_of_upload(
    cos: CosExchange,
    crc: str | None,
    missing: SkipReason,
    crc64: int | None,
    unread: SkipReason | None,
) -> Check:
    append = cos.operation.name == "AppendObject"
    name: CheckName = "append-crc64" if append else "crc64"
    if crc is None:
        return _skipped(name, "request", missing)
    if append and cos.append_position != 0:
        return _skipped(name, "request", "unseen-parts", crc)
    if unread is not None or crc64 is None:
        return _skipped(name, "request", unread or "unsupported", crc)
    return _compared(name, "request", crc, str(crc64), same=_same_crc(crc, crc64))


def _object_bytes(body: Body, headers: Headers) -> tuple[str | None, int | None, SkipReason | None]:
    """MD5 and CRC-64 of the object's bytes in a request body, or why they are unknown."""
    absent = _absence(body, headers)
    payload = body.payload
    if payload is None or absent is not None:
        return body.md5, body.crc64, absent
    if not payload.complete:
        return None, None, "client-encoded"
    return payload.md5, payload.crc64, None


def _downloaded(cos: CosExchange) -> Iterator[Check]:
    why = _no_object_in_answer(cos)
    response = cos.response
    if why is not None or response is None:
        yield _skipped("etag", "response", why or "failed-request")
        yield _skipped("crc64", "response", why or "failed-request")
        return
    headers, body = response.headers, response.body
    ranged = response.status == 206 and not covers_whole_object(headers.get("content-range"))
    absent = _absence(body, headers)
    told = headers.get("x-cos-hash-crc64ecma")
    crc = _crc_of_download(
        cos, body, told, "range" if ranged else "no-header" if told is None else absent
    )
    etag = headers.get("etag")
    skip: SkipReason | None = None
    if ranged:
        skip = "range"
    elif etag is None:
        skip = "no-header"
    elif is_appendable(headers):
        skip = "append"
    else:
        not_md5: SkipReason | None = None if etag_may_be_md5(etag) else "not-md5"
        skip = _encrypted(cos) or not_md5 or absent
    if skip is None and body.md5 is None:
        skip = "unsupported"
    if skip is not None or etag is None or body.md5 is None:
        yield _skipped("etag", "response", skip or "no-header", etag)
    else:
        same = _same_etag(etag, body.md5)
        compared = _verdict(cos, "etag", etag, f'"{body.md5}"', same=same)
        yield _unless_no_md5(cos, compared, crc)
    yield crc


def _crc_of_download(
    cos: CosExchange, body: Body, crc: str | None, skip: SkipReason | None
) -> Check:
    if skip is None and crc is None:
        skip = "no-header"
    if skip is None and body.crc64 is None:
        skip = "unsupported"
    if skip is not None or crc is None or body.crc64 is None:
        return _skipped("crc64", "response", skip or "no-header", crc)
    return _verdict(cos, "crc64", crc, str(body.crc64), same=_same_crc(crc, body.crc64))


def _no_object_in_answer(cos: CosExchange) -> SkipReason | None:
    """Why the answer to a GET or HEAD holds no object whose headers could be checked."""
    response = cos.response
    if response is None:
        return "failed-request"
    if cos.request.method == "HEAD":
        return "head"
    if response.status == 304:
        return "not-modified"
    if response.status not in (200, 206):
        return "failed-request"
    if cos.endpoint.kind == "website":
        return "website"
    if cos.operation.processed:
        return "processed"
    return None


def _verdict(
    cos: CosExchange, check: CheckName, expected: str, actual: str, *, same: bool
) -> Check:
    """A download's comparison, unless what differs may have been made on the way on purpose."""
    if not same:
        headers = cos.response.headers if cos.response else Headers()
        if cos.through_cdn and headers.get("content-encoding"):
            return _skipped(check, "response", "re-encoded", expected)
        if cos.styled_image:
            return _skipped(check, "response", "processed", expected)
    return _compared(check, "response", expected, actual, same=same)


def _encrypted(cos: CosExchange) -> SkipReason | None:
    """With KMS or a customer's key the ETag is no MD5 of the plain bytes."""
    modes = {each.mode for each in (cos.confirmed, cos.asked) if each.etag == "other"}
    if "SSE-KMS" in modes:
        return "sse-kms"
    return "sse-c" if "SSE-C" in modes else None


def _unless_no_md5(cos: CosExchange, etag: Check, crc64: Check) -> Check:
    """The comparison of an ETag, unless it differs under an encryption of which nobody
    knows whether it leaves the ETag an MD5, and the CRC-64 does not say damage."""
    unknown = "unknown" in (cos.confirmed.etag, cos.asked.etag)
    if unknown and etag.status == "mismatch" and crc64.status != "mismatch":
        return _skipped(etag.check, etag.body, "not-md5", etag.expected)
    return etag


def _has_callback(cos: CosExchange) -> bool:
    headers = cos.request.headers
    return "x-cos-callback" in headers or "x-cos-return-body" in headers


def _same_etag(etag: str, md5: str) -> bool:
    return etag.removeprefix("W/").strip('"').lower() == md5


def _same_crc(header: str, crc64: int) -> bool:
    text = header.strip()
    return text.isascii() and text.isdigit() and len(text) <= 20 and int(text) == crc64


def _several_flows(cos: CosExchange) -> Iterator[Check]:
    """Checks that need other flows; alone, a flow can only say so."""
    response = cos.response
    if cos.operation.name == "CompleteMultipartUpload":
        reason: SkipReason = _failed(cos) or "unseen-parts"
        has_crc = response is not None and "x-cos-hash-crc64ecma" in response.headers
        crc_reason = reason if has_crc or reason == "failed-request" else "no-header"
        yield _skipped("multipart-crc64", "request", crc_reason)
        yield _skipped(
            "multipart-etags",
            "request",
            "callback" if reason == "unseen-parts" and _has_callback(cos) else reason,
        )
    elif (
        cos.operation.downloads_object
        and response is not None
        and response.status == 206
        and not cos.operation.processed
        and cos.endpoint.kind != "website"
        and not covers_whole_object(response.headers.get("content-range"))
    ):
        crc = response.headers.get("x-cos-hash-crc64ecma")
        absent = _absence(response.body, response.headers)
        reason = "no-header" if crc is None else absent or "unseen-parts"
        yield _skipped("range-crc64", "response", reason, crc)


def _customer_key(cos: CosExchange) -> Iterator[Check]:
    for key in (cos.customer_key, cos.copy_source_key):
        if key is None:
            continue
        if key.sent_md5 is None or key.computed_md5 is None:
            reason: SkipReason = "no-header" if key.sent_md5 is None else "unsupported"
            yield _skipped("sse-customer-key-md5", "request", reason, key.sent_md5)
            continue
        yield _compared(
            "sse-customer-key-md5",
            "request",
            key.sent_md5,
            key.computed_md5,
            same=key.sent_md5 == key.computed_md5,
        )
    key, echo = cos.customer_key, cos.confirmed.customer_key_md5
    if key is not None and key.sent_md5 is not None and echo is not None and cos.succeeded:
        yield _compared(
            "sse-customer-key-md5", "response", key.sent_md5, echo, same=key.sent_md5 == echo
        )


def _signature(cos: CosExchange) -> Iterator[Check]:
    match cos.signed.scheme:
        case "none":
            return
        case "cos" if not cos.key_at_hand:
            yield _skipped("signature", "request", "no-credentials")
        case "cos" if cos.recomputed is not None:
            sent = cos.signature.value if cos.signature else None
            made = cos.recomputed
            yield _compared("signature", "request", sent or "", made.value, same=made.same)
        case _:
            yield _skipped("signature", "request", "unsupported")

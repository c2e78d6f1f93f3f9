"""The comparisons of one exchange: each is made, or says why it was not.

Every check that the operation could have had is listed, so that a reader can
trust silence. Nothing here decides how bad a mismatch is.
"""

import base64
from collections.abc import Iterator

from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.cos.digest_plan import covers_whole_object, is_appendable
from cos_inspect.cos.header_values import (
    announced_length,
    read_content_range,
    read_crc64,
    read_etag,
    read_md5,
)
from cos_inspect.cos.operation import read_query
from cos_inspect.cos.signature import is_signature
from cos_inspect.model.exchange import Body, BodyEnd, PayloadKind
from cos_inspect.model.flow_report import Check, CheckName, Side, SkipReason
from cos_inspect.model.headers import Headers
from cos_inspect.model.masks import is_masked
from cos_inspect.rules.append_checks import append_md5
from cos_inspect.rules.check_basics import (
    absence,
    compared,
    same_crc,
    same_etag,
    short,
    skipped,
    why_unread,
)


def run_checks(cos: CosExchange) -> list[Check]:
    """All checks that one exchange alone can decide."""
    checks = [
        *_content_length(cos),
        *_content_md5(cos),
        *_object_digests(cos),
        *_several_flows(cos),
        *_customer_key(cos),
        *_signature(cos),
    ]
    if cos.exchange.stopped:
        # Without the end of the exchange, what is there may be any part of it.
        return [skipped(each.check, each.body, "proxy-stopped", each.expected) for each in checks]
    if cos.exchange.ended_by_proxy:
        # COS has not answered.
        return [skipped(each.check, each.body, "failed-request", each.expected) for each in checks]
    return checks


def _content_length(cos: CosExchange) -> Iterator[Check]:
    request = cos.request
    if (
        "content-length" in request.headers
        or request.body.size
        or request.method in ("PUT", "POST")
    ):
        yield _length(cos, request.headers, request.body, "request")
    response = cos.response
    if response is None:
        return
    if request.method == "HEAD":
        yield skipped("content-length", "response", "head")
    elif response.status == 304:
        yield skipped("content-length", "response", "not-modified")
    elif response.status == 204 or response.status < 200:
        yield skipped("content-length", "response", "no-body")
    else:
        yield _length(cos, response.headers, response.body, "response")


def _length(cos: CosExchange, headers: Headers, body: Body, side: Side) -> Check:
    announced = announced_length(headers)
    if announced is None:
        if "content-length" in headers:
            inspected = "content-length" not in headers.unread
            return skipped("content-length", side, "malformed" if inspected else "not-inspected")
        return skipped("content-length", side, absence(body, headers) or "no-header")
    expected = str(announced)
    unknown = (BodyEnd.NOT_CAPTURED, BodyEnd.RE_ENCODED, BodyEnd.STOPPED)
    if body.size is None or body.end in unknown:
        absent = absence(body, headers) or "not-captured"
        return skipped("content-length", side, absent, expected)
    same = announced == body.size
    # A client that wants no more of it has lost nothing.
    if body.end is BodyEnd.CUT and (same or cos.exchange.broken_by_client):
        return skipped("content-length", side, "incomplete", expected)
    return compared("content-length", side, expected, str(body.size), same=same)


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
            yield skipped("content-md5", "request", "no-header")
        return
    expected = read_md5(value)
    unread: SkipReason | None = "not-inspected" if "content-md5" in request.headers.unread else None
    absent = unread or ("malformed" if expected is None else absence(body, request.headers))
    if absent is not None or expected is None:
        yield skipped("content-md5", "request", absent or "malformed", short(value))
        return
    known = [digest for digest in digests if digest is not None]
    if not known:
        yield skipped("content-md5", "request", "client-encoded", value)
        return
    actual = expected if expected in known else known[-1]
    yield compared(
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
        yield skipped("etag", "request", "copy")
        yield skipped("crc64", "request", "copy")
    elif operation.name == "CompleteMultipartUpload":
        yield skipped("etag", "request", _failed(cos) or "not-md5")
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
        yield skipped("etag", "request", "append" if append else "failed-request")
        yield skipped("append-crc64" if append else "crc64", "request", "failed-request")
        if append:
            yield skipped("append-md5", "request", "failed-request")
        return
    headers = response.headers
    missing: SkipReason = "callback" if _has_callback(cos) else "no-header"
    md5, crc64, unread = _object_bytes(body, cos.request.headers)

    crc = _crc_of_upload(cos, headers, missing, crc64, unread)
    etag = headers.get("etag")
    why: SkipReason | None = None
    if append:
        why = "append"
    elif cos.operation.processed_upload:
        why = "processed"
    elif etag is None:
        why = missing
    else:
        why = _not_the_md5(cos, headers) or unread
    if why is None and md5 is None:
        why = "unsupported"
    if why is not None or etag is None or md5 is None:
        yield skipped("etag", "request", why or missing, short(etag))
    else:
        made = compared("etag", "request", etag, f'"{md5}"', same=same_etag(etag, md5))
        yield _unless_no_md5(cos, made, crc)
    yield crc
    if append:
        yield append_md5(cos, headers, md5, unread)


def _crc_of_upload(
    cos: CosExchange,
    headers: Headers,
    missing: SkipReason,
    crc64: int | None,
    unread: SkipReason | None,
) -> Check:
    append = cos.operation.name == "AppendObject"
    name: CheckName = "append-crc64" if append else "crc64"
    crc = headers.get("x-cos-hash-crc64ecma")
    if crc is None:
        return skipped(name, "request", missing)
    unreadable = why_unread(headers, "x-cos-hash-crc64ecma", read_crc64)
    if append and cos.append_position is None and "position" in read_query(cos.request.target):
        unreadable = unreadable or "malformed"
    if unreadable is not None:
        return skipped(name, "request", unreadable, short(crc))
    if append and cos.append_position != 0:
        return skipped(name, "request", "unseen-parts", crc)
    if unread is not None or crc64 is None:
        return skipped(name, "request", unread or "unsupported", crc)
    return compared(name, "request", crc, str(crc64), same=same_crc(crc, crc64))


def _object_bytes(body: Body, headers: Headers) -> tuple[str | None, int | None, SkipReason | None]:
    """MD5 and CRC-64 of the object's bytes in a request body, or why they are unknown."""
    absent = absence(body, headers)
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
        yield skipped("etag", "response", why or "failed-request")
        yield skipped("crc64", "response", why or "failed-request")
        return
    headers, body = response.headers, response.body
    partial = _partial(response.status, headers)
    absent = absence(body, headers)
    crc = _crc_of_download(cos, body, headers, partial or absent)
    etag = headers.get("etag")
    skip: SkipReason | None = partial
    if skip is None:
        if etag is None:
            skip = "no-header"
        elif is_appendable(headers):
            skip = "append"
        else:
            skip = _not_the_md5(cos, headers) or absent
    if skip is None and body.md5 is None:
        skip = "unsupported"
    if skip is not None or etag is None or body.md5 is None:
        yield skipped("etag", "response", skip or "no-header", short(etag))
    else:
        same = same_etag(etag, body.md5)
        made = _verdict(cos, "etag", etag, f'"{body.md5}"', same=same)
        yield _unless_no_md5(cos, made, crc)
    yield crc


def _crc_of_download(
    cos: CosExchange, body: Body, headers: Headers, skip: SkipReason | None
) -> Check:
    crc = headers.get("x-cos-hash-crc64ecma")
    if crc is None and skip != "range":
        skip = "no-header"
    skip = why_unread(headers, "x-cos-hash-crc64ecma", read_crc64) or skip
    if skip is None and body.crc64 is None:
        skip = "unsupported"
    if skip is not None or crc is None or body.crc64 is None:
        return skipped("crc64", "response", skip or "no-header", short(crc))
    return _verdict(cos, "crc64", crc, str(body.crc64), same=same_crc(crc, body.crc64))


def _partial(status: int, headers: Headers) -> SkipReason | None:
    """Why the body is not, or perhaps not, the whole object that the headers describe."""
    if status != 206:
        return None
    unreadable = why_unread(headers, "content-range", read_content_range)
    return unreadable or (None if covers_whole_object(headers.get("content-range")) else "range")


def _not_the_md5(cos: CosExchange, headers: Headers) -> SkipReason | None:
    """Why an ETag that is there is no MD5 of the body."""
    unreadable = why_unread(headers, "etag", read_etag)
    if unreadable is not None:
        return unreadable
    encrypted = _encrypted(cos)
    if encrypted is not None:
        return encrypted
    read = read_etag(headers.get("etag"))
    return "not-md5" if read is not None and read.kind != "md5" else None


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
            return skipped(check, "response", "re-encoded", expected)
        if cos.styled_image:
            return skipped(check, "response", "processed", expected)
    return compared(check, "response", expected, actual, same=same)


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
        return skipped(etag.check, etag.body, "not-md5", etag.expected)
    return etag


def _has_callback(cos: CosExchange) -> bool:
    headers = cos.request.headers
    return "x-cos-callback" in headers or "x-cos-return-body" in headers


def _several_flows(cos: CosExchange) -> Iterator[Check]:
    """Checks that need other flows; alone, a flow can only say so."""
    response = cos.response
    headers = response.headers if response else Headers()
    crc = headers.get("x-cos-hash-crc64ecma")
    unreadable = why_unread(headers, "x-cos-hash-crc64ecma", read_crc64)
    if cos.operation.name == "CompleteMultipartUpload":
        reason: SkipReason = _failed(cos) or "unseen-parts"
        crc_reason = reason
        if reason != "failed-request":
            crc_reason = "no-header" if crc is None else unreadable or reason
        yield skipped("multipart-crc64", "request", crc_reason, short(crc))
        yield skipped(
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
        and not covers_whole_object(headers.get("content-range"))
    ):
        absent = absence(response.body, headers)
        unreadable = unreadable or why_unread(headers, "content-range", read_content_range)
        reason = unreadable or ("no-header" if crc is None else absent or "unseen-parts")
        yield skipped("range-crc64", "response", reason, short(crc))


def _customer_key(cos: CosExchange) -> Iterator[Check]:
    if cos.customer_key is None and cos.copy_source_key is None:
        return
    unread = {name for name in cos.request.headers.unread if "-customer-key" in name}
    for key, of_source in ((cos.customer_key, False), (cos.copy_source_key, True)):
        if key is None:
            continue
        reason: SkipReason | None = None
        if any(("copy-source" in name) is of_source for name in unread):
            reason = "not-inspected"
        elif key.sent_md5 is None:
            reason = "no-header"
        elif not key.key_valid and key.problem is None:
            reason = "not-captured"
        elif not key.key_valid or read_md5(key.sent_md5) is None:
            reason = "malformed"
        if reason is not None or key.sent_md5 is None or key.computed_md5 is None:
            shown = short(key.sent_md5)
            yield skipped("sse-customer-key-md5", "request", reason or "no-header", shown)
            continue
        yield compared(
            "sse-customer-key-md5",
            "request",
            key.sent_md5,
            key.computed_md5,
            same=read_md5(key.sent_md5) == read_md5(key.computed_md5),
        )
    key, echo = cos.customer_key, cos.confirmed.customer_key_md5
    if key is None or key.sent_md5 is None or echo is None or not cos.succeeded:
        return
    unread |= cos.response.headers.unread if cos.response else frozenset()
    if any(name.endswith("-customer-key-md5") for name in unread):
        yield skipped("sse-customer-key-md5", "response", "not-inspected")
    elif read_md5(echo) is None or read_md5(key.sent_md5) is None:
        yield skipped("sse-customer-key-md5", "response", "malformed", short(key.sent_md5))
    else:
        same = read_md5(key.sent_md5) == read_md5(echo)
        yield compared("sse-customer-key-md5", "response", key.sent_md5, echo, same=same)


def _signature(cos: CosExchange) -> Iterator[Check]:
    match cos.signed.scheme:
        case "none":
            return
        case _ if cos.signed.place == "header" and "authorization" in cos.request.headers.unread:
            yield skipped("signature", "request", "not-inspected")
        case "cos" if not cos.key_at_hand:
            yield skipped("signature", "request", "no-credentials")
        case "cos" if cos.recomputed is not None:
            sent = (cos.signature.value if cos.signature else None) or ""
            made = cos.recomputed
            if is_signature(sent):
                yield compared("signature", "request", sent, made.value, same=made.same)
            else:
                reason: SkipReason = "not-captured" if is_masked(sent) else "malformed"
                yield skipped("signature", "request", reason)
        case _:
            yield skipped("signature", "request", "unsupported")

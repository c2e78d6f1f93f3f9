"""The comparisons of one exchange: each is made, or says why it was not.

Every check that the operation could have had is listed, so that a reader can
trust silence. Nothing here decides how bad a mismatch is.
"""

import base64
from collections.abc import Iterator

from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.cos.digest_plan import covers_whole_object
from cos_inspect.cos.header_values import (
    announced_length,
    read_content_range,
    read_crc64,
    read_md5,
)
from cos_inspect.cos.signature import is_beyond_reading, is_signature
from cos_inspect.model.exchange import Body, BodyEnd, PayloadKind
from cos_inspect.model.flow_report import Check, Side, SkipReason
from cos_inspect.model.headers import Headers
from cos_inspect.model.masks import is_masked
from cos_inspect.model.target_bounds import is_read_in_part
from cos_inspect.rules.check_basics import (
    absence,
    compared,
    short,
    skipped,
    why_failed,
    why_unread,
)
from cos_inspect.rules.digest_checks import object_digests


def run_checks(cos: CosExchange) -> list[Check]:
    """All checks that one exchange alone can decide."""
    checks = [
        *_content_length(cos),
        *_content_md5(cos),
        *object_digests(cos),
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


def _several_flows(cos: CosExchange) -> Iterator[Check]:
    """Checks that need other flows; alone, a flow can only say so."""
    response = cos.response
    headers = response.headers if response else Headers()
    crc = headers.get("x-cos-hash-crc64ecma")
    unreadable = why_unread(headers, "x-cos-hash-crc64ecma", read_crc64)
    if cos.operation.name == "CompleteMultipartUpload":
        reason: SkipReason = why_failed(cos) or "unseen-parts"
        crc_reason = reason
        if reason != "failed-request":
            crc_reason = "no-header" if crc is None else unreadable or reason
        yield skipped("multipart-crc64", "request", crc_reason, short(crc))
        yield skipped(
            "multipart-etags",
            "request",
            "callback" if reason == "unseen-parts" and cos.has_callback else reason,
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
        case _ if is_read_in_part(cos.request.target) or (
            cos.signed.place == "header" and "authorization" in cos.request.headers.unread
        ):
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
        case "cos" if cos.signature is not None and is_beyond_reading(cos.signature, cos.request):
            yield skipped("signature", "request", "not-inspected")
        case _:
            yield skipped("signature", "request", "unsupported")

"""The checks of an object's bytes that one exchange can decide: its MD5 and its CRC-64 against what
COS says of them."""

from collections.abc import Iterator

from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.cos.digest_plan import covers_whole_object, is_appendable
from cos_inspect.cos.header_values import read_content_range, read_crc64, read_etag
from cos_inspect.cos.operation import read_query
from cos_inspect.model.exchange import Body
from cos_inspect.model.flow_report import Check, CheckName, SkipReason
from cos_inspect.model.headers import Headers
from cos_inspect.rules.append_checks import append_md5
from cos_inspect.rules.check_basics import (
    absence,
    compared,
    same_crc,
    same_etag,
    short,
    skipped,
    why_failed,
    why_unread,
)


def object_digests(cos: CosExchange) -> Iterator[Check]:
    """``etag`` and ``crc64`` against the body that the headers describe."""
    operation = cos.operation
    if operation.uploads_object:
        yield from _uploaded(cos)
    elif operation.copies:
        yield skipped("etag", "request", "copy")
        yield skipped("crc64", "request", "copy")
    elif operation.name == "CompleteMultipartUpload":
        yield skipped("etag", "request", why_failed(cos) or "not-md5")
    elif cos.describes_object:
        yield from _downloaded(cos)


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
    missing: SkipReason = "callback" if cos.has_callback else "no-header"
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

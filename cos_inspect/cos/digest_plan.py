"""Which digests and how much of a body a later check will need.

Decided from the headers, before the body comes: an ETag that cannot be an MD5
needs no MD5, and MD5 costs fifteen times as much as CRC-64.
"""

import re

import msgspec

from cos_inspect.cos.aws_chunked import is_aws_chunked
from cos_inspect.cos.encryption import read_encryption
from cos_inspect.cos.header_values import read_content_range, read_etag
from cos_inspect.cos.object_list import LIST_SAMPLE
from cos_inspect.cos.operation import Operation
from cos_inspect.model.headers import Headers

XML_SAMPLE = 32 * 1024
"""Enough for every error document and every result that is read."""
FRAME_SAMPLE = 128
"""Enough for the size line of a chunk that was stored inside an object."""
PART_LIST_SAMPLE = 4 * 1024 * 1024
"""A CompleteMultipartUpload request lists up to 10,000 parts."""


_DOCUMENT = re.compile(r"[^;]*[/+](?:xml|json)\s*(?:;|\Z)", re.IGNORECASE)


class DigestPlan(msgspec.Struct, frozen=True):
    """Whether some check will use the MD5 and the CRC-64 of a body, and what is kept of it."""

    md5: bool = False
    crc64: bool = False
    sample: int = 0
    """How many bytes of the body's beginning are worth keeping."""


def etag_may_be_md5(etag: str | None) -> bool:
    """32 hex digits; a multipart ETag (``…-N``) and the 40 digits of the legacy API are not."""
    read = read_etag(etag)
    return read is not None and read.kind == "md5"


def covers_whole_object(content_range: str | None) -> bool:
    """Whether a 206's Content-Range spans the object from its first byte to its last."""
    read = read_content_range(content_range)
    return read is not None and read.is_whole


def is_appendable(headers: Headers) -> bool:
    """Whether an answer describes an object made by AppendObject, whose ETag is an id of
    its own (COS documents, page 436/7741)."""
    kind = (headers.get("x-cos-object-type") or "").strip().lower()
    return kind == "appendable" or "x-cos-next-append-position" in headers


def plan_request(operation: Operation, headers: Headers, *, framed: bool) -> DigestPlan:
    """``framed``: the object's bytes stand inside the body and get digests of their own."""
    content_md5 = "content-md5" in headers
    if operation.uploads_object:
        if framed:
            # A store that leaves aws-chunked framing on answers with the framed body's CRC-64.
            return DigestPlan(md5=content_md5, crc64=is_aws_chunked(headers))
        encryption = read_encryption(headers, "request")
        plain_etag = operation.etag_is_md5 and encryption.etag != "other"
        return DigestPlan(md5=content_md5 or plain_etag or _answers_md5(operation), crc64=True)
    sample = PART_LIST_SAMPLE if operation.name == "CompleteMultipartUpload" else 0
    return DigestPlan(md5=content_md5, sample=sample)


def plan_payload(operation: Operation, headers: Headers) -> DigestPlan:
    """For the bytes inside a framed body. The encryption fields of a form are not
    known before its file comes, so its MD5 is always taken."""
    plain_etag = operation.etag_is_md5 and read_encryption(headers).etag != "other"
    md5 = plain_etag or "content-md5" in headers or _answers_md5(operation)
    return DigestPlan(md5=md5, crc64=True)


def _answers_md5(operation: Operation) -> bool:
    """The MD5 of what was sent comes under another name than ETag (x-cos-content-sha1)."""
    return operation.name == "AppendObject"


def plan_response(operation: Operation, method: str, status: int, headers: Headers) -> DigestPlan:
    """For an answer's body, once its status and headers are known."""
    if status >= 400:
        return DigestPlan(sample=XML_SAMPLE)
    if method == "HEAD" or status in (204, 304):
        return DigestPlan()
    if status >= 300:
        # A redirect, too, may say in an error document where the bucket is.
        return DigestPlan(sample=XML_SAMPLE)
    if operation.downloads_object and not operation.processed and status in (200, 206):
        # Of a range also without the header: a HEAD may have told the object's.
        crc64 = status == 206 or "x-cos-hash-crc64ecma" in headers
        whole = status == 200 or covers_whole_object(headers.get("content-range"))
        md5 = (
            whole
            and etag_may_be_md5(headers.get("etag"))
            and not is_appendable(headers)
            and read_encryption(headers).etag != "other"
        )
        return DigestPlan(md5=md5, crc64=crc64, sample=FRAME_SAMPLE if whole else 0)
    if operation.name == "GetBucket":
        return DigestPlan(sample=LIST_SAMPLE)
    if operation.name == "ListParts":
        return DigestPlan(sample=PART_LIST_SAMPLE)
    if operation.reads_result:
        return DigestPlan(sample=XML_SAMPLE)
    return DigestPlan()


def is_control_request(operation: Operation, headers: Headers) -> bool:
    """Whether the body is XML or JSON that says what to do, and no object's bytes."""
    if operation.uploads_object:
        return False
    return operation.sends in ("xml", "json") or _is_document(headers)


def is_control_answer(operation: Operation, status: int, headers: Headers) -> bool:
    """Whether the body is no object's bytes: all from 300 on, and XML or JSON of operations
    that download no object."""
    if status >= 300:
        return True
    if operation.downloads_object or operation.answer == "events":
        return False
    return operation.answer in ("xml", "json") or _is_document(headers)


def _is_document(headers: Headers) -> bool:
    return _DOCUMENT.match(headers.get("content-type") or "") is not None

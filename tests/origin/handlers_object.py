"""Put, Get, Head, Delete, Append, Restore."""

import dataclasses

from tests.origin import conditions, sse
from tests.origin.checksums import combine
from tests.origin.content import Joined, Slice
from tests.origin.errors import OriginError
from tests.origin.intake import Upload
from tests.origin.message import OriginRequest, Reply
from tests.origin.service import (
    STORED_HEADERS,
    Service,
    check_key,
    etag_header,
    http_date,
    metadata,
    stored_reply,
)
from tests.origin.store import ARCHIVED, StoredObject

DAY = 86400


def encryption(service: Service, request: OriginRequest) -> sse.Sse:
    """What the request asks for, else the bucket's default."""
    asked = sse.asked_for(request.header)
    if asked.mode == "none" and (rule := service.bucket(request).settings.get("encryption")):
        if b"KMS" in rule.upper():
            return sse.Sse("SSE-KMS", kms_key_id=sse.DEFAULT_KMS_KEY)
        return sse.Sse("SSE-COS", algorithm="SM4" if b"SM4" in rule.upper() else "AES256")
    return asked


def put_object(service: Service, request: OriginRequest, upload: Upload) -> Reply:
    check_key(request.key)
    directory = request.address.rapid and request.key.endswith("/")
    if directory and upload.content.size:
        raise OriginError("DirectoryObjectContainsData")
    kind = encryption(service, request)
    stored = StoredObject(
        key=request.key,
        content=upload.content,
        etag=kind.etag(upload.sums, service.ids),
        md5=upload.sums.md5,
        crc64=None if directory else upload.sums.crc64,
        modified=service.clock(),
        headers=metadata(request),
        sse=kind,
        storage_class=request.header("x-cos-storage-class", "STANDARD").upper(),
    )
    if tags := request.header("x-cos-tagging"):
        stored.tagging = tags.encode()
    service.bucket(request).add(stored, service.ids.version_id())
    return stored_reply(stored, Reply())


def describe(stored: StoredObject, reply: Reply) -> Reply:
    """The header fields of an object on GET and HEAD."""
    reply.add("Accept-Ranges", "bytes")
    reply.add("Last-Modified", http_date(stored.modified))
    reply.extend(stored.headers)
    if reply.get("Content-Type") is None:
        reply.add("Content-Type", "application/octet-stream")
    stored_reply(stored, reply)
    if stored.storage_class != "STANDARD":
        reply.add("x-cos-storage-class", stored.storage_class)
    if stored.kind == "appendable":
        reply.add("x-cos-object-type", "appendable")
        reply.add("x-cos-next-append-position", stored.size)
    if stored.tagging:
        count = stored.tagging.count(b"<Tag>") or stored.tagging.count(b"&") + 1
        reply.add("x-cos-tagging-count", count)
    return reply.add("x-cos-restore", stored.restore)


def _not_modified(stored: StoredObject, head: bool) -> Reply:
    """In published samples GET shows ETag and CRC on a 304, HEAD does not."""
    reply = Reply(304)
    if not head:
        reply.add("ETag", etag_header(stored.etag))
        reply.add("x-cos-hash-crc64ecma", stored.crc64)
        reply.add("Last-Modified", http_date(stored.modified))
    return reply


def get_object(service: Service, request: OriginRequest, upload: Upload) -> Reply:
    bucket = service.bucket(request)
    stored = bucket.find(request.key, request.param("versionId"))
    sse.check_read(stored.sse, request.header)
    head = request.method == "HEAD"
    try:
        conditions.check(stored, request.header)
    except conditions.NotModifiedError:
        return _not_modified(stored, head)
    if stored.storage_class in ARCHIVED and not head and 'request="false"' not in stored.restore:
        raise OriginError(
            "InvalidObjectState", headers=[("x-cos-storage-class", stored.storage_class)]
        )
    part = conditions.byte_range(request.header("range"), stored.size)
    reply = describe(stored, Reply(206 if part else 200, body=stored.content))
    if part:
        start, stop = part
        reply.add("Content-Range", f"bytes {start}-{stop - 1}/{stored.size}")
        reply.body = Slice(stored.content, start, stop)
    for name in STORED_HEADERS:
        if override := request.param(f"response-{name}"):
            reply.set("-".join(word.capitalize() for word in name.split("-")), override)
    return reply


def delete_object(service: Service, request: OriginRequest, upload: Upload) -> Reply:
    version_id = request.param("versionId")
    gone = service.bucket(request).remove(
        request.key, version_id, service.ids.version_id(), service.clock()
    )
    reply = Reply(204)
    if gone is not None:
        reply.add("x-cos-version-id", gone.version_id)
        reply.add("x-cos-delete-marker", "true" if gone.delete_marker else None)
    return reply


def append_object(service: Service, request: OriginRequest, upload: Upload) -> Reply:
    bucket = service.bucket(request)
    check_key(request.key)
    if not request.param("position").isdecimal():
        raise OriginError("InvalidArgument", "position must be a number.")
    position = int(request.param("position"))
    before = bucket.current(request.key)
    length = before.size if before else 0
    if before is not None and before.kind != "appendable":
        raise OriginError("ObjectNotAppendable")
    if position != length:
        length_field = [("x-cos-next-append-position", str(length))]
        raise OriginError("AppendPositionErr", headers=length_field)
    crc = upload.sums.crc64
    if before is not None:
        known = before.crc64 is not None and crc is not None
        crc = combine(before.crc64 or 0, crc or 0, upload.sums.size) if known else None
    kind = before.sse if before else encryption(service, request)
    stored = StoredObject(
        key=request.key,
        content=Joined([before.content, upload.content]) if before else upload.content,
        etag=service.ids.hex(32),
        md5=None,
        crc64=crc,
        modified=service.clock(),
        headers=before.headers if before else metadata(request),
        sse=kind,
        storage_class=request.header("x-cos-storage-class", "STANDARD").upper(),
        kind="appendable",
    )
    bucket.add(stored, service.ids.version_id())
    reply = Reply().add("ETag", etag_header(stored.etag))
    reply.add("x-cos-next-append-position", stored.size)
    reply.add("x-cos-content-sha1", upload.sums.md5)
    if service.append_crc:
        reply.add("x-cos-hash-crc64ecma", stored.crc64)
    return reply.extend(kind.echo())


def rename_object(service: Service, request: OriginRequest, upload: Upload) -> Reply:
    bucket = service.bucket(request)
    forbidden = request.header("x-cos-forbid-overwrite") == "true"
    if forbidden and bucket.current(request.key) is not None:
        raise OriginError("FileAlreadyExists", status=409)
    source = bucket.find(request.header("x-cos-rename-source").removeprefix("/"))
    bucket.remove(source.key, "", service.ids.version_id(), service.clock())
    renamed = dataclasses.replace(source, key=request.key)
    bucket.add(renamed, service.ids.version_id())
    return Reply()


def restore_object(service: Service, request: OriginRequest, upload: Upload) -> Reply:
    stored = service.bucket(request).find(request.key, request.param("versionId"))
    if stored.storage_class not in ARCHIVED:
        raise OriginError("RestoreNonArchiveObject")
    if 'request="true"' in stored.restore:
        raise OriginError("RestoreAlreadyInProgress", status=409)
    first = not stored.restore
    stored.restore = 'ongoing-request="true"'
    if not first:
        expiry = http_date(service.clock() + DAY)
        stored.restore = f'ongoing-request="false", expiry-date="{expiry}"'
    return Reply(202 if first else 200)

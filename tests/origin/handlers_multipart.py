"""Initiate, Upload Part, Upload Part - Copy, Complete, Abort, List Parts, List Uploads."""

from tests.origin import conditions, sse, xml
from tests.origin.checksums import combine, sums_of
from tests.origin.content import Held, Joined, Slice
from tests.origin.errors import OriginError
from tests.origin.handlers_copy import copy_source
from tests.origin.handlers_object import encryption
from tests.origin.intake import Upload
from tests.origin.message import Delivery, OriginRequest, Reply, xml_reply
from tests.origin.service import (
    OWNER,
    Service,
    check_key,
    etag_header,
    metadata,
    xml_date,
)
from tests.origin.store import Multipart, Part, StoredObject

MAX_PARTS = 10000


def initiate(service: Service, request: OriginRequest, upload: Upload) -> Reply:
    check_key(request.key)
    started = Multipart(
        upload_id=service.ids.upload_id(),
        key=request.key,
        started=service.clock(),
        headers=metadata(request),
        sse=encryption(service, request),
        storage_class=request.header("x-cos-storage-class", "STANDARD").upper(),
    )
    service.bucket(request).uploads[started.upload_id] = started
    body = xml.document(
        "InitiateMultipartUploadResult",
        ("Bucket", request.bucket),
        ("Key", request.key),
        ("UploadId", started.upload_id),
    )
    return xml_reply(body).extend(started.sse.echo())


def _find(service: Service, request: OriginRequest) -> Multipart:
    return service.bucket(request).upload(request.param("uploadId"), request.key)


def _part_number(request: OriginRequest) -> int:
    text = request.param("partNumber")
    if not text.isdecimal() or not 1 <= int(text) <= MAX_PARTS:
        raise OriginError("InvalidArgument", "partNumber must be from 1 to 10000.")
    return int(text)


def upload_part(service: Service, request: OriginRequest, upload: Upload) -> Reply:
    started = _find(service, request)
    number = _part_number(request)
    _check_customer_key(started, request)
    part = Part(
        number=number,
        content=upload.content,
        etag=started.sse.etag(upload.sums, service.ids),
        crc64=upload.sums.crc64,
        modified=service.clock(),
    )
    started.parts[number] = part
    reply = Reply().add("ETag", etag_header(part.etag))
    return reply.add("x-cos-hash-crc64ecma", part.crc64).extend(started.sse.echo())


def _check_customer_key(started: Multipart, request: OriginRequest) -> None:
    given = sse.customer_key(request.header)
    if started.sse.mode == "SSE-C" and given is None:
        raise OriginError("InvalidArgument", "The parts of an SSE-C upload need its key.")
    if given is not None and given != started.sse:
        raise OriginError("InvalidArgument", "The SSE-C key is not the one of the upload.")


def upload_part_copy(service: Service, request: OriginRequest, upload: Upload) -> Reply:
    started = _find(service, request)
    number = _part_number(request)
    _check_customer_key(started, request)
    source = copy_source(service, request)
    wanted = request.header("x-cos-copy-source-range")
    content = source.content
    if wanted:
        part_range = conditions.byte_range(wanted, source.size)
        if part_range is None:
            raise OriginError("InvalidArgument", "x-cos-copy-source-range cannot be read.")
        content = Slice(source.content, *part_range)
    sums = sums_of(content)
    part = Part(number, content, started.sse.etag(sums, service.ids), sums.crc64, service.clock())
    started.parts[number] = part
    body = xml.document(
        "CopyPartResult",
        ("ETag", etag_header(part.etag)),
        ("LastModified", xml_date(part.modified)),
        ("CRC64", part.crc64 or 0),
    )
    reply = xml_reply(body).extend(started.sse.echo())
    reply.delivery.chunked = True
    return reply.add("x-cos-copy-source-version-id", source.version_id)


def _chosen_parts(service: Service, started: Multipart, data: bytes) -> list[Part]:
    listed = xml.parse(data).findall("Part")
    if not listed:
        raise OriginError("MalformedXML", "No Part is listed.")
    chosen: list[Part] = []
    for element in listed:
        number = xml.text(element, "PartNumber")
        if not number.isdecimal():
            raise OriginError("MalformedXML", "PartNumber is no number.")
        if chosen and int(number) <= chosen[-1].number:
            raise OriginError("InvalidPartOrder")
        part = started.parts.get(int(number))
        if part is None or part.etag != xml.text(element, "ETag").strip('"'):
            raise OriginError("InvalidPart", extra=[("PartNumber", number)])
        chosen.append(part)
    for part in chosen[:-1]:
        if part.content.size < service.min_part_size:
            raise OriginError("EntityTooSmall", extra=[("PartNumber", str(part.number))])
    return chosen


def complete(service: Service, request: OriginRequest, upload: Upload) -> Reply:
    started = _find(service, request)
    parts = _chosen_parts(service, started, upload.data())
    crc: int | None = 0
    for part in parts:
        known = crc is not None and part.crc64 is not None
        crc = combine(crc or 0, part.crc64 or 0, part.content.size) if known else None
    stored = StoredObject(
        key=request.key,
        content=Joined([part.content for part in parts]),
        etag=f"{service.ids.hex(32)}-{len(parts)}",
        md5=None,
        crc64=crc,
        modified=service.clock(),
        headers=started.headers,
        sse=started.sse,
        storage_class=started.storage_class,
    )
    bucket = service.bucket(request)
    bucket.add(stored, service.ids.version_id())
    del bucket.uploads[started.upload_id]
    body = xml.document(
        "CompleteMultipartUploadResult",
        ("Location", f"{request.scheme}://{request.host}/{request.key}"),
        ("Bucket", request.bucket),
        ("Key", request.key),
        ("ETag", etag_header(stored.etag)),
    )
    declaration, _, rest = body.partition(b"\n")
    reply = Reply(
        headers=[("Content-Type", "application/xml")],
        body=Held([declaration + b"\n", b" " * 4, rest]),
        delivery=Delivery(chunked=True, head_first=True),
    )
    reply.add("x-cos-hash-crc64ecma", crc).extend(stored.sse.echo())
    return reply.add("x-cos-version-id", stored.version_id)


def abort(service: Service, request: OriginRequest, upload: Upload) -> Reply:
    started = _find(service, request)
    del service.bucket(request).uploads[started.upload_id]
    return Reply(204)


def list_parts(service: Service, request: OriginRequest, upload: Upload) -> Reply:
    started = _find(service, request)
    limit = int(request.param("max-parts") or 1000)
    marker = int(request.param("part-number-marker") or 0)
    numbers = [number for number in sorted(started.parts) if number > marker]
    shown = numbers[:limit]
    children: list[xml.Node] = [
        ("Bucket", request.bucket),
        ("Key", request.key),
        ("UploadId", started.upload_id),
        ("Owner", [("ID", OWNER), ("DisplayName", "100000000001")]),
        ("Initiator", [("ID", OWNER), ("DisplayName", "100000000001")]),
        ("StorageClass", started.storage_class),
        ("PartNumberMarker", marker),
        ("MaxParts", limit),
        ("IsTruncated", "true" if len(shown) < len(numbers) else "false"),
    ]
    if shown:
        children.append(("NextPartNumberMarker", shown[-1]))
    for number in shown:
        part = started.parts[number]
        fields: list[xml.Node] = [
            ("PartNumber", number),
            ("LastModified", xml_date(part.modified)),
            ("ETag", etag_header(part.etag)),
            ("Size", part.content.size),
        ]
        children.append(("Part", fields))
    return xml_reply(xml.document("ListPartsResult", *children))


def list_uploads(service: Service, request: OriginRequest, upload: Upload) -> Reply:
    prefix = request.param("prefix")
    children: list[xml.Node] = [
        ("Bucket", request.bucket),
        ("KeyMarker", request.param("key-marker")),
        ("UploadIdMarker", request.param("upload-id-marker")),
        ("Prefix", prefix),
        ("MaxUploads", request.param("max-uploads") or "1000"),
        ("IsTruncated", "false"),
    ]
    for started in service.bucket(request).uploads.values():
        if started.key.startswith(prefix):
            fields: list[xml.Node] = [
                ("Key", started.key),
                ("UploadId", started.upload_id),
                ("StorageClass", started.storage_class),
                ("Initiator", [("ID", OWNER), ("DisplayName", "100000000001")]),
                ("Owner", [("ID", OWNER), ("DisplayName", "100000000001")]),
                ("Initiated", xml_date(started.started)),
            ]
            children.append(("Upload", fields))
    return xml_reply(xml.document("ListMultipartUploadsResult", *children))

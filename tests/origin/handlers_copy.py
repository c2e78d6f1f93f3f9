"""Put Object - Copy, and the source that it shares with Upload Part - Copy."""

from urllib.parse import parse_qsl, unquote

from tests.origin import conditions, hosts, sse, xml
from tests.origin.checksums import Sums
from tests.origin.errors import OriginError
from tests.origin.handlers_object import encryption
from tests.origin.intake import Upload
from tests.origin.message import OriginRequest, Reply, xml_reply
from tests.origin.service import Service, check_key, etag_header, metadata, xml_date
from tests.origin.store import StoredObject


def copy_source(service: Service, request: OriginRequest) -> StoredObject:
    """The object named by x-cos-copy-source, with its conditions and key checked.
    COS names host and path, S3 clients name bucket and key."""
    named, _, query = request.header("x-cos-copy-source").partition("?")
    host, _, path = named.removeprefix("/").partition("/")
    address = hosts.parse(host, "/" + path, {})
    name, key = address.bucket, address.key
    if address.style == "none":
        name, key = unquote(host), unquote(path)
    if not name or not key:
        raise OriginError("InvalidCopySource")
    if name not in service.store.buckets:
        raise OriginError("NoSuchBucket")
    version_id = dict(parse_qsl(query)).get("versionId", "")
    source = service.store.buckets[name].find(key, version_id)
    sse.check_read(source.sse, request.header, sse.COPY_SOURCE)
    conditions.check(source, request.header, "x-cos-copy-source-")
    return source


def put_object_copy(service: Service, request: OriginRequest, upload: Upload) -> Reply:
    check_key(request.key)
    source = copy_source(service, request)
    kind = encryption(service, request)
    plain = {"none", "SSE-COS"}
    if kind.mode in plain and source.sse.mode in plain:
        etag = source.etag
    else:
        sums = Sums(source.size, source.plain_md5(), source.crc64)
        etag = kind.etag(sums, service.ids)
    replaced = request.header("x-cos-metadata-directive").lower() in ("replaced", "replace")
    stored = StoredObject(
        key=request.key,
        content=source.content,
        etag=etag,
        md5=source.md5,
        crc64=source.crc64,
        modified=service.clock(),
        headers=metadata(request) if replaced else list(source.headers),
        sse=kind,
        storage_class=request.header("x-cos-storage-class", "STANDARD").upper(),
        tagging=source.tagging,
    )
    service.bucket(request).add(stored, service.ids.version_id())
    children: list[xml.Node] = [
        ("ETag", etag_header(stored.etag)),
        ("LastModified", xml_date(stored.modified)),
    ]
    if stored.crc64 is not None:
        children.insert(1, ("CRC64", stored.crc64))
    if stored.version_id:
        children.append(("VersionId", stored.version_id))
    reply = xml_reply(xml.document("CopyObjectResult", *children)).extend(kind.echo())
    reply.delivery.chunked = True
    reply.add("x-cos-version-id", stored.version_id)
    return reply.add("x-cos-copy-source-version-id", source.version_id)

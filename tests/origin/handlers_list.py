"""Get Service, Get Bucket (v1 and v2), Get Bucket Object Versions, Delete Multiple Objects."""

from collections.abc import Iterable
from urllib.parse import quote

from tests.origin import xml
from tests.origin.errors import OriginError
from tests.origin.intake import Upload
from tests.origin.message import OriginRequest, Reply, xml_reply
from tests.origin.service import OWNER, Service, etag_header, xml_date
from tests.origin.store import StoredObject, order

MAX_KEYS = 1000
_OWNER: xml.Node = ("Owner", [("ID", OWNER), ("DisplayName", "100000000001")])


def get_service(service: Service, request: OriginRequest, upload: Upload) -> Reply:
    listed: list[xml.Node] = []
    for bucket in sorted(service.store.buckets.values(), key=lambda bucket: bucket.name):
        fields: list[xml.Node] = [
            ("Name", bucket.name),
            ("Location", bucket.region),
            ("CreationDate", xml_date(bucket.created)),
            ("BucketType", "cos"),
        ]
        listed.append(("Bucket", fields))
    return xml_reply(xml.document("ListAllMyBucketsResult", _OWNER, ("Buckets", listed)))


class Page:
    """One page of a list: what to show, rolled-up prefixes, where to go on."""

    def __init__(self, request: OriginRequest, marker: str) -> None:
        self.prefix = request.param("prefix")
        self.delimiter = request.param("delimiter")
        self.marker = marker
        limit = request.param("max-keys")
        if limit and not limit.isdecimal():
            raise OriginError("InvalidArgument", "max-keys must be a number.")
        self.limit = min(int(limit or MAX_KEYS), MAX_KEYS)
        self.url = request.param("encoding-type") == "url"
        self.shown: list[StoredObject] = []
        self.prefixes: list[str] = []
        self.next = ""

    def text(self, key: str) -> str:
        return quote(key, safe="/") if self.url else key

    def fill(self, objects: Iterable[StoredObject]) -> None:
        last = ""
        for stored in objects:
            if not stored.key.startswith(self.prefix):
                continue
            name = stored.key
            if self.delimiter:
                head, found, _ = name[len(self.prefix) :].partition(self.delimiter)
                name = self.prefix + head + found if found else name
            if order(name) <= order(self.marker) or (self.prefixes and name == self.prefixes[-1]):
                continue
            if len(self.shown) + len(self.prefixes) >= self.limit:
                self.next = last
                return
            last = name
            if name != stored.key:
                self.prefixes.append(name)
            else:
                self.shown.append(stored)

    def common(self) -> list[xml.Node]:
        return [("CommonPrefixes", [("Prefix", self.text(name))]) for name in self.prefixes]


def _entry(page: Page, stored: StoredObject, owner: bool = True) -> xml.Node:
    fields: list[xml.Node] = [
        ("Key", page.text(stored.key)),
        ("LastModified", xml_date(stored.modified)),
        ("ETag", etag_header(stored.etag)),
        ("Size", stored.size),
    ]
    if owner:
        fields.append(_OWNER)
    fields.append(("StorageClass", stored.storage_class))
    return "Contents", fields


def get_bucket(service: Service, request: OriginRequest, upload: Upload) -> Reply:
    bucket = service.bucket(request)
    second = request.param("list-type") == "2"
    marker = request.param("marker")
    if second:
        marker = request.param("continuation-token") or request.param("start-after")
    page = Page(request, marker)
    page.fill(bucket.objects())
    head: list[xml.Node] = [("Name", bucket.name)]
    if page.url:
        head.append(("EncodingType", "url"))
    head += [("Prefix", page.text(page.prefix)), ("MaxKeys", page.limit)]
    if page.delimiter:
        head.append(("Delimiter", page.text(page.delimiter)))
    head.append(("IsTruncated", "true" if page.next else "false"))
    if second:
        head.append(("KeyCount", len(page.shown) + len(page.prefixes)))
        if page.next:
            head.append(("NextContinuationToken", page.next))
    else:
        head.append(("Marker", page.text(page.marker)))
        if page.next:
            head.append(("NextMarker", page.text(page.next)))
    entries = [_entry(page, stored, owner=not second) for stored in page.shown]
    body = xml.document("ListBucketResult", *head, *page.common(), *entries)
    return xml_reply(body).add("x-cos-bucket-region", bucket.region)


def get_versions(service: Service, request: OriginRequest, upload: Upload) -> Reply:
    bucket = service.bucket(request)
    page = Page(request, request.param("key-marker"))
    page.fill(versions[-1] for _, versions in sorted(bucket.history.items()))
    head: list[xml.Node] = [
        ("Name", bucket.name),
        ("Prefix", page.text(page.prefix)),
        ("KeyMarker", page.text(page.marker)),
        ("VersionIdMarker", request.param("version-id-marker")),
        ("MaxKeys", page.limit),
        ("IsTruncated", "true" if page.next else "false"),
    ]
    if page.next:
        head.append(("NextKeyMarker", page.text(page.next)))
    entries: list[xml.Node] = []
    for newest in page.shown:
        for stored in reversed(bucket.history[newest.key]):
            fields: list[xml.Node] = [
                ("Key", page.text(stored.key)),
                ("VersionId", stored.version_id or "null"),
                ("IsLatest", "true" if stored is newest else "false"),
                ("LastModified", xml_date(stored.modified)),
                _OWNER,
            ]
            if not stored.delete_marker:
                fields += [
                    ("ETag", etag_header(stored.etag)),
                    ("Size", stored.size),
                    ("StorageClass", stored.storage_class),
                ]
            entries.append(("DeleteMarker" if stored.delete_marker else "Version", fields))
    return xml_reply(xml.document("ListVersionsResult", *head, *page.common(), *entries))


def delete_multiple(service: Service, request: OriginRequest, upload: Upload) -> Reply:
    bucket = service.bucket(request)
    excused = request.s3 and service.s3_delete_without_md5
    if not request.header("content-md5") and not excused:
        raise OriginError("InvalidRequest", "Missing required header for this request: Content-MD5")
    root = xml.parse(upload.data())
    listed = root.findall("Object")
    if not listed or len(listed) > MAX_KEYS:
        raise OriginError("MalformedXML")
    quiet = xml.text(root, "Quiet").lower() == "true"
    done: list[xml.Node] = []
    for element in listed:
        key, version_id = element.findtext("Key") or "", xml.text(element, "VersionId")
        gone = bucket.remove(key, version_id, service.ids.version_id(), service.clock())
        fields: list[xml.Node] = [("Key", key)]
        if version_id:
            fields.append(("VersionId", version_id))
        if gone is not None and gone.delete_marker:
            fields.append(("DeleteMarker", "true"))
            fields.append(("DeleteMarkerVersionId", gone.version_id or "null"))
        done.append(("Deleted", fields))
    return xml_reply(xml.document("DeleteResult", *([] if quiet else done)))

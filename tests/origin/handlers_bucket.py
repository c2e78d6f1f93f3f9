"""Buckets, their sub-resources, the ACL and tags of objects, CORS, and website hosts."""

from fnmatch import fnmatchcase

from tests.origin import xml
from tests.origin.content import Held
from tests.origin.errors import OriginError
from tests.origin.handlers_object import describe, get_object
from tests.origin.intake import Upload
from tests.origin.message import Fields, OriginRequest, Reply, xml_reply
from tests.origin.routing import BUCKET_SETTINGS
from tests.origin.service import OWNER, Service
from tests.origin.store import Bucket

MISSING = {
    "cors": "NoSuchCORSConfiguration",
    "lifecycle": "NoSuchLifecycleConfiguration",
    "policy": "NoSuchBucketPolicy",
    "tagging": "NoSuchTagSet",
    "website": "NoSuchWebsiteConfiguration",
    "replication": "ReplicationConfigurationNotFoundError",
    "encryption": "NoSuchEncryptionConfiguration",
    "origin": "OriginConfigurationNotFoundError",
    "inventory": "InventoryConfigurationNotFoundError",
    "object-lock": "NoSuchObjectLockConfiguration",
}
"""The 404 of each sub-resource that has no default document."""

DEFAULT_ROOT = {
    "versioning": "VersioningConfiguration",
    "logging": "BucketLoggingStatus",
    "referer": "RefererConfiguration",
    "domain": "DomainConfiguration",
    "accelerate": "AccelerateConfiguration",
    "notification": "NotificationConfiguration",
    "intelligenttiering": "IntelligentTieringConfiguration",
}
NO_CONTENT = frozenset({"tagging", "policy"})
"""PUT of these answers 204, of the others 200."""


def put_bucket(service: Service, request: OriginRequest, upload: Upload) -> Reply:
    found = service.store.buckets.get(request.bucket)
    if found is not None and found.declared:
        raise OriginError("BucketAlreadyOwnedByYou")
    if found is None:
        region = request.address.region
        found = Bucket(request.bucket, region, service.clock())
        service.store.buckets[request.bucket] = found
    found.declared = True
    return Reply()


def head_bucket(service: Service, request: OriginRequest, upload: Upload) -> Reply:
    bucket = service.bucket(request)
    reply = Reply(headers=[("Content-Type", "application/xml")])
    return reply.add("x-cos-bucket-region", bucket.region)


def create_session(service: Service, request: OriginRequest, upload: Upload) -> Reply:
    """Keys for a Rapid Bucket; nobody checks them later."""
    keys: list[xml.Node] = [
        ("AccessKeyId", "AKIDsession"),
        ("SecretAccessKey", "a-secret-key-of-a-session"),
        ("SessionToken", "a-token-of-a-session"),
    ]
    return xml_reply(xml.document("CreateSessionResult", ("Credentials", keys)))


def delete_bucket(service: Service, request: OriginRequest, upload: Upload) -> Reply:
    bucket = service.bucket(request)
    if bucket.history:
        raise OriginError("BucketNotEmpty")
    del service.store.buckets[bucket.name]
    return Reply(204)


def _default_acl() -> bytes:
    owner: list[xml.Node] = [("ID", OWNER), ("DisplayName", "100000000001")]
    kind = "Grantee xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:type='CanonicalUser'"
    grant: list[xml.Node] = [(kind, owner), ("Permission", "FULL_CONTROL")]
    return xml.document(
        "AccessControlPolicy",
        ("Owner", owner),
        ("AccessControlList", [("Grant", grant)]),
    )


def setting(service: Service, request: OriginRequest, upload: Upload) -> Reply:
    """PUT, GET and DELETE of any sub-resource of a bucket."""
    bucket = service.bucket(request)
    name = next(name for name in BUCKET_SETTINGS if request.has(name))
    if request.method == "PUT":
        _put_setting(bucket, name, upload.data())
        return Reply(204 if name in NO_CONTENT else 200)
    if request.method == "DELETE":
        bucket.settings.pop(name, None)
        return Reply(204)
    document = bucket.settings.get(name)
    if document is None:
        if name in MISSING:
            raise OriginError(MISSING[name])
        document = _default(bucket, name)
    if name == "policy":
        return Reply(headers=[("Content-Type", "application/json")], body=Held([document]))
    return xml_reply(document)


def _put_setting(bucket: Bucket, name: str, data: bytes) -> None:
    if name == "acl" and not data:
        return
    if name == "versioning":
        bucket.versioning = xml.text(xml.parse(data), "Status")
    elif name != "policy":
        xml.parse(data)
    bucket.settings[name] = data


def _default(bucket: Bucket, name: str) -> bytes:
    if name == "acl":
        return _default_acl()
    if name == "location":
        return xml.document("LocationConstraint", ("Location", bucket.region))
    return xml.document(DEFAULT_ROOT[name])


def object_setting(service: Service, request: OriginRequest, upload: Upload) -> Reply:
    """PUT, GET and DELETE of an object's ACL or tags."""
    stored = service.bucket(request).find(request.key, request.param("versionId"))
    data = upload.data()
    if request.has("acl"):
        if request.method == "PUT":
            stored.acl = data or stored.acl
            return Reply()
        return xml_reply(stored.acl or _default_acl())
    if request.method == "PUT":
        xml.parse(data)
        stored.tagging = data
        return Reply()
    if request.method == "DELETE":
        stored.tagging = None
        return Reply(204)
    document = stored.tagging or b""
    if not document.startswith(b"<"):
        pairs = [pair.partition("=") for pair in document.decode().split("&") if pair]
        tags: list[xml.Node] = [
            ("Tag", [("Key", key), ("Value", value)]) for key, _, value in pairs
        ]
        document = xml.document("Tagging", ("TagSet", tags))
    return xml_reply(document)


def cors_fields(bucket: Bucket | None, request: OriginRequest, preflight: bool) -> Fields | None:
    """The Access-Control fields for an Origin. Without a stored document everything is
    allowed; None when no stored rule fits."""
    origin = request.header("origin")
    method = request.header("access-control-request-method") if preflight else request.method
    wanted = request.header("access-control-request-headers") if preflight else ""
    document = bucket.settings.get("cors") if bucket else None
    if document is None:
        exposed, allowed, age = "ETag,x-cos-request-id", "PUT,GET,POST,DELETE,HEAD", "600"
    else:
        for rule in xml.parse(document).findall("CORSRule"):
            origins = [item.text or "" for item in rule.findall("AllowedOrigin")]
            methods = [item.text or "" for item in rule.findall("AllowedMethod")]
            names = [(item.text or "").lower() for item in rule.findall("AllowedHeader")]
            asked = [name.strip().lower() for name in wanted.split(",") if name.strip()]
            if (
                any(fnmatchcase(origin, pattern) for pattern in origins)
                and method in methods
                and all(any(fnmatchcase(name, known) for known in names) for name in asked)
            ):
                exposed = ",".join(item.text or "" for item in rule.findall("ExposeHeader"))
                allowed, age = ",".join(methods), xml.text(rule, "MaxAgeSeconds")
                break
        else:
            return None
    fields = [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]
    if exposed:
        fields.append(("Access-Control-Expose-Headers", exposed))
    if preflight:
        fields.append(("Access-Control-Allow-Methods", allowed))
        if wanted:
            fields.append(("Access-Control-Allow-Headers", wanted))
        if age:
            fields.append(("Access-Control-Max-Age", age))
    return fields


def options(service: Service, request: OriginRequest, upload: Upload) -> Reply:
    if not request.header("origin") or not request.header("access-control-request-method"):
        raise OriginError("InvalidRequest", "Origin and Access-Control-Request-Method are needed.")
    fields = cors_fields(service.store.buckets.get(request.bucket), request, preflight=True)
    if fields is None:
        raise OriginError("AccessForbidden", "CORSResponse: This CORS request is not allowed.")
    return Reply(200, fields)


def website(service: Service, request: OriginRequest, upload: Upload) -> Reply:
    """GET and HEAD on a cos-website host: index documents, folders, HTML errors."""
    bucket = service.bucket(request)
    document = bucket.settings.get("website")
    root = xml.parse(document) if document else None
    index = (root.findtext("IndexDocument/Suffix") if root is not None else None) or "index.html"
    key = request.key
    if (not key or key.endswith("/")) and bucket.current(key + index):
        return describe(bucket.find(key + index), Reply(body=bucket.find(key + index).content))
    if bucket.current(key) is None:
        if bucket.current(f"{key}/{index}"):
            return Reply(302, [("Location", f"/{key}/"), ("Content-Type", "text/html")])
        error = (root.findtext("ErrorDocument/Key") if root is not None else None) or ""
        if bucket.current(error):
            page = bucket.find(error)
            return describe(page, Reply(404, body=page.content))
    return get_object(service, request, upload)

"""The name of the operation that a request asks for.

A table of its own, not the product's: the server has to disagree when the
product is wrong.
"""

from tests.origin.message import OriginRequest

BUCKET_SETTINGS = {
    "acl": "ACL",
    "cors": "CORS",
    "lifecycle": "Lifecycle",
    "policy": "Policy",
    "referer": "Referer",
    "tagging": "Tagging",
    "website": "Website",
    "versioning": "Versioning",
    "replication": "Replication",
    "logging": "Logging",
    "location": "Location",
    "encryption": "Encryption",
    "domain": "Domain",
    "origin": "Origin",
    "accelerate": "Accelerate",
    "intelligenttiering": "IntelligentTiering",
    "inventory": "Inventory",
    "notification": "Notification",
    "object-lock": "ObjectLockConfiguration",
    "response-control": "ResponseControl",
    "accessmonitor": "AccessMonitor",
}
VERB = {"PUT": "Put", "GET": "Get", "DELETE": "Delete"}

PLAIN_BUCKET = {
    "PUT": "PutBucket",
    "GET": "GetBucket",
    "HEAD": "HeadBucket",
    "DELETE": "DeleteBucket",
    "POST": "PostObject",
}
PLAIN_OBJECT = {
    "PUT": "PutObject",
    "GET": "GetObject",
    "HEAD": "HeadObject",
    "DELETE": "DeleteObject",
}
OBJECT_SETTINGS = {"acl": "ACL", "tagging": "Tagging"}
OBJECT_BY_PARAMETER = {
    ("POST", "uploads"): "InitiateMultipartUpload",
    ("POST", "uploadId"): "CompleteMultipartUpload",
    ("POST", "append"): "AppendObject",
    ("POST", "restore"): "PostObjectRestore",
    ("GET", "uploadId"): "ListParts",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
}


def operation(request: OriginRequest) -> str:
    """A name as in Tencent's action names; ``Unknown`` where nothing fits."""
    if request.method == "OPTIONS":
        return "OptionsObject"
    style = request.address.style
    if style == "none":
        return "Unknown"
    if style == "service":
        return "GetService" if request.method == "GET" else "Unknown"
    return _object(request) if request.key else _bucket(request)


def _bucket(request: OriginRequest) -> str:
    method = request.method
    if method == "GET":
        if request.has("versions"):
            return "GetBucketObjectVersions"
        if request.has("uploads"):
            return "ListMultipartUploads"
        if request.has("session"):
            return "CreateSession"
    if method == "POST" and request.has("delete"):
        return "DeleteMultipleObjects"
    for name, title in BUCKET_SETTINGS.items():
        if request.has(name):
            return f"{VERB[method]}Bucket{title}" if method in VERB else "Unknown"
    return PLAIN_BUCKET.get(method, "Unknown")


def _object(request: OriginRequest) -> str:
    method = request.method
    copies = bool(request.header("x-cos-copy-source"))
    if method == "PUT" and request.has("partNumber") and request.has("uploadId"):
        return "UploadPartCopy" if copies else "UploadPart"
    for name, title in OBJECT_SETTINGS.items():
        if request.has(name):
            return f"{VERB[method]}Object{title}" if method in VERB else "Unknown"
    if method == "PUT" and copies:
        return "PutObjectCopy"
    if method == "PUT" and request.header("x-cos-rename-source"):
        return "RenameObject"
    for (verb, name), found in OBJECT_BY_PARAMETER.items():
        if verb == method and request.has(name):
            return found
    return PLAIN_OBJECT.get(method, "Unknown")

"""Which function answers which operation, and what is checked before any of them."""

import base64
import binascii

from tests.origin import (
    handlers_bucket,
    handlers_copy,
    handlers_form,
    handlers_list,
    handlers_multipart,
    handlers_object,
)
from tests.origin.checksums import sums_of
from tests.origin.content import Discarded
from tests.origin.errors import OriginError
from tests.origin.intake import Upload
from tests.origin.message import OriginRequest, Reply
from tests.origin.routing import BUCKET_SETTINGS, OBJECT_SETTINGS
from tests.origin.service import Handler, Service

HANDLERS: dict[str, Handler] = {
    "GetService": handlers_list.get_service,
    "PutBucket": handlers_bucket.put_bucket,
    "CreateSession": handlers_bucket.create_session,
    "HeadBucket": handlers_bucket.head_bucket,
    "DeleteBucket": handlers_bucket.delete_bucket,
    "GetBucket": handlers_list.get_bucket,
    "GetBucketObjectVersions": handlers_list.get_versions,
    "ListMultipartUploads": handlers_multipart.list_uploads,
    "DeleteMultipleObjects": handlers_list.delete_multiple,
    "PostObject": handlers_form.post_object,
    "PutObject": handlers_object.put_object,
    "RenameObject": handlers_object.rename_object,
    "PutObjectCopy": handlers_copy.put_object_copy,
    "GetObject": handlers_object.get_object,
    "HeadObject": handlers_object.get_object,
    "DeleteObject": handlers_object.delete_object,
    "AppendObject": handlers_object.append_object,
    "PostObjectRestore": handlers_object.restore_object,
    "InitiateMultipartUpload": handlers_multipart.initiate,
    "UploadPart": handlers_multipart.upload_part,
    "UploadPartCopy": handlers_multipart.upload_part_copy,
    "CompleteMultipartUpload": handlers_multipart.complete,
    "AbortMultipartUpload": handlers_multipart.abort,
    "ListParts": handlers_multipart.list_parts,
    "OptionsObject": handlers_bucket.options,
}
for _title in BUCKET_SETTINGS.values():
    for _verb in ("Put", "Get", "Delete"):
        HANDLERS[f"{_verb}Bucket{_title}"] = handlers_bucket.setting
for _title in OBJECT_SETTINGS.values():
    for _verb in ("Put", "Get", "Delete"):
        HANDLERS[f"{_verb}Object{_title}"] = handlers_bucket.object_setting

SLOW = frozenset({"PostObject", "PutObjectCopy", "UploadPartCopy"})
"""These hash stored bytes, so they run in a thread."""

NEEDS_LENGTH = frozenset({"PutObject", "UploadPart", "AppendObject", "PostObject"})
WEBSITE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def check_head(request: OriginRequest, length: int | None) -> None:
    """What is refused before the body is read."""
    if request.address.style == "website" and request.method not in WEBSITE_METHODS:
        raise OriginError("MethodNotAllowed")
    if request.operation == "Unknown":
        raise OriginError("InvalidURI" if request.address.style == "none" else "MethodNotAllowed")
    if request.operation in NEEDS_LENGTH and length is None:
        raise OriginError("MissingContentLength")


def handle(service: Service, request: OriginRequest, upload: Upload) -> Reply:
    """The answer to a request whose body is whole. Raises ``OriginError`` for refusals."""
    _check_md5(request, upload)
    with service.store.lock:
        if request.address.style == "website" and request.method != "OPTIONS":
            reply = handlers_bucket.website(service, request, upload)
        else:
            reply = HANDLERS[request.operation](service, request, upload)
        if request.header("origin") and request.method != "OPTIONS":
            bucket = service.store.buckets.get(request.bucket)
            reply.extend(handlers_bucket.cors_fields(bucket, request, preflight=False) or ())
    return reply


def _check_md5(request: OriginRequest, upload: Upload) -> None:
    expected = request.header("content-md5")
    if not expected or request.operation == "PostObject":
        return
    try:
        digest = base64.b64decode(expected, validate=True)
    except binascii.Error:
        digest = b""
    if len(digest) != 16:
        raise OriginError("InvalidDigest")
    md5 = upload.sums.md5
    if md5 is None and not isinstance(upload.content, Discarded):
        md5 = sums_of(upload.content).md5
    if md5 is not None and md5 != digest.hex():
        raise OriginError("BadDigest")

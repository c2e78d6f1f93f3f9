"""Post Object: a form whose last field is the file."""

import base64
import json
import re
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from tests.origin import sse, xml
from tests.origin.checksums import sums_of
from tests.origin.content import Content, Slice
from tests.origin.errors import OriginError
from tests.origin.intake import Upload
from tests.origin.message import OriginRequest, Reply, xml_reply
from tests.origin.service import (
    STORED_HEADERS,
    Service,
    check_key,
    etag_header,
    stored_reply,
)
from tests.origin.store import StoredObject

HEAD_LIMIT = 1 << 20
_BOUNDARY = re.compile(r'boundary="?([^";]+)"?', re.IGNORECASE)
_PARAMETER = re.compile(r'(name|filename)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Form:
    fields: dict[str, str]
    """By lower-case name."""
    file: Content
    file_name: str


def _refuse(why: str) -> OriginError:
    return OriginError("MalformedPOSTRequest", f"The body of your POST request {why}.")


def read_form(content: Content, content_type: str) -> Form:
    """Fields must stand in the first MiB; the file is not copied. What follows the file
    is ignored, as COS does."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise _refuse("has no boundary")
    mark = b"--" + found[1].encode()
    size = content.size
    head = b"".join(content.read(0, min(size, HEAD_LIMIT)))
    place = head.find(mark)
    fields: dict[str, str] = {}
    while place >= 0:
        start = place + len(mark)
        if head[start : start + 2] == b"--":
            raise OriginError("InvalidArgument", "The form has no file field.")
        end = head.find(b"\r\n\r\n", start)
        if end < 0:
            break
        parameters = dict(_PARAMETER.findall(head[start:end].decode("utf-8", "replace")))
        name = parameters.get("name", "")
        if name == "file":
            stop = _file_end(content, end + 4, b"\r\n" + mark)
            file = Slice(content, end + 4, stop)
            return Form(fields, file, parameters.get("filename", ""))
        place = head.find(b"\r\n" + mark, end + 2)
        if place >= 0:
            fields[name.lower()] = head[end + 4 : place].decode("utf-8", "replace")
            place += 2
    raise _refuse("is not well-formed multipart/form-data")


def _file_end(content: Content, start: int, mark: bytes) -> int:
    """Where the first boundary behind ``start`` begins."""
    tail = b""
    for piece in content.read(start, content.size):
        window = tail + bytes(piece)
        found = window.find(mark)
        if found >= 0:
            return start - len(tail) + found
        start += len(piece)
        tail = window[-len(mark) :]
    raise _refuse("ends inside the file")


def _check_policy(form: Form, bucket: str) -> None:
    """Plain ``eq`` and ``starts-with`` conditions; a policy is not required."""
    text = form.fields.get("policy")
    if not text:
        return
    try:
        policy = json.loads(base64.b64decode(text, validate=True))
        conditions = policy["conditions"]
    except (ValueError, KeyError, TypeError):
        raise OriginError("InvalidPolicyDocument", "The policy is not valid.") from None
    given = {**form.fields, "bucket": bucket}
    for condition in conditions:
        rules = (
            [("eq", name, value) for name, value in condition.items()]
            if isinstance(condition, dict)
            else [tuple(condition)]
        )
        for how, field, value in rules:
            name = str(field).removeprefix("$").lower()
            if how == "content-length-range":
                continue
            actual = given.get(name, "")
            if actual != value if how == "eq" else not actual.startswith(value):
                message = f"Invalid according to Policy: Policy Condition failed: {name}"
                raise OriginError("AccessDenied", message)


def post_object(service: Service, request: OriginRequest, upload: Upload) -> Reply:
    form = read_form(upload.content, request.header("content-type"))
    key = form.fields.get("key", "").replace("${filename}", form.file_name)
    if not key:
        raise OriginError("UserKeyMustBeSpecified")
    check_key(key)
    _check_policy(form, request.bucket)
    refused = service.judge_form(form.fields) if service.judge_form else None
    if refused is not None:
        raise refused
    sums = sums_of(form.file)
    if expected := form.fields.get("content-md5"):
        received = base64.b64encode(bytes.fromhex(sums.md5 or "")).decode()
        if received != expected:
            raise OriginError("BadDigest")
    kind = sse.asked_for(lambda name: form.fields.get(name.lower(), ""))
    headers = [
        ("-".join(word.capitalize() for word in name.split("-")), form.fields[name])
        for name in STORED_HEADERS
        if form.fields.get(name)
    ]
    headers += [(name, text) for name, text in form.fields.items() if name.startswith("x-cos-meta")]
    stored = StoredObject(
        key=key,
        content=form.file,
        etag=kind.etag(sums, service.ids),
        md5=sums.md5,
        crc64=sums.crc64,
        modified=service.clock(),
        headers=headers,
        sse=kind,
        storage_class=form.fields.get("x-cos-storage-class", "STANDARD").upper(),
    )
    service.bucket(request).add(stored, service.ids.version_id())
    return _answer(request, form, stored)


def _answer(request: OriginRequest, form: Form, stored: StoredObject) -> Reply:
    location = f"{request.scheme}://{request.host}/{quote(stored.key)}"
    redirect = form.fields.get("success_action_redirect")
    status = form.fields.get("success_action_status", "204")
    if redirect:
        parameters = {
            "bucket": request.bucket,
            "key": stored.key,
            "etag": etag_header(stored.etag),
        }
        joint = "&" if "?" in redirect else "?"
        reply = Reply(303)
        location = redirect + joint + urlencode(parameters)
    elif status == "201":
        document = xml.document(
            "PostResponse",
            ("Location", location),
            ("Bucket", request.bucket),
            ("Key", stored.key),
            ("ETag", etag_header(stored.etag)),
        )
        reply = xml_reply(document, 201)
    else:
        reply = Reply(200 if status == "200" else 204)
    return stored_reply(stored, reply.add("Location", location))

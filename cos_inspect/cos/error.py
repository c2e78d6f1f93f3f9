"""The error document in a response body.

COS answers with XML, some services around it with JSON; HEAD has no body at
all, and what stands in between may answer with pages of its own. Only a root
named ``Error`` is an error document: a ``DeleteResult`` lists errors of
single keys and is none.
"""

import html
import re
from typing import Literal

import msgspec

from cos_inspect.cos.error_table import (
    ErrorExplanation,
    explain_error,
    explain_status,
    explanations_of,
    known_codes,
)
from cos_inspect.cos.xml_fields import MAX_BYTES, plain, read_xml_fields, root_name, walk_xml
from cos_inspect.model.headers import Headers

__all__ = [
    "ErrorDocument",
    "ErrorExplanation",
    "explain_error",
    "explain_status",
    "explanations_of",
    "known_codes",
    "read_error",
    "read_xml_fields",
    "root_name",
]

ErrorBodyShape = Literal["xml", "json", "html", "empty", "other"]

_XML_FIELDS = {
    "Code": "code",
    "Message": "message",
    "Resource": "resource",
    "RequestId": "request_id",
    "TraceId": "trace_id",
    "ServerTime": "server_time",
    "StringToSign": "string_to_sign",
    "FormatString": "format_string",
}
_WANTED = frozenset(_XML_FIELDS)
# Signing texts are compared byte by byte, so their blanks stay.
_KEPT_AS_THEY_ARE = frozenset({"StringToSign", "FormatString"})
# COS itself, migration, vectors, MetaInsight and the old JSON API spell them differently.
_JSON_FIELDS = {
    "code": ("code", "Code"),
    "message": ("message", "Message"),
    "resource": ("resource", "Resource"),
    "request_id": ("request_id", "RequestId", "requestId"),
    "trace_id": ("trace_id", "TraceId", "traceId"),
}
_PAGE_FIELD = re.compile(
    r"<li>[ \t]*+(Code|Message|Resource|RequestId|TraceId):([^<]{0,4096})</li>"
)
_MAX_PAGE = 65_536
_MAX_JSON = 1024 * 1024
_MAX_FIELD = 65_536


class ErrorDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Fields that the body does not have are None, empty elements too."""

    shape: ErrorBodyShape
    code: str | None = None
    """From the body, else from x-cos-error-code or X-ErrNo."""
    message: str | None = None
    resource: str | None = None
    request_id: str | None = None
    """As the body has it; the header may differ."""
    trace_id: str | None = None
    server_time: str | None = None
    string_to_sign: str | None = None
    """The server's StringToSign, line ends as parsed (LF)."""
    format_string: str | None = None
    """The server's own HttpString."""
    problem: str | None = None
    """Why the body cannot be read as an error of COS; an empty body is none."""

    def is_about(self, code: str) -> bool:
        """Whether this is its code; COS may put it into Message under a general code."""
        return code in (self.code, (self.message or "").strip(" ."))

    @property
    def hashed_string(self) -> str | None:
        """The SHA-1 of HttpString in StringToSign, lower-case hex."""
        lines = (self.string_to_sign or "").split()
        return lines[-1].lower() if lines else None

    @property
    def is_website_page(self) -> bool:
        """The page that a bucket's static website makes of an error."""
        return self.shape == "html" and self.problem is None and self.request_id is not None


def read_error(body: bytes | None, headers: Headers) -> ErrorDocument | None:
    """The error in a response body, for a response that failed or may hide one.

    None when the body is unknown and no header names an error, and when it is a
    readable document of another kind (other root, JSON without an error). An HTML
    page or other bytes give a document with a ``problem``, so for a success look at
    ``root_name`` first. Never raises.
    """
    code = headers.get("x-cos-error-code") or _error_number(headers)
    message = headers.get("x-cos-error-message")
    if body is None:
        if code is None:
            return None
        return ErrorDocument(shape="other", code=code, message=message, problem="not captured")
    if not body.strip():
        return ErrorDocument(shape="empty", code=code or None, message=message or None)
    body = plain(body)
    document = _read(body)
    if document is None and code is None:
        return None
    if document is None:
        shape: ErrorBodyShape = "json" if _begins_like_json(body) else "other"
        return ErrorDocument(shape=shape, code=code, message=message)
    if document.code is None or document.message is None:
        return msgspec.structs.replace(
            document, code=document.code or code, message=document.message or message
        )
    return document


def _error_number(headers: Headers) -> str | None:
    """The number that image processing sends; those of failures are negative."""
    number = headers.get("x-errno")
    return number if number and number.startswith("-") else None


def _begins_like_json(body: bytes) -> bool:
    return body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{"


def _read(body: bytes) -> ErrorDocument | None:
    if _begins_like_json(body):
        return _read_json(body)
    root = root_name(body)
    if root is None:
        return ErrorDocument(shape="other", problem="neither XML nor JSON")
    if root.lower() == "html":
        return _read_page(body)
    if root == "Error":
        return _read_xml(body)
    found = walk_xml(body, frozenset())
    if found.problem is None or found.problem == "larger than 4 MiB":
        return None
    return ErrorDocument(shape="xml", problem=found.problem)


def _read_page(body: bytes) -> ErrorDocument:
    """The page that the static website of a bucket answers with, where no error document is
    set: the fields of the XML as items of a list."""
    page = body[:_MAX_PAGE].decode("utf-8", "replace")
    fields = {
        _XML_FIELDS[name]: html.unescape(text).strip()
        for name, text in reversed(_PAGE_FIELD.findall(page))
        if text.strip()
    }
    if "code" not in fields or "request_id" not in fields:
        return ErrorDocument(shape="html", problem="an HTML page")
    return ErrorDocument(shape="html", **fields)


def _read_xml(body: bytes) -> ErrorDocument:
    found = walk_xml(body, _WANTED)
    fields: dict[str, str] = {}
    for element, text in found.fields.items():
        value = text if element in _KEPT_AS_THEY_ARE else text.strip()
        if value.strip():
            fields[_XML_FIELDS[element]] = value
    problem = found.problem
    if problem is None and "code" not in fields:
        problem = "has no Code"
    return ErrorDocument(shape="xml", problem=problem, **fields)


def _read_json(body: bytes) -> ErrorDocument | None:
    if len(body) > min(_MAX_JSON, MAX_BYTES):
        return ErrorDocument(shape="json", problem="larger than 1 MiB")
    try:
        decoded = msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"), type=dict[str, object])
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return ErrorDocument(shape="json", problem="not JSON that can be read")
    fields: dict[str, str] = {}
    for field, names in _JSON_FIELDS.items():
        for name in names:
            value = decoded.get(name)
            if isinstance(value, str | int) and (text := str(value)[:_MAX_FIELD].strip()):
                fields[field] = text
                break
    # The old JSON API says code 0 for success.
    if fields.get("code") == "0" or not fields.keys() & {"code", "message"}:
        return None
    return ErrorDocument(shape="json", **fields)

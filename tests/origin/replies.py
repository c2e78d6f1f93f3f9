"""The fields that every reply carries, and the body of errors."""

from urllib.parse import unquote

from tests.origin import xml
from tests.origin.content import Held
from tests.origin.errors import OriginError
from tests.origin.message import OriginRequest, Reply
from tests.origin.service import http_date
from tests.origin.wire import EMPTY_STATUS

AWS_NAMES = (
    "x-cos-request-id",
    "x-cos-trace-id",
    "x-cos-version-id",
    "x-cos-delete-marker",
    "x-cos-storage-class",
    "x-cos-restore",
    "x-cos-bucket-region",
    "x-cos-meta-",
    "x-cos-server-side-encryption",
    "x-cos-copy-source-version-id",
)
"""Names (or their beginnings) that an S3 client gets with ``x-amz-``."""

FIRST = ("content-type", "content-length", "transfer-encoding", "connection", "date")


def error_reply(error: OriginError, request: OriginRequest) -> Reply:
    """The error document; HTML on website hosts, nothing on HEAD."""
    reply = Reply(error.status, list(error.headers))
    if request.method == "HEAD":
        return reply.add("Content-Type", "application/xml")
    if request.address.style == "website":
        title = f"{error.status} {reply.phrase}"
        items = "".join(
            f"<li>{name}: {value}</li>"
            for name, value in (
                ("Code", error.code),
                ("Message", error.message),
                ("RequestId", request.request_id),
                ("TraceId", request.trace_id),
            )
        )
        page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1><ul>{items}</ul>"
        reply.body = Held([f"{page}</body></html>".encode()])
        return reply.add("Content-Type", "text/html")
    path = unquote(request.path, errors="replace")
    document = xml.document(
        "Error",
        ("Code", error.code),
        ("Message", error.message),
        *error.extra,
        ("Resource", request.host + path),
        ("RequestId", request.request_id),
        ("TraceId", "" if request.address.rapid else request.trace_id),
    )
    reply.body = Held([document])
    return reply.add("Content-Type", "application/xml")


def finish(reply: Reply, request: OriginRequest, failure: bool = False, now: float = 0.0) -> Reply:
    """Adds framing, Connection, Date, Server and the ids, in the usual order."""
    if reply.delivery.chunked:
        reply.set("Transfer-Encoding", "chunked")
    elif reply.status not in EMPTY_STATUS:
        reply.set("Content-Length", str(reply.body.size))
    if request.version == "HTTP/1.0":
        reply.delivery.close = True
    reply.set("Connection", "close" if reply.delivery.close else "keep-alive")
    reply.set("Date", http_date(now or request.moment))
    reply.set("Server", "tencent-cos")
    on_ci = ".ci." in request.host or ".pic." in request.host
    reply.set("x-ci-request-id" if on_ci else "x-cos-request-id", request.request_id)
    traced = failure and not request.address.rapid
    if traced or (reply.status == 304 and request.method == "HEAD"):
        reply.set("x-cos-trace-id", request.trace_id)
    reply.headers.sort(key=_place)
    if request.s3:
        reply.headers = [(_aws_name(name), value) for name, value in reply.headers]
    return reply


def _place(pair: tuple[str, str]) -> int:
    name = pair[0].lower()
    if name in FIRST:
        return FIRST.index(name)
    return 10 if not name.startswith("x-cos-") and name != "server" else 11 + (name != "server")


def _aws_name(name: str) -> str:
    lower = name.lower()
    return "x-amz-" + name[6:] if lower.startswith(AWS_NAMES) else name

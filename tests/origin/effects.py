"""Ready-made effects for ``Damage``."""

import base64
import gzip
import re
from collections.abc import Callable

from tests.origin import xml
from tests.origin.content import Flipped
from tests.origin.damage import Effect, Plan, answer, on_reply, on_request
from tests.origin.errors import OriginError
from tests.origin.message import Fields, OriginRequest, Reply
from tests.origin.replies import error_reply, finish
from tests.origin.service import http_date, parse_date
from tests.origin.sse import CUSTOMER_ALGORITHM, CUSTOMER_KEY_MD5, KEY_ID, PREFIX

CRC = "x-cos-hash-crc64ecma"
REQUEST_ID = "x-cos-request-id"
TRACE_ID = "x-cos-trace-id"
PORTAL = b"<html><head><title>Sign in</title></head><body>Please sign in.</body></html>"


def _on_each(edit: Callable[[Reply], object]) -> Effect:
    return on_reply(lambda reply, _: edit(reply))


def flip_body(offset: int = 0) -> Effect:
    """One byte of the response body differs; the headers tell of the true object."""

    def edit(reply: Reply) -> None:
        reply.body = Flipped(reply.body, offset)

    return _on_each(edit)


def set_header(name: str, value: str) -> Effect:
    return _on_each(lambda reply: reply.set(name, value))


def add_header(name: str, value: str) -> Effect:
    """A further field, also beside one of the same name."""
    return _on_each(lambda reply: reply.headers.append((name, value)))


def drop_headers(*names: str) -> Effect:
    return _on_each(lambda reply: reply.drop(*names))


def wrong_etag(etag: str = "0" * 32) -> Effect:
    return set_header("ETag", f'"{etag}"')


def wrong_crc(crc: int = 1) -> Effect:
    return set_header(CRC, str(crc))


def etag_unquoted() -> Effect:
    return _on_each(lambda reply: reply.set("ETag", (reply.get("ETag") or "").strip('"')))


def etag_upper_case() -> Effect:
    return _on_each(lambda reply: reply.set("ETag", (reply.get("ETag") or "").upper()))


def no_marks_of_cos() -> Effect:
    """Takes Server and every x-cos- and x-amz- field away."""

    def edit(reply: Reply, request: OriginRequest) -> None:
        marks = ("x-cos-", "x-amz-", "x-ci-")
        reply.headers = [
            (name, value)
            for name, value in reply.headers
            if name.lower() != "server" and not name.lower().startswith(marks)
        ]

    return on_reply(edit)


def _edit_element(name: str, replacement: bytes) -> Effect:
    pattern = re.compile(rf"\s*<{name}>[^<]*</{name}>".encode())

    def edit(reply: Reply, request: OriginRequest) -> None:
        if reply.get("Content-Type") == "application/xml" and reply.body.size:
            reply.set_body(pattern.sub(replacement, reply.text()))

    return on_reply(edit)


def drop_element(name: str) -> Effect:
    """Takes an element (``TraceId``, ``RequestId``, …) out of the XML body."""
    return _edit_element(name, b"")


def replace_element(name: str, value: str) -> Effect:
    return _edit_element(name, f"<{name}>{value}</{name}>".encode())


def trace_id_on_success() -> Effect:
    return on_reply(lambda reply, request: reply.set(TRACE_ID, request.trace_id))


def shift_date(seconds: float) -> Effect:
    """Moves the Date header."""

    def edit(reply: Reply, request: OriginRequest) -> None:
        reply.set("Date", http_date((parse_date(reply.get("Date") or "") or 0) + seconds))

    return on_reply(edit)


def other_request_id(request_id: str) -> Effect:
    """Header and body both carry this id."""

    def edit(request: OriginRequest) -> None:
        request.request_id = request_id

    return on_request(edit)


def shift_request_id(seconds: int) -> Effect:
    """Moves the time inside the request id."""

    def edit(request: OriginRequest) -> None:
        moment, _, rest = base64.b64decode(request.request_id).decode().partition("_")
        text = f"{int(moment, 16) + seconds:08x}_{rest}"
        request.request_id = base64.b64encode(text.encode()).decode()

    return on_request(edit)


def truncate(after: int, by_reset: bool = False) -> Effect:
    """Closes after so many body bytes; Content-Length or chunking promise more."""

    def edit(reply: Reply, request: OriginRequest) -> None:
        reply.delivery.cut_after = after
        reply.delivery.cut_by_reset = by_reset

    return on_reply(edit)


def no_reply() -> Effect:
    """The request is carried out, then the connection is reset without an answer."""

    def edit(reply: Reply, request: OriginRequest) -> None:
        reply.delivery.no_reply = True

    return on_reply(edit)


def stall(seconds: float, after: int | None = None) -> Effect:
    """Waits before the answer, or inside its body after so many bytes."""

    def edit(reply: Reply, request: OriginRequest) -> None:
        reply.delivery.stall = seconds
        reply.delivery.stall_after = after

    return on_reply(edit)


def chunked() -> Effect:
    """Sends the body with chunked transfer coding."""

    def edit(reply: Reply, request: OriginRequest) -> None:
        reply.drop("Content-Length")
        reply.set("Transfer-Encoding", "chunked")
        reply.delivery.chunked = True

    return on_reply(edit)


def empty_chunked_body() -> Effect:
    """Chunked transfer coding, and nothing but the last chunk."""

    def effect(plan: Plan) -> None:
        chunked()(plan)
        _on_each(lambda reply: reply.set_body(b""))(plan)

    return effect


def gzip_body() -> Effect:
    """Content coding put on by something on the way; ETag and CRC stay."""

    def edit(reply: Reply, request: OriginRequest) -> None:
        reply.set("Content-Encoding", "gzip")
        reply.set_body(gzip.compress(reply.text(), mtime=0))

    return on_reply(edit)


def page(
    status: int = 200, body: bytes = PORTAL, headers: Fields | None = None, after: bool = False
) -> Effect:
    """An HTML page without any mark of COS: captive portal, proxy, CDN. With ``after`` the
    request is carried out first."""
    fields = [("Content-Type", "text/html"), ("Content-Length", str(len(body))), *(headers or ())]

    def make(request: OriginRequest) -> Reply:
        reply = Reply(status, list(fields))
        reply.set_body(body)
        return reply

    def edit(reply: Reply, request: OriginRequest) -> None:
        made = make(request)
        reply.status, reply.headers, reply.body = made.status, made.headers, made.body
        reply.delivery.chunked = False

    return on_reply(edit) if after else answer(make)


def error(code: str, status: int | None = None, message: str | None = None) -> Effect:
    """An error of COS in place of what was asked for (503 SlowDown with ``times``)."""

    def make(request: OriginRequest) -> Reply:
        reply = error_reply(OriginError(code, message, status), request)
        return finish(reply, request, failure=True)

    return answer(make)


def error_afterwards(code: str, status: int | None = None) -> Effect:
    """An error of COS once the request has been carried out all the same."""

    def edit(reply: Reply, request: OriginRequest) -> None:
        made = error_reply(OriginError(code, status=status), request)
        reply.status, reply.body = made.status, made.body
        reply.headers = finish(made, request, failure=True).headers
        reply.delivery.chunked = False

    return on_reply(edit)


def error_in_success(code: str = "InternalError") -> Effect:
    """Status 200, head as usual, and an ``<Error>`` body: Complete and Copy do so."""

    def make(request: OriginRequest) -> Reply:
        reply = error_reply(OriginError(code), request)
        reply.status = 200
        reply.delivery.chunked = True
        return finish(reply, request)

    return answer(make)


def malformed_error(code: str = "AccessDenied", status: int = 403) -> Effect:
    """An error whose XML ends too early."""

    def make(request: OriginRequest) -> Reply:
        reply = error_reply(OriginError(code, status=status), request)
        reply.set_body(reply.text()[: len(xml.HEAD) + 30])
        return finish(reply, request, failure=True)

    return answer(make)


def early(effect: Effect, after: int = 0, keep_reading: bool = False) -> Effect:
    """Sends the answer of ``error(…)`` or ``page(…)`` while the upload is going on."""

    def apply(plan: Plan) -> None:
        effect(plan)
        plan.early_after = after
        plan.keep_reading = keep_reading

    return apply


def sse_ignored() -> Effect:
    """The object is stored in clear although encryption was asked for."""

    def edit(request: OriginRequest) -> None:
        request.headers = [
            (name, value)
            for name, value in request.headers
            if "-server-side-encryption" not in name.lower()
        ]

    return on_request(edit)


def aws_framing_kept() -> Effect:
    """Stores an aws-chunked body as it came, framing and all."""

    def edit(request: OriginRequest) -> None:
        request.set_header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
        request.set_header("Content-Encoding", None)

    return on_request(edit)


def sse_not_echoed() -> Effect:
    """Encrypted, but the answer does not say so."""
    return drop_headers(PREFIX, KEY_ID, CUSTOMER_ALGORITHM, CUSTOMER_KEY_MD5)


def sse_answered_as(algorithm: str) -> Effect:
    """``AES256`` for KMS: the key id goes too."""

    def effect(plan: Plan) -> None:
        drop_headers(KEY_ID)(plan)
        set_header(PREFIX, algorithm)(plan)

    return effect


def other_kms_key(key_id: str = "00000000-0000-4000-8000-000000000000") -> Effect:
    return set_header(KEY_ID, key_id)


def other_customer_key_md5(value: str = "AAAAAAAAAAAAAAAAAAAAAA==") -> Effect:
    return set_header(CUSTOMER_KEY_MD5, value)

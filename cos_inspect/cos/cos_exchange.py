"""An exchange together with everything that COS's conventions say about it."""

import re
from collections.abc import Mapping, Sequence

import msgspec

from cos_inspect.cos.client import Client, read_client
from cos_inspect.cos.encryption import (
    NONE,
    CustomerKey,
    Encryption,
    read_customer_key,
    read_encryption,
)
from cos_inspect.cos.endpoint import (
    Endpoint,
    Family,
    custom_endpoint,
    has_cos_marks,
    is_cdn,
    is_other_host,
    read_endpoint,
    request_looks_like_cos,
)
from cos_inspect.cos.error import (
    ErrorDocument,
    ErrorExplanation,
    explain_error,
    explain_status,
    read_error,
)
from cos_inspect.cos.headers import AnnotatedHeader, annotate
from cos_inspect.cos.operation import Operation, read_operation, read_query
from cos_inspect.cos.request_id import RequestId, read_request_id
from cos_inspect.cos.signature import Signature, is_beyond_reading, read_signature
from cos_inspect.cos.signature_mistakes import Recomputed, recompute
from cos_inspect.cos.signature_scheme import Signed, read_signed
from cos_inspect.cos.token import token_names
from cos_inspect.model.exchange import Exchange, Request, Response
from cos_inspect.model.headers import Headers

_JSON_FAMILIES: frozenset[Family] = frozenset(("ci", "pic", "fetch", "vectors", "json-legacy"))
_STYLE = re.compile(r"![\w.-]+$")
_ID_HEADERS = ("x-cos-request-id", "x-ci-request-id", "x-amz-request-id")
_NO_HEADERS = Headers()
_NO_KEYS: Mapping[str, str] = {}
_CALLBACKS = ("x-cos-callback", "x-cos-return-body")
REDIRECTS = frozenset((301, 302, 307, 308))
_TRACE_HEADERS = ("x-cos-trace-id", "x-amz-trace-id")


class CosExchange(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules look at. ``error`` is there for a failure with a readable
    or unreadable body and for a 200 whose body is an ``<Error>``."""

    exchange: Exchange
    endpoint: Endpoint
    operation: Operation
    client: Client | None
    signed: Signed
    form: Headers | None
    """The fields of a form upload, else None."""
    asked: Encryption
    """Encryption as the request asks for it."""
    confirmed: Encryption
    """Encryption as the response confirms it."""
    customer_key: CustomerKey | None
    """The SSE-C key of the request, checked and not kept."""
    copy_source_key: CustomerKey | None
    request_headers: tuple[AnnotatedHeader, ...]
    response_headers: tuple[AnnotatedHeader, ...]
    from_cos: bool
    """False when the response bears no mark of COS at all."""
    through_cdn: bool
    request_id: str | None
    request_id_read: RequestId | None
    trace_id: str | None
    error: ErrorDocument | None
    recomputed: Recomputed | None = None
    """The signature computed with its SecretKey, where that is at hand."""
    key_at_hand: bool = False
    """There was a SecretKey to recompute the signature with, whether that could be done or not."""

    @property
    def request(self) -> Request:
        """The request as it was recorded."""
        return self.exchange.request

    @property
    def response(self) -> Response | None:
        """The answer as it was recorded; None where none came."""
        return self.exchange.response

    @property
    def status(self) -> int | None:
        """The answer's HTTP status; None where none came."""
        response = self.exchange.response
        return response.status if response else None

    @property
    def succeeded(self) -> bool:
        """A 2xx answer whose body is not an error. A form upload that asked for
        ``success_action_redirect`` succeeds with 303."""
        response = self.exchange.response
        if response is None or self.error is not None:
            return False
        return 200 <= response.status < 300 or (
            response.status == 303 and self.operation.name == "PostObject"
        )

    @property
    def failed(self) -> bool:
        """COS itself answered with an error status."""
        response = self.exchange.response
        return response is not None and response.status >= 400 and self.from_cos

    @property
    def signature_accepted(self) -> bool:
        """COS took the signature, for certain: it did what was asked, or refused it for something
        that it looks at only afterwards. A bucket that does not exist is told before."""
        if self.signed.scheme == "none" or not self.from_cos:
            return False
        if self.succeeded or self.status == 304:
            return True
        code = self.error.code if self.error else None
        if self.status == 404:
            return code is not None and code != "NoSuchBucket"
        return self.status in (409, 412, 416)

    @property
    def contexts(self) -> frozenset[str]:
        """What bears on the meaning of an error code, in the words of the error table."""
        found: set[str] = {self.endpoint.family}
        if self.endpoint.is_rapid:
            found.add("rapid")
        if self.operation.copies:
            found.add("copy")
        if self.request.headers.get("referer"):
            found.add("referer")
        if self.error is not None and self.error.is_website_page:
            # A website under a domain of its owner's is told by this alone.
            found.add("website")
        if self.error is not None and self.error.code is not None:
            found.add("named")
        return frozenset(found)

    @property
    def explanation(self) -> ErrorExplanation | None:
        """What is known of the error that COS answered; None for answers of others."""
        error, status = self.error, self.status
        if status is None or not self.from_cos:
            return None
        code, message = (error.code, error.message) if error else (None, None)
        found = explain_error(code, message, status, self.contexts)
        return found or (explain_status(status, self.contexts) if self.failed else None)

    @property
    def signature(self) -> Signature | None:
        """The signature's fields, read on demand; None where it is none of COS's own."""
        request = self.request
        return read_signature(self.signed, request.headers, request.target, self.form)

    @property
    def token_names(self) -> tuple[str, ...]:
        """Under which names the request carries the token of a temporary key."""
        request = self.request
        return token_names(request.headers, request.target, self.form)

    @property
    def append_position(self) -> int | None:
        """Where an AppendObject wants its piece; None where it does not say."""
        position = read_query(self.request.target).first.get("position") or ""
        number = position.isascii() and position.isdigit() and len(position) <= 20
        return int(position) if number else None

    @property
    def has_callback(self) -> bool:
        """Whether the answer is what a callback or the client's own template makes of it."""
        headers, form = self.request.headers, self.form
        return any(name in headers or (form is not None and name in form) for name in _CALLBACKS)

    @property
    def describes_object(self) -> bool:
        """The answer's ETag and CRC-64 are those of an object."""
        return self.operation.downloads_object or self.operation.name == "HeadObject"

    @property
    def styled_image(self) -> bool:
        """The key may end in an image style (``key!style``), which COS resolves by itself."""
        key, response = self.endpoint.key, self.response
        return (
            key is not None
            and response is not None
            and (response.headers.get("content-type") or "").startswith("image/")
            and _STYLE.search(key) is not None
        )

    @property
    def key(self) -> str | None:
        """The object's key; of a form upload the one in the form."""
        if self.form is not None:
            key = self.form.get("key")
            if key is not None:
                payload = self.request.body.payload
                name = payload.file_name if payload else None
                return key.replace("${filename}", name or "${filename}")
        return self.endpoint.key


def find_endpoint(
    request_host: str,
    target: str,
    request_headers: Headers,
    response_headers: Headers | None,
    patterns: Sequence[str],
) -> Endpoint | None:
    """The COS endpoint an exchange belongs to, by its host, or for a custom
    domain by what the request carries or the response bears; None: not COS.
    Hosts that are known as others are none, however they are asked."""
    endpoint = read_endpoint(request_host, target, patterns)
    if endpoint is not None:
        return endpoint
    looks_so = request_looks_like_cos(request_headers, target) or (
        response_headers is not None and has_cos_marks(response_headers)
    )
    if looks_so and not is_other_host(request_host):
        return custom_endpoint(request_host, target)
    return None


class Recognised(msgspec.Struct, frozen=True, gc=False):
    """A request of COS, by its head alone."""

    endpoint: Endpoint
    operation: Operation


def recognise(
    host: str,
    method: str,
    target: str,
    request_headers: Headers,
    response_headers: Headers | None = None,
    patterns: Sequence[str] = (),
) -> Recognised | None:
    """What a request is; None when it is not COS traffic. A custom domain may be known by
    the answer only."""
    endpoint = find_endpoint(host, target, request_headers, response_headers, patterns)
    if endpoint is None:
        return None
    operation = read_operation(endpoint, method, target, request_headers)
    if endpoint.family == "ci" and operation.level != "object" and endpoint.key is not None:
        # Only the operation tells a call of CI that is not known from an object.
        endpoint = msgspec.structs.replace(endpoint, key=None)
    return Recognised(endpoint, operation)


def read_exchange(
    exchange: Exchange,
    patterns: Sequence[str] = (),
    *,
    recognised: Recognised | None = None,
    keys: Mapping[str, str] = _NO_KEYS,
) -> CosExchange | None:
    """What COS's conventions say about an exchange; None when it is not COS traffic.

    :param recognised: what ``recognise`` said of it, where it was asked before.
    :param keys: SecretKeys by SecretId, to recompute signatures with; they are not kept.
    """
    request, response = exchange.request, exchange.response
    recognised = recognised or recognise(
        request.host,
        request.method,
        request.target,
        request.headers,
        response.headers if response else None,
        patterns,
    )
    if recognised is None:
        return None
    endpoint, operation = recognised.endpoint, recognised.operation
    payload = request.body.payload
    form = None
    if operation.name == "PostObject" and payload is not None:
        form = Headers((field.name, field.value) for field in payload.fields)
    encryption_fields = request.headers if form is None else form
    headers = response.headers if response else _NO_HEADERS
    by_server = response is not None and response.by == "server"
    error = _read_error(operation, response) if response and by_server else None
    request_id = _first(headers, _ID_HEADERS) or (error.request_id if error else None)
    trace_id = _first(headers, _TRACE_HEADERS) or (error.trace_id if error else None)
    signed = read_signed(request.headers, request.target, form)
    return CosExchange(
        exchange=exchange,
        endpoint=endpoint,
        operation=operation,
        client=read_client(request.headers.get("user-agent"), request.headers.get("referer")),
        signed=signed,
        form=form,
        asked=read_encryption(encryption_fields, "request"),
        confirmed=read_encryption(headers) if response else NONE,
        customer_key=read_customer_key(encryption_fields),
        copy_source_key=read_customer_key(request.headers, copy_source=True),
        request_headers=annotate(request.headers, "request"),
        response_headers=annotate(headers, "response"),
        from_cos=by_server and _is_from_cos(headers, error, endpoint.family),
        through_cdn=is_cdn(headers),
        request_id=request_id,
        request_id_read=read_request_id(request_id) if request_id else None,
        trace_id=trace_id,
        error=error,
        recomputed=_recomputed(signed, exchange, form, endpoint, error, keys) if keys else None,
        key_at_hand=bool(keys) and signed.secret_id in keys,
    )


def _recomputed(
    signed: Signed,
    exchange: Exchange,
    form: Headers | None,
    endpoint: Endpoint,
    error: ErrorDocument | None,
    keys: Mapping[str, str],
) -> Recomputed | None:
    request = exchange.request
    secret_key = keys.get(signed.secret_id or "")
    if secret_key is None:
        return None
    signature = read_signature(signed, request.headers, request.target, form)
    if signature is None or is_beyond_reading(signature, request):
        return None
    taken = error is None or not error.is_about("SignatureDoesNotMatch")
    hashed = error.hashed_string if error is not None and not taken else None
    return recompute(signature, request, form, endpoint, secret_key, taken=taken, hashed=hashed)


def _first(headers: Headers, names: Sequence[str]) -> str | None:
    """The first value that is not empty, in the order of the names."""
    for name in names:
        value = headers.get(name)
        if value:
            return value
    return None


def _read_error(operation: Operation, response: Response) -> ErrorDocument | None:
    body = response.body
    status = response.status
    hidden = (status == 200 and operation.may_fail_late) or status in REDIRECTS
    if status < 400 and not hidden:
        return None
    document = read_error(body.sample, response.headers)
    if document is None:
        return None
    if hidden and (document.shape != "xml" or document.code is None):
        # A callback's own answer may well have a field named code; websites send pages.
        return None
    if document.problem is not None and not body.sample_is_whole:
        # What is wrong with the beginning of a longer body says nothing about all of it.
        return msgspec.structs.replace(document, problem=None)
    return document


def _is_from_cos(headers: Headers, error: ErrorDocument | None, family: Family) -> bool:
    return (
        has_cos_marks(headers)
        or "x-amz-request-id" in headers
        or (error is not None and _names_request(error, family))
    )


def _names_request(error: ErrorDocument, family: Family) -> bool:
    """Whether an error's body names the request as COS does: gateways, too, answer with a
    request id in JSON, or on a page of their own."""
    if error.request_id is None:
        return False
    if error.shape == "xml" or family in _JSON_FAMILIES:
        return True
    return read_request_id(error.request_id).time is not None

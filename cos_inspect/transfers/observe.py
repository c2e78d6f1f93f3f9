"""The observation of one finished exchange: what the histories need of it, read once."""

import re
from hashlib import blake2b

from cos_inspect.cos.clock import http_date
from cos_inspect.cos.copy_source import copy_source_of
from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.cos.digest_plan import is_appendable
from cos_inspect.cos.header_values import (
    announced_length,
    read_content_range,
    read_crc64,
    read_etag,
)
from cos_inspect.cos.operation import read_query
from cos_inspect.cos.target import split_target
from cos_inspect.cos.xml_fields import read_xml_fields
from cos_inspect.model.exchange import Body, BodyEnd, Exchange, Response
from cos_inspect.model.headers import Headers
from cos_inspect.model.target_bounds import target_within
from cos_inspect.transfers.observation import (
    MAX_TEXT,
    UNDATED,
    Observation,
    Unread,
    belongs_to_upload,
    identity_of,
    plain_etag,
)
from cos_inspect.transfers.part_list import read_part_list, read_stored_parts

_COPY_SPAN = re.compile(r"bytes=([0-9]{1,19})-([0-9]{1,19})", re.ASCII)
_ZONES = (".myqcloud.com", ".tencentcos.cn", ".tencentci.cn")
_RESULT = frozenset({"UploadId", "ETag", "CRC64"})
_MAX_SHOWN = 64
_MOST_SHOWN = 20
_NO_BYTES: tuple[int | None, str | None, int | None] = (None, None, None)
_SIGNING = frozenset({"sign", "token", "x-cos-security-token", "x-ci-security-token"})


def observe(cos: CosExchange) -> Observation:
    """The facts of one exchange. Never raises on odd bytes."""
    exchange = cos.exchange
    request, response = exchange.request, exchange.response
    operation = cos.operation
    name = operation.name
    headers = response.headers if response else Headers()
    query = read_query(request.target)
    etag = None if "etag" in headers.unread else plain_etag(headers.get("etag")) or None
    crc_text = headers.get("x-cos-hash-crc64ecma")
    body = request.body
    unread: Unread | None = None
    told = read_crc64(crc_text)
    if "x-cos-hash-crc64ecma" in headers.unread:
        told, unread = None, "not-inspected"
    elif crc_text is not None and told is None:
        unread = "malformed"
    size, md5, crc64 = _object_bytes(body, told) if operation.uploads_object else _NO_BYTES
    facts: dict[str, object] = {}
    cut = response is not None and _is_cut(request.method, response)
    if response is not None:
        _read_answer(cos, facts, headers)
    if belongs_to_upload(name):
        facts["upload_id"] = _bounded(query.get("uploadId"))
        number = query.get("partNumber")
        facts["part_number"] = _number(number)
        if number is not None and facts["part_number"] is None:
            facts["no_part_number"] = number[:_MAX_SHOWN]
        if name == "CompleteMultipartUpload":
            listed = read_part_list(body.text)
            if listed is not None:
                facts["listed"] = listed.parts
                facts["no_numbers"] = listed.no_numbers[:_MOST_SHOWN]
        elif name == "ListParts" and cos.succeeded and response is not None:
            facts["stored_parts"] = read_stored_parts(response.body.text)
    elif name == "AppendObject":
        facts["append_position"] = cos.append_position
        facts["next_position"] = _number(headers.get("x-cos-next-append-position"))
    if operation.copies:
        _read_copy_source(cos, facts)
    if operation.reads_result and cos.succeeded and response is not None:
        fields = read_xml_fields(response.body.text, _RESULT)
        facts["result_etag"] = plain_etag(fields.get("ETag")) or None
        facts["etag_unread"] = "ETag" in fields and read_etag(fields["ETag"].strip()) is None
        facts["result_crc64"] = read_crc64((fields.get("CRC64") or "").strip())
        if "CRC64" in fields and facts["result_crc64"] is None:
            unread = unread or "malformed"
        if name == "InitiateMultipartUpload":
            facts["upload_id"] = _bounded(fields.get("UploadId"))
    timing = exchange.timing
    started = started_of(exchange)
    encryption = cos.confirmed if cos.confirmed.mode != "none" else cos.asked
    limit = request.headers.get("x-cos-traffic-limit") or query.get("x-cos-traffic-limit")
    return Observation(
        flow_id=identity_of(exchange),
        operation=name,
        place=cos.endpoint.bucket or _without_zone(request.host),
        key=cos.key,
        bucket=cos.endpoint.bucket,
        host=request.host,
        client=exchange.client_address,
        started=started,
        sent=timing.request_end,
        answered=timing.response_start,
        ended=max(started, timing.end or started),
        status=cos.status,
        succeeded=cos.succeeded and not cut,
        from_cos=cos.from_cos,
        through_cdn=cos.through_cdn,
        answer_cut=cut,
        request_cut=body.end is BodyEnd.CUT and (response is None or response.status < 300),
        stopped=exchange.stopped,
        by_proxy=exchange.ended_by_proxy,
        failure=exchange.error,
        error_code=_bounded(cos.error.code) if cos.error else None,
        error_message=_bounded(cos.error.message) if cos.error else None,
        request_id=cos.request_id is not None,
        same_request=request_name(cos, exchange),
        announced=_number(request.headers.get("content-length")),
        stores_body=operation.uploads_object,
        redirected=response is not None
        and 300 <= response.status < 400
        and _names_the_same(headers.get("location"), request.target),
        sdk_retry=_is_marked_retry(request.headers),
        secret_id=_bounded(cos.signed.secret_id),
        with_token=bool(cos.token_names),
        accepted=cos.signature_accepted,
        sign_start=cos.signed.start,
        traffic_limit=_number(limit),
        sent_size=body.size,
        size=size,
        md5=md5,
        crc64=crc64,
        etag=etag,
        header_crc64=told,
        crc64_unread=unread,
        version_id=_bounded(headers.get("x-cos-version-id")),
        wanted_version=_bounded(query.get("versionId")),
        encryption=encryption.mode,
        etag_form=encryption.etag,
        reworked=operation.processed_upload,
        callback=cos.has_callback,
        **facts,  # type: ignore[arg-type]
    )


def _is_marked_retry(headers: Headers) -> bool:
    """Whether the SDK says that it sends this again: one of COS, or of S3 by the number of the
    try (``ttl=20261122T100000Z; attempt=2; max=5``)."""
    if (headers.get("x-cos-sdk-retry") or "").strip().lower() == "true":
        return True
    for piece in (headers.get("amz-sdk-request") or "").split(";"):
        name, _, number = piece.strip().partition("=")
        if name == "attempt":
            return number.isascii() and number.isdigit() and number.lstrip("0") not in ("", "1")
    return False


def started_of(exchange: Exchange) -> float:
    """When it began; where nobody noted that, when it was answered."""
    timing, response = exchange.timing, exchange.response
    moments = (timing.request_start, timing.request_end, timing.response_start)
    known = next((moment for moment in moments if moment is not None), None)
    if known is None and response is not None:
        known = http_date(response.headers.get("date"))
    return UNDATED if known is None else known


def _is_cut(method: str, response: Response) -> bool:
    """Whether the answer's body broke off; a recorder may take what came for all of it."""
    body = response.body
    if body.end in (BodyEnd.CUT, BodyEnd.STOPPED):
        return True
    if body.end is not BodyEnd.COMPLETE or method == "HEAD" or response.status in (204, 304):
        return False
    announced = announced_length(response.headers)
    return announced is not None and body.size is not None and body.size < announced


def _read_answer(cos: CosExchange, facts: dict[str, object], headers: Headers) -> None:
    response = cos.response
    if response is None:
        return
    body, status = response.body, response.status
    query = read_query(cos.request.target)
    facts["answer_size"] = body.size
    length = announced_length(headers)
    facts["content_length"] = length
    if cos.describes_object and status == 404 and cos.failed and "versionId" not in query.first:
        facts["finds_nothing"] = cos.error is None or cos.error.code in (None, "NoSuchKey")
    plain = (
        cos.describes_object
        and not cos.operation.processed
        and cos.endpoint.kind != "website"
        and not cos.styled_image
        and status in (200, 206)
    )
    if not plain:
        return
    facts["describes_object"] = True
    made, now = http_date(headers.get("last-modified")), http_date(headers.get("date"))
    if made is not None and now is not None and not cos.through_cdn:
        facts["age"] = now - made
    facts["appendable"] = is_appendable(headers)
    reads_bytes = cos.operation.downloads_object and cos.request.method != "HEAD"
    coded = cos.through_cdn and "content-encoding" in headers
    if reads_bytes and body.end in (BodyEnd.COMPLETE, BodyEnd.CUT) and not coded:
        facts["answer_crc64"] = body.crc64
    if status == 200:
        facts["total"] = None if coded else length
        if reads_bytes and body.complete and not coded:
            facts["answer_md5"] = body.md5
        return
    found = read_content_range(headers.get("content-range"))
    if found is None or "content-range" in headers.unread:
        return
    facts["total"] = found.total
    if not found.is_whole:
        facts["span"] = (found.first, found.last)
        facts["from_end"] = "=-" in (cos.request.headers.get("range") or "")


def _read_copy_source(cos: CosExchange, facts: dict[str, object]) -> None:
    headers = cos.request.headers
    source = copy_source_of(headers)
    if source is None:
        return
    facts["copy_place"] = _bounded(source.bucket)
    facts["copy_key"] = source.key
    facts["copy_version"] = _bounded(source.version_id)
    span = headers.get("x-cos-copy-source-range") or headers.get("x-amz-copy-source-range")
    found = _COPY_SPAN.fullmatch((span or "").strip())
    if found is not None and int(found[1]) <= int(found[2]):
        facts["copy_span"] = (int(found[1]), int(found[2]))
    elif span is not None:
        facts["copy_span"] = (0, -1)


def _object_bytes(body: Body, told: int | None) -> tuple[int | None, str | None, int | None]:
    """Size, MD5 and CRC-64 of what was stored; ``told``: the CRC-64 of the answer."""
    if body.end is not BodyEnd.COMPLETE:
        return _NO_BYTES
    payload = body.payload
    # A store that leaves the framing on answers with the framed body's CRC-64.
    if payload is None or (told is not None and told == body.crc64):
        return body.size, body.md5, body.crc64
    if not payload.complete:
        return _NO_BYTES
    return payload.size, payload.md5, payload.crc64


def request_name(cos: CosExchange, exchange: Exchange) -> str:
    """Names what is asked, whoever of COS's hosts is asked and however it is signed."""
    request = exchange.request
    headers = request.headers
    path, query = split_target(request.target)
    if query:
        query = "&".join(
            piece
            for piece in query.split("&")
            if not piece.startswith("q-")
            and not piece.startswith("X-Amz-")
            and piece.partition("=")[0].lower() not in _SIGNING
        )
    # A range from the first byte on asks for all.
    span = headers.get("range") or ""
    parts = (
        request.method,
        cos.endpoint.bucket or _without_zone(request.host),
        path,
        query,
        cos.key if cos.form is not None and cos.key else "",
        "" if span == "bytes=0-" else span,
        headers.get("x-cos-copy-source") or "",
        # Of what is stored another length is told of the retry; else it is another request.
        "" if cos.operation.uploads_object else headers.get("content-length") or "",
        exchange.client_address or "",
    )
    text = "\n".join(parts).encode("utf-8", "surrogatepass")
    return blake2b(text, digest_size=12).hexdigest()


def _names_the_same(location: str | None, target: str) -> bool:
    """Whether a Location leads to what was asked for, at another host or with another scheme.
    Its query may be signed anew, or left out."""
    if location is None:
        return False
    return target_within(split_target(location)[0]).text == split_target(target)[0]


def _without_zone(host: str) -> str:
    """SDKs switch between the zones when they try again."""
    for zone in _ZONES:
        if host.endswith(zone):
            return host.removesuffix(zone)
    return host


def _number(value: str | None) -> int | None:
    text = (value or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def _bounded(value: str | None) -> str | None:
    return value[:MAX_TEXT] if value else None

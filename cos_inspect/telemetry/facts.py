"""What log records and spans say of a flow, out of its report, which is masked already."""

import hashlib
import math
import re

import msgspec

from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.moments import microseconds_of
from cos_inspect.model.plain_text import shortened, whole
from cos_inspect.model.report_facts import address_and_port, upload_of

Value = str | int | tuple[str, ...]
Attributes = dict[str, Value]

_LONGEST = 16 * 1024
"""Characters of an attribute."""
_LAST_NANOSECOND = 2**63 - 1
_LONGEST_MS = 1e12
_METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")


class SpanId(msgspec.Struct, frozen=True):
    """Names a span."""

    trace_id: int
    """128 bits, not 0."""
    span_id: int
    """64 bits, not 0."""


class FlowFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a flow in logs and spans alike."""

    attributes: Attributes
    span: SpanId
    """Of the flow; made from its id and its begin, so the same each time."""
    parent: SpanId | None
    """The span that the request names in ``traceparent``."""
    upload_trace: SpanId | None
    """Of the multipart upload that it belongs to; made from bucket, key and UploadId, so that it is
    the same in every proxy that a part of it came through."""
    begins: int | None
    """Nanoseconds since 1970; None: not known."""
    ends: int | None


def facts_of(report: FlowReport) -> FlowFacts:
    """Pure, and whatever texts the report holds."""
    cos, request, response = report.cos, report.request, report.response
    host, port = host_and_port(request.url)
    upload_id, part_number = upload_of(report)
    known = request.method in _METHODS
    client = cos.client
    told: dict[str, Value | None] = {
        "cos.flow_id": report.flow_id,
        "cos.operation": cos.operation,
        "cos.bucket": cos.bucket,
        "cos.region": cos.region,
        "cos.key": cos.key,
        "cos.upload_id": upload_id,
        "cos.part_number": part_number if upload_id else None,
        "cos.request_id": report.ids.request_id,
        "cos.trace_id": report.ids.trace_id,
        "cos.error.code": report.error.code if report.error is not None else None,
        "cos.client.name": client.name if client is not None else None,
        "cos.client.version": client.version if client is not None else None,
        "http.request.method": request.method if known else "_OTHER",
        "http.response.status_code": response.status if response is not None else None,
        "url.full": request.url,
        "server.address": host or None,
        "server.port": port,
        "client.address": address_and_port(report.connection.client)[0]
        if report.connection is not None
        else None,
    }
    span_id = _number(8, "flow", report.flow_id, report.started or "")
    upload = None
    if upload_id and cos.bucket and cos.key is not None:
        name = ("upload", cos.bucket, cos.key, upload_id)
        upload = SpanId(_number(16, *name), _number(8, *name))
    parent = _parent(report)
    if parent is not None:
        trace_id = parent.trace_id
    elif upload is not None:
        trace_id = upload.trace_id
    else:
        trace_id = _number(16, "flow", report.flow_id, report.started or "")
    begins = nanoseconds(report.started)
    return FlowFacts(
        attributes=attributes_of(told),
        span=SpanId(trace_id, span_id),
        parent=parent,
        upload_trace=upload,
        begins=begins,
        ends=None if begins is None else _later(begins, report.timing.total_ms),
    )


def attributes_of(told: dict[str, Value | None]) -> Attributes:
    """Those that are known, in text that has UTF-8 and is not too long."""
    return {
        name: whole(shortened(value, _LONGEST)) if isinstance(value, str) else value
        for name, value in told.items()
        if value is not None
    }


def host_and_port(url: str) -> tuple[str, int | None]:
    """Of a URL, however odd it is."""
    scheme, _, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    host, port = address_and_port(authority)
    if port is None:
        port = {"http": 80, "https": 443}.get(scheme.lower())
    return (host or "").lower(), port


def nanoseconds(moment: str | None) -> int | None:
    """Since the epoch, of a time of a report; None: not known, or beyond what OTLP has."""
    found = (microseconds_of(moment) or 0) * 1000
    return found if 0 < found <= _LAST_NANOSECOND else None


def _later(begins: int, milliseconds: float | None) -> int:
    if milliseconds is None or not math.isfinite(milliseconds) or milliseconds < 0:
        return begins
    return min(begins + round(min(milliseconds, _LONGEST_MS) * 1_000_000), _LAST_NANOSECOND)


def _parent(report: FlowReport) -> SpanId | None:
    """By ``traceparent`` (https://www.w3.org/TR/trace-context/), where there is one and it is
    valid."""
    found = [each for each in report.request.headers if each.name.lower() == "traceparent"]
    if len(found) != 1:
        return None
    match = _TRACEPARENT.fullmatch(found[0].value.strip())
    if match is None or match[1] == "ff" or (match[1] == "00" and match[4]):
        return None
    trace_id, span_id = int(match[2], 16), int(match[3], 16)
    return SpanId(trace_id, span_id) if trace_id and span_id else None


def _number(size: int, *name: str) -> int:
    """Of so many bytes, not 0, and the same for the same name."""
    digest = hashlib.sha256("\0".join(name).encode("utf-8", "surrogatepass")).digest()
    # Spans and traces of one name share no byte.
    return int.from_bytes(digest[:size] if size == 16 else digest[16 : 16 + size]) or 1

"""What came, where the flow does not hold it any more: left on the flow, so that a saved
capture is judged by it.

mitmproxy takes ``Expect`` away, its options and other addons rewrite URLs and headers, and
of a streamed body nothing is left. What is kept of it stands in the flow's metadata as plain
data, with texts as the report shows them, so that no secret gets there.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from mitmproxy import http

from cos_inspect.cos.digest_plan import is_control_answer
from cos_inspect.cos.operation import Operation
from cos_inspect.inspection.redaction import Redactor
from cos_inspect.model.exchange import Body, Exchange, Headers
from cos_inspect.model.flow_report import FlowReport, HeaderReport
from cos_inspect.proxy.flows import request_head
from cos_inspect.recording.message_heads import Fields, RequestHead, headers_of, request_line

_MEMBERS = ("method", "scheme", "host", "port", "http_version")
_KINDS = {**dict.fromkeys((*_MEMBERS, "target"), str), "port": int}
_SIZE_LINE = re.compile(rb"[0-9A-Fa-f]{1,16}(;chunk-signature=[0-9a-f]{64})?\r\n")
"""An object that begins like this may be a framed upload that was stored as it came."""

Pairs = list[tuple[str, str]]
Entries = list[tuple[str, str | None]]
"""Header fields in order. One without a value is the flow's next one of this name."""


class Received(msgspec.Struct, frozen=True, omit_defaults=True):
    request: Entries | None = None
    line: dict[str, str | int] = {}
    """Members of the request's line that differ from what the flow says."""
    of_request: str | None = None
    """The flow's own head then; where it was edited since, what came counts no more."""
    dropped: Pairs | None = None
    """What the client sent and the proxy did not pass on."""
    answer: Entries | None = None
    of_answer: str | None = None
    """As above. None where the answer was to be changed: then what came counts all the same."""
    sample: str | None = None
    """The beginning of an answer's body, where the flow does not hold it."""
    sample_is_whole: bool = False
    marks: list[tuple[int, str]] | None = None
    """Offsets in an answer's body, and the CRC-64 up to each."""


NOTHING = Received()


def to_leave(
    flow: http.HTTPFlow,
    exchange: Exchange,
    report: FlowReport,
    operation: Operation,
    *,
    marks: Sequence[tuple[int, int]] = (),
    answer_changes: bool = False,
) -> dict[str, Any] | None:
    """What of the exchange the flow does not hold, as plain data; None when it holds all.
    ``answer_changes``: it may hold another answer when it is saved."""
    found: dict[str, Any] = {}
    request, head = exchange.request, request_head(flow.request)
    entries = _entries(request.headers, headers_of(head.fields), report.request.headers)
    line = request_line(head, request.headers)
    members: dict[str, str | int] = {
        name: getattr(request, name)
        for name in _MEMBERS
        if getattr(request, name) != getattr(line, name)
    }
    if request.target != line.target:
        members["target"] = _target(report.request.url)
    if entries is not None or members:
        found |= {"request": entries, "line": members, "of_request": _fingerprint(*head)}
    if request.dropped_headers:
        found["dropped"] = list(request.dropped_headers)
    if exchange.response is not None and flow.response is not None and report.response is not None:
        fields = flow.response.headers.fields
        headers = exchange.response.headers
        if answer_changes:
            found["answer"] = [(field.name, field.value) for field in report.response.headers]
        else:
            entries = _entries(headers, headers_of(fields), report.response.headers)
            if entries is not None:
                found |= {"answer": entries, "of_answer": _fingerprint(fields)}
        if flow.response.raw_content is None:
            document = is_control_answer(operation, exchange.response.status, headers)
            found |= _sample(exchange.response.body, is_document=document)
    if marks:
        # As text: flow files hold no integers beyond 64 bits signed in every version.
        found["marks"] = [(offset, str(crc64)) for offset, crc64 in marks]
    if not found:
        return None
    plain: dict[str, Any] = msgspec.to_builtins(msgspec.convert(found, Received))
    return plain


def holds(flow: http.HTTPFlow, head: RequestHead, answer: Fields) -> bool:
    """Whether the flow's heads are still those that came."""
    response = flow.response
    return (
        response is not None
        and request_head(flow.request) == head
        and response.headers.fields == answer
    )


def of_saved(flow: http.HTTPFlow, data: object, *, as_it_is: bool = False) -> Received:
    """What was left on a flow, as far as it can be read and the flow was not edited since.
    ``as_it_is``: of an answer that may have been changed, take what the flow holds."""
    if not isinstance(data, dict):
        return NOTHING
    try:
        received = msgspec.convert(data, Received)
    except msgspec.ValidationError:
        return NOTHING
    if received.of_request is not None:
        line = received.line
        known = all(name in _KINDS and isinstance(line[name], _KINDS[name]) for name in line)
        if not known or received.of_request != _fingerprint(*request_head(flow.request)):
            received = msgspec.structs.replace(received, request=None, line={})
    if received.of_answer is None:
        return msgspec.structs.replace(received, answer=None) if as_it_is else received
    if flow.response is None or received.of_answer != _fingerprint(flow.response.headers.fields):
        received = msgspec.structs.replace(received, answer=None)
    return received


def fields_as_they_came(entries: Entries | None, fields: Fields) -> Fields:
    """Header fields of which the flow holds ``fields``."""
    return fields if entries is None else _fields(entries, fields)


def marks_of(received: Received) -> list[tuple[int, int]]:
    return [
        (offset, int(crc64))
        for offset, crc64 in received.marks or ()
        if crc64.isascii() and crc64.isdigit() and len(crc64) <= 20
    ]


def with_sample(received: Received, body: Body) -> Body:
    """The facts of an answer's body, and its beginning where that was left."""
    if received.sample is None or body.sample is not None:
        return body
    return msgspec.structs.replace(
        body, sample=received.sample.encode(), sample_is_whole=received.sample_is_whole
    )


def _entries(came: Headers, now: Headers, shown: Sequence[HeaderReport]) -> Entries | None:
    """None when the flow has them as they came. ``shown``: the same fields as they came, as
    the report has them."""
    if came.fields == now.fields:
        return None
    values, present = _by_name(came), _by_name(now)
    texts = [field.value for field in shown]
    if len(texts) != len(came.fields):
        # The report has not all of them.
        return None
    return [
        (name, None if values[name.lower()] == present.get(name.lower()) else text)
        for (name, _), text in zip(came.fields, texts, strict=True)
    ]


def _by_name(headers: Headers) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in headers.fields:
        found.setdefault(name.lower(), []).append(value)
    return found


def _fields(entries: Iterable[tuple[str, str | None]], fields: Fields) -> Fields:
    held: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        held.setdefault(name.lower(), []).append(value)
    made: list[tuple[bytes, bytes]] = []
    for text, explicit in entries:
        field = text.encode("utf-8", "replace")
        left = held.get(field.lower())
        if explicit is not None:
            made.append((field, explicit.encode("utf-8", "replace")))
        elif left:
            made.append((field, left.pop(0)))
    return tuple(made)


def _target(url: str) -> str:
    """Path and query of a URL in a report."""
    return "/" + url.partition("://")[2].partition("/")[2]


def _fingerprint(*parts: object) -> str:
    return hashlib.blake2b(repr(parts).encode("utf-8", "replace"), digest_size=8).hexdigest()


def _sample(body: Body, *, is_document: bool) -> dict[str, Any]:
    """Not where it holds a secret, nor what stands in an object."""
    if not body.sample:
        return {}
    found = _SIZE_LINE.match(body.sample)
    if found is not None:
        # Its form counts, not its signature.
        line = re.sub(rb"(?<=chunk-signature=)\w+", b"0" * 64, found[0])
        return {"sample": line.decode("ascii")}
    text = body.sample.decode("utf-8", "replace")
    if not is_document or Redactor().text(text) != text:
        return {}
    return {"sample": text, "sample_is_whole": body.sample_is_whole}

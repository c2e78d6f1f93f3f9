"""What came, where the flow does not hold it any more: left on the flow, so that a saved
capture is judged by it (``recording/flow_metadata.py`` reads it again).

mitmproxy takes ``Expect`` away, its options and other addons rewrite URLs and headers, and
of a streamed body nothing is left. What is kept of it stands in the flow's metadata as plain
data, with texts as the report shows them, so that no secret gets there.
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec
from mitmproxy import http

from cos_inspect.cos.digest_plan import is_control_answer
from cos_inspect.cos.operation import Operation
from cos_inspect.inspection.redaction import Redactor
from cos_inspect.model.exchange import Body, EchoTrace, Exchange
from cos_inspect.model.flow_report import FlowReport, HeaderReport
from cos_inspect.model.headers import Headers
from cos_inspect.proxy.flows import request_head
from cos_inspect.recording.flow_metadata import LINE_MEMBERS, Entries, Received, fingerprint
from cos_inspect.recording.message_heads import headers_of, request_of

_SIZE_LINE = re.compile(rb"[0-9A-Fa-f]{1,16}(;chunk-signature=[0-9a-f]{64})?\r\n")
"""An object that begins like this may be a framed upload that was stored as it came."""


def metadata_for_capture(
    flow: http.HTTPFlow,
    exchange: Exchange,
    report: FlowReport,
    operation: Operation,
    redactor: Redactor | None,
    *,
    marks: Sequence[tuple[int, int]] = (),
    answer_changes: bool = False,
    echoes: tuple[EchoTrace, ...] = (),
) -> dict[str, Any] | None:
    """What of the exchange the flow does not hold, as plain data; None when it holds all.
    ``redactor`` knows the exchange's secrets, where they are to be masked; ``answer_changes``:
    it may hold another answer when it is saved; ``echoes``: traces of secrets that it repeats."""
    found: dict[str, Any] = {}
    request, head = exchange.request, request_head(flow.request)
    entries = _entries(request.headers, headers_of(head.fields), report.request.headers)
    line = request_of(head, request.headers)
    members: dict[str, str | int] = {
        name: getattr(request, name)
        for name in LINE_MEMBERS
        if getattr(request, name) != getattr(line, name)
    }
    if request.target != line.target:
        members["target"] = _target(report.request.url)
    if entries is not None or members:
        found |= {"request": entries, "line": members, "of_request": fingerprint(*head)}
    if request.dropped_headers:
        found["dropped"] = list(request.dropped_headers)
    if request.changes:
        # As the report shows them: without secrets.
        found["changes"] = msgspec.to_builtins(report.request.changes)
    if exchange.broke_off is not None:
        found["broke_off"] = msgspec.to_builtins(exchange.broke_off)
    if exchange.connection is not None and exchange.connection.by_address:
        found["by_address"] = True
    if exchange.response is not None and flow.response is not None and report.response is not None:
        fields = flow.response.headers.fields
        headers = exchange.response.headers
        if exchange.response.by == "proxy":
            found["answered_by"] = exchange.response.option
        if answer_changes and not headers.beyond:
            found["answer"] = [(field.name, field.value) for field in report.response.headers]
        elif not answer_changes:
            entries = _entries(headers, headers_of(fields), report.response.headers)
            if entries is not None:
                found |= {"answer": entries, "of_answer": fingerprint(fields)}
        if flow.response.raw_content is None:
            document = is_control_answer(operation, exchange.response.status, headers)
            found |= _sample(exchange.response.body, redactor, is_document=document)
    if marks:
        # As text: flow files hold no integers beyond 64 bits signed in every version.
        found["marks"] = [(offset, str(crc64)) for offset, crc64 in marks]
    if echoes:
        found["echoes"] = msgspec.to_builtins(echoes)
    if not found:
        return None
    received = msgspec.convert(found, Received)
    if redactor is not None:
        received = redactor.struct(received)
    plain: dict[str, Any] = msgspec.to_builtins(received)
    return plain


def _entries(came: Headers, now: Headers, shown: Sequence[HeaderReport]) -> Entries | None:
    """None when the flow has them as they came. ``shown``: the same fields as they came, as
    the report has them."""
    if came == now:
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


def _target(url: str) -> str:
    """Path and query of a URL in a report."""
    return "/" + url.partition("://")[2].partition("/")[2]


def _sample(body: Body, redactor: Redactor | None, *, is_document: bool) -> dict[str, Any]:
    """Not where it holds a secret, nor what stands in an object."""
    if not body.sample:
        return {}
    found = _SIZE_LINE.match(body.sample)
    if found is not None:
        # Its form counts, not its signature.
        line = re.sub(rb"(?<=chunk-signature=)\w+", b"0" * 64, found[0])
        return {"sample": line.decode("ascii")}
    text = body.sample.decode("utf-8", "replace")
    if not is_document or (redactor or Redactor()).text(text) != text:
        return {}
    return {"sample": text, "sample_is_whole": body.sample_is_whole}

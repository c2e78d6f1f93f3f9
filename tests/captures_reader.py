"""Reads a capture: one exchange in plain text, under comments that say what to find in it.

``tests/captures/README.md`` describes the form.
"""

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import crcmod
import msgspec

from cos_inspect.cos.cos_exchange import find_endpoint
from cos_inspect.cos.digest_plan import DigestPlan, plan_payload, plan_request, plan_response
from cos_inspect.cos.operation import Operation, read_operation
from cos_inspect.cos.payload import payload_reader
from cos_inspect.digests import Digester
from cos_inspect.model.exchange import (
    Body,
    BodyEnd,
    BrokeOff,
    Change,
    Connection,
    Exchange,
    Request,
    Response,
    Timing,
)
from cos_inspect.model.headers import Headers
from cos_inspect.model.target_bounds import target_within
from cos_inspect.recording.stream_tap import BodyMeter

CAPTURES = Path(__file__).parent / "captures"
_SEPARATOR = "=== response ===\n"
_DIRECTIVE = re.compile(r"# ([a-z-]+): *(.*)")
_ONCE = frozenset(
    {
        "verdict",
        "clock",
        "took",
        "scheme",
        "operation",
        "encryption",
        "error",
        "answered-by",
        "broke-off",
        "by-address",
    }
)
_REPEATED = frozenset(
    {"finding", "check", "evidence", "secret", "hosts", "body", "dropped", "padded", "changed"}
)
_ENDS = {
    "cut": BodyEnd.CUT,
    "not-captured": BodyEnd.NOT_CAPTURED,
    "not-inspected": BodyEnd.NOT_INSPECTED,
    "re-encoded": BodyEnd.RE_ENCODED,
    "stopped": BodyEnd.STOPPED,
}
_NO_OPERATION = Operation("Unknown", "none")
_PORTS = {"http": 80, "https": 443}

judge_crc64 = crcmod.mkCrcFun(
    0x142F0E1EBA9EA3693, initCrc=0, xorOut=0xFFFF_FFFF_FFFF_FFFF, rev=True
)
"""CRC-64 as the documents describe it, by another implementation than the inspector's."""


def judge_md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


class Capture(msgspec.Struct, frozen=True, kw_only=True):
    exchange: Exchange
    contents: tuple[bytes, bytes | None] = (b"", None)
    """The bodies of request and answer."""
    hosts: tuple[str, ...] = ()
    verdict: str
    """``not-cos`` where the inspector must have nothing to say."""
    findings: tuple[str, ...] = ()
    """``etag-mismatch error``: rule and severity."""
    evidence: tuple[str, ...] = ()
    """``header-malformed header=ETag``: what a finding's evidence must say."""
    checks: tuple[str, ...] = ()
    """``crc64 response mismatch`` or ``etag request skipped sse-kms``."""
    secrets: tuple[str, ...] = ()
    operation: str | None = None
    encryption: str | None = None


def captures() -> list[Path]:
    return sorted(CAPTURES.glob("*.http"))


def read_capture(path: Path) -> Capture:
    """:raises ValueError: for a file that is not of the form."""
    comments, _, message = path.read_text(encoding="utf-8").partition("\n\n")
    once, repeated = _directives(comments)
    request_text, answered, response_text = message.partition(_SEPARATOR)
    if "verdict" not in once:
        raise ValueError(f"{path.name}: says no verdict")
    bodies = dict(item.split(maxsplit=1) for item in repeated["body"])
    hosts = tuple(repeated["hosts"])

    first, headers, content = _message(request_text, bodies.get("request", ""))
    headers = _padded(headers, "request", repeated["padded"])
    method, target, version = first.split()
    response = None
    if answered:
        status_line, response_headers, answer = _message(response_text, bodies.get("response", ""))
        response_headers = _padded(response_headers, "response", repeated["padded"])
        answer_version, status, *reason = status_line.split(maxsplit=2)
        response = (answer_version, int(status), "".join(reason), response_headers, answer)
    exchange = build_exchange(
        flow_id=path.stem,
        method=method,
        scheme=once.get("scheme", "https"),
        host=headers.get("host") or "",
        target=target,
        http_version=version,
        headers=headers,
        content=content,
        request_end=_end(bodies.get("request", "")),
        response=response,
        response_end=_end(bodies.get("response", "")),
        clock=_clock(once.get("clock"), response[3] if response else None),
        took=float(once.get("took", "0.2")),
        error=once.get("error"),
        hosts=hosts,
        dropped_headers=tuple(_field(line) for line in repeated["dropped"]),
        changes=tuple(_change(line) for line in repeated["changed"]),
        answered_by=once.get("answered-by"),
        broke_off=_broke_off(once.get("broke-off")),
        by_address="by-address" in once,
    )
    return Capture(
        exchange=exchange,
        contents=(content, response[4] if response else None),
        hosts=hosts,
        verdict=once["verdict"],
        findings=tuple(repeated["finding"]),
        evidence=tuple(repeated["evidence"]),
        checks=tuple(repeated["check"]),
        secrets=tuple(repeated["secret"]),
        operation=once.get("operation"),
        encryption=once.get("encryption"),
    )


def _directives(comments: str) -> tuple[dict[str, str], dict[str, list[str]]]:
    once: dict[str, str] = {}
    repeated: dict[str, list[str]] = {name: [] for name in _REPEATED}
    for line in comments.splitlines():
        found = _DIRECTIVE.fullmatch(line)
        if found is None:
            if not line.startswith("#"):
                raise ValueError(f"no comment: {line!r}")
        elif found[1] in _ONCE:
            once[found[1]] = found[2]
        elif found[1] in _REPEATED:
            repeated[found[1]].append(found[2])
        else:
            raise ValueError(f"unknown directive {found[1]!r}")
    return once, repeated


def _message(text: str, how: str) -> tuple[str, Headers, bytes]:
    head, _, body = text.partition("\n\n")
    first, *lines = head.splitlines()
    fields = [_field(line) for line in lines]
    body = body.removesuffix("\n")
    if "hex" in how:
        return first, Headers(fields), bytes.fromhex(body)
    if "crlf" in how:
        body = body.replace("\n", "\r\n")
    return first, Headers(fields), body.encode()


def _field(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        raise ValueError(f"no header: {line!r}")
    return name, value.removeprefix(" ")


def _change(line: str) -> Change:
    """``header Host: one.example -> other.example (map_remote)``; ``-`` for what is not there."""
    part, _, rest = line.partition(" ")
    name = None
    if part == "header":
        name, _, rest = rest.partition(": ")
    values, _, by = rest.removesuffix(")").rpartition(" (")
    client, arrow, sent = values.partition(" -> ")
    if not arrow or not by:
        raise ValueError(f"no change: {line!r}")
    return msgspec.convert(
        {
            "part": part,
            "name": name,
            "client": None if client == "-" else client,
            "sent": None if sent == "-" else sent,
            "by": by,
        },
        Change,
    )


def _broke_off(said: str | None) -> BrokeOff | None:
    """``client``, ``server``, or ``proxy`` and its option."""
    if said is None:
        return None
    by, _, option = said.partition(" ")
    return msgspec.convert({"by": by, "option": option or None}, BrokeOff)


def _padded(headers: Headers, side: str, said: list[str]) -> Headers:
    """With values made as long as the comments say; they would fill pages."""
    lengths = {
        name: int(length) for at, name, length in (line.split() for line in said) if at == side
    }
    return Headers(
        (name, value.ljust(lengths.get(name, 0), value[-1:] or " "))
        for name, value in headers.fields
    )


def _end(how: str) -> BodyEnd:
    return next((_ENDS[word] for word in how.split() if word in _ENDS), BodyEnd.COMPLETE)


def _clock(said: str | None, response_headers: Headers | None) -> float:
    """The moment of the request by the recorder's clock: said, or just before Date."""
    if said is not None:
        return datetime.fromisoformat(said).timestamp()
    date = response_headers.get("date") if response_headers else None
    if date is None:
        return 1577957984.0
    return parsedate_to_datetime(date).timestamp() - 1


def build_exchange(
    *,
    flow_id: str,
    method: str,
    scheme: str = "https",
    host: str,
    target: str,
    http_version: str = "HTTP/1.1",
    headers: Headers,
    content: bytes,
    request_end: BodyEnd = BodyEnd.COMPLETE,
    response: tuple[str, int, str, Headers, bytes] | None,
    response_end: BodyEnd = BodyEnd.COMPLETE,
    clock: float,
    took: float = 0.2,
    error: str | None = None,
    hosts: Sequence[str] = (),
    dropped_headers: tuple[tuple[str, str], ...] = (),
    changes: tuple[Change, ...] = (),
    answered_by: str | None = None,
    broke_off: BrokeOff | None = None,
    by_address: bool = False,
) -> Exchange:
    """An exchange whose bodies' facts are those that the proxy would have taken.

    ``response`` is version, status, reason, headers and content.
    """
    endpoint = find_endpoint(host, target, headers, response[3] if response else None, hosts)
    operation = (
        _NO_OPERATION if endpoint is None else read_operation(endpoint, method, target, headers)
    )
    payload_plan = plan_payload(operation, headers)
    reader = payload_reader(
        operation.name,
        headers,
        lambda: Digester(md5=payload_plan.md5, crc64=payload_plan.crc64),
    )
    meter = BodyMeter(plan_request(operation, headers, framed=reader is not None), reader)
    request_body = _body(meter, content, request_end)
    answer = None
    if response is not None:
        version, status, reason, response_headers, answer_content = response
        plan: DigestPlan = plan_response(operation, method, status, response_headers)
        answer = Response(
            status=status,
            reason=reason,
            http_version=version,
            headers=response_headers,
            body=_body(BodyMeter(plan), answer_content, response_end),
            by="server" if answered_by is None else "proxy",
            option=answered_by,
        )
    bounded = target_within(target)
    return Exchange(
        flow_id=flow_id,
        request=Request(
            method=method,
            scheme=scheme,
            host=host,
            port=_PORTS[scheme],
            target=bounded.text,
            unread_target=bounded.unread,
            http_version=http_version,
            headers=headers,
            body=request_body,
            dropped_headers=dropped_headers,
            changes=changes,
        ),
        response=answer,
        timing=Timing(
            request_start=clock,
            request_end=clock + took / 4,
            response_start=clock + took - min(took / 4, 1.0) if answer else None,
            response_end=clock + took if answer else None,
            failed=None if error is None else clock + took,
        ),
        error=error,
        connection=Connection(by_address=by_address),
        broke_off=broke_off,
    )


def _body(meter: BodyMeter, content: bytes, end: BodyEnd) -> Body:
    if end not in (BodyEnd.COMPLETE, BodyEnd.CUT):
        return Body(end=end, size=None if end is BodyEnd.NOT_CAPTURED else len(content))
    if content:
        meter.feed(content)
    body = meter.body(complete=end is BodyEnd.COMPLETE)
    # What the inspector computed is held against other implementations at once.
    assert body.md5 in (None, judge_md5(content))
    assert body.crc64 in (None, judge_crc64(content))
    return body

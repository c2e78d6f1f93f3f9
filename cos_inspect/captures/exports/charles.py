"""Charles's JSON session (``.chlsj``; File, Export Session, JSON Session File), which other
tools write as well."""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from cos_inspect.captures.capture_format import CaptureFormat, read_whole
from cos_inspect.captures.captured_flow import InputRemarks
from cos_inspect.captures.exports.exported_body import NO_BODY, ExportedBody
from cos_inspect.captures.exports.exported_flow import (
    OTHER_SCHEME,
    TUNNEL,
    WEB_SOCKET,
    ExportedFlow,
    LeftOutError,
    peer,
    plain_address,
)
from cos_inspect.captures.exports.json_export import (
    JsonExport,
    encoded,
    held_body,
    plain_fields,
    short_text,
)
from cos_inspect.captures.exports.json_kinds import CHARLES_KEYS, has_keys
from cos_inspect.captures.har_entries import OddEntryError, RawEntry
from cos_inspect.captures.har_values import as_object, as_text, moment_of, number_of, span_of
from cos_inspect.model.exchange import Timing
from cos_inspect.model.headers import Headers
from cos_inspect.recording.actors import Peers
from cos_inspect.recording.message_heads import (
    DEFAULT_PORTS,
    AnswerHead,
    Fields,
    RequestHead,
    headers_of,
)

_COMPLETE = "COMPLETE"
_PEER = re.compile(r"(?:[^/]*/)?(.*?)(?::([0-9]{1,5}))?")
"""Java prints a name, a slash, the address, and the port."""


class CharlesFile(JsonExport):
    """Reads one file."""

    def flow_of(
        self, entry: dict[str, Any], raw: RawEntry, flow_id: str, remarks: InputRemarks
    ) -> ExportedFlow:
        """The exchange that an entry is."""
        remarks.facts.program = "Charles"
        method = short_text(entry.get("method"), raw).upper() or "GET"
        if entry.get("tunnel") is True or method == "CONNECT":
            raise LeftOutError(TUNNEL)
        if entry.get("webSocket") is True:
            raise LeftOutError(WEB_SOCKET)
        scheme = (short_text(entry.get("scheme"), raw) or "https").lower()
        if scheme in ("ws", "wss"):
            raise LeftOutError(WEB_SOCKET)
        if scheme not in DEFAULT_PORTS:
            raise LeftOutError(OTHER_SCHEME)
        asked = _object(entry.get("request"))
        fields, pseudo = _fields(asked, raw)
        host = as_text(short_text(entry.get("host"), raw))
        authority = pseudo.get(":authority", "")
        if not host and not authority:
            raise OddEntryError("it does not say who was asked")
        answer = entry.get("response")
        answered = None if answer is None else as_object(answer, "its response")
        answer_fields, _ = _fields(answered or {}, raw)
        answer_headers = headers_of(answer_fields)
        status = None if answered is None else number_of(answered.get("status"))
        head = None
        if status is not None and 100 <= status < 1000:
            reason = _reason(answered or {}, raw)
            head = AnswerHead(answer_fields, int(status), reason, _version(entry))
        state = short_text(entry.get("status"), raw)
        # What was not over when it saved: ``RECEIVING_RESPONSE_BODY``.
        under_way = state.endswith("ING") or "ING_" in state
        failed = state not in (_COMPLETE, "") and not under_way
        headers = headers_of(fields)
        port = number_of(entry.get("port")) or number_of(entry.get("actualPort"))
        client, server = _peer(entry, "client"), _peer(entry, "remote")
        return ExportedFlow(
            flow_id=flow_id,
            head=RequestHead(
                fields,
                encoded(method),
                scheme.encode(),
                encoded(authority),
                host,
                int(port) if port and 0 < port < 65536 else DEFAULT_PORTS[scheme],
                encoded(_target(entry, asked, pseudo, raw)),
                _version(entry),
            ),
            answer=head,
            sent=_body(asked, headers, raw),
            received=NO_BODY
            if answered is None
            else _body(answered, answer_headers, raw, open_=under_way),
            timing=_timing(entry, answer_headers, answered=head is not None),
            error=_failure(entry, state) if failed else None,
            cut=failed,
            peers=Peers(
                client=peer(*client),
                server=peer(*server),
                tls=as_text(_object(entry.get("ssl")).get("protocol"))[:20] or None,
            ),
            client_address=plain_address(client[0]) or None,
            server_address=plain_address(server[0]) or None,
        )


def _failure(entry: Mapping[str, Any], state: str) -> str:
    """In Charles's words."""
    for name in ("errorMessage", "exception", "error"):
        said = entry.get(name)
        if isinstance(said, str) and said:
            return f"Charles: {as_text(said)[:1000]}"
    return f"Charles: {as_text(state)[:100]}"


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _fields(message: Mapping[str, Any], raw: RawEntry) -> tuple[Fields, dict[str, str]]:
    """Header fields, and the pseudo header fields of HTTP/2 by name."""
    listed = _object(message.get("header")).get("headers")
    pseudo: dict[str, str] = {}

    def pairs() -> Iterator[tuple[object, object]]:
        for item in listed if isinstance(listed, list) else ():
            if not isinstance(item, dict):
                continue
            name, value = item.get("name"), item.get("value")
            if isinstance(name, str) and name.startswith(":"):
                pseudo[name] = as_text(short_text(value, raw))
            else:
                yield name, value

    return plain_fields(pairs(), raw), pseudo


def _target(
    entry: Mapping[str, Any], asked: Mapping[str, Any], pseudo: Mapping[str, str], raw: RawEntry
) -> str:
    """Path and query as they were sent: an empty query keeps its question mark."""
    line = short_text(_object(asked.get("header")).get("firstLine"), raw).split(" ")
    for told in (pseudo.get(":path", ""), line[1] if len(line) > 2 else ""):
        if told.startswith("/"):
            return told
        if "://" in told:
            rest = told.partition("://")[2]
            cut = min((at for at in map(rest.find, "/?") if at >= 0), default=len(rest))
            return rest[cut:] if rest[cut:].startswith("/") else f"/{rest[cut:]}"
    path = as_text(short_text(entry.get("path"), raw)) or "/"
    query = entry.get("query")
    return f"{path}?{as_text(short_text(query, raw))}" if isinstance(query, str) else path


def _version(entry: Mapping[str, Any]) -> bytes:
    told = as_text(entry.get("protocolVersion")).upper()
    return {"HTTP/2": b"HTTP/2.0", "H2": b"HTTP/2.0"}.get(told, encoded(told[:20]) or b"HTTP/1.1")


def _reason(answer: Mapping[str, Any], raw: RawEntry) -> bytes:
    line = short_text(_object(answer.get("header")).get("firstLine"), raw)
    return encoded(line.split(" ", 2)[2]) if line.count(" ") >= 2 else b""


def _body(
    message: Mapping[str, Any], headers: Headers, raw: RawEntry, *, open_: bool = False
) -> ExportedBody:
    """``open_``: more of it may have come later."""
    size = number_of(_object(message.get("sizes")).get("body"))
    length = int(size) if size is not None and size >= 0 else None
    held = _object(message.get("body"))
    charset = held.get("charset") or message.get("charset")
    found = held_body(
        raw,
        held.get("encoded"),
        held.get("text"),
        headers,
        charset=charset if isinstance(charset, str) else None,
        size=length,
    )
    if found is None:
        return ExportedBody(
            content=None, stored=0, length=length, dropped=open_ or length not in (None, 0)
        )
    coded = message.get("contentEncoding") or headers.get("content-encoding")
    told = held.get("decoded")
    return ExportedBody(
        content=found.chunks,
        length=length,
        dropped=open_,
        # Where it does not say so itself, a coding was taken off.
        decoded=found.changed or told is True or (bool(coded) and told is not False),
    )


def _timing(entry: Mapping[str, Any], answer: Headers, *, answered: bool) -> Timing:
    times, durations = _object(entry.get("times")), _object(entry.get("durations"))

    def at(*names: str) -> float | None:
        for name in names:
            if isinstance(times.get(name), str | int | float):
                try:
                    return moment_of(times.get(name), Headers())
                except OddEntryError:
                    continue
        return None

    start = at("requestBegin", "start")
    return Timing(
        request_start=start if start is not None else moment_of(None, answer),
        request_end=at("requestComplete"),
        response_start=at("responseBegin") if answered else None,
        response_end=at("end", "responseComplete") if answered else None,
        failed=None if answered else at("end"),
        connect_ms=span_of(durations, "connect") or None,
        tls_ms=span_of(durations, "ssl") or None,
    )


def _peer(entry: Mapping[str, Any], side: str) -> tuple[str, str | None]:
    """Address and port, without the name that Java prints before them."""
    found = _PEER.fullmatch(as_text(entry.get(f"{side}Address"))[:300].strip())
    if found is None:
        return "", None
    address, port = found[1], found[2]
    if address.count(":") > 1 and not address.startswith("["):
        # What looks like a port may be the end of an IPv6 address.
        address, port = found[0].rpartition("/")[2], None
    told = number_of(entry.get(f"{side}Port"))
    return address, port or (str(int(told)) if told else None)


CHARLES = CaptureFormat(
    name="charles",
    called="a JSON session of Charles",
    recognises=partial(has_keys, wanted=CHARLES_KEYS),
    suffixes=(".chlsj",),
    read=partial(read_whole, CharlesFile),
)

"""Whistle's own export (Export, ``.txt`` or ``.json``): its sessions as JSON.

Bodies stand as base64 with codings taken off, while the headers still tell of them; those over
1 or 2 MiB are left out, and sometimes the last piece of one is left. ``size`` counts the bytes
that passed.
"""

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
    split_url,
)
from cos_inspect.captures.exports.json_export import (
    JsonExport,
    encoded,
    held_body,
    plain_fields,
    short_text,
)
from cos_inspect.captures.exports.json_kinds import WHISTLE_KEYS, has_keys
from cos_inspect.captures.exports.raw_message import RawMessageError, status_line
from cos_inspect.captures.exports.session_facts import times_of
from cos_inspect.captures.har_entries import OddEntryError, RawEntry
from cos_inspect.captures.har_values import as_object, as_text, moment_of
from cos_inspect.model.exchange import BrokeOff, Timing
from cos_inspect.model.headers import Headers
from cos_inspect.recording.actors import Peers
from cos_inspect.recording.message_heads import (
    DEFAULT_PORTS,
    AnswerHead,
    Fields,
    RequestHead,
    headers_of,
)

_PACKED = ("gzip", "br", "deflate")
"""Codings that Whistle takes off."""


class WhistleFile(JsonExport):
    """Reads one file."""

    def flow_of(
        self, entry: dict[str, Any], raw: RawEntry, flow_id: str, remarks: InputRemarks
    ) -> ExportedFlow:
        """The exchange that an entry is."""
        version = entry.get("version")
        program = f"Whistle {as_text(version)[:30]}".strip()
        remarks.facts.program = remarks.facts.program or program
        asked = as_object(entry.get("req"), "its request")
        method = short_text(asked.get("method"), raw).upper() or "GET"
        url = short_text(entry.get("url"), raw)
        if method == "CONNECT" or entry.get("isHttps") is True:
            raise LeftOutError(TUNNEL)
        if url.lower().startswith(("ws:", "wss:")):
            raise LeftOutError(WEB_SOCKET)
        if "://" not in url:
            raise OddEntryError("it has no URL")
        scheme, host, port, target = split_url(as_text(url))
        if scheme not in DEFAULT_PORTS:
            raise LeftOutError(OTHER_SCHEME)
        fields = _fields(asked, raw)
        headers = headers_of(fields)
        answered = entry.get("res")
        answer = answered if isinstance(answered, dict) else {}
        end = _End(answer, entry, _fields(answer, raw))
        date = None if end.head is None else headers_of(end.head.fields)
        two = entry.get("useH2") is True and entry.get("useHttp") is not True
        return ExportedFlow(
            flow_id=flow_id,
            head=RequestHead(
                fields,
                encoded(method),
                scheme.encode(),
                encoded(host) if two else b"",
                host,
                port,
                encoded(target),
                b"HTTP/2.0" if two else b"HTTP/1.1",
            ),
            answer=end.head,
            sent=_body(asked, headers, raw),
            received=NO_BODY if end.head is None else _body(answer, date or Headers(), raw),
            timing=times_of(entry) or _unknown(date),
            error=end.error,
            broke_off=end.broke_off,
            cut=end.broke_off is not None or end.error is not None,
            peers=Peers(
                client=peer(asked.get("ip"), asked.get("port")),
                server=peer(answer.get("ip"), answer.get("port") or port),
            ),
            client_address=_address(asked),
            server_address=_address(answer),
        )


class _End:
    """What came of a request."""

    def __init__(self, answer: Mapping[str, Any], entry: Mapping[str, Any], fields: Fields) -> None:
        self.head: AnswerHead | None = None
        self.error: str | None = None
        self.broke_off: BrokeOff | None = None
        told = answer.get("statusCode")
        if told is None or told == "":
            if entry.get("reqError") is True:
                self._by_client()
            return
        try:
            line = status_line(f"HTTP/1.1 {told} {as_text(answer.get('statusMessage'))}".encode())
        except RawMessageError:
            raise OddEntryError("its status is none") from None
        if entry.get("resError") is True:
            self.error = "Whistle: the server gave no answer, or broke it off"
        elif entry.get("reqError") is True or line.reason == b"aborted":
            self._by_client()
        if line.status is not None and (fields or self.error is None):
            self.head = AnswerHead(fields, line.status, line.reason, b"HTTP/1.1")

    def _by_client(self) -> None:
        self.error = "client disconnected"
        self.broke_off = BrokeOff(by="client")


def _unknown(answer: Headers | None) -> Timing:
    """Of an entry that does not say when it was.

    :raises OddEntryError: where the answer does not say either.
    """
    return Timing(request_start=moment_of(None, answer or Headers()))


def _fields(message: Mapping[str, Any], raw: RawEntry) -> Fields:
    """Header fields as they were written: names stand in lower case, and how they were written
    in a list of its own."""
    headers = message.get("headers")
    written = message.get("rawHeaderNames")
    names = written if isinstance(written, dict) else {}

    def pairs() -> Iterator[tuple[object, object]]:
        for name, value in headers.items() if isinstance(headers, dict) else ():
            shown = names.get(name)
            for each in value if isinstance(value, list) else (value,):
                yield shown if isinstance(shown, str) and shown else name, each

    return plain_fields(pairs(), raw)


def _body(message: Mapping[str, Any], headers: Headers, raw: RawEntry) -> ExportedBody:
    size = message.get("size")
    known = isinstance(size, int) and not isinstance(size, bool) and size >= 0
    length = size if known and isinstance(size, int) else None
    held = held_body(raw, message.get("base64"), message.get("body"), headers, size=length)
    if held is None:
        # What passed nothing had nothing to keep.
        empty = length == 0
        return ExportedBody(content=None, stored=0, length=length, dropped=not empty and known)
    codings = (headers.get("content-encoding") or "").strip().lower()
    return ExportedBody(
        content=held.chunks,
        length=length,
        decoded=held.changed
        or codings in _PACKED
        or isinstance(message.get("unzipSize"), int)
        or message.get("hasGzipError") is True,
    )


def _address(message: Mapping[str, Any]) -> str | None:
    address = message.get("ip")
    return plain_address(address) or None if isinstance(address, str) else None


WHISTLE = CaptureFormat(
    name="whistle",
    called="an export of Whistle",
    recognises=partial(has_keys, wanted=WHISTLE_KEYS),
    suffixes=(),
    read=partial(read_whole, WhistleFile),
)

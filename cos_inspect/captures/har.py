"""HAR entries to exchanges; tolerant of what the exporters make of the format.

Chromium, Firefox, Safari, Charles, Fiddler, Proxyman, HTTP Toolkit and
mitmproxy each leave out, decode or rename something. Nothing here depends on
who wrote the file, but for mitmproxy's timings: what an entry says is taken
as far as it agrees with itself.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from hashlib import blake2b
from itertools import accumulate
from typing import Any
from urllib.parse import unquote

import msgspec

from cos_inspect.captures.capture_format import CaptureFormat, CapturePart, beginning
from cos_inspect.captures.captured_flow import CapturedFlow, Marks, Remarks
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.har_body import (
    bytes_before_the_cut,
    har_request_body,
    har_response_body,
    har_response_marks,
)
from cos_inspect.captures.har_entries import (
    HarEntries,
    OddEntryError,
    RawEntry,
    blob_of,
    decode,
    unescaped,
)
from cos_inspect.captures.source import Stream
from cos_inspect.cos.cos_exchange import recognise
from cos_inspect.inspection.redaction import Redactor, fault_text
from cos_inspect.model.exchange import (
    BrokeOff,
    Exchange,
    Headers,
    Request,
    Response,
    Timing,
    known_moment,
)
from cos_inspect.recording.message_heads import DEFAULT_PORTS, asked_host, parse_authority

_VERSIONS = {
    "h2": "HTTP/2.0",
    "http/2": "HTTP/2.0",
    "http/2.0": "HTTP/2.0",
    "h3": "HTTP/3",
    "http/3": "HTTP/3",
    "http/3.0": "HTTP/3",
    "http/1.1": "HTTP/1.1",
    "http/1.0": "HTTP/1.0",
}
_SIGNED_HEADERS = re.compile(r"(?:q-header-list|SignedHeaders)=([^&,\s]*)", re.IGNORECASE)
_NUMBER = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,20})?", re.ASCII)
_FROM_CACHE = frozenset({"memory cache", "disk cache", "memory", "disk"})
_REFUSED_BY_CORS = "net::ERR_FAILED"
"""Chromium withheld the answer from the page, or sent nothing after a refused preflight;
what fails on the network has codes of its own."""
_GIVEN_UP = (
    "net::ERR_ABORTED",
    "net::ERR_BLOCKED",
    _REFUSED_BY_CORS,
    "NS_BINDING_ABORTED",
    "aborted",
)
"""The client gave up, or a download was handed on; nothing is wrong with the network."""

_NEVER_SENT = (
    "net::ERR_BLOCKED",
    "net::ERR_CACHE_MISS",
    "net::ERR_INTERNET_DISCONNECTED",
    _REFUSED_BY_CORS,
)


class _NeverSentError(ValueError):
    """An entry that tells of no exchange."""


class BeforeEntries(msgspec.Struct, frozen=True):
    """What the reader of a part of a HAR has to know of the rest."""

    first_entry: int
    """The number of the part's first entry in the file, from 1."""
    creator: str | None
    repeats: dict[int, int]
    """Which occurrence an entry is, by its number, where it is not the first."""


class HarFile:
    """Reads one file."""

    def __init__(
        self,
        stream: Stream,
        hosts: Sequence[str],
        *,
        end: int | None = None,
        before: "BeforeEntries | None" = None,
    ) -> None:
        """``before`` is needed where a part of the file is read."""
        self._stream = stream
        self._hosts = hosts
        self._end = end
        self._first = before.first_entry if before else 1
        self._creator = before.creator if before else None
        self._mitmproxy = False
        self._repeats = before.repeats if before else None
        self._met: Counter[bytes] = Counter()

    def saved(self, remarks: Remarks) -> Iterator[CapturedFlow]:
        """:raises CaptureError: where the file is cut or broken, after what came before."""
        reader = HarEntries(self._stream, creator=self._creator)
        name = self._stream.name
        cached = 0
        for number, raw in enumerate(reader.entries(self._end), start=self._first):
            self._stream.admit(number)
            self._mitmproxy = reader.creator == "mitmproxy"
            try:
                entry = _object(decode(raw), "the entry")
                if _from_cache(entry):
                    cached += 1
                    continue
                found = self._one(entry, raw, number)
            except _NeverSentError as error:
                remarks.note(f"{name}: entry {number}, at byte {raw.offset}: skipped, {error}")
            except Exception as error:
                # Anything may stand in an entry; the next one may be whole again.
                known = isinstance(error, OddEntryError)
                what = str(error) if known else f"it cannot be read ({fault_text(error)})"
                remarks.lose(f"skipped, {what}", raw.offset, number)
            else:
                yield found
        if cached:
            remarks.note(f"{name}: {cached} entries came out of a cache and are not counted")

    def _one(self, entry: dict[str, Any], raw: RawEntry, number: int) -> CapturedFlow:
        asked = _object(entry.get("request"), "its request")
        url = asked.get("url")
        if not isinstance(url, str) or ":" not in url:
            raise OddEntryError("it has no URL")
        if blob_of(raw, url) is not None:
            raise OddEntryError("its URL is longer than any")
        scheme = url.partition(":")[0].lower()
        digest = digest_of(raw)
        self._met[digest] += 1
        known = self._met[digest] if self._repeats is None else self._repeats.get(number, 1)
        flow_id = _identity(digest, known)
        if scheme not in DEFAULT_PORTS:
            return CapturedFlow(flow_id=flow_id, exchange=None, offset=raw.offset, entry=number)
        headers, pseudo = _headers(asked.get("headers"), raw)
        host, port, target = _asked(url, scheme, headers, pseudo.get(":authority", ""))
        answered = entry.get("response")
        answer = {} if answered is None else _object(answered, "its response")
        answer_headers, _ = _headers(answer.get("headers"), raw)
        method = _method(asked.get("method"))
        recognised = recognise(host, method, target, headers, answer_headers, self._hosts)
        if recognised is None:
            return CapturedFlow(
                flow_id=flow_id, exchange=None, offset=raw.offset, entry=number, host=host
            )
        operation = recognised.operation
        status = _status(answer.get("status"))
        error = _failure(entry, answer, status)
        given_up = error is not None and error.startswith(_GIVEN_UP)
        # A download that the browser handed on has no bytes here; one that it left off has some.
        left_off = (
            given_up
            and not (error or "").startswith(_REFUSED_BY_CORS)
            and bytes_before_the_cut(answer, answer_headers) is not None
        )
        response = None
        if status is not None:
            response = Response(
                status=status,
                reason=_text(answer.get("statusText")),
                http_version=_version(answer.get("httpVersion")),
                headers=answer_headers,
                body=har_response_body(
                    raw,
                    answer,
                    answer_headers,
                    operation,
                    method,
                    status,
                    cut=error is not None and (left_off or not given_up),
                    discarded=_discarded(entry, answer, "_responseBodyStatus") or given_up,
                ),
            )
        if response is None and error is not None and error.startswith(_NEVER_SENT):
            raise _NeverSentError(f"it was never sent ({Redactor().text(error)})")
        exchange = Exchange(
            flow_id=flow_id,
            request=Request(
                method=method,
                scheme=scheme,
                host=host,
                port=port,
                target=target,
                http_version=_version(asked.get("httpVersion")),
                headers=headers,
                body=har_request_body(
                    raw,
                    asked,
                    headers,
                    operation,
                    method,
                    discarded=_discarded(entry, asked, "_requestBodyStatus"),
                ),
                dropped_headers=_taken_away(headers, target) if self._mitmproxy else (),
            ),
            response=response,
            timing=self._timing(entry, answer_headers, answered=response is not None),
            error=None if given_up and response is not None and not left_off else error,
            broke_off=BrokeOff(by="client")
            if given_up and (response is None or left_off)
            else None,
            server_address=_address(entry.get("serverIPAddress")),
        )
        marks: Marks | None = None
        if response is not None and status == 206 and response.body.complete:
            marks = partial(har_response_marks, raw, answer, answer_headers)
        return CapturedFlow(
            flow_id=flow_id,
            exchange=exchange,
            recognised=recognised,
            offset=raw.offset,
            entry=number,
            marks=marks,
        )

    def _timing(self, entry: dict[str, Any], answer: Headers, *, answered: bool) -> Timing:
        """An entry begins before the connection is made, but in mitmproxy's files, whose
        ``connect`` is that of another moment and does not hold ``ssl``."""
        timings = entry.get("timings")
        spans = timings if isinstance(timings, dict) else {}
        connect, tls = _span(spans, "connect"), _span(spans, "ssl")
        before = 0.0
        if not self._mitmproxy:
            before = sum(_span(spans, name) or 0.0 for name in ("blocked", "dns", "connect"))
            if connect is not None and tls is not None:
                connect = max(0.0, connect - tls)
        begin = _moment(entry.get("startedDateTime"), answer)
        phases = [_span(spans, name) for name in ("send", "wait", "receive")]
        sent, first, end = accumulate(phase or 0.0 for phase in phases)
        phased = any(phase is not None for phase in phases)
        total = (_number(entry.get("time")) or 0.0) - before
        if self._mitmproxy and not answered:
            # There the total ends with the request, where nobody answers.
            total = 0.0

        def at(after: float) -> float | None:
            return None if begin is None else known_moment(begin + (before + after) / 1000)

        return Timing(
            request_start=at(0.0),
            request_end=at(sent) if phased else None,
            response_start=at(first) if phased and answered else None,
            response_end=at(end if phased else total)
            if answered and (phased or total > 0)
            else None,
            failed=at(max(end, total)) if not answered and max(end, total) > 0 else None,
            connect_ms=None if connect is None else round(connect, 3),
            tls_ms=None if tls is None else round(tls, 3),
        )


def _taken_away(headers: Headers, target: str) -> tuple[tuple[str, str], ...]:
    """mitmproxy answers ``Expect`` itself and writes a request without it; a signature may name
    it."""
    signed = _SIGNED_HEADERS.search(f"{headers.get('authorization') or ''} {target}")
    names = unquote(signed[1]).lower().split(";") if signed else ()
    return (("Expect", "100-continue"),) if "expect" in names and "expect" not in headers else ()


def digest_of(raw: RawEntry) -> bytes:
    """Equal for equal entries."""
    digest = blake2b(raw.data, digest_size=16)
    for blob in raw.blobs:
        digest.update(f"{blob.length};".encode())
    return digest.digest()


def _identity(digest: bytes, occurrence: int) -> str:
    """The same entry in two files has the same id; twice in one file, it has two."""
    if occurrence > 1:
        digest = blake2b(digest + str(occurrence).encode(), digest_size=16).digest()
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _object(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise OddEntryError(f"{name} is {'missing' if value is None else 'no object'}")
    return value


def _text(value: object) -> str:
    """Lone surrogates, which cannot be written, become U+FFFD."""
    if not isinstance(value, str):
        return ""
    if value.isascii():
        return value
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _number(value: object) -> float | None:
    """None for what is no number, or none that a time, a size or a status has."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -1e15 < value < 1e15 else None


def _method(value: object) -> str:
    if value is not None and not isinstance(value, str):
        raise OddEntryError("its method is no text")
    return _text(value).upper() or "GET"


def _status(value: object) -> int | None:
    """None where there was no answer, for which exporters write 0, -1 or nothing."""
    number = _number(value)
    if (number is None and value is None) or value == "":
        return None
    if number is None or number >= 1000 or 0 < number < 100:
        raise OddEntryError("its status is none")
    return int(number) if number >= 100 else None


def _span(timings: dict[str, Any], name: str) -> float | None:
    """Milliseconds; -1 stands for what did not happen."""
    number = _number(timings.get(name))
    return number if number is not None and number >= 0 else None


def _headers(fields: object, raw: RawEntry) -> tuple[Headers, dict[str, str]]:
    """Header fields, and the pseudo header fields of HTTP/2 by name. A list of objects or
    of pairs, or one object."""
    plain: list[tuple[str, str]] = []
    pseudo: dict[str, str] = {}
    items = list(fields.items()) if isinstance(fields, dict) else fields
    if items is not None and not isinstance(items, list):
        raise OddEntryError("its headers are no list")
    for item in items or ():
        if isinstance(item, dict):
            name, value = item.get("name"), item.get("value")
        elif isinstance(item, list | tuple) and len(item) == 2:
            name, value = item
        else:
            continue
        name = _text(name)
        if not name:
            continue
        value = _beginning(_text(value), raw) if isinstance(value, str) else _shown(value)
        if name.startswith(":"):
            pseudo[name] = value
            continue
        # Chromium joins repeated fields by line ends.
        plain += [(name, each) for each in value.split("\n")]
    return Headers(plain), pseudo


def _beginning(value: str, raw: RawEntry) -> str:
    """The value itself, but for one that is too long to be kept."""
    blob = blob_of(raw, value)
    if blob is None:
        return value
    return next(unescaped(blob), b"").decode("utf-8", "replace")


def _shown(value: object) -> str:
    """Of a header whose value is no text: a number or a word, as it stands in JSON."""
    return json.dumps(value) if isinstance(value, bool) or _number(value) is not None else ""


def _asked(url: str, scheme: str, headers: Headers, authority: str) -> tuple[str, int, str]:
    """Host, port and target; ``authority``: the pseudo header field of HTTP/2."""
    url = _text(url).partition("#")[0]
    after = url[len(scheme) + 1 :].removeprefix("//")
    cut = min((at for at in map(after.find, "/?") if at >= 0), default=len(after))
    target = after[cut:] or "/"
    if not target.startswith("/"):
        target = "/" + target
    url_host, url_port = parse_authority(after[:cut].rpartition("@")[2])
    if not (url_host or authority or headers.get("host")):
        raise OddEntryError("its URL has no host")
    port = url_port or DEFAULT_PORTS[scheme]
    host, port = asked_host(scheme, headers, authority.encode(), url_host, port)
    return host, port, target


def _version(value: object) -> str:
    text = _text(value)
    return _VERSIONS.get(text.lower(), text)


def _address(value: object) -> str | None:
    return _text(value).removeprefix("[").removesuffix("]") or None


def _moment(value: object, answer: Headers) -> float | None:
    """Seconds since the epoch; where nothing says when, the answer's Date. None for a moment
    that can be none."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
            return known_moment(
                (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
            )
        except (ValueError, OverflowError):
            pass
    number = _number(value)
    if number is not None and number > 0:
        return known_moment(number / 1000 if number > 1e11 else number)
    try:
        return known_moment(parsedate_to_datetime(answer.get("date") or "").timestamp())
    except (ValueError, OverflowError):
        raise OddEntryError("it does not say when it was") from None


def _failure(entry: dict[str, Any], answer: dict[str, Any], status: int | None) -> str | None:
    """What ended the exchange early, in the exporter's words; None where it was answered, or
    nothing says that it failed: the recording may have ended before it did."""
    for holder in (answer, entry):
        for name in ("_error", "error"):
            value = holder.get(name)
            if isinstance(value, str) and value:
                return _text(value)
    if status is not None:
        return None
    return _text(answer.get("statusText")) or _text(answer.get("comment")) or None


def _discarded(entry: dict[str, Any], message: dict[str, Any], name: str) -> bool:
    """HTTP Toolkit says so when it left a body out."""
    return any(
        _text(holder.get(name)).startswith("discarded")
        for holder in (entry, message)
        if isinstance(holder.get(name), str)
    )


def _from_cache(entry: dict[str, Any]) -> bool:
    """Answered by the browser itself: ``_fromCache`` (Chromium), ``_fetchType`` (Safari)."""
    return (
        any(_text(entry.get(name)).lower() in _FROM_CACHE for name in ("_fromCache", "_fetchType"))
        or _text(_dict(entry.get("response")).get("_fetchType")).lower() in _FROM_CACHE
    )


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _recognises(head: bytes) -> bool:
    """A brace or a bracket begins JSON."""
    return beginning(head).startswith((b"{", b"["))


def _recognises_in_folder(head: bytes) -> bool:
    """Reports are JSON too."""
    return _recognises(head) and b'"log"' in head


def _read(
    stream: Stream, part: CapturePart, hosts: Sequence[str], remarks: Remarks
) -> Iterator[CapturedFlow]:
    before = part.before if isinstance(part.before, BeforeEntries) else None
    return HarFile(stream, hosts, end=part.end, before=before).saved(remarks)


def _cut(part: CapturePart, stream: Stream, step: int) -> Iterator[CapturePart]:
    reader = HarEntries(stream)
    begin: int | None = None
    first = 1
    met: Counter[bytes] = Counter()
    repeats: dict[int, int] = {}

    def cut(end: int | None) -> CapturePart:
        before = BeforeEntries(first, reader.creator, repeats)
        return msgspec.structs.replace(part, begin=begin or 0, end=end, before=before)

    try:
        for number, entry in enumerate(reader.entries(), start=1):
            if begin is None:
                begin = entry.offset
            elif entry.offset - begin >= step:
                yield cut(entry.offset)
                begin, first, repeats = entry.offset, number, {}
            digest = digest_of(entry)
            met[digest] += 1
            if met[digest] > 1:
                repeats[number] = met[digest]
    except CaptureError:
        # Whoever reads the last part will meet it again, and tell.
        pass
    yield cut(None)


HAR = CaptureFormat(
    name="har",
    called="a HAR",
    recognises=_recognises,
    recognises_in_folder=_recognises_in_folder,
    suffixes=(".har",),
    packed_suffixes=(".zhar",),
    read=_read,
    cut=_cut,
)

"""HAR entries to exchanges; tolerant of what the exporters make of the format.

Chromium, Firefox, Safari, Charles, Fiddler, Proxyman, HTTP Toolkit and
mitmproxy each leave out, decode or rename something. Nothing here depends on
who wrote the file, but for mitmproxy's timings: what an entry says is taken
as far as it agrees with itself.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import accumulate
from typing import Any
from urllib.parse import unquote

import msgspec

from cos_inspect.captures.capture_format import CaptureFormat, CapturePart, beginning
from cos_inspect.captures.captured_flow import CapturedFlow, InputRemarks, Marks
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
    entry_id,
)
from cos_inspect.captures.har_values import (
    address_of,
    address_of_request,
    as_object,
    as_text,
    failure_of,
    headers_of,
    is_from_cache,
    is_left_out,
    method_of,
    moment_of,
    number_of,
    span_of,
    status_of,
    version_of,
)
from cos_inspect.captures.source import Stream
from cos_inspect.cos.cos_exchange import recognise
from cos_inspect.inspection.redaction import Redactor, fault_text
from cos_inspect.model.exchange import BrokeOff, Exchange, Request, Response, Timing
from cos_inspect.model.headers import Headers
from cos_inspect.model.moments import known_moment
from cos_inspect.model.target_bounds import reason_within, target_within
from cos_inspect.recording.message_heads import DEFAULT_PORTS

_SIGNED_HEADERS = re.compile(r"(?:q-header-list|SignedHeaders)=([^&,\s]*)", re.IGNORECASE)
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

    def saved(self, remarks: InputRemarks) -> Iterator[CapturedFlow]:
        """:raises CaptureError: where the file is cut or broken, after what came before."""
        reader = HarEntries(self._stream, creator=self._creator)
        name = self._stream.name
        cached = 0
        for number, raw in enumerate(reader.entries(self._end), start=self._first):
            self._stream.admit(number)
            self._mitmproxy = reader.creator == "mitmproxy"
            remarks.facts.program = reader.creator
            try:
                entry = as_object(decode(raw), "the entry")
                if is_from_cache(entry):
                    cached += 1
                    continue
                found = self._one(entry, raw, number)
            except _NeverSentError as error:
                remarks.facts.leave_out("never sent")
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
            remarks.facts.leave_out("answered out of a cache", cached)

    def _one(self, entry: dict[str, Any], raw: RawEntry, number: int) -> CapturedFlow:
        asked = as_object(entry.get("request"), "its request")
        url = asked.get("url")
        if not isinstance(url, str) or ":" not in url:
            raise OddEntryError("it has no URL")
        if blob_of(raw, url) is not None:
            raise OddEntryError("its URL is longer than any")
        scheme = url.partition(":")[0].lower()
        digest = raw.digest
        self._met[digest] += 1
        known = self._met[digest] if self._repeats is None else self._repeats.get(number, 1)
        flow_id = entry_id(digest, known)
        if scheme not in DEFAULT_PORTS:
            return CapturedFlow(flow_id=flow_id, exchange=None, offset=raw.offset, entry=number)
        headers, pseudo = headers_of(asked.get("headers"), raw, joined=False)
        host, port, asked_for = address_of_request(
            url, scheme, headers, pseudo.get(":authority", "")
        )
        target, unread_target = target_within(asked_for)
        answered = entry.get("response")
        answer = {} if answered is None else as_object(answered, "its response")
        answer_headers, _ = headers_of(answer.get("headers"), raw)
        method = method_of(asked.get("method"))
        recognised = recognise(host, method, target, headers, answer_headers, self._hosts)
        if recognised is None:
            return CapturedFlow(
                flow_id=flow_id, exchange=None, offset=raw.offset, entry=number, host=host
            )
        operation = recognised.operation
        status = status_of(answer.get("status"))
        error = failure_of(entry, answer, status)
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
                reason=reason_within(as_text(answer.get("statusText"))),
                http_version=version_of(answer.get("httpVersion")),
                headers=answer_headers,
                body=har_response_body(
                    raw,
                    answer,
                    answer_headers,
                    operation,
                    method,
                    status,
                    cut=error is not None and (left_off or not given_up),
                    discarded=is_left_out(entry, answer, "_responseBodyStatus") or given_up,
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
                http_version=version_of(asked.get("httpVersion")),
                headers=headers,
                body=har_request_body(
                    raw,
                    asked,
                    headers,
                    operation,
                    method,
                    discarded=is_left_out(entry, asked, "_requestBodyStatus"),
                ),
                dropped_headers=_taken_away(headers, target) if self._mitmproxy else (),
                unread_target=unread_target,
            ),
            response=response,
            timing=self._timing(entry, answer_headers, answered=response is not None),
            error=None if given_up and response is not None and not left_off else error,
            broke_off=BrokeOff(by="client")
            if given_up and (response is None or left_off)
            else None,
            server_address=address_of(entry.get("serverIPAddress")),
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
        connect, tls = span_of(spans, "connect"), span_of(spans, "ssl")
        before = 0.0
        if not self._mitmproxy:
            before = sum(span_of(spans, name) or 0.0 for name in ("blocked", "dns", "connect"))
            if connect is not None and tls is not None:
                connect = max(0.0, connect - tls)
        begin = moment_of(entry.get("startedDateTime"), answer)
        phases = [span_of(spans, name) for name in ("send", "wait", "receive")]
        sent, first, end = accumulate(phase or 0.0 for phase in phases)
        phased = any(phase is not None for phase in phases)
        total = (number_of(entry.get("time")) or 0.0) - before
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


def _recognises(head: bytes) -> bool:
    """A brace or a bracket begins JSON."""
    return beginning(head).startswith((b"{", b"["))


def _recognises_in_folder(head: bytes) -> bool:
    """Reports are JSON too."""
    return _recognises(head) and b'"log"' in head


def _read(
    stream: Stream, part: CapturePart, hosts: Sequence[str], remarks: InputRemarks
) -> Iterator[CapturedFlow]:
    before = part.before if isinstance(part.before, BeforeEntries) else None
    return HarFile(stream, hosts, end=part.end, before=before).saved(remarks)


def _cut(part: CapturePart, stream: Stream, step: int) -> Iterator[CapturePart]:
    reader = HarEntries(stream)
    begin: int | None = None
    first = 1
    creator: str | None = None
    met: Counter[bytes] = Counter()
    repeats: dict[int, int] = {}

    def cut(end: int | None) -> CapturePart:
        before = BeforeEntries(first, creator, repeats)
        return msgspec.structs.replace(part, begin=begin or 0, end=end, before=before)

    try:
        for number, entry in enumerate(reader.entries(), start=1):
            if begin is None:
                begin, creator = entry.offset, reader.creator
            elif entry.offset - begin >= step:
                yield cut(entry.offset)
                begin, first, repeats = entry.offset, number, {}
                creator = reader.creator
            met[entry.digest] += 1
            if met[entry.digest] > 1:
                repeats[number] = met[entry.digest]
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

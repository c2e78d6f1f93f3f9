"""Clean uploads and downloads that differ from an earlier one in nothing but values.

Most exchanges of an app are of a few shapes: the same headers in the same order, most with the
same values, and a success of which nothing is to be said. Of the first one of a shape the
thorough way (``first_look``) makes a report. The next one's differs from it in the values that
are read here: times, ids, lengths and digests, the key of the object, a signature. Each has to
fit the body, by the readers of the thorough way; rules that look at such values are asked again;
and what does not fit is left to the thorough way. So this may say "ok" alone, and it says what
the thorough way would: a property test holds the two together.
"""

import base64
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from cos_inspect.cos.clock import http_date
from cos_inspect.cos.cos_exchange import CosExchange, Recognised
from cos_inspect.cos.header_syntax import CHECKERS
from cos_inspect.cos.headers import AnnotatedHeader
from cos_inspect.cos.request_id import read_request_id
from cos_inspect.inspection.escapes import plain
from cos_inspect.inspection.flow_report_of import (
    body_report,
    connection_report,
    ids_report,
    timing_report,
)
from cos_inspect.inspection.known_secrets import mask_of, may_stand_in
from cos_inspect.inspection.plain_success import SIGNATURE
from cos_inspect.inspection.secret_finder import secret_hint
from cos_inspect.inspection.texts import collect
from cos_inspect.model.exchange import Body, BodyEnd, Exchange, utc_text
from cos_inspect.model.flow_report import Check, EndpointKind, FlowReport, HeaderReport
from cos_inspect.rules.clock_skew import device_clock
from cos_inspect.rules.multipart import multipart_part_invalid
from cos_inspect.rules.pace import slow_alone
from cos_inspect.rules.precondition import Preconditions, preconditions_of
from cos_inspect.rules.registry import finders
from cos_inspect.rules.rule import Finder
from cos_inspect.transfers.observation import Observation
from cos_inspect.transfers.observe import request_name, started_of

Looked = tuple[CosExchange, FlowReport, Observation]
"""What a first look gives, of a report that is masked."""

_OPERATIONS = frozenset({"GetObject", "PutObject", "UploadPart"})
_KINDS: frozenset[EndpointKind] = frozenset({"default", "internal", "accelerate"})
_SENT = frozenset({"authorization", "content-length", "content-md5"})
_ANSWERED = frozenset(
    {
        "content-length",
        "date",
        "etag",
        "last-modified",
        "x-cos-hash-crc64ecma",
        "x-cos-request-id",
    }
)
"""Headers whose values differ from one exchange of a shape to the next."""
_TARGET = re.compile(
    r"/([A-Za-z0-9_-][A-Za-z0-9/_.-]{0,511})"
    r"(?:\?partNumber=([1-9][0-9]{0,4})&uploadId=([0-9a-z]{1,128}))?"
)
_REQUEST_ID = re.compile(r"[A-Za-z0-9+/]{8,200}={0,2}")
_ADDRESS = re.compile(r"[0-9.]{7,15}:[0-9]{1,5}")
_LENGTH = re.compile(r"0|[1-9][0-9]{0,14}")
_MOST_NAMES = 64
_LONGEST = 8192
"""Characters of the values that a shape is known by."""
_MOST_SHAPES = 256
_SAY_NOTHING_OF_VALUES = frozenset(
    {
        "request_id_missing",
        "trace_id_on_success",
        "header_malformed",
        "header_duplicated",
        "cors_refused",
        "cors_etag_hidden",
        "credentials_in_clear",
        "processing_not_applied",
        "key_escaped_twice",
        "crc64_missing",
        "etag_missing",
        "permanent_key_on_device",
        "signature_long_lived",
    }
)
"""Functions of rules that look at nothing but what is the same in all exchanges of a shape, or
at what ``_TARGET`` lets no exchange have. Any other rule is asked for each exchange."""

_date = CHECKERS["date"]


class CleanShapes:
    """At most ``most`` shapes, those that were met last."""

    def __init__(self, most: int = _MOST_SHAPES) -> None:
        self._most = most
        self._shapes: OrderedDict[tuple[Any, ...], _Shape] = OrderedDict()

    def look(
        self,
        exchange: Exchange,
        recognised: Recognised,
        hosts: Sequence[str],
        ignore: frozenset[str],
    ) -> Looked | None:
        """What the thorough way would give; None where that has to be asked."""
        name = _name_of(exchange, recognised, hosts, ignore)
        shape = None if name is None else self._shapes.get(name)
        if name is None or shape is None:
            return None
        self._shapes.move_to_end(name)
        return shape.look(exchange, recognised)

    def learn(
        self,
        looked: Looked,
        recognised: Recognised,
        hosts: Sequence[str],
        ignore: frozenset[str],
    ) -> None:
        """Takes in what the thorough way gave of an exchange."""
        cos, report, _ = looked
        if report.verdict != "ok" or cos.operation.name not in _OPERATIONS:
            return
        name = _name_of(cos.exchange, recognised, hosts, ignore)
        if name is None or name in self._shapes or not _is_plain(cos, report):
            return
        shape = _Shape(looked, ignore)
        if shape.look(cos.exchange, recognised) != looked:
            # Something else than the values that are known here bears on it.
            return
        self._shapes[name] = shape
        if len(self._shapes) > self._most:
            self._shapes.popitem(last=False)


SHAPES = CleanShapes()


class _Places(NamedTuple):
    """Where in a message the values stand that are the same, and those that are not."""

    same: Callable[[Sequence[str]], Any]
    others: tuple[tuple[int, str], ...]
    """With the lower-case name of the header."""


@lru_cache(maxsize=256)
def _places(names: tuple[str, ...], values: frozenset[str]) -> _Places | None:
    lower = [name.lower() for name in names]
    if len(set(lower)) != len(lower):
        return None
    same = [at for at, name in enumerate(lower) if name not in values]
    others = tuple((at, name) for at, name in enumerate(lower) if name in values)
    return _Places(itemgetter(*same) if same else _nothing, others)


def _nothing(_values: Sequence[str]) -> None:
    return None


def _name_of(
    exchange: Exchange, recognised: Recognised, hosts: Sequence[str], ignore: frozenset[str]
) -> tuple[Any, ...] | None:
    """All that exchanges of one shape have in common; None where an exchange has none."""
    request, response, connection = exchange.request, exchange.response, exchange.connection
    if (
        response is None
        or response.status != 200
        or response.by != "server"
        or exchange.error is not None
        or exchange.broke_off is not None
        or exchange.is_replay
        or request.changes
        or request.dropped_headers
        or request.resigned is not None
        or connection is None
    ):
        return None
    body, answer = request.body, response.body
    if (
        body.end is not BodyEnd.COMPLETE
        or answer.end is not BodyEnd.COMPLETE
        or body.payload is not None
        or answer.payload is not None
    ):
        return None
    sent, answered = request.headers.fields, response.headers.fields
    if max(len(sent), len(answered)) > _MOST_NAMES:
        return None
    names, answer_names = tuple([name for name, _ in sent]), tuple([name for name, _ in answered])
    places, answer_places = _places(names, _SENT), _places(answer_names, _ANSWERED)
    if places is None or answer_places is None:
        return None
    target = _TARGET.fullmatch(request.target)
    if target is None:
        return None
    signature: tuple[Any, ...] | None = None
    authorization = request.headers.get("authorization")
    if authorization is not None:
        found = SIGNATURE.fullmatch(authorization)
        if found is None:
            return None
        begin, start, end, key_start, key_end, lists, _ = found.groups()
        if start == key_start and end == key_end:
            signature = begin, lists, int(end) - int(start)
        else:
            return None
    timing = exchange.timing
    return (
        names,
        answer_names,
        places.same([value for _, value in sent]),
        answer_places.same([value for _, value in answered]),
        signature,
        target[2] is None,
        request.method,
        request.scheme,
        request.host,
        request.port,
        request.http_version,
        response.http_version,
        response.reason,
        response.option,
        not body.size,
        body.md5 is None,
        body.crc64 is None,
        not answer.size,
        answer.md5 is None,
        answer.crc64 is None,
        timing.request_start is None,
        connection.sni,
        connection.tls,
        connection.by_address,
        exchange.upstream_proxy,
        recognised.operation.name,
        tuple(hosts),
        ignore,
    )


def _is_plain(cos: CosExchange, report: FlowReport) -> bool:
    """Whether all that is said of an exchange follows from its shape and the known values."""
    endpoint, operation = cos.endpoint, cos.operation
    fields = (*cos.request.headers, *(cos.response.headers if cos.response else ()))
    return (
        not report.findings
        and report.error is None
        and report.ticket is None
        and report.transfer is None
        and endpoint.family == "xml"
        and endpoint.kind in _KINDS
        and not endpoint.path_style
        and not endpoint.is_misspelt
        and cos.form is None
        and cos.recomputed is None
        and not cos.key_at_hand
        and not operation.processed
        and not operation.processed_upload
        and not operation.copies
        and not operation.reads_result
        and sum(len(name) + len(value) for name, value in fields) <= _LONGEST
        and all(
            check.status == "match" if check.check in _CHECKS else check.expected is None
            for check in report.checks
            if check.status != "skipped" or check.expected is not None
        )
    )


_CHECKS = frozenset({"content-length", "etag", "crc64", "content-md5"})


class _Shape:
    """One shape, by the first exchange of it."""

    def __init__(self, looked: Looked, ignore: frozenset[str]) -> None:
        self._cos, self._report, self._seen = cos, report, _ = looked
        request, response = cos.request, cos.response
        assert response is not None
        assert report.response is not None
        endpoint = cos.endpoint
        self._endpoint = msgspec.structs.replace(endpoint, key=None)
        self._uploads = cos.operation.uploads_object
        names = tuple([name for name, _ in request.headers])
        answer_names = tuple([name for name, _ in response.headers])
        places, answer_places = _places(names, _SENT), _places(answer_names, _ANSWERED)
        assert places is not None
        assert answer_places is not None
        self._sent, self._answered = places.others, answer_places.others
        self._address = report.request.url.removesuffix(request.target)
        occasions = preconditions_of(cos, report.checks)
        self._finders = _finders(occasions, ignore)
        texts = "\n".join(filter(None, collect(report)))
        self._texts = texts.encode("utf-8", "surrogatepass")

    def look(self, exchange: Exchange, recognised: Recognised) -> Looked | None:
        """None where a value does not fit."""
        cos, report, seen = self._cos, self._report, self._seen
        request, response, endpoint = exchange.request, exchange.response, recognised.endpoint
        target = _TARGET.fullmatch(request.target)
        if response is None or report.response is None or target is None:
            return None
        key, number, upload = target.groups()
        if (
            endpoint.key != key
            or recognised.operation != cos.operation
            or msgspec.structs.replace(endpoint, key=None) != self._endpoint
        ):
            return None
        read = _values_of(exchange, body=request.body if self._uploads else response.body)
        if read is None:
            return None
        request_id_read = None
        if read.request_id is not None and cos.request_id_read is not None:
            request_id_read = read_request_id(read.request_id)
            if request_id_read.form != cos.request_id_read.form:
                return None
        url = f"{self._address}{request.target}"
        sent = request.headers.fields
        suspects = [url, read.request_id or "", read.content_md5 or ""]
        connection = exchange.connection
        if connection is not None:
            suspects += [
                address
                for address in (connection.client, connection.server)
                if address is not None and _ADDRESS.fullmatch(address) is None
            ]
        data = plain("\n".join(suspects).encode("utf-8", "surrogatepass"), ascii_only=True)
        if secret_hint(data):
            return None
        signed, masked = cos.signed, None
        authorization = request.headers.get("authorization")
        if authorization is not None:
            found = SIGNATURE.fullmatch(authorization)
            if found is None:
                return None
            signature = found[7].encode()
            if may_stand_in(signature, self._texts + data):
                return None
            masked = authorization[:-40] + mask_of(signature)
            signed = msgspec.structs.replace(
                signed, text=authorization, start=int(found[2]), end=int(found[3])
            )
        answered = response.headers.fields
        cos = msgspec.structs.replace(
            cos,
            exchange=exchange,
            endpoint=endpoint,
            operation=recognised.operation,
            signed=signed,
            request_headers=_annotated(cos.request_headers, self._sent, sent),
            response_headers=_annotated(cos.response_headers, self._answered, answered),
            request_id=cos.request_id if request_id_read is None else read.request_id,
            request_id_read=request_id_read,
        )
        checks = [_check(check, exchange, read) for check in report.checks]
        for find in self._finders:
            for _ in find(cos, checks):
                return None
        seen = self._observation(cos, read, number, upload)
        for _ in (*multipart_part_invalid(seen), *slow_alone(seen)):
            return None
        request_report, response_report = report.request, report.response
        headers = _header_reports(request_report.headers, self._sent, sent, masked)
        return (
            cos,
            msgspec.structs.replace(
                report,
                flow_id=exchange.flow_id,
                started=utc_text(exchange.timing.request_start),
                timing=timing_report(exchange),
                cos=msgspec.structs.replace(report.cos, key=cos.key),
                request=msgspec.structs.replace(
                    request_report,
                    url=url,
                    headers=headers,
                    body=body_report(request.body, request.headers),
                ),
                response=msgspec.structs.replace(
                    response_report,
                    headers=_header_reports(response_report.headers, self._answered, answered),
                    body=body_report(response.body, response.headers),
                ),
                connection=connection_report(exchange, device_clock(cos, ())),
                ids=ids_report(cos),
                checks=checks,
            ),
            seen,
        )

    def _observation(
        self, cos: CosExchange, read: "_Values", number: str | None, upload: str | None
    ) -> Observation:
        exchange, seen = cos.exchange, self._seen
        request, timing = exchange.request, exchange.timing
        answer = exchange.response.body if exchange.response is not None else request.body
        started = started_of(exchange)
        body = request.body
        return msgspec.structs.replace(
            seen,
            flow_id=exchange.flow_id,
            key=cos.key,
            client=exchange.client_address,
            started=started,
            sent=timing.request_end,
            answered=timing.response_start,
            ended=max(started, timing.end or started),
            same_request=request_name(cos, exchange),
            announced=read.announced,
            sign_start=cos.signed.start,
            sent_size=body.size,
            size=None if seen.size is None else body.size,
            md5=None if seen.md5 is None else body.md5,
            crc64=None if seen.crc64 is None else body.crc64,
            answer_size=answer.size,
            answer_crc64=None if seen.answer_crc64 is None else answer.crc64,
            answer_md5=None if seen.answer_md5 is None else answer.md5,
            content_length=read.answered,
            etag=None if read.etag is None else read.etag[1:-1],
            header_crc64=read.crc64,
            total=None if seen.total is None else read.answered,
            age=None if read.made is None or read.date is None or seen.age is None
            else read.date - read.made,
            part_number=seen.part_number if number is None else int(number),
            upload_id=seen.upload_id if upload is None else upload,
        )  # fmt: skip


class _Values(NamedTuple):
    """What the headers say that differ, read; None where one is not there."""

    announced: int | None
    """Content-Length of the request."""
    content_md5: str | None
    answered: int | None
    """Content-Length of the answer."""
    etag: str | None
    crc64: int | None
    date: float | None
    made: float | None
    """Last-Modified."""
    request_id: str | None


def _values_of(exchange: Exchange, body: Body) -> _Values | None:
    """None where one of them does not fit. ``body`` is the object's."""
    request, response = exchange.request, exchange.response
    if response is None:
        return None
    sent, answered = request.headers.get, response.headers.get
    announced, length = sent("content-length"), answered("content-length")
    if announced is not None and announced != str(request.body.size):
        return None
    if length is not None and length != str(response.body.size):
        return None
    md5 = sent("content-md5")
    if md5 is not None and md5 != _in_base64(request.body.md5):
        return None
    etag = answered("etag")
    if etag is not None and (body.md5 is None or etag != f'"{body.md5}"'):
        return None
    crc64 = answered("x-cos-hash-crc64ecma")
    if crc64 is not None and (body.crc64 is None or crc64 != str(body.crc64)):
        return None
    date = _moment(answered("date"))
    made = _moment(answered("last-modified"))
    request_id = answered("x-cos-request-id")
    if (
        date == _ODD
        or made == _ODD
        or (request_id is not None and _REQUEST_ID.fullmatch(request_id) is None)
    ):
        return None
    return _Values(
        None if announced is None else request.body.size,
        md5,
        None if length is None else response.body.size,
        etag,
        None if crc64 is None else body.crc64,
        date,
        made,
        request_id,
    )


_ODD = -1.0


@lru_cache(maxsize=256)
def _moment(value: str | None) -> float | None:
    """``_ODD`` where it is no time, or oddly written."""
    if value is None:
        return None
    moment = None if len(value) > 64 or _date(value) else http_date(value)
    return _ODD if moment is None or moment < 0 else moment


def _in_base64(md5: str | None) -> str | None:
    return None if md5 is None else base64.b64encode(bytes.fromhex(md5)).decode()


@lru_cache(maxsize=64)
def _finders(occasions: Preconditions, ignore: frozenset[str]) -> tuple[Finder, ...]:
    """Those that have to be asked of each exchange."""
    return tuple(
        find for find in finders(occasions, ignore) if find.__name__ not in _SAY_NOTHING_OF_VALUES
    )


def _check(check: Check, exchange: Exchange, read: _Values) -> Check:
    """The same check of another exchange."""
    if check.status != "match":
        return check
    body = exchange.request.body
    if check.body == "response" and exchange.response is not None:
        body = exchange.response.body
    match check.check:
        case "etag":
            expected: str | None = read.etag
            actual: str | None = f'"{body.md5}"'
        case "crc64":
            expected = actual = str(body.crc64)
        case "content-length":
            expected = actual = str(body.size)
        case _:
            expected = actual = read.content_md5
    return Check(
        check=check.check, body=check.body, status="match", expected=expected, actual=actual
    )


Fields = tuple[tuple[str, str], ...]


def _annotated(
    headers: tuple[AnnotatedHeader, ...], others: tuple[tuple[int, str], ...], fields: Fields
) -> tuple[AnnotatedHeader, ...]:
    if not others:
        return headers
    found = list(headers)
    for at, _ in others:
        old = found[at]
        found[at] = AnnotatedHeader(old.name, fields[at][1], old.fact, old.issues, old.remarks)
    return tuple(found)


def _header_reports(
    headers: list[HeaderReport],
    others: tuple[tuple[int, str], ...],
    fields: Fields,
    authorization: str | None = None,
) -> list[HeaderReport]:
    found = headers.copy()
    for at, name in others:
        old = found[at]
        value = fields[at][1]
        if name == "authorization" and authorization is not None:
            value = authorization
        found[at] = HeaderReport(
            old.name, value, old.category, old.meaning, old.issues, old.redacted
        )
    return found

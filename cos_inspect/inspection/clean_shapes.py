"""Uploads and downloads that differ from an earlier one in nothing but values.

Most exchanges of an app are of a few shapes: the same headers in the same order, most with the
same values, and a success of which nothing is to be said, or a refusal of which the same is to
be said each time. Of one of the first of a shape the thorough way (``first_look``) makes a
report. The next one's differs from it in the values that are read here: times, ids, lengths and
digests, the key of the object, a signature. Each has to fit the body, by the readers of the
thorough way; rules that look at such values are asked again; and what does not fit is left to
the thorough way. So this may say "ok" or what COS answered, and it says what the thorough way
would: a property test holds the two together.
"""

import re
from collections import OrderedDict
from functools import lru_cache
from typing import Any

import msgspec

from cos_inspect.cos.cos_exchange import CosExchange, Recognised
from cos_inspect.cos.error import ErrorDocument
from cos_inspect.cos.request_id import RequestId, read_request_id
from cos_inspect.inspection.escapes import plain
from cos_inspect.inspection.flow_report_of import (
    body_report,
    connection_report,
    ids_report,
    timing_report,
)
from cos_inspect.inspection.inner_texts import inner_of, opened
from cos_inspect.inspection.known_secrets import mask_of, may_stand_in
from cos_inspect.inspection.secret_hints import hint_of_names
from cos_inspect.inspection.shape_names import ANSWERED, ERRORS, SENT, ErrorValues, Shaped, places
from cos_inspect.inspection.shape_values import (
    Values,
    annotated,
    check_of,
    header_reports,
    values_of,
)
from cos_inspect.inspection.texts import collect
from cos_inspect.inspection.ticket import ticket_line
from cos_inspect.model.exchange import Exchange
from cos_inspect.model.flow_report import EndpointKind, ErrorReport, FlowReport
from cos_inspect.model.moments import utc_text
from cos_inspect.rules.clock_skew import device_clock
from cos_inspect.rules.error import ERROR_RESPONSE
from cos_inspect.rules.multipart import multipart_part_invalid
from cos_inspect.rules.pace import slow_alone
from cos_inspect.rules.precondition import Preconditions, preconditions_of
from cos_inspect.rules.registry import PENDING_RULES, finders_of_values
from cos_inspect.rules.rule import PendingFinder
from cos_inspect.transfers.observation import Observation
from cos_inspect.transfers.observe import request_name, started_of

Judged = tuple[CosExchange, FlowReport, Observation]
"""What a first look gives, of a report that is masked."""

_KINDS: frozenset[EndpointKind] = frozenset({"default", "internal", "accelerate"})
_ADDRESS = re.compile(r"[0-9.]{7,15}:[0-9]{1,5}")
_LONGEST = 8192
"""Characters of the values that a shape is known by."""
_MOST_SHAPES = 256
_MOST_MET = 4096
_MOST_TRIES = 4
"""How often it is tried to learn a shape: some cannot be."""


class CleanShapes:
    """At most ``most`` shapes, those that were met last. One is learned when it is met for the
    time behind ``after``: what an app sends but once does not come again."""

    def __init__(self, most: int = _MOST_SHAPES, *, after: int = 1) -> None:
        self._most = most
        self._after = after
        self._shapes: OrderedDict[tuple[Any, ...], _Shape] = OrderedDict()
        self._met: dict[int, int] = {}
        """How often, by the hashes of shapes that are not known."""

    def judge(self, shaped: Shaped, exchange: Exchange, recognised: Recognised) -> Judged | None:
        """What the thorough way would give; None where that has to be asked."""
        shape = self._shapes.get(shaped.name)
        if shape is None:
            return None
        self._shapes.move_to_end(shaped.name)
        return shape.judge(shaped, exchange, recognised)

    def learn(
        self, shaped: Shaped, judged: Judged, recognised: Recognised, ignore: frozenset[str]
    ) -> None:
        """Takes in what the thorough way gave of an exchange."""
        cos, report, _ = judged
        if report.verdict != "ok" and cos.status not in ERRORS:
            return
        name = shaped.name
        if name in self._shapes or not self._is_to_be_learned(hash(name)):
            return
        if not _is_plain(cos, report):
            return
        shape = _Shape(judged, ignore)
        if shape.judge(shaped, cos.exchange, recognised) != judged:
            # Something else than the values that are known here bears on it.
            return
        self._shapes[name] = shape
        if len(self._shapes) > self._most:
            self._shapes.popitem(last=False)

    def _is_to_be_learned(self, mark: int) -> bool:
        times = self._met.get(mark, 0)
        if len(self._met) >= _MOST_MET:
            self._met.clear()
        self._met[mark] = times + 1
        return self._after <= times < self._after + _MOST_TRIES


SHAPES = CleanShapes()


def _is_plain(cos: CosExchange, report: FlowReport) -> bool:
    """Whether all that is said of an exchange follows from its shape and the known values."""
    endpoint, operation = cos.endpoint, cos.operation
    fields = (*cos.request.headers, *(cos.response.headers if cos.response else ()))
    is_error = cos.status in ERRORS
    return (
        all(is_error and finding.rule == ERROR_RESPONSE.id for finding in report.findings)
        and (is_error or (report.error is None and report.ticket is None))
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

    def __init__(self, judged: Judged, ignore: frozenset[str]) -> None:
        self._cos, self._report, self._seen = cos, report, _ = judged
        request, response = cos.request, cos.response
        assert response is not None
        assert report.response is not None
        endpoint = cos.endpoint
        self._endpoint = msgspec.structs.replace(endpoint, key=None)
        self._uploads = cos.operation.uploads_object
        names = tuple([name for name, _ in request.headers])
        answer_names = tuple([name for name, _ in response.headers])
        of_request, of_answer = places(names, SENT), places(answer_names, ANSWERED)
        assert of_request is not None
        assert of_answer is not None
        self._sent, self._answered = of_request.others, of_answer.others
        self._address = report.request.url.removesuffix(request.target)
        preconditions = preconditions_of(cos, report.checks)
        self._finders = finders_of_values(preconditions, ignore)
        self._pending = _pending(preconditions, ignore)
        texts = "\n".join(filter(None, collect(report)))
        self._texts = opened(texts.encode("utf-8", "surrogatepass"))

    def judge(self, shaped: Shaped, exchange: Exchange, recognised: Recognised) -> Judged | None:
        """None where a value does not fit."""
        cos, report = self._cos, self._report
        request, response, endpoint = exchange.request, exchange.response, recognised.endpoint
        if (
            response is None
            or report.response is None
            or endpoint.key != shaped.key
            or recognised.operation != cos.operation
            or msgspec.structs.replace(endpoint, key=None) != self._endpoint
        ):
            return None
        read = values_of(exchange, body=request.body if self._uploads else response.body)
        if read is None:
            return None
        request_id_read = None
        if read.request_id is not None and cos.request_id_read is not None:
            request_id_read = read_request_id(read.request_id)
            if request_id_read.form != cos.request_id_read.form:
                return None
        in_error = shaped.error
        if in_error is not None and (request_id_read is None or read.trace_id is None):
            # Then those of the body would be those of the exchange.
            return None
        url = f"{self._address}{request.target}"
        data = _suspects(exchange, read, in_error, url, request_id_read)
        if hint_of_names(data):
            return None
        signed, masked = cos.signed, None
        if shaped.signature is not None:
            found = shaped.signature
            signature, authorization = found[7].encode(), found[0]
            if may_stand_in(signature, self._texts + data):
                return None
            masked = authorization[:-40] + mask_of(signature)
            signed = msgspec.structs.replace(
                signed, text=authorization, start=int(found[2]), end=int(found[3])
            )
        sent, answered = request.headers.fields, response.headers.fields
        cos = msgspec.structs.replace(
            cos,
            exchange=exchange,
            endpoint=endpoint,
            operation=recognised.operation,
            signed=signed,
            request_headers=annotated(cos.request_headers, self._sent, sent),
            response_headers=annotated(cos.response_headers, self._answered, answered),
            request_id=cos.request_id if request_id_read is None else read.request_id,
            request_id_read=request_id_read,
            trace_id=cos.trace_id if read.trace_id is None else read.trace_id,
            error=_with_values(cos.error, in_error),
        )
        checks = [check_of(check, exchange, read) for check in report.checks]
        findings = [finding for find in self._finders for finding in find(cos, checks)]
        if findings != report.findings:
            return None
        for look in self._pending:
            for _ in look(cos, checks):
                return None
        seen = self._observation(cos, read, shaped)
        for _ in (*multipart_part_invalid(seen), *slow_alone(seen)):
            return None
        request_report, response_report = report.request, report.response
        headers = header_reports(request_report.headers, self._sent, sent, masked)
        made = msgspec.structs.replace(
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
                headers=header_reports(response_report.headers, self._answered, answered),
                body=body_report(response.body, response.headers),
            ),
            connection=connection_report(exchange, device_clock(cos, findings)),
            ids=ids_report(cos),
            error=_with_values(report.error, in_error),
            checks=checks,
            findings=findings,
        )
        if report.ticket is not None:
            made = msgspec.structs.replace(made, ticket=ticket_line(made))
        return cos, made, seen

    def _observation(self, cos: CosExchange, read: Values, shaped: Shaped) -> Observation:
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
            part_number=seen.part_number
            if shaped.part_number is None
            else int(shaped.part_number),
            upload_id=seen.upload_id if shaped.upload_id is None else shaped.upload_id,
        )  # fmt: skip


def _suspects(
    exchange: Exchange,
    read: Values,
    in_error: ErrorValues | None,
    url: str,
    request_id_read: RequestId | None,
) -> bytes:
    """What differs from the exchange that is known, and may hold a secret."""
    texts = [url]
    if in_error is not None:
        texts += in_error
    connection = exchange.connection
    if connection is not None:
        texts += [
            address
            for address in (connection.client, connection.server)
            if address is not None and _ADDRESS.fullmatch(address) is None
        ]
    # In these stand digits of hex or a digest; so no other text stands inside of them.
    ids = [read.content_md5 or "", read.trace_id or ""]
    (ids if request_id_read and request_id_read.form == "hex4" else texts).append(
        read.request_id or ""
    )
    named = plain("\n".join(texts).encode("utf-8", "surrogatepass"), ascii_only=True)
    return b"\n".join((named, inner_of(named), "\n".join(ids).encode()))


def _with_values[E: (ErrorDocument | None, ErrorReport | None)](
    error: E, values: ErrorValues | None
) -> E:
    if error is None or values is None:
        return error
    return msgspec.structs.replace(error, **values._asdict())


@lru_cache(maxsize=64)
def _pending(preconditions: Preconditions, ignore: frozenset[str]) -> tuple[PendingFinder, ...]:
    """Those whose findings wait for other exchanges."""
    if not (preconditions.trouble and preconditions.signature):
        return ()
    return tuple(find for rule, find in PENDING_RULES if rule.id not in ignore)

"""Masks the secrets of a flow's report: where its members say what they are, and in every text."""

import re
from collections.abc import Iterator

import msgspec

from cos_inspect.cos.secret_names import LONGEST_NAME, SECRET_KINDS, kind_of_header
from cos_inspect.inspection import secret_free_texts
from cos_inspect.inspection.redaction import LONGEST, MOST_NAMED, Redactor
from cos_inspect.inspection.secret_finder import find_in
from cos_inspect.inspection.secret_free_texts import PLAIN_NAMES
from cos_inspect.model.flow_report import ChangeReport, FlowReport, HeaderReport


def mask_report(redactor: Redactor, report: FlowReport) -> FlowReport:
    """The report with the secrets of its exchange masked.

    :param redactor: may know secrets of the exchange that do not stand in the report; those that
        do it knows from then on.
    """
    # Parts of a value stand in what the rules say, and in what COS repeats.
    if report.findings or report.error or report.broke_off:
        redactor.looks_for_pieces = True
    report = _with_masked_heads(redactor, report)
    report = _with_masked_signature(redactor, report)
    return redactor.struct(report, _public)


def _with_masked_heads(redactor: Redactor, report: FlowReport) -> FlowReport:
    request, response = report.request, report.response
    url = redactor.url(request.url)
    headers = _masked_headers(redactor, request.headers)
    changes = request.changes
    if changes:
        changes = [_masked_change(redactor, change) for change in changes]
    if not (headers is request.headers and url is request.url and changes is request.changes):
        request = msgspec.structs.replace(request, url=url, headers=headers, changes=changes)
        report = msgspec.structs.replace(report, request=request)
    if response is not None:
        headers = _masked_headers(redactor, response.headers)
        if headers is not response.headers:
            response = msgspec.structs.replace(response, headers=headers)
            report = msgspec.structs.replace(report, response=response)
    return report


def _masked_headers(redactor: Redactor, headers: list[HeaderReport]) -> list[HeaderReport]:
    names = [header.name for header in headers]
    if PLAIN_NAMES.issuperset(names):
        return headers
    masked = headers
    for at, name in enumerate(names):
        if name in PLAIN_NAMES:
            continue
        kind = kind_of_header(name)
        if kind not in SECRET_KINDS:
            if len(PLAIN_NAMES) < secret_free_texts.MOST and len(name) <= LONGEST_NAME:
                PLAIN_NAMES.add(name)
            continue
        header = headers[at]
        if not header.value:
            continue
        value = redactor.value(kind, header.value)
        if value != header.value:
            if masked is headers:
                masked = headers.copy()
            masked[at] = msgspec.structs.replace(header, value=value, redacted=True)
    return masked


def _masked_change(redactor: Redactor, change: ChangeReport) -> ChangeReport:
    """Without the secrets that its URLs, or the values of its header, are or hold."""
    kind = kind_of_header(change.name) if change.name is not None else ""

    def shown(value: str | None) -> str | None:
        if not value:
            return value
        if change.part == "url":
            return redactor.url(value)
        return redactor.value(kind, value) if kind in SECRET_KINDS else value

    return msgspec.structs.replace(change, client=shown(change.client), sent=shown(change.sent))


def _with_masked_signature(redactor: Redactor, report: FlowReport) -> FlowReport:
    """The signature that was recomputed has no name before it."""
    if "signature" not in [check.check for check in report.checks]:
        return report
    checks = [
        check
        if check.check != "signature"
        else msgspec.structs.replace(
            check,
            expected=check.expected and redactor.value("value", check.expected),
            actual=check.actual and redactor.value("value", check.actual),
        )
        for check in report.checks
    ]
    return msgspec.structs.replace(report, checks=checks)


def _public(report: FlowReport) -> Iterator[str | None]:
    """What is no secret, also where a secret has the same value: names of places, SecretIds,
    and digests that were taken of the bodies."""
    cos, request, response = report.cos, report.request, report.response
    yield from (cos.bucket, cos.region, cos.operation, cos.appid, _host(request.url))
    for body in (request.body, response.body if response is not None else None):
        if body is not None:
            yield from (body.md5, body.crc64ecma)
            if body.payload:
                yield from (body.payload.md5, body.payload.crc64ecma)
    for text in (request.url, *(item.value for item in request.headers if item.redacted)):
        if len(text) <= LONGEST:
            yield from (value.decode("latin-1") for value in find_in(text, most=MOST_NAMED).ids)


def _host(url: str) -> str:
    address = url.partition("://")[2]
    return re.split(r"[/?#]", address, maxsplit=1)[0].rpartition("@")[2]

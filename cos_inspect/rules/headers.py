"""Rules about headers whose values cannot be right, wherever they stand."""

from collections.abc import Iterator, Sequence
from typing import Any

from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.cos.headers import (
    AnnotatedHeader,
    HeaderFact,
    annotate,
    describe,
    duplicates,
    issues,
)
from cos_inspect.cos.target import read_query
from cos_inspect.model.flow_report import Check, Finding, Severity, Side
from cos_inspect.model.headers import MAX_VALUE, Headers
from cos_inspect.rules.check_basics import short
from cos_inspect.rules.rule import Rule

_FORM_FIELDS = frozenset({"content-type", "content-md5"})
"""Headers without x-cos- in front that a form has as fields (COS documents, page 436/14690)."""

HEADER_MALFORMED = Rule(
    id="header-malformed",
    group="integrity",
    severity=Severity.WARNING,
    title="A header has a value outside its syntax",
    when="a documented header, also one that stands in the query or in a form, holds what its"
    " syntax does not allow",
    cause="A client that builds headers by hand, or something on the way that rewrote them.",
    fix="Look at the header named in the evidence and at who writes it.",
    example="ETag: ee8de918d05640145b18f70f4c3aa602 (not quoted)",
    reads_values=False,
)


def header_malformed(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    sides: list[tuple[Side, tuple[AnnotatedHeader, ...]]] = [("request", cos.request_headers)]
    if cos.from_cos:
        sides.append(("response", cos.response_headers))
    for side, headers in sides:
        for header in headers:
            if header.fact.syntax == "connection" and (cos.through_cdn or cos.status == 101):
                # It is about the connection to the CDN, or one that another protocol goes on with.
                continue
            for issue in header.issues:
                name = header.name
                shown: dict[str, Any] = {} if header.fact.secret else {"value": header.value}
                yield HEADER_MALFORMED.finding(
                    f"{name} of the {side}: {issue}.", header=name, side=side, issue=issue, **shown
                )
    yield from _malformed_in_the_query(cos)
    yield from _malformed_in_the_form(cos)


def _malformed_in_the_query(cos: CosExchange) -> Iterator[Finding]:
    """COS reads some request headers from the query as well, as in a presigned URL."""
    for name, value in read_query(cos.request.target).pairs:
        lower = name.lower()
        if not lower.startswith("x-cos-") or len(value) > MAX_VALUE:
            continue
        fact = describe(lower, "request")
        yield from _elsewhere("query", name, value, fact, issues(fact, value))


def _malformed_in_the_form(cos: CosExchange) -> Iterator[Finding]:
    """A form upload has as fields what an upload by PUT has as headers."""
    if cos.form is None:
        return
    of_cos = Headers(
        (name, value)
        for name, value in cos.form
        if name.lower().startswith("x-cos-") or name.lower() in _FORM_FIELDS
    )
    for field in annotate(of_cos, "request", called="fields"):
        yield from _elsewhere("form", field.name, field.value, field.fact, field.issues)


def _elsewhere(
    place: str, name: str, value: str, fact: HeaderFact, found: Sequence[str]
) -> Iterator[Finding]:
    """Of a header that does not stand among the headers."""
    shown: dict[str, Any] = {} if fact.secret else {"value": short(value)}
    for issue in found:
        yield HEADER_MALFORMED.finding(
            f"{name} in the {place}: {issue}.",
            header=name,
            side="request",
            place=place,
            issue=issue,
            **shown,
        )


_MOST_VALUES = 10
"""Of a header that stands more often the first ones are shown."""

HEADER_DUPLICATED = Rule(
    id="header-duplicated",
    group="integrity",
    severity=Severity.WARNING,
    title="A header stands more than once, with different values",
    when="a header that may stand once stands more often, and its values differ",
    cause="Two layers of a client or a proxy both set the header.",
    fix="Find which layer adds the second one; receivers pick one of them, and not all the same.",
    example='ETag: "ee8d…" and ETag: "22e0…" in one answer',
    reads_values=False,
)


def header_duplicated(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    sides: list[tuple[Side, Headers]] = [("request", cos.request.headers)]
    if cos.from_cos and cos.response is not None:
        sides.append(("response", cos.response.headers))
    for side, headers in sides:
        for name, values in duplicates(headers, side):
            secret = describe(name, side).secret
            shown: dict[str, Any] = {} if secret else {"values": list(values[:_MOST_VALUES])}
            yield HEADER_DUPLICATED.finding(
                f"{name} stands {len(values)} times in the {side}.",
                header=name,
                side=side,
                **shown,
            )

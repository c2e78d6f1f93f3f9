"""Two flows side by side: what differs between the requests, and which difference matters.

Works on reports alone, also masked ones, for equal values have equal masks. ``compare.js``
does the same in the pages; both read the table in ``assets/differences.js``, and a test
holds them equal.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import unquote

import msgspec

from cos_inspect.model.flow_report import CheckName, FlowReport
from cos_inspect.model.moments import seconds_of
from cos_inspect.report.request_facts import RequestFacts, differences_table, facts_of

_PLAIN_KEY = re.compile(r"[A-Za-z0-9\-_.~/]*")
_NONE = "none"
_NO_TIME = "no time is signed"
_LONGEST = 120


class ReportDifference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing in which two flows differ."""

    kind: str
    """A row of the table."""
    name: str
    """Which header, parameter or check; empty for others."""
    first: str
    second: str
    matters: bool
    """False: expected to differ, or without effect."""
    why: str


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two flows side by side."""

    headline: str
    """One line that names the difference that matters most, or says that there is none."""
    differences: list[ReportDifference]
    """What matters most first."""
    same: list[str]
    """What both have alike."""


def compare(first: FlowReport, second: FlowReport) -> Comparison:
    """What differs in ``second`` from ``first``. Never raises on what a report can hold."""
    one, other = facts_of(first), facts_of(second)
    code = _failed_with(first) or _failed_with(second)
    kinds = differences_table()["kinds"]
    found = [
        ReportDifference(
            kind=kind,
            name=name,
            first=_short(mine),
            second=_short(theirs),
            matters=kinds[kind]["weight"] > 0,
            why=kinds[kind]["why"],
        )
        for kind, name, mine, theirs in _differences(one, other, code)
    ]
    found.sort(key=lambda each: -_weight(kinds[each.kind], code))
    return Comparison(
        headline=_headline(first, second, found), differences=found, same=list(_same(one, other))
    )


def failed(report: FlowReport) -> bool:
    """Whether a flow is one to ask about: an error, no answer, or a finding of that weight."""
    return report.response is None or report.response.status >= 400 or report.verdict == "error"


def proposed(report: FlowReport, others: Iterable[FlowReport]) -> FlowReport | None:
    """The flow to compare with: the nearest in time that worked, of the same operation, and
    where there is one, of the same bucket and client."""
    at = seconds_of(report.started)
    best: tuple[int, float] | None = None
    chosen = None
    for each in others:
        if each.cos.operation != report.cos.operation or failed(each):
            continue
        alike = 2 * (each.cos.bucket == report.cos.bucket) + (_client(each) == _client(report))
        started = seconds_of(each.started)
        apart = abs(started - at) if started is not None and at is not None else float("inf")
        if best is None or (-alike, apart) < best:
            best, chosen = (-alike, apart), each
    return chosen


def title_of(kind: str) -> str:
    """What a kind of difference is called."""
    title: str = differences_table()["kinds"][kind]["title"]
    return title


def _weight(kind: dict[str, Any], code: str | None) -> int:
    weight: int = kind["weight"]
    return weight + 100 if code in kind["codes"] else weight


def _failed_with(report: FlowReport) -> str | None:
    return report.error.code if report.error is not None else None


def _headline(first: FlowReport, second: FlowReport, found: list[ReportDifference]) -> str:
    mattering = [each for each in found if each.matters]
    if not mattering:
        text = "Nothing that matters differs between the requests"
        codes = _failed_with(first), _failed_with(second)
        if "SignatureDoesNotMatch" in codes and codes[0] != codes[1]:
            text += "; how the client signs, and with which SecretKey, cannot be seen on the wire"
        elif failed(first) != failed(second):
            text += "; the reason lies at COS or on the way: rights, state or load at that moment"
        elif codes[0] != codes[1]:
            text += f"; they failed for other reasons: {codes[0] or _NONE}, {codes[1] or _NONE}"
        return f"{text}."
    worst = mattering[0]
    name = f" {worst.name}" if worst.name else ""
    places = ("here", "there")
    if failed(first) != failed(second):
        places = ("in the one that failed", "in the one that worked")
        if failed(second):
            places = (places[1], places[0])
    values = f"{worst.first} {places[0]}, {worst.second} {places[1]}"
    return f"{title_of(worst.kind)}{name}: {values}. {worst.why}"


_Found = Iterator[tuple[str, str, str, str]]


def _differences(one: RequestFacts, other: RequestFacts, code: str | None) -> _Found:
    """Kind, name, and the value in each."""
    for kind, value in _SINGLE:
        mine, theirs = value(one), value(other)
        if mine == theirs or (kind == "secret-id" and not (mine and theirs)):
            continue
        alike = kind == "signing" and _is_signed_alike(one, other)
        yield "signing-place" if alike else kind, "", mine or _NONE, theirs or _NONE
    yield from _of_place(one, other)
    yield from _of_times(one, other)
    yield from _of_headers(one, other, code)
    yield from _of_parameters(one, other)
    yield from _of_bodies(one, other)


def _is_signed_alike(one: RequestFacts, other: RequestFacts) -> bool:
    """By the same scheme in another place; a form's signature is not part of a report."""
    schemes = {each.signing.how.partition(" ")[0] for each in (one, other)}
    return len(schemes) == 1 or "PostObject" in (
        one.report.cos.operation,
        other.report.cos.operation,
    )


def _client(report: FlowReport) -> str:
    return report.cos.client.title if report.cos.client is not None else ""


_SINGLE: tuple[tuple[str, Callable[[RequestFacts], str]], ...] = (
    ("method", lambda each: each.report.request.method),
    ("scheme", lambda each: each.scheme),
    ("signing", lambda each: each.signing.how),
    ("secret-id", lambda each: each.signing.secret_id),
    ("token", lambda each: each.token),
    ("client", lambda each: _client(each.report)),
    ("http-version", lambda each: each.report.request.http_version),
    ("ids", lambda each: each.report.ids.request_id or ""),
)


def _of_place(one: RequestFacts, other: RequestFacts) -> _Found:
    mine, theirs = one.report.cos, other.report.cos
    if mine.bucket != theirs.bucket:
        yield "bucket", "", mine.bucket or _NONE, theirs.bucket or _NONE
    if mine.region != theirs.region:
        yield "region", "", mine.region or _NONE, theirs.region or _NONE
    elif one.host != other.host and mine.bucket == theirs.bucket:
        yield "host", "", one.host, other.host
    if one.path == other.path:
        return
    if unquote(one.path) == unquote(other.path):
        yield "escape", "", one.path, other.path
        return
    if mine.key and theirs.key and mine.key != theirs.key:
        # As people write it.
        yield "path", "", f"/{mine.key}", f"/{theirs.key}"
    else:
        yield "path", "", one.path, other.path
    if _is_plain(one) != _is_plain(other):
        yield "characters", "", mine.key or one.path, theirs.key or other.path


def _is_plain(each: RequestFacts) -> bool:
    return _PLAIN_KEY.fullmatch(unquote(each.path)) is not None


def _of_times(one: RequestFacts, other: RequestFacts) -> _Found:
    mine, theirs = one.report.started or "unknown", other.report.started or "unknown"
    if mine != theirs:
        yield "time", "", mine, theirs
    states = _state_of_time(one), _state_of_time(other)
    if states[0] != states[1] and _NO_TIME not in states:
        kind = "clock" if any(state.startswith("begins") for state in states) else "validity"
        yield kind, "", states[0], states[1]


def _state_of_time(each: RequestFacts) -> str:
    """Where the moment of sending lies in the time of the signature."""
    start, end, at = each.signing.start, each.signing.end, each.started
    if start is None or end is None or at is None:
        return _NO_TIME
    if start - at > differences_table()["skew_seconds"]:
        return f"begins {_span(start - at)} after it was sent"
    if at > end:
        return f"ended {_span(at - end)} before it was sent"
    return "valid when it was sent"


def _span(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def _of_headers(one: RequestFacts, other: RequestFacts, code: str | None) -> _Found:
    table = differences_table()
    decisive = table["decisive"].get(code, [])
    for name in sorted(
        {*one.headers, *other.headers, *one.signing.headers, *other.signing.headers}
    ):
        mine, theirs = one.headers.get(name), other.headers.get(name)
        signed = name in one.signing.headers, name in other.signing.headers
        if name == "expect":
            texts = _expect(mine, signed[0]), _expect(theirs, signed[1])
            if texts[0] != texts[1]:
                yield "expect", "", texts[0], texts[1]
        elif signed[0] != signed[1] and one.signing.headers and other.signing.headers:
            kind = "header-signed" if mine is None or theirs is None else "unsigned-header"
            if name in table["need_no_signature"]:
                kind = "unsigned-common"
            yield kind, name, _with_signing(mine, signed[0]), _with_signing(theirs, signed[1])
        elif name not in table["elsewhere"] and mine != theirs:
            kind = "header-signed" if any(signed) else "header"
            if name in table["expected"] and name not in decisive:
                kind = "header-expected"
            yield kind, name, _NONE if mine is None else mine, _NONE if theirs is None else theirs


def _expect(value: str | None, signed: bool) -> str:
    return _NONE if value is None and not signed else _with_signing(value, signed)


def _with_signing(value: str | None, signed: bool) -> str:
    if value is None:
        return "signed, but not in the request" if signed else _NONE
    return f"{value} (signed)" if signed else f"{value} (not signed)"


def _of_parameters(one: RequestFacts, other: RequestFacts) -> _Found:
    mine, theirs = Counter(one.query), Counter(other.query)
    if mine == theirs:
        if one.query != other.query:
            yield "parameter-order", "", _query_text(one), _query_text(other)
        return
    texts = _values(one), _values(other)
    for name in sorted(texts[0].keys() | texts[1].keys()):
        values = texts[0].get(name, _NONE), texts[1].get(name, _NONE)
        if values[0] != values[1]:
            lower = name.lower()
            signed = lower in one.signing.parameters or lower in other.signing.parameters
            kind = "parameter-signed" if signed else "parameter"
            yield kind, name, values[0], values[1]


def _values(each: RequestFacts) -> dict[str, str]:
    """Of each parameter all that it is given, in order."""
    values: dict[str, list[str]] = {}
    for name, value in each.query:
        values.setdefault(name, []).append(value or '""')
    return {name: ", ".join(given) for name, given in values.items()}


def _query_text(each: RequestFacts) -> str:
    return "&".join(f"{name}={value}" if value else name for name, value in each.query)


def _of_bodies(one: RequestFacts, other: RequestFacts) -> _Found:
    mine, theirs = one.report.request.body, other.report.request.body
    pairs = (
        (mine.size, theirs.size),
        (mine.md5, theirs.md5),
        (mine.crc64ecma, theirs.crc64ecma),
    )
    if any(a != b for a, b in pairs if a is not None and b is not None):
        yield "body", "", _body_text(one), _body_text(other)
    here, there = _checks(one), _checks(other)
    for name in sorted(here.keys() | there.keys()):
        if "mismatch" in (here.get(name), there.get(name)) and here.get(name) != there.get(name):
            yield "check", name, here.get(name, "not made"), there.get(name, "not made")
    connections = _by_address(one), _by_address(other)
    if connections[0] != connections[1]:
        yield "address", "", connections[0], connections[1]


def _checks(each: RequestFacts) -> dict[CheckName, str]:
    found: dict[CheckName, str] = {}
    for check in each.report.checks:
        if found.get(check.check) != "mismatch":
            found[check.check] = check.status
    return found


def _body_text(each: RequestFacts) -> str:
    body = each.report.request.body
    digest = f", MD5 {body.md5}" if body.md5 else ""
    return "unknown" if body.size is None else f"{body.size} bytes{digest}"


def _by_address(each: RequestFacts) -> str:
    connection = each.report.connection
    return "by IP address" if connection is not None and connection.by_address else "by name"


def _same(one: RequestFacts, other: RequestFacts) -> Iterator[str]:
    for kind, value in _SINGLE:
        if kind != "ids" and value(one) and value(one) == value(other):
            yield f"{title_of(kind)}: {_short(value(one))}"
    if one.host == other.host:
        yield f"{title_of('host')}: {_short(one.host)}"
    if one.path == other.path:
        yield f"{title_of('path')}: {_short(one.path)}"
    elsewhere = differences_table()["elsewhere"]
    alike = [
        name
        for name, value in one.headers.items()
        if name not in elsewhere and other.headers.get(name) == value
    ]
    if alike:
        yield f"Headers: {', '.join(sorted(alike))}"
    texts = _values(one), _values(other)
    names = [name for name, _ in one.query if texts[0].get(name) == texts[1].get(name)]
    if names:
        yield f"Parameters: {', '.join(dict.fromkeys(sorted(names)))}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"

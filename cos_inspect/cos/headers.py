"""What header fields mean to COS, and whether their values can be right.

The facts stand in ``tables/headers.tsv``; the grammars in ``header_syntax``.
Sources: the COS pages on common request and response headers and those of
the single operations; names that no page has were read in the SDKs.
"""

from functools import cache, lru_cache
from typing import Literal

import msgspec

from cos_inspect.cos.header_syntax import CHECKERS, REMARKS, size_of, text
from cos_inspect.cos.tables import rows
from cos_inspect.model.flow_report import Category, Side
from cos_inspect.model.headers import MAX_VALUE, SHOWN_OF_LONG, Headers
from cos_inspect.model.masks import is_masked

Secrecy = Literal["", "1", "part"]

_CATEGORIES: dict[str, Category] = {
    "common": "common",
    "sse": "sse",
    "object": "object",
    "auth": "auth",
    "http": "http",
    "other": "other",
}
_SECRECIES: dict[str, Secrecy] = {"": "", "1": "1", "part": "part"}
_MAX_CACHED = 128
_MAX_CACHED_FIELD = 192
_NO_ISSUES: tuple[str, ...] = ()
_TWO_LENGTHS = "stands together with Transfer-Encoding"
_METADATA = "x-cos-meta-"
_MOST_METADATA = 4096
"""Bytes; COS documents, page 436/7749."""
_TOO_LONG = ("longer than 64 KiB: not inspected, and only its beginning is shown",)
_TOO_MANY = ("behind more than any server takes: not inspected, and its value is left out",)
_NAMED_BEYOND = 100


class HeaderFact(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a header name. ``name`` is the name in the table, which
    ends in ``*`` where it stands for a family; empty for an unknown header."""

    name: str
    category: Category
    meaning: str
    """A short sentence, with the allowed values where not any text is; empty for an unknown
    header."""
    allowed: str
    """Which values may stand there, in words; empty for an unknown header."""
    secret: Secrecy
    """``1``: all of the value must be masked; ``part``: a secret stands inside it."""
    single: bool
    """It may stand only once in a message."""
    syntax: str
    """Name of the grammar that ``issues`` uses."""
    required_value: bool
    """An empty value is an issue."""


UNKNOWN = HeaderFact(
    name="", category="other", meaning="", allowed="", secret="", single=False, syntax="text",
    required_value=False,
)  # fmt: skip

# An empty value of these grammars in an answer tells nothing that COS could have meant.
_NEVER_EMPTY = frozenset(
    {
        "amz-sse-algorithm",
        "connection",
        "content-range",
        "crc64",
        "customer-algorithm",
        "date",
        "digest-hex",
        "etag",
        "integer",
        "kms-key-id",
        "md5",
        "request-id",
        "sse-algorithm",
    }
)
# Requests of real clients have empty headers; these two say something of the body, or are left out.
_NEVER_EMPTY_IN_REQUESTS = frozenset({"content-length", "content-md5"})


class _Table(msgspec.Struct, frozen=True):
    exact: dict[str, HeaderFact]
    prefixes: tuple[tuple[str, HeaderFact], ...]
    """Longest first."""


def syntax_of(row: dict[str, str], side: Side) -> str:
    """The grammar of a row of the header table on one side."""
    asked, slash, answered = row["syntax"].partition("/")
    return answered if slash and side == "response" else asked


def allowed_values(row: dict[str, str], side: Side) -> str:
    """Which values a row of the header table takes on one side, in words."""
    syntax = syntax_of(row, side)
    if not row["allowed"] and syntax not in _syntaxes():
        raise ValueError(f"syntaxes.tsv: no row for the grammar {syntax!r} of {row['name']}")
    return row["allowed"] or _syntaxes()[syntax]


@cache
def _syntaxes() -> dict[str, str]:
    return {row["syntax"]: row["allowed"] for row in rows("syntaxes")}


@cache
def _table(side: Side) -> _Table:
    exact: dict[str, HeaderFact] = {}
    prefixes: list[tuple[str, HeaderFact]] = []
    for row in rows("headers"):
        # On the side where it does not belong, a header keeps its meaning and its secret only.
        here = row["direction"] in (side, "both")
        syntax = syntax_of(row, side)
        if syntax not in CHECKERS:
            raise ValueError(f"headers.tsv: no grammar {syntax!r}")
        allowed = allowed_values(row, side)
        told = row["allowed"] or syntax != "text"
        fact = HeaderFact(
            name=row["name"],
            category=_CATEGORIES[row["category"]],
            meaning=f"{row['meaning']} Allowed: {allowed}." if told else row["meaning"],
            allowed=allowed,
            secret=_SECRECIES[row["secret"]],
            single=here and row["single"] == "1",
            syntax=syntax if here else "text",
            required_value=here
            and (
                syntax in _NEVER_EMPTY
                if side == "response"
                else row["name"] in _NEVER_EMPTY_IN_REQUESTS
            ),
        )
        if fact.name.endswith("*"):
            prefixes.append((fact.name[:-1], fact))
        else:
            exact[fact.name] = fact
    prefixes.sort(key=lambda item: -len(item[0]))
    return _Table(exact, tuple(prefixes))


_EXACT: dict[Side, dict[str, HeaderFact]] = {
    "request": _table("request").exact,
    "response": _table("response").exact,
}


def describe(name: str, side: Side) -> HeaderFact:
    """The fact about a header by its lower-case name; ``UNKNOWN`` where there is none."""
    fact = _EXACT[side].get(name)
    if fact is not None:
        return fact
    if len(name) > _MAX_CACHED:
        return _of_family(name, side)
    return _of_family_cached(name, side)


def _of_family(name: str, side: Side) -> HeaderFact:
    for prefix, fact in _table(side).prefixes:
        if name.startswith(prefix):
            # COS takes no underscore in the names of metadata.
            if side == "request" and prefix == _METADATA and "_" in name:
                return msgspec.structs.replace(fact, syntax="meta-name")
            return fact
    return UNKNOWN


_of_family_cached = lru_cache(maxsize=1024)(_of_family)


def issues(fact: HeaderFact, value: str) -> tuple[str, ...]:
    """What is wrong with a value, in short phrases such as ``not quoted``; mostly empty.

    An empty request header is hardly ever wrong: real clients send ``Content-Type:``
    and ``Authorization:`` with nothing behind. Of what was masked before it was recorded
    nothing is wrong.
    """
    checker = CHECKERS[fact.syntax]
    if checker is text:
        return _NO_ISSUES
    value = value.strip(" \t")
    if not value:
        return ("empty",) if fact.required_value else _NO_ISSUES
    found = checker(value)
    return _NO_ISSUES if found and is_masked(value) else found


class AnnotatedHeader(msgspec.Struct, frozen=True, gc=False):
    """A header field as sent, and what is known of it."""

    name: str
    value: str
    fact: HeaderFact
    issues: tuple[str, ...]
    """What is wrong with the value."""
    remarks: tuple[str, ...] = ()
    """What is worth a word and no fault."""


def annotate(
    headers: Headers, side: Side, *, called: str = "headers"
) -> tuple[AnnotatedHeader, ...]:
    """The fields in wire order, described and checked, but for those behind too many others. Of
    what is beyond ``MAX_VALUE`` only the beginning is kept. ``called``: what they are."""
    found = [
        _annotated_cached(side, name, value)
        if len(name) + len(value) <= _MAX_CACHED_FIELD
        else _annotated(side, name, value)
        for name, value in headers.fields
    ]
    if "transfer-encoding" in headers and "content-length" in headers:
        found = [
            msgspec.structs.replace(header, issues=(*header.issues, _TWO_LENGTHS))
            if header.fact.name == "content-length"
            else header
            for header in found
        ]
    if side == "request":
        _limit_metadata(found, called)
    return tuple(found)


def _limit_metadata(found: list[AnnotatedHeader], called: str) -> None:
    """The field with which all metadata together become too large has an issue."""
    total, last = 0, None
    for place, header in enumerate(found):
        if header.fact.name.startswith(_METADATA):
            size = size_of(header.value)
            if size > _MOST_METADATA:
                # It is too large without the others, and says so itself.
                return
            before, total = total, total + size
            if before <= _MOST_METADATA < total:
                last = place
    if last is not None:
        header = found[last]
        issue = f"all {_METADATA} {called} together have {total} bytes, more than 4 KB"
        found[last] = msgspec.structs.replace(header, issues=(*header.issues, issue))


def beyond(headers: Headers) -> list[tuple[str, tuple[str, ...]]]:
    """The fields behind those that ``annotate`` looks at: the names of the first hundred, and
    one line that counts the rest (a report that names 50,000 of them serves nobody and
    takes the proxy's time); with what is to be said of each."""
    named: list[tuple[str, tuple[str, ...]]] = [
        (name[:SHOWN_OF_LONG].decode("utf-8", "replace"), _TOO_MANY)
        for name, _ in headers.beyond[:_NAMED_BEYOND]
    ]
    if unnamed := len(headers.beyond) - len(named):
        named.append(("…", (f"{unnamed:,} more fields, not inspected and left out",)))
    return named


def _annotated(side: Side, name: str, value: str) -> AnnotatedHeader:
    fact = describe(name.lower(), side)
    if len(name) > MAX_VALUE or len(value) > MAX_VALUE:
        begin = value[:SHOWN_OF_LONG]
        return AnnotatedHeader(name[:SHOWN_OF_LONG], begin, fact, _NO_ISSUES, _TOO_LONG)
    found = issues(fact, value)
    remark = REMARKS.get(fact.syntax)
    if remark is None or found or not value:
        return AnnotatedHeader(name, value, fact, found)
    return AnnotatedHeader(name, value, fact, found, remark(value))


# Most headers of a client or server are the same from message to message.
_annotated_cached = lru_cache(maxsize=2048)(_annotated)


def duplicates(headers: Headers, side: Side) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Headers that may stand once and stand more often, with different values:
    lower-case name and all values in wire order."""
    return tuple(
        [
            (name, values)
            for name, values in headers.repeated()
            if len(set(values)) > 1 and describe(name, side).single and name not in headers.unread
        ]
    )

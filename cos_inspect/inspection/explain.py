"""What a name means: rules, error codes, headers, ids, encryption, checks and their skips.

A word may be several things (``etag`` is a header and a check); all are told.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cache

from cos_inspect.cos.error_table import explain_status, explanations_of, known_codes
from cos_inspect.cos.headers import UNKNOWN, describe
from cos_inspect.cos.request_id import RequestId, read_request_id, trace_id_well_formed
from cos_inspect.cos.tables import rows
from cos_inspect.rules.connection import platform_advice
from cos_inspect.rules.registry import RULES

_LONGEST = 4096
_ID_LIKE = re.compile(r"(?=.*[0-9=])[A-Za-z0-9+/]{24,}={0,2}")
_DIRECTIONS = {"request": "requests", "response": "answers", "both": "requests and answers"}
_SECRECIES = {
    "1": "yes: the whole value is masked in reports",
    "part": "in part: the secret inside the value is masked in reports",
}


def explain(what: str) -> str | None:
    """Everything that is known of a name or an id, several lines; None for an unknown one.
    Names are found in any case."""
    name = what.strip()
    if not name or len(name) > _LONGEST:
        return None
    found = [text for explainer in _EXPLAINERS for text in explainer(name)]
    if not found and not suggestions(name) and _ID_LIKE.fullmatch(name):
        found = [_unreadable(name)]
    return "\n\n".join(found) or None


def suggestions(what: str) -> list[str]:
    """Known names that a misspelt one is close to, the closest first."""
    spellings = _names()
    close = get_close_matches(what.strip().lower()[:100], spellings, n=3, cutoff=0.7)
    return [spellings[name] for name in close]


@cache
def _names() -> dict[str, str]:
    """Lower-case name to its spelling."""
    names = [
        *known_codes(),
        *(row["name"] for row in rows("headers") if not row["name"].endswith("*")),
        *(row["mode"] for row in rows("sse")),
        *(row["reason"] for row in rows("skips")),
        *(row["check"] for row in rows("checks")),
        *(row["failed"] for row in rows("connections")),
        *(rule.id for rule in RULES),
    ]
    return {name.lower(): name for name in names}


def _block(title: str, *lines: tuple[str, str]) -> str:
    """A title, and a line for each label whose text is not empty."""
    shown = [(label, text) for label, text in lines if text]
    width = max((len(label) for label, _ in shown), default=0)
    return "\n".join([title, *(f"  {label:{width}}  {text}" for label, text in shown)])


def _rule(name: str) -> Iterator[str]:
    for rule in RULES:
        if rule.id == name.lower():
            advice = platform_advice() if rule.id == "tls-untrusted" else {}
            yield _block(
                f"{rule.id}: a rule ({rule.group}, {rule.severity.value})",
                ("title", rule.title),
                ("when", rule.when),
                ("cause", rule.cause),
                ("fix", rule.fix),
                ("example", rule.example),
                *advice.items(),
            )


def _error_code(name: str) -> Iterator[str]:
    explanations = explanations_of(name)
    if not explanations:
        return
    table = [row for row in rows("errors") if row["code"].lower() == explanations[0].code.lower()]
    # In the order of the explanations: those bound to a message first.
    table.sort(key=lambda row: not row["message"])
    also = dict.fromkeys(
        row["code"]
        for row in rows("errors")
        if row["alias_of"] == explanations[0].code != row["code"]
    )
    for row, found in zip(table, explanations, strict=True):
        yield _block(
            f"{found.code}: an error code of COS",
            ("status", found.status),
            ("scope", found.scope),
            ("message", f"contains {row['message']!r}" if row["message"] else ""),
            ("same as", row["alias_of"] if row["alias_of"] != found.code else ""),
            ("meaning", found.meaning),
            ("cause", found.cause),
            ("fix", found.fix),
            ("also as", ", ".join(also)),
        )


def _status(name: str) -> Iterator[str]:
    if len(name) == 3 and name.isascii() and name.isdigit():
        found = explain_status(int(name))
        if found is not None:
            yield _block(
                f"{name}: a status, when the answer has no error body",
                ("meaning", found.meaning),
                ("cause", found.cause),
                ("fix", found.fix),
            )


def _header(name: str) -> Iterator[str]:
    lower = name.lower()
    fact = describe(lower, "request")
    if fact is UNKNOWN:
        return
    row = next(row for row in rows("headers") if row["name"] == fact.name)
    family = f" ({fact.name})" if fact.name != lower else ""
    yield _block(
        f"{lower}: a header{family}",
        ("category", fact.category),
        ("meaning", fact.meaning),
        ("stands in", _DIRECTIONS[row["direction"]]),
        ("syntax", row["syntax"]),
        ("once only", "yes" if row["single"] == "1" else "no"),
        ("secret", _SECRECIES.get(fact.secret, "no")),
    )


def _encryption(name: str) -> Iterator[str]:
    lower = name.lower()
    for row in rows("sse"):
        if lower in (row["mode"].lower(), *row["names"].lower().split()):
            yield _block(
                f"{row['mode']}: server-side encryption",
                ("meaning", row["meaning"]),
                ("request", row["request"]),
                ("answer", row["answer"]),
                ("note", row["note"]),
            )


def _check(name: str) -> Iterator[str]:
    for row in rows("checks"):
        if row["check"] == name.lower():
            yield _block(
                f"{row['check']}: a check",
                ("compares", row["compares"]),
                ("with", row["with"]),
                ("mismatch", row["mismatch"]),
            )


def _skip(name: str) -> Iterator[str]:
    for row in rows("skips"):
        if row["reason"] == name.lower():
            yield _block(
                f"{row['reason']}: why a check was skipped",
                ("meaning", row["meaning"]),
            )


def _connection(name: str) -> Iterator[str]:
    for row in rows("connections"):
        if row["failed"] == name.lower():
            sentence = row["sentence"].format(client="the client", host="the host")
            yield _block(
                f"{row['failed']}: what failed on a connection",
                ("meaning", sentence[0].upper() + sentence[1:]),
                ("cause", row["cause"]),
                ("fix", row["fix"]),
            )


def _id(name: str) -> Iterator[str]:
    if trace_id_well_formed(name):
        yield _block(
            f"{name}: a trace id",
            ("form", "well-formed: base64 of 128 hex digits"),
            ("meaning", "COS sends it with errors; it cannot be read further."),
            ("fix", "Quote it with the request id in a support ticket."),
        )
        return
    read = read_request_id(name)
    if read.time is not None:
        yield _request_id(name, read)


def _request_id(name: str, read: RequestId) -> str:
    forms = {
        "hex4": "well-formed: base64 of time_address_process_counter in hex",
        "bad-padding": "whole, but without its = signs at the end",
        "masked": "its end was replaced by asterisks",
    }
    moment = datetime.fromtimestamp(read.time or 0, UTC)
    return _block(
        f"{name}: a request id",
        ("form", forms[read.form]),
        ("fields", read.text or ""),
        ("time", f"{moment:%Y-%m-%d %H:%M:%S} UTC, when COS took the request"),
        ("address", f"{read.address} (internal, of the front end)" if read.address else ""),
    )


def _unreadable(name: str) -> str:
    return _block(
        f"{name}: perhaps an id",
        ("form", "not well-formed as a request id or a trace id of COS"),
        ("meaning", "It may come from a CDN or another service, or was cut when it was copied."),
    )


_EXPLAINERS: tuple[Callable[[str], Iterator[str]], ...] = (
    _rule,
    _error_code,
    _status,
    _header,
    _encryption,
    _check,
    _skip,
    _connection,
    _id,
)

"""What a name means: everything that stands in reports, in the protocol and in the options.

A word may be several things (``etag`` is a header and a check); all are told, and where a
fact of the protocol was read.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cache

from cos_inspect.cos.error_table import known_codes
from cos_inspect.cos.request_id import RequestId, read_request_id, trace_id_well_formed
from cos_inspect.cos.signature_difference import WORDS as DIFFERENCES
from cos_inspect.cos.tables import rows
from cos_inspect.inspection import explain_protocol as protocol
from cos_inspect.inspection.explain_block import block
from cos_inspect.inspection.explain_operation import explain_operation, operation_names
from cos_inspect.rules.connection import TLS_UNTRUSTED, platform_advice
from cos_inspect.rules.registry import RULES
from cos_inspect.settings.addon_options import OPTIONS

type Explainer = Callable[[str], Iterator[str]]
"""Gives a block of lines for each thing that a name is; nothing for a name unknown to it."""

_LONGEST = 4096
_SHORTEST_PIECE = 4
_ID_LIKE = re.compile(r"(?=.*[0-9=])[A-Za-z0-9+/]{24,}={0,2}")


def explain(what: str, further: Sequence[Explainer] = ()) -> str | None:
    """Everything that is known of a name or an id, several lines; None for an unknown one.
    Names are found in any case.

    :param further: what explains names that only the caller knows, as commands and switches.
    """
    name = what.strip()
    if not name or len(name) > _LONGEST:
        return None
    found = [text for explainer in (*_EXPLAINERS, *further) for text in explainer(name)]
    if not found and not suggestions(name) and _ID_LIKE.fullmatch(name):
        found = [_unreadable(name)]
    return "\n\n".join(found) or None


def suggestions(what: str, further: Sequence[str] = ()) -> list[str]:
    """Known names that a misspelt one is close to, the closest first; where there is none,
    names that hold it, the shortest first.

    :param further: names that only the caller knows.
    """
    spellings = {name.lower(): name for name in further} | _spellings()
    wanted = what.strip().lower()[:100]
    close = get_close_matches(wanted, spellings, n=3, cutoff=0.7)
    if not close and len(wanted) >= _SHORTEST_PIECE:
        close = sorted((name for name in spellings if wanted in name), key=len)[:3]
    return list(dict.fromkeys(spellings[name] for name in close))


def known_names() -> list[str]:
    """Every name that is explained, each once, as it is written; families of names without
    their asterisk are not among them."""
    return list(
        dict.fromkeys(
            [
                *(rule.id for rule in RULES),
                *known_codes(),
                *(row["name"] for row in rows("headers") if not row["name"].endswith("*")),
                *operation_names(),
                *(row["mode"] for row in rows("sse")),
                *(row["check"] for row in rows("checks")),
                *(row["reason"] for row in rows("skips")),
                *(row["failed"] for row in rows("connections")),
                *(name for name, *_ in OPTIONS),
                *(row["name"] for row in rows("clients") if row["name"]),
                *(row["name"] for row in rows("client_referers")),
                *(row["word"] for row in rows("words")),
                *(also for row in rows("words") for also in row["also"].split(";") if also),
                *(row["name"] for row in rows("parameters") if not row["name"].endswith("*")),
                *(row["code"] for row in rows("regions")),
                *(row["name"] for row in rows("signature_mistakes")),
                *(row["mistake"] for row in rows("host_mistakes")),
                *DIFFERENCES,
                *(row["http_status"] for row in rows("statuses")),
            ]
        )
    )


@cache
def _spellings() -> dict[str, str]:
    """Lower-case name to its spelling."""
    return {name.lower(): name for name in reversed(known_names())}


def _rule(name: str) -> Iterator[str]:
    for rule in RULES:
        if rule.id == name.lower():
            advice = platform_advice() if rule is TLS_UNTRUSTED else {}
            yield block(
                f"{rule.id}: a rule ({rule.group}, {rule.severity.value})",
                ("title", rule.title),
                ("when", rule.when),
                ("cause", rule.cause),
                ("fix", rule.fix),
                ("example", rule.example),
                *advice.items(),
            )


def _check(name: str) -> Iterator[str]:
    for row in rows("checks"):
        if row["check"] == name.lower():
            yield block(
                f"{row['check']}: a check",
                ("compares", row["compares"]),
                ("with", row["with"]),
                ("mismatch", row["mismatch"]),
            )


def _skip(name: str) -> Iterator[str]:
    for row in rows("skips"):
        if row["reason"] == name.lower():
            yield block(
                f"{row['reason']}: why a check was skipped",
                ("meaning", row["meaning"]),
            )


def _connection(name: str) -> Iterator[str]:
    for row in rows("connections"):
        if row["failed"] == name.lower():
            sentence = row["sentence"].format(client="the client", host="the host")
            yield block(
                f"{row['failed']}: what failed on a connection",
                ("meaning", sentence[0].upper() + sentence[1:]),
                ("cause", row["cause"]),
                ("fix", row["fix"]),
            )


def _word(name: str) -> Iterator[str]:
    lower = name.lower()
    for row in rows("words"):
        if lower == row["word"].lower() or lower in row["also"].lower().split(";"):
            yield block(
                f"{row['word']}: a word of COS and of the reports",
                ("meaning", row["meaning"]),
                ("more", row["more"]),
                ("also as", row["also"].replace(";", ", ")),
                ("see", _see(row["see"])),
                ("source", row["source"]),
            )


def _see(names: str) -> str:
    """Names with blanks in them are known as such; what is left are single words."""
    found = []
    words = names.split()
    while words:
        longest = next(
            (n for n in (3, 2) if n <= len(words) and " ".join(words[:n]) in _word_names()), 1
        )
        found.append(" ".join(words[:longest]))
        words = words[longest:]
    return ", ".join(found)


@cache
def _word_names() -> frozenset[str]:
    return frozenset(row["word"] for row in rows("words"))


def _option(name: str) -> Iterator[str]:
    for option, kind, default, text in OPTIONS:
        if option == name.lower():
            several = kind is not str
            shown = default if isinstance(default, str) else ", ".join(default)
            yield block(
                f"{option}: an option of the addon",
                ("meaning", text),
                ("default", shown or "none"),
                ("given as", f"--set {option}=…" + ("; several: again" if several else "")),
            )


def _mistake(name: str) -> Iterator[str]:
    lower = name.lower()
    for row in rows("signature_mistakes"):
        if row["name"] == lower:
            yield block(
                f"{row['name']}: a mistake in signing",
                ("meaning", f"The client signed {row['said']}."),
                ("fix", row["fix"]),
            )
    for cause, words in DIFFERENCES.items():
        if cause == lower:
            yield block(
                f"{cause}: how COS and the wire differ in what was signed",
                ("meaning", f"{words[0].upper()}{words[1:]}."),
            )


def _id(name: str) -> Iterator[str]:
    if trace_id_well_formed(name):
        yield block(
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
    return block(
        f"{name}: a request id",
        ("form", forms[read.form]),
        ("fields", read.text or ""),
        ("time", f"{moment:%Y-%m-%d %H:%M:%S} UTC, when COS took the request"),
        ("address", f"{read.address} (internal, of the front end)" if read.address else ""),
    )


def _unreadable(name: str) -> str:
    return block(
        f"{name}: perhaps an id",
        ("form", "not well-formed as a request id or a trace id of COS"),
        ("meaning", "It may come from a CDN or another service, or was cut when it was copied."),
    )


_EXPLAINERS: tuple[Explainer, ...] = (
    _rule,
    protocol.error_code,
    protocol.status,
    protocol.header,
    protocol.encryption,
    explain_operation,
    _check,
    _skip,
    _connection,
    _option,
    _word,
    _mistake,
    protocol.parameter,
    protocol.region,
    protocol.client,
    protocol.host,
    protocol.host_mistake,
    _id,
)

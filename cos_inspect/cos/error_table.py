"""What the error codes of COS mean, why they come and what helps.

Codes and statuses of ``tables/errors.tsv`` come from the error pages of COS,
CI, batch and vector buckets, some from SDKs; ``tables/statuses.tsv`` is for
answers that have no error body.
"""

from collections.abc import Collection
from functools import cache

import msgspec

from cos_inspect.cos.tables import rows


class ErrorExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """What a code or a status means, from ``errors.tsv``."""

    code: str
    """The code that is explained, as the table spells it; empty for a bare status."""
    status: str
    """HTTP status of this row; ``varies`` or ``N/A`` where there is no fixed one."""
    scope: str
    """What the row is about: ``common``, ``multipart``, ``SSE/KMS`` …"""
    meaning: str
    cause: str
    fix: str
    source: str = ""
    """Where it was read; empty for a bare status."""


class _Row(msgspec.Struct, frozen=True):
    message: str
    """Lower case; the row holds only where the message contains it."""
    context: str
    """A word of the request's contexts; the row holds only for those."""
    explanation: ErrorExplanation


def _folded(text: str) -> str:
    return text.strip(" \t\r\n.").lower()


@cache
def _table() -> dict[str, tuple[_Row, ...]]:
    """Folded code to its rows, those bound to a message first."""
    texts = {row["code"]: row for row in reversed(rows("errors")) if not row["alias_of"]}
    table: dict[str, list[_Row]] = {}
    for row in rows("errors"):
        source = texts[row["alias_of"]] if row["alias_of"] else row
        explanation = ErrorExplanation(
            code=row["code"],
            status=row["http_status"],
            scope=row["applies_to"],
            meaning=source["meaning"],
            cause=source["likely_cause"],
            fix=source["what_to_do"],
            source=row["source"],
        )
        found = _Row(row["message"].lower(), row["context"], explanation)
        table.setdefault(_folded(row["code"]), []).append(found)
    return {code: tuple(sorted(found, key=_bound)) for code, found in table.items()}


def _bound(row: _Row) -> tuple[bool, bool]:
    """Those bound to a message first, then those bound to a context."""
    return not row.message, not row.context


@cache
def _statuses() -> dict[tuple[int, str], ErrorExplanation]:
    """By status and context."""
    return {
        (int(row["http_status"]), row["context"]): ErrorExplanation(
            code="",
            status=row["http_status"],
            scope=row["context"] or "common",
            meaning=row["meaning"],
            cause=row["likely_cause"],
            fix=row["what_to_do"],
        )
        for row in rows("statuses")
    }


def explain_error(
    code: str | None,
    message: str | None = None,
    status: int | None = None,
    contexts: Collection[str] = (),
) -> ErrorExplanation | None:
    """The row for an error answer; None for a code that is not in the table.

    COS may put the precise name into Message under a general Code (``AccessDenied`` with
    ``Request has expired``), so a message that is itself a code goes before. Rows that are
    bound to one of the request's ``contexts`` go before those bound to none; those bound to
    another one hold only where the code has no other. Among the rows that hold that of the
    same status is taken, else the first.
    """
    table = _table()
    found = table.get(_folded(message)) if message and len(message) < 64 else None
    if found is None:
        found = table.get(_folded(code)) if code else None
    if found is None:
        return None
    words = message.lower() if message else ""
    rows_for = [row for row in found if not row.message or row.message in words]
    fitting = [row for row in rows_for if not row.context or row.context in contexts]
    candidates = [row.explanation for row in fitting or rows_for]
    wanted = str(status)
    for explanation in candidates:
        if explanation.status == wanted:
            return explanation
    return candidates[0] if candidates else None


def explanations_of(code: str) -> tuple[ErrorExplanation, ...]:
    """All rows of one code, without regard to case; empty for an unknown one."""
    return tuple(row.explanation for row in _table().get(_folded(code), ()))


def explain_status(status: int, contexts: Collection[str] = ()) -> ErrorExplanation | None:
    """What can be said of an answer without an error body (HEAD), by its status alone; what
    is bound to one of the request's ``contexts`` goes first, by name."""
    table = _statuses()
    for context in sorted(contexts):
        found = table.get((status, context))
        if found is not None:
            return found
    return table.get((status, ""))


def known_codes() -> tuple[str, ...]:
    """Every code of the table, each once, in the order of the table."""
    return tuple(dict.fromkeys(row["code"] for row in rows("errors")))

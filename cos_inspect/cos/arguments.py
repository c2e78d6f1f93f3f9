"""Which argument of a refused request is wrong, where COS answers InvalidArgument and no name."""

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from cos_inspect.cos.headers import AnnotatedHeader
from cos_inspect.cos.operation import Query
from cos_inspect.cos.tables import rows
from cos_inspect.model.plain_text import shortened

_LOST = frozenset(("undefined", "null", "none", "nan", "nil", "[object object]"))
"""What programs write where a variable had no value."""
_MAY_BE_NULL = frozenset(("versionid", "version-id-marker", "key-marker", "marker", "prefix"))
_LONGEST_SHOWN = 80
_LONGEST_NUMBER = 20


class BadArgument(msgspec.Struct, frozen=True):
    """One parameter or header of a request that COS cannot have accepted."""

    name: str
    place: Literal["query", "header"]
    value: str | None
    """Shortened; None where it is missing."""
    problem: str
    """Reads after the name: ``must be a whole number``."""

    @property
    def words(self) -> str:
        """A clause: ``position is -1 and must be …``."""
        if self.value is None:
            return f"{self.name} is missing and {self.problem}"
        return f"{self.name} is {self.value or 'empty'} and {self.problem}"


def bad_arguments(
    operation: str, query: Query, headers: Sequence[AnnotatedHeader]
) -> tuple[BadArgument, ...]:
    """The arguments that cannot be right, those of the query first."""
    sent = {header.name.lower(): header.value for header in headers}
    found = {bad.name.lower(): bad for bad in _by_table(operation, query, sent)}
    for name, value in query.pairs:
        if name.lower() not in found and _is_lost(name, value):
            found[name.lower()] = BadArgument(name, "query", value, "has no value of a program")
    for header in headers:
        name, value = header.name, header.value
        if name.lower() in found or not name.lower().startswith(("x-cos-", "x-ci-", "x-amz-")):
            continue
        if header.fact.secret:
            continue
        if header.issues:
            problem = f"cannot be taken: {header.issues[0]}"
            found[name.lower()] = BadArgument(name, "header", _shown(value), problem)
        elif _is_lost(name, value):
            found[name.lower()] = BadArgument(name, "header", value, "has no value of a program")
    return tuple(found.values())


def _by_table(operation: str, query: Query, headers: dict[str, str]) -> Iterator[BadArgument]:
    for row in rows("arguments"):
        if row["operations"] and operation not in row["operations"].split():
            continue
        name = row["name"]
        in_query = row["place"] == "query"
        value = query.get(name) if in_query else headers.get(name)
        if value is None and not row["required"]:
            continue
        if value is None or not _fits(row, value):
            shown = None if value is None else _shown(value)
            wants = f"must be {row['wants']}"
            yield BadArgument(name, "query" if in_query else "header", shown, wants)


def _fits(row: dict[str, str], value: str) -> bool:
    if row["words"]:
        # An empty header is what clients send that have nothing to say.
        return value in row["words"].split() or not value
    if not row["least"]:
        return bool(value.strip()) and not _is_lost(row["name"], value)
    if not (value.isascii() and value.isdigit() and len(value) <= _LONGEST_NUMBER):
        return False
    return int(row["least"]) <= int(value) <= int(row["most"] or value)


def _is_lost(name: str, value: str) -> bool:
    word = value.strip().lower()
    return word in _LOST and not (word in ("null", "none") and name.lower() in _MAY_BE_NULL)


def _shown(value: str) -> str:
    return shortened(value, _LONGEST_SHOWN)

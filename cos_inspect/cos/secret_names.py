"""Which names a secret stands under; the facts are in ``tables/secrets.tsv`` and, for
headers that are documented, in ``tables/headers.tsv``.

Names are compared by their letters and digits alone, in lower case.
"""

from functools import cache, lru_cache
from typing import Literal, cast
from urllib.parse import unquote

from cos_inspect.cos.headers import describe
from cos_inspect.cos.tables import rows

SecretKind = Literal["", "value", "credentials", "cookies", "base64", "id", "open"]
"""``""``: the table does not know the name; ``id`` and ``open`` are no secrets."""

SECRET_KINDS = frozenset({"value", "credentials", "cookies", "base64"})
LONGEST_NAME = 96
"""Bytes of a name's end that are looked at."""
_LONGEST_RAW = 1024

_UPPER = bytes(range(65, 91))
_KEPT = bytes((*range(48, 58), *range(97, 123)))
_DROPPED = bytes(byte for byte in range(256) if byte not in _UPPER and byte not in _KEPT)
_LOWER = bytes.maketrans(_UPPER, _UPPER.lower())
_OF_HEADERS: dict[str, SecretKind] = {"": "", "1": "value", "part": "credentials"}


def canonical(name: str) -> bytes:
    """Letters and digits of a name, in lower case."""
    data = name[-LONGEST_NAME:].encode("utf-8", "surrogatepass")
    return data.translate(_LOWER, _DROPPED)


def kind_of(name: bytes) -> SecretKind:
    """What stands under a canonical name."""
    exact, endings, any_ending = _table()
    found = exact.get(name)
    if found is not None:
        return found
    if not name.endswith(any_ending):
        return ""
    return next(kind for ending, kind in endings if name.endswith(ending))


@cache
def words() -> frozenset[bytes]:
    """Canonical names that are words of sentences as well."""
    return frozenset(canonical(row["name"]) for row in rows("secrets") if row["match"] == "word")


@cache
def _table() -> tuple[
    dict[bytes, SecretKind], tuple[tuple[bytes, SecretKind], ...], tuple[bytes, ...]
]:
    """Whole names; ends of names, the longest first; these without their kinds."""
    exact: dict[bytes, SecretKind] = {}
    endings: dict[bytes, SecretKind] = {}
    for row in rows("secrets"):
        into = {"is": exact, "word": exact, "ends": endings}[row["match"]]
        into[canonical(row["name"])] = cast("SecretKind", row["kind"])
    ordered = tuple(sorted(endings.items(), key=lambda item: -len(item[0])))
    return exact, ordered, tuple(endings)


def kind_of_parameter(name: str) -> SecretKind:
    """What stands under the name of a parameter as a URL has it."""
    if "%" in name:
        name = unquote(unquote(unquote(name[:_LONGEST_RAW])))
    return kind_of(canonical(name))


@lru_cache(maxsize=4096)
def kind_of_header(name: str) -> SecretKind:
    """What the value of a header is, by its name in any case."""
    kind = kind_of(canonical(name))
    if kind == "cookies" or not is_documented(name):
        return kind
    return _OF_HEADERS[describe(name.lower(), "request").secret]


@lru_cache(maxsize=4096)
def is_documented(name: str) -> bool:
    """Whether the table of headers has it by its whole name."""
    return describe(name.lower(), "request").name == name.lower()


def is_secret(name: str) -> bool:
    """Whether a parameter's, a field's or a header's value must not be shown."""
    return kind_of_header(name[-LONGEST_NAME:]) in SECRET_KINDS

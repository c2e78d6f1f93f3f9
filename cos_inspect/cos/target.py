"""Request targets taken apart: path, query, key."""

from functools import lru_cache
from urllib.parse import unquote, unquote_to_bytes

import msgspec

from cos_inspect.model.target_bounds import without_mark


class Query(msgspec.Struct, frozen=True):
    """A query string's parameters, decoded, in order, repeats kept."""

    pairs: tuple[tuple[str, str], ...]
    first: dict[str, str]
    """The first value of each name; names are case-sensitive. Not to be changed."""

    def get(self, name: str) -> str | None:
        """The first value of a parameter, percent-decoded; None where it was not sent."""
        return self.first.get(name)

    def __contains__(self, name: object) -> bool:
        return name in self.first


NO_QUERY = Query((), {})


def split_target(target: str) -> tuple[str, str]:
    """The path, percent escapes kept, and the query without its question mark.

    Takes the absolute form as well (``http://host/path``), which proxies get.
    """
    if not target.startswith("/"):
        scheme, separator, rest = target.partition("://")
        if separator and scheme.isalpha():
            authority = rest.partition("?")[0].partition("/")[0]
            target = rest[len(authority) :]
            if not target.startswith("/"):
                target = f"/{target}"
    path, _, query = target.partition("?")
    return path, query


def parse_query(target: str) -> tuple[tuple[str, str], ...]:
    """Decoded names and values of a target's query, in order.

    Only percent escapes are decoded: COS takes ``+`` as a plus sign. A parameter
    without ``=`` has the value "". Bytes that are not UTF-8 become U+FFFD.
    """
    return read_query(target).pairs


def read_query(target: str) -> Query:
    """As :func:`parse_query`, with look-up by name."""
    if "?" not in target:
        return NO_QUERY
    return _read_query(split_target(target)[1])


def decode(text: str) -> str:
    """Percent escapes taken off, as UTF-8; what is not UTF-8 becomes U+FFFD."""
    if "%" not in text:
        return text
    if text.isascii():
        return unquote_to_bytes(text).decode("utf-8", "replace")
    return unquote(text, errors="replace")


@lru_cache(maxsize=32)
def _read_query(query: str) -> Query:
    # Several readers ask for the query of the same request; few stay, as one may be long.
    pairs = []
    for piece in without_mark(query).split("&"):
        if piece:
            name, _, value = piece.partition("=")
            pairs.append((decode(name), decode(value)))
    first: dict[str, str] = {}
    for name, value in pairs:
        first.setdefault(name, value)
    return Query(tuple(pairs), first)

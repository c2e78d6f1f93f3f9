"""How much of a message's first line is read, and what stands in the place of the rest."""

import re
from hashlib import sha256
from typing import NamedTuple

MAX_PATH = 8192
"""Characters of a path that are read. A key has 850 bytes at most, which are 7,650 characters where
they are escaped four times."""
MAX_QUERY = 16_384
"""Characters of a query that are read; servers take some thousands."""
_LONGEST_METHOD = 64
"""Characters. The longest that is registered has 17."""
_LONGEST_HOST = 1020
"""Characters; a name of the DNS has 255 bytes at most (RFC 1035)."""
_LONGEST_REASON = 1024
"""Characters; the longest that is registered has 31."""
_LONGEST_ERROR = 4096
"""Characters."""
_NO_STATUS = 999
_END_OF_LONG = 256
_SHOWN_OF_LONG = 1024
"""Characters at most that are kept of a path beyond ``MAX_PATH``, and the like."""
_CUT_SIGN = "-characters-sha256-"
_CUT = re.compile(r"<[0-9]{1,12}-characters-sha256-[0-9a-f]{16}>")
"""A secret that stands before it without quotes ends there."""


def method_within(method: str) -> str:
    """A method, in upper case; of one that is longer than any the beginning."""
    if len(method) <= _LONGEST_METHOD:
        return method.upper()
    return f"{method[:_LONGEST_METHOD].upper()}…"


class ReadTarget(NamedTuple):
    """A request's target, within the bounds."""

    text: str
    """As sent; of a path or a query beyond its bound the beginning, and what tells it from others
    that begin so."""
    unread: str = ""
    """Its path, its query or both as sent, where ``text`` has not all of them."""


def target_within(target: str) -> ReadTarget:
    """The target, of which no more is kept than is read: of a path that is too long its first
    segments, of a query its first parameters; then the length and a digest of the whole. Takes a
    path alone as well."""
    if len(target) <= MAX_PATH:
        return ReadTarget(target)
    path, sign, query = target.partition("?")
    if len(path) <= MAX_PATH and len(query) <= MAX_QUERY:
        return ReadTarget(target)
    unread = []
    if len(path) > MAX_PATH:
        unread.append(path)
        # Cut where a segment ends, as a secret might else be cut.
        path = f"{path[:_SHOWN_OF_LONG].rpartition('/')[0]}/{_cut_mark(path)}"
    if len(query) > MAX_QUERY:
        unread.append(query)
        first, separator, _ = query[:MAX_QUERY].rpartition("&")
        query = f"{first}{separator}{_cut_mark(query)}"
    return ReadTarget(f"{path}{sign}{query}", "?".join(unread))


def reason_within(reason: str) -> str:
    """A reason phrase; in the place of one that is longer than any its length and digest."""
    return reason if len(reason) <= _LONGEST_REASON else _cut_mark(reason)


def status_within(status: int) -> int:
    """A status. A number without three digits is none, and is taken for an error of the server
    (RFC 9110, 15)."""
    return status if 100 <= status <= _NO_STATUS else _NO_STATUS


def error_within(said: str) -> str:
    """What a recorder says of a failure, which may quote all that came; of more than any says by
    itself the begin and the end."""
    if len(said) <= _LONGEST_ERROR:
        return said
    return f"{said[:_SHOWN_OF_LONG]} {_cut_mark(said)} {said[-_END_OF_LONG:]}"


def host_within(host: str) -> str:
    """A host; in the place of one that is longer than any its length and digest."""
    return host if len(host) <= _LONGEST_HOST else _cut_mark(host)


def _cut_mark(text: str) -> str:
    digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"<{len(text)}-characters-sha256-{digest[:16]}>"


def is_read_in_part(target: str) -> bool:
    """Whether ``target_within`` has cut it: its path or its query is longer than any that a
    server takes. Takes a URL as well."""
    return _CUT_SIGN in target and _CUT.search(target) is not None


def without_mark(query: str) -> str:
    """A query without what tells that it was cut."""
    return _CUT.sub("", query) if _CUT_SIGN in query else query

"""Object keys that still hold percent escapes after they were decoded as COS does."""

import re
from urllib.parse import unquote_to_bytes

_ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2})++")
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NEEDS_NONE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,15}%3A%2F%2F", re.IGNORECASE)
_LONGEST = 4096


def escaped_again(key: str) -> str | None:
    """What a key would be with its escapes taken off, where it looks as if a client had
    escaped it once more than COS decodes; else None.

    That is so where each percent sign begins an escape, nothing is left that escaping would
    have changed, and what comes out is text with something in it that needs to be escaped.
    ``100%.txt``, ``50%ab.txt`` and names made of whole URLs are left alone.
    """
    if "%" not in key or len(key) > _LONGEST or _PERCENT.search(key) or _URL.match(key):
        return None
    if not key.isascii() or " " in key:
        return None
    found = b"".join(unquote_to_bytes(run) for run in _ESCAPES.findall(key))
    try:
        text = found.decode("utf-8")
        plain = unquote_to_bytes(key).decode("utf-8")
    except UnicodeDecodeError:
        return None
    if all(sign in _NEEDS_NONE for sign in text) or not text.isprintable():
        return None
    return plain

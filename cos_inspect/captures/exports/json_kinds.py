"""What JSON a file holds, by the keys that stand in its first bytes."""

import re

from cos_inspect.captures.capture_format import beginning

WHISTLE_KEYS = frozenset(
    {
        "url",
        "id",
        "ttfb",
        "rules",
        "startTime",
        "dnsTime",
        "requestTime",
        "responseTime",
        "endTime",
        "req",
        "res",
        "reqError",
    }
    | {"resError", "useH2", "isHttps", "hostIp", "clientIp", "realUrl", "fwdHost", "captureError"}
)
"""Of a session of Whistle."""
CHARLES_KEYS = frozenset(
    {"protocolVersion", "actualPort", "tunnel", "keptAlive", "webSocket", "remoteAddress"}
    | {"clientAddress", "times", "durations", "speeds", "totalSize", "alpn"}
)
"""Of a transaction of Charles."""
_ENOUGH = 3
_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*+)"\s*+(:?)|([{}\[\]])', re.DOTALL)
_MOST_KEYS = 200


def keys_at(head: bytes, depth: int) -> tuple[list[str], bytes]:
    """The keys of the first object that is nested so deep (1: the file itself), as far as they
    stand in the first bytes of a file; and the sign that begins the file."""
    text = beginning(head)
    opening = text[:1]
    found: list[str] = []
    level = 0
    inside = False
    for token in _TOKEN.finditer(text):
        sign = token[3]
        if sign in (b"{", b"["):
            level += 1
            inside = inside or (level == depth and sign == b"{")
        elif sign is not None:
            if inside and level == depth:
                break
            level -= 1
        elif token[2] and level == depth and inside and len(found) < _MOST_KEYS:
            found.append(token[1].decode("utf-8", "replace"))
    return found, opening


def has_keys(head: bytes, wanted: frozenset[str]) -> bool:
    """Whether a list of objects begins with one that has some of these keys."""
    found, opening = keys_at(head, 2)
    return opening == b"[" and len(wanted & set(found)) >= _ENOUGH

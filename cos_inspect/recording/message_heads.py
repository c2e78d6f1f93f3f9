"""Heads of messages as mitmproxy keeps them, and what they say; needs no running proxy."""

import ipaddress
import re
from functools import lru_cache
from typing import NamedTuple

from cos_inspect.model.exchange import Request
from cos_inspect.model.headers import MAX_FIELDS, MAX_HEAD, Headers, RawFields, fields_within
from cos_inspect.model.target_bounds import host_within, method_within, target_within

Fields = RawFields
"""Header fields as mitmproxy keeps them."""


def headers_of(fields: Fields) -> Headers:
    """Header fields in wire order; bytes that are no UTF-8 become surrogates' replacement."""
    if len(fields) > _MOST_CACHED:
        within = fields_within(fields)
        read = [
            (name.decode("utf-8", "replace"), value.decode("utf-8", "replace"))
            for name, value in fields[:within]
        ]
        return Headers(read, fields[within:])
    names = _names(tuple([name for name, _ in fields]))
    values = [value.decode("utf-8", "replace") for _, value in fields]
    if names.distinct and names.size + sum(map(len, values)) <= MAX_HEAD:
        return Headers.of_distinct(names.shown, names.lower, values)
    return Headers(zip(names.shown, values, strict=True))


class _Names(NamedTuple):
    """The names of a message's headers; a client or server sends the same ones again."""

    shown: tuple[str, ...]
    lower: tuple[str, ...]
    distinct: bool
    length: int | None
    """The place of the first Content-Length."""
    size: int
    """Characters of all of them."""


@lru_cache(maxsize=256)
def _names(raw: tuple[bytes, ...]) -> _Names:
    shown = tuple(name.decode("utf-8", "replace") for name in raw)
    lower = tuple(name.lower() for name in shown)
    length = lower.index("content-length") if "content-length" in lower else None
    return _Names(shown, lower, len(set(lower)) == len(lower), length, sum(map(len, shown)))


def announced_length(fields: Fields) -> int | None:
    """Content-Length, where it is there and a number."""
    value = _first_length(fields)
    if value is None:
        return None
    return int(value) if value.isdigit() and len(value) <= LONGEST_NUMBER else None


def framing_length(fields: Fields) -> int | None:
    """Content-Length, where it alone says how long the body is, of a head that has no more
    fields than are known again."""
    if len(fields) > _MOST_CACHED:
        return None
    names = _names(tuple([name for name, _ in fields]))
    value = None if names.length is None else fields[names.length][1]
    if value is None or len(value) > LONGEST_NUMBER or "transfer-encoding" in names.lower:
        return None
    return int(value) if value.isdigit() else None


class AnswerHead(NamedTuple):
    """An answer's head as mitmproxy has it: bytes as they came."""

    fields: Fields
    status: int
    reason: bytes
    http_version: bytes


class RequestHead(NamedTuple):
    """A request's head as mitmproxy has it; nothing that is done to the request changes it.
    ``authority`` is ``:authority`` of HTTP/2 and HTTP/3, else empty; host and port are those of
    the connection or the URL."""

    fields: Fields
    method: bytes
    scheme: bytes
    authority: bytes
    host: str
    port: int
    path: bytes
    http_version: bytes


def may_have_body(head: RequestHead) -> bool:
    """By the method, or by a header that frames one. Not where the fields are too many to be
    looked at: mitmproxy keeps such a message whole, as it does without the addon."""
    if len(head.fields) > MAX_FIELDS:
        return False
    if head.method.upper() in (b"PUT", b"POST"):
        return True
    length = _first_length(head.fields)
    if length is not None and length != b"0":
        return True
    if len(head.fields) > _MOST_CACHED:
        return any(name.lower() == b"transfer-encoding" for name, _ in head.fields)
    return "transfer-encoding" in _names(tuple([name for name, _ in head.fields])).lower


def _first_length(fields: Fields) -> bytes | None:
    """The value of the first Content-Length."""
    if len(fields) > _MOST_CACHED:
        return first_value(fields, b"content-length")
    place = _names(tuple([name for name, _ in fields])).length
    return None if place is None else fields[place][1]


def first_value(fields: Fields, name: bytes) -> bytes | None:
    """The value of the first field of this lower-case name, among those that are looked at;
    mitmproxy's own look-up reads all of them, whose number nothing bounds."""
    return next((value for held, value in fields[:MAX_FIELDS] if held.lower() == name), None)


_MOST_CACHED = 128
"""Header fields of a message whose names are kept to be known again."""
DEFAULT_PORTS = {"http": 80, "https": 443}
LONGEST_NUMBER = 20
"""Digits of a length; what has more is none."""


_MOST_OF_METHOD = 512
"""Bytes that are looked at."""


@lru_cache(maxsize=256)
def word(data: bytes) -> str:
    """Methods, schemes and versions: few, and the same ones again and again."""
    return data.decode("utf-8", "replace")


def request_of(head: RequestHead, headers: Headers) -> Request:
    """What a request asks for, and of whom, as the client means it; without its body."""
    scheme, version = word(head.scheme), word(head.http_version)
    authority = head.authority if version.startswith(("HTTP/2", "HTTP/3")) else b""
    host, port = asked_host(scheme, headers, authority, head.host, head.port)
    target = target_within(head.path.decode("utf-8", "replace"))
    return Request(
        method=method_within(word(head.method[:_MOST_OF_METHOD])),
        scheme=scheme,
        host=host,
        port=port,
        target=target.text,
        http_version=version,
        headers=headers,
        unread_target=target.unread,
    )


def asked_host(
    scheme: str, headers: Headers, authority: bytes, host: str, port: int
) -> tuple[str, int]:
    """Who was asked: host in lower case without a final dot, and port.

    :param authority: ``:authority`` of HTTP/2 and HTTP/3, else empty; it counts before the
        Host header.
    :param host: of the connection or the URL. It counts with ``port`` where nothing else says:
        inside a tunnel it is that of the upstream connection, which a script may have led
        elsewhere.
    """
    # Long ones, which are none, are not kept.
    named = headers.get("host")
    if authority:
        named = (_authority if len(authority) <= _MOST_CACHED_BYTES else _decoded)(authority)
    if not named:
        return _plain_host(host_within(host)), port
    asked, asked_port = _parsed_authority(host_within(named))
    return asked, asked_port or DEFAULT_PORTS.get(scheme, port)


_MOST_CACHED_BYTES = 1024


@lru_cache(maxsize=512)
def _authority(data: bytes) -> str:
    try:
        return data.decode("idna")
    except UnicodeError:
        return _decoded(data)


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "replace")


@lru_cache(maxsize=512)
def _parsed_authority(authority: str) -> tuple[str, int | None]:
    host, port = parse_authority(authority)
    return _plain_host(host), port


_LONGEST_NAME = 255
"""Bytes of a DNS name (RFC 1035)."""
_LAST_PORT = 65535
_LONGEST_HOST = 4 * _LONGEST_NAME
"""Characters that are looked at: the codec takes long over long ones."""
_AUTHORITY = re.compile(r"([^:]++|\[.+\])(?::0*([0-9]{1,5}))?+")
_LABEL = re.compile(rb"[A-Za-z0-9_-]{1,63}+")


def parse_authority(authority: str) -> tuple[str, int | None]:
    """Host and port of a Host header, as mitmproxy reads it: what is none is a host as a
    whole."""
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        return authority, None
    host = found[1]
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    port = None if found[2] is None else int(found[2])
    if not _is_host(host) or (port is not None and port > _LAST_PORT):
        return authority, None
    return host, port


def _is_host(host: str) -> bool:
    """A DNS name (with underscores), or an IP address."""
    if len(host) > _LONGEST_HOST:
        return False
    try:
        name = host.encode("idna")
        name.decode("idna")
    except UnicodeError:
        return False
    if len(name) > _LONGEST_NAME:
        return False
    name = name.removesuffix(b".")
    if all(_LABEL.fullmatch(label) for label in name.split(b".")):
        return True
    try:
        ipaddress.ip_address(name.decode("idna"))
    except ValueError:
        return False
    return True


def _plain_host(host: str) -> str:
    """In lower case, without a final dot. mitmproxy has surrogates for bytes that are no
    UTF-8; they become U+FFFD, as surrogates cannot be written."""
    if not host.isascii():
        host = host.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return host.lower().removesuffix(".")

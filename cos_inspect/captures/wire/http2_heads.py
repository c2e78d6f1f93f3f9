"""Heads of HTTP/2 messages, as mitmproxy keeps them (RFC 9113, 8.3)."""

from cos_inspect.recording.message_heads import (
    DEFAULT_PORTS,
    AnswerHead,
    Fields,
    RequestHead,
    parse_authority,
    word,
)

_VERSION = b"HTTP/2.0"


def request_head(fields: Fields, scheme: str, server: tuple[str, int]) -> RequestHead | None:
    """None for what is none.

    :param scheme: of the connection, for a request that names none, as CONNECT does.
    :param server: address and port, for a request that names no host.
    """
    pseudo, rest = _split(fields)
    method = pseudo.get(b":method")
    path = pseudo.get(b":path", b"")
    if not method or (not path and method != b"CONNECT"):
        return None
    asked = pseudo.get(b":scheme", scheme.encode())
    authority = pseudo.get(b":authority", b"")
    host, port = server
    if authority:
        host, named = parse_authority(authority.decode("utf-8", "replace"))
        port = named or DEFAULT_PORTS.get(word(asked), port)
    return RequestHead(rest, method, asked, authority, host, port, path, _VERSION)


def answer_head(fields: Fields) -> AnswerHead | None:
    """An answer's head, out of its fields with ``:status`` among them; None where they are none."""
    pseudo, rest = _split(fields)
    status = pseudo.get(b":status", b"")
    if len(status) != 3 or not status.isdigit() or status < b"100":
        return None
    return AnswerHead(rest, int(status), b"", _VERSION)


def _split(fields: Fields) -> tuple[dict[bytes, bytes], Fields]:
    """Pseudo-header fields stand before all others."""
    pseudo: dict[bytes, bytes] = {}
    for at, (name, value) in enumerate(fields):
        if not name.startswith(b":"):
            return pseudo, fields[at:]
        pseudo.setdefault(name, value)
    return pseudo, ()

"""Where the server's HttpString and the one on the wire part ways.

COS repeats its own HttpString as FormatString when it refuses a signature, so
the difference can be named without any key. Values of secret headers and
parameters are never part of what is returned.
"""

import re
from typing import Literal
from urllib.parse import unquote

import msgspec

from cos_inspect.cos.signature import HttpString
from cos_inspect.cos.target import split_target
from cos_inspect.model.exchange import Request

SignedLine = Literal["method", "path", "parameters", "headers"]
DifferenceCause = Literal[
    "method",
    "path-not-decoded",
    "double-encoding",
    "plus-for-space",
    "slash-encoding",
    "lower-case-escapes",
    "character-set",
    "blanks",
    "taken-away",
    "added",
    "order",
    "changed",
]
ChangedBy = Literal["proxy", "behind-proxy"]

WORDS: dict[DifferenceCause, str] = {
    "method": "the method differs",
    "path-not-decoded": "one of them has percent escapes where the other has the characters",
    "double-encoding": "it was percent-encoded twice",
    "plus-for-space": "+ and space were taken for each other",
    "slash-encoding": "/ and %2F were taken for each other",
    "lower-case-escapes": "percent escapes are in lower case on one side",
    "character-set": "characters beyond ASCII differ",
    "blanks": "blanks differ",
    "taken-away": "COS did not get it",
    "added": "COS got it, and it did not pass here",
    "order": "the order differs",
    "changed": "the value differs",
}
AMBIGUOUS: frozenset[DifferenceCause] = frozenset(
    (
        "path-not-decoded",
        "double-encoding",
        "plus-for-space",
        "slash-encoding",
        "lower-case-escapes",
        "blanks",
        "character-set",
    )
)
"""Two ways to write or to read the same: what COS reads is not known for sure."""
_SECRET = re.compile(r"token|customer-key$|^authorization$|^cookie$|signature")
_HIDDEN = "(secret)"
_AROUND = 12
_LONGEST = 200
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """The first one. ``server`` and ``wire`` are the whole method, path or value, cut at
    200 characters; the parts are what surrounds the first differing character."""

    line: SignedLine
    name: str | None
    """Of the parameter or header."""
    server: str | None
    """None: COS did not have it."""
    wire: str | None
    at: int | None
    """Index of the first differing character."""
    server_part: str
    wire_part: str
    cause: DifferenceCause
    changed_by: ChangedBy


def split_format_string(text: str) -> tuple[str, str, str, str]:
    """Method, path, parameters, headers. A path may hold line ends of its own."""
    text = text.replace("\r\n", "\n").lstrip("\n")
    method, _, rest = text.partition("\n")
    pieces = rest.removesuffix("\n").rsplit("\n", 2)
    path, parameters, headers = (*pieces, "", "")[:3]
    return method, path, parameters, headers


def same_content(format_string: str, wire: HttpString) -> bool:
    """Whether FormatString is the wire's HttpString, blanks at its ends apart."""
    return format_string.replace("\r\n", "\n").strip("\n") == _printable(wire.text).strip("\n")


def first_difference(format_string: str, wire: HttpString, request: Request) -> Difference | None:
    """None when the two agree."""
    method, path, parameters, headers = split_format_string(format_string)
    if method != wire.method:
        return _difference("method", None, method, wire.method, "method", request)
    wire_path = _printable(wire.path)
    if path != wire_path:
        cause = _path_cause(path, wire_path, split_target(request.target)[0])
        return _difference("path", None, path, wire_path, cause, request)
    found = _pairs("parameters", parameters, wire.parameters, request)
    return found or _pairs("headers", headers, wire.headers, request)


def _printable(text: str) -> str:
    """Bytes that are not UTF-8 as an XML document can have them."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _path_cause(server: str, wire: str, raw: str) -> DifferenceCause:
    if _folded_slashes(server) == _folded_slashes(wire):
        return "slash-encoding"
    if server == raw or unquote(server) == wire or unquote(wire) == server:
        # An escape that is left after decoding was encoded twice.
        twice = "%25" in server or _ESCAPE.search(wire) is not None
        return "double-encoding" if twice else "path-not-decoded"
    return _text_cause(server, wire)


def _folded_slashes(text: str) -> str:
    return text.replace("%2F", "/").replace("%2f", "/")


def _text_cause(server: str, wire: str) -> DifferenceCause:
    if _plus(server) == _plus(wire):
        return "plus-for-space"
    if _upper_escapes(server) == _upper_escapes(wire) or (
        "%" in server + wire and server.lower() == wire.lower()
    ):
        return "lower-case-escapes"
    if _folded_slashes(server) == _folded_slashes(wire):
        return "slash-encoding"
    one, other = unquote(server), unquote(wire)
    if one.strip() == other.strip() and one != other:
        return "blanks"
    if unquote(one) == unquote(other):
        return "double-encoding" if one != other else "path-not-decoded"
    if not one.isascii() or not other.isascii():
        return "character-set"
    return "changed"


def _plus(text: str) -> str:
    return text.replace("%20", " ").replace("%2B", " ").replace("%2b", " ").replace("+", " ")


def _upper_escapes(text: str) -> str:
    return _ESCAPE.sub(lambda found: found[0].upper(), text)


def _pairs(
    line: SignedLine, server: str, wire: tuple[tuple[str, str], ...], request: Request
) -> Difference | None:
    had = [
        (name, value)
        for name, _, value in (piece.partition("=") for piece in server.split("&") if piece)
    ]
    if had == list(wire):
        return None
    theirs, ours = _grouped(had), _grouped(list(wire))
    for name in sorted(theirs.keys() | ours.keys()):
        one, other = theirs.get(name), ours.get(name)
        if one == other:
            continue
        cause: DifferenceCause
        if one is None:
            cause = "taken-away"
        elif other is None:
            cause = "added"
        else:
            cause = _text_cause(one, other)
        return _difference(line, name, one, other, cause, request)
    names = ";".join(name for name, _ in had), ";".join(name for name, _ in wire)
    return _difference(line, None, *names, "order", request)


def _grouped(pairs: list[tuple[str, str]]) -> dict[str, str]:
    grouped: dict[str, str] = {}
    for name, value in pairs:
        grouped[name] = f"{grouped[name]},{value}" if name in grouped else value
    return grouped


def _difference(
    line: SignedLine,
    name: str | None,
    server: str | None,
    wire: str | None,
    cause: DifferenceCause,
    request: Request,
) -> Difference:
    secret = name is not None and _SECRET.search(name) is not None
    at = None
    parts = ("", "")
    if server is not None and wire is not None and not secret:
        at = _first_apart(server, wire)
        parts = _part(server, at), _part(wire, at)
    return Difference(
        line=line,
        name=name,
        server=_shown(server, secret),
        wire=_shown(wire, secret),
        at=at,
        server_part=parts[0],
        wire_part=parts[1],
        cause=cause,
        changed_by=_changed_by(line, name, request),
    )


def _changed_by(line: SignedLine, name: str | None, request: Request) -> ChangedBy:
    dropped = {field.lower() for field, _ in request.dropped_headers}
    if line == "headers" and name in dropped:
        return "proxy"
    return "behind-proxy"


def _first_apart(one: str, other: str) -> int:
    for at, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return at
    return min(len(one), len(other))


def _part(text: str, at: int) -> str:
    return text[max(0, at - _AROUND) : at + _AROUND]


def _shown(text: str | None, secret: bool) -> str | None:
    if text is None:
        return None
    return _HIDDEN if secret else text[:_LONGEST]

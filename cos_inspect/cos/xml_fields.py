"""The few fields of a small XML answer, read without trust in it.

A document is walked once and never built as a tree; DTDs, and with them entities, are
refused, sizes are bounded, and nothing is raised for odd bytes. It is read by expat itself:
``defusedxml``, which refuses the same, builds on the parser that ElementTree has in Python, and
takes four times as long.
"""

import html
import re
import zlib
from typing import NoReturn, Protocol
from xml.parsers import expat

import msgspec

MAX_BYTES = 4 * 1024 * 1024
_MAX_FIELD = 65_536
_MAX_ELEMENTS = 50_000
_MAX_SALVAGED = 262_144
_GZIP = b"\x1f\x8b"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_PROLOG = 4096
# Declaration, processing instructions, comments and DOCTYPE in front of the root.
# Possessive throughout: a hostile prolog must not make it try every split.
_ROOT = re.compile(
    r"\s*+(?:(?:<\?[^>]*+>|<!--(?:[^-]|-(?!->))*+-->"
    r"|<![A-Za-z][^>\[]*+(?:\[[^\]]*+\])?+[^>]*+>)\s*+)*+"
    r"<(?:[\w.-]++:)?+([\w.-]++)"
)
_FIELD = re.compile(r"<(?:[\w.-]+:)?([\w.-]+)(?:\s[^<>]*)?>([^<]{0,65536})</")


class XmlFields(msgspec.Struct, frozen=True, kw_only=True):
    """Text of the root's direct children by their name without namespace; the first
    of each name."""

    root: str | None
    fields: dict[str, str]
    problem: str | None = None
    """Why the document cannot be read; the fields are then what could be salvaged."""


class _RefusedError(ValueError):
    """The document exceeds a bound."""


class _DoctypeError(ValueError):
    """The document has a DTD."""


class _Walk:
    """Parser target that keeps the wanted children of the root."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self._wanted = wanted
        self._depth = 0
        self._elements = 0
        self._name: str | None = None
        self._text: list[str] = []
        self._length = 0
        self.root: str | None = None
        self.fields: dict[str, str] = {}

    def start(self, tag: str, _attributes: dict[str, str]) -> None:
        self._depth += 1
        self._elements += 1
        if self._elements > _MAX_ELEMENTS:
            raise _RefusedError("too many elements")
        if self._depth == 1:
            self.root = tag.rpartition("}")[2]
        elif self._depth == 2:
            name = tag.rpartition("}")[2]
            self._name = name if name in self._wanted and name not in self.fields else None
            self._text, self._length = [], 0

    def data(self, data: str) -> None:
        if self._name is not None and self._depth == 2 and self._length < _MAX_FIELD:
            self._text.append(data)
            self._length += len(data)

    def end(self, _tag: str) -> None:
        if self._depth == 2 and self._name is not None:
            self.fields[self._name] = "".join(self._text)[:_MAX_FIELD]
            self._name = None
        self._depth -= 1


def plain(body: bytes) -> bytes:
    """The body with gzip coding taken off where it has it; at most ``MAX_BYTES`` + 1 then."""
    if body[:2] != _GZIP:
        return body
    try:
        return zlib.decompressobj(31).decompress(body, MAX_BYTES + 1)
    except zlib.error:
        return body


def root_name(body: bytes | None) -> str | None:
    """Name of the root element without namespace prefix, from the first bytes alone;
    None when the body does not begin like XML (or HTML)."""
    if not body:
        return None
    match = _ROOT.match(_text_of(plain(body)[:_PROLOG]))
    return match[1] if match else None


class DocumentHandler(Protocol):
    """What a document is told to; it may refuse one by a ValueError."""

    def start(self, tag: str, attributes: dict[str, str], /) -> None:
        """An element begins; a namespace stands in its tag, before a closing brace."""

    def data(self, data: str, /) -> None:
        """Text, perhaps a part of it."""

    def end(self, tag: str, /) -> None:
        """An element ends."""


def _parse(body: bytes, walk: DocumentHandler) -> None:
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartElementHandler = walk.start
    parser.EndElementHandler = walk.end
    parser.CharacterDataHandler = walk.data
    # There is no entity without a DTD.
    parser.StartDoctypeDeclHandler = _refuse
    parser.Parse(body, True)


def _refuse(*_declaration: object) -> NoReturn:
    raise _DoctypeError


def can_walk(body: bytes, walk: DocumentHandler) -> bool:
    """Whether a document can be read to its end; where it cannot,
    what ``walk`` was told is of no use."""
    try:
        _parse(body, walk)
    except (expat.ExpatError, ValueError, LookupError):
        return False
    return True


def whole_number(text: str) -> int | None:
    """A size as lists of COS have it: fewer than 16 digits, blanks around them aside."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def walk_xml(body: bytes, wanted: frozenset[str]) -> XmlFields:
    """Reads the wanted children of the root; an unreadable document has a ``problem``."""
    return _walk(plain(body), wanted)


def _walk(body: bytes, wanted: frozenset[str]) -> XmlFields:
    if len(body) > MAX_BYTES:
        return XmlFields(root=root_name(body), fields={}, problem="larger than 4 MiB")
    walk = _Walk(wanted)
    try:
        _parse(body, walk)
    except _DoctypeError:
        problem = "has a DTD or entities"
    except _RefusedError as refused:
        problem = str(refused)
    except expat.ExpatError as error:
        problem = f"not well-formed at line {error.lineno}, column {error.offset + 1}"
    except (ValueError, LookupError):
        problem = "unreadable encoding"
    else:
        return XmlFields(root=walk.root, fields=walk.fields)
    return XmlFields(root=root_name(body), fields=_salvage(body, wanted), problem=problem)


def read_xml_fields(body: bytes | None, wanted: frozenset[str]) -> dict[str, str]:
    """Text of the wanted direct children of the root, by name; empty for a body that
    is absent, cannot be read, or is larger than 4 MiB. For several fields of an answer
    such as ``CompleteMultipartUploadResult``."""
    if not body:
        return {}
    body = plain(body)
    if not _may_hold(body, wanted):
        return {}
    found = _walk(body, wanted)
    return found.fields if found.problem is None else {}


def _may_hold(body: bytes, names: frozenset[str]) -> bool:
    """Whether elements of these names may stand in it. In every encoding that expat reads but
    UTF-16 their letters are those of ASCII."""
    return body[:2] in _UTF_16 or b"\0" in body[:4] or any(name.encode() in body for name in names)


def _salvage(body: bytes, wanted: frozenset[str]) -> dict[str, str]:
    """Whole fields of a document that broke off or is not well-formed."""
    fields: dict[str, str] = {}
    for match in _FIELD.finditer(_text_of(body[:_MAX_SALVAGED])):
        if match[1] in wanted and match[1] not in fields:
            fields[match[1]] = html.unescape(match[2])
    return fields


def _text_of(data: bytes) -> str:
    """The beginning of a body as text; never fails."""
    if data[:2] in _UTF_16:
        return data.decode("utf-16", "replace")
    return data.decode("utf-8-sig", "replace")

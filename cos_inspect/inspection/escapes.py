"""Takes the escapes off a text, so that a secret is found however it is written.

Percent escapes, those of JSON and of languages like it, the entities of XML and HTML, and
what quoted-printable makes of an equals sign, each also inside of another. ``plain`` is for a
look at whether there is anything; ``decode`` tells of each byte where it stood. Time is linear
in the text.
"""

import re
from bisect import bisect_right
from functools import lru_cache

import msgspec

DEEPEST = 6
"""How often escapes may stand inside of escapes; deeper ones stay as they are."""

_PERCENT = re.compile(rb"%[0-9A-Fa-f]{2}")
_PERCENT_UNIT = re.compile(rb"%u[0-9A-Fa-f]{4}")
"""As JavaScript's ``escape`` writes it."""
_NESTED = re.compile(rb"%(?:25)+(?=[0-9A-Fa-f]{2})")
_PAIR = rb"\\"
_BACKSLASH = re.compile(
    rb"\\(?:u([dD][89abAB][0-9A-Fa-f]{2})\\u([dD][c-fC-F][0-9A-Fa-f]{2})"
    rb"|u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|([\"'`\\/&=?:<>bfnrt])"
    rb"|u\{([0-9A-Fa-f]{1,6})\}|U([0-9A-Fa-f]{8})|([0-3][0-7]{2}))"
)
_ENTITIES = {
    b"amp": b"&",
    b"lt": b"<",
    b"gt": b">",
    b"quot": b'"',
    b"apos": b"'",
    b"equals": b"=",
    b"plus": b"+",
    b"sol": b"/",
    b"num": b"#",
    b"colon": b":",
}
_ENTITY = re.compile(
    rb"&(?:#(?=[0-9])0{0,32}+[0-9]{0,7}|#[xX](?=[0-9A-Fa-f])0{0,32}+[0-9A-Fa-f]{0,6}|amp|lt|gt|quot|apos|equals|plus|sol|num|colon);"
)
_KINDS = (_PERCENT, _PERCENT_UNIT, _BACKSLASH, _ENTITY)
_ANY = re.compile(b"|".join(kind.pattern for kind in _KINDS))
_EQUALS = b"=3D"
_QUOTED = re.compile(rb"=3D|(?<=[^\r\n]{60})=\r?\n")
"""In quoted-printable an equals sign, and a long line's end that the text has not. Other signs
that it escapes stand in no secret."""
_ANY_OR_QUOTED = re.compile(b"|".join(kind.pattern for kind in (_QUOTED, *_KINDS)))
_BYTES = {b"%02x" % byte: bytes((byte,)) for byte in range(256)}
_ANY_BYTES = {
    high + low: _BYTES[(high + low).lower()]
    for high in (b"%c" % sign for sign in b"0123456789abcdefABCDEF")
    for low in (b"%c" % sign for sign in b"0123456789abcdefABCDEF")
}
_ASCII_BYTES = {digits: byte for digits, byte in _ANY_BYTES.items() if b"\t" <= byte < b"\x80"}
_LETTERS = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_OF_URLS = b"%"
_OF_STRINGS = b"%\\"
_FURTHER = bytes(range(0x80, 0xC0))
"""Bytes of UTF-8 that begin no character."""


def encoded(text: str) -> bytes:
    """UTF-8; bytes that are none stay the bytes that they were."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def plain(data: bytes, *, ascii_only: bool = False) -> bytes:
    """Without its escapes. ``ascii_only``: percent escapes beyond ASCII, of which a text in
    another script has many, may stay."""
    return (_plain if len(data) < _LONG else _plain_long)(data, ascii_only)


def _plain(data: bytes, ascii_only: bool) -> bytes:
    if b"%25" in data:
        data = _NESTED.sub(b"%", data)
    quoted = False
    for _ in range(DEEPEST):
        before = data
        if quoted or _EQUALS in data:
            quoted = True
            data = _QUOTED.sub(_unescaped, data)
        percent = b"%" in data and _PERCENT.search(data) is not None
        others = (
            b"\\" in data or b"%u" in data or (b";" in data and _ENTITY.search(data) is not None)
        )
        if not percent and not others and not quoted:
            return data
        if others:
            data = _without_escapes(data)
        elif percent:
            data = _without_percent(data, _ASCII_BYTES if ascii_only else _ANY_BYTES)
        if data == before:
            return data
    return data


def _without_escapes(data: bytes) -> bytes:
    """One round. Pairs of backslashes, of which there may be very many, are no work of their
    own; no other escape holds one."""
    pieces = data.split(_PAIR)
    return b"\\".join([piece and _ANY.sub(_unescaped, piece) for piece in pieces])


def _without_percent(data: bytes, held: dict[bytes, bytes]) -> bytes:
    """Quicker than to call a function for each of many escapes."""
    first, *pieces = data.split(b"%")
    made = [first]
    for piece in pieces:
        byte = held.get(piece[:2])
        if byte is None:
            made.append(b"%")
            made.append(piece)
        else:
            made.append(byte)
            made.append(piece[2:])
    return b"".join(made)


def _unescaped(found: re.Match[bytes]) -> bytes:
    text = found[0]
    if text[0] == 0x3D:
        return b"=" if text == _EQUALS else b""
    if text[0] == 0x25:
        return _BYTES[text[1:].lower()] if len(text) == 3 else _character(text[2:])
    if text[0] == 0x26:
        return _of_entity(text[1:-1])
    high, low, unit, byte, sign, braced, long, octal = found.groups()
    if sign is not None:
        return _LETTERS.get(sign, sign)
    if byte is not None:
        return _BYTES[byte.lower()]
    point = unit or braced or long
    if point is not None:
        return _character(point)
    if octal is not None:
        return bytes((int(octal, 8),))
    return bytes.fromhex((high + low).decode()).decode("utf-16-be").encode()


def _of_entity(name: bytes) -> bytes:
    if name[0] != 0x23:
        return _ENTITIES[name]
    digits, base = (name[2:], 16) if name[1] in b"xX" else (name[1:], 10)
    return _character(digits, base)


def _character(digits: bytes, base: int = 16) -> bytes:
    return chr(min(int(digits, base), 0x10FFFF)).encode("utf-8", "surrogatepass")


class _Stage(msgspec.Struct, gc=False):
    """One round of taking escapes off: of each, where what was made of it begins and ends,
    where it stood before, and its first byte."""

    begins: list[int]
    ends: list[int]
    sources: list[tuple[int, int]]
    signs: list[int]

    def source(self, at: int) -> tuple[int, int, int]:
        """Where a byte was before: begin, end, and the first byte of the escape, else 0."""
        index = bisect_right(self.begins, at) - 1
        if index < 0:
            return at, at + 1, 0
        begin, end = self.sources[index]
        if at < self.ends[index]:
            return begin, end, self.signs[index]
        at += end - self.ends[index]
        return at, at + 1, 0


class Decoded:
    """A text without its escapes, in bytes."""

    __slots__ = ("_chars", "_stages", "data")

    def __init__(
        self, data: bytes, stages: list[_Stage] | None = None, chars: "_Chars | None" = None
    ) -> None:
        self.data = data
        self._stages = stages or []
        self._chars = chars

    def level(self, at: int) -> int:
        """How many percent escapes a byte stood in."""
        return self._level(at, _OF_URLS)

    def depth(self, at: int) -> int:
        """How many percent escapes and backslashes."""
        return self._level(at, _OF_STRINGS)

    def _level(self, at: int, signs: bytes) -> int:
        level = 0
        for stage in reversed(self._stages):
            at, _, sign = stage.source(at)
            level += sign in signs
        return level

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The characters of the text that some bytes (at least one) came from."""
        last = end - 1
        for stage in reversed(self._stages):
            start = stage.source(start)[0]
            last = stage.source(last)[1] - 1
        if self._chars is None:
            return start, last + 1
        return self._chars.of(start), self._chars.of(last) + 1


class _Chars:
    """Which character of a text a byte belongs to."""

    def __init__(self, text: str, data: bytes) -> None:
        self._data = data
        self._starts: list[int] | None = None
        if any("\ud800" <= sign <= "\udfff" for sign in text):
            # Lone bytes look like those that begin no character.
            mode = "surrogateescape"
            if any("\ud800" <= sign < "\udc80" or "\udcff" < sign <= "\udfff" for sign in text):
                mode = "surrogatepass"
            self._starts = []
            at = 0
            for sign in text:
                self._starts.append(at)
                at += len(sign.encode("utf-8", mode))

    def of(self, at: int) -> int:
        if self._starts is not None:
            return bisect_right(self._starts, at) - 1
        return len(self._data[: at + 1].translate(None, _FURTHER)) - 1


def decode(text: str) -> Decoded:
    """A text with its escapes taken off, as often as they are nested, up to ``DEEPEST`` times."""
    return _decoded(text) if len(text) < _LONG else _decoded_long(text)


def _decoded(text: str) -> Decoded:
    data = encoded(text)
    chars = None if len(data) == len(text) else _Chars(text, data)
    stages: list[_Stage] = []
    quoted = False
    while len(stages) < DEEPEST:
        quoted = quoted or _EQUALS in data
        if not (quoted or b"%" in data or b"\\" in data or b"&" in data):
            break
        pattern = _ANY_OR_QUOTED if quoted else _ANY
        stage = _Stage([], [], [], [])
        pieces: list[bytes] = []
        done = at = 0
        for found in pattern.finditer(data):
            first, last = found.span()
            made = _unescaped(found)
            pieces += (data[done:first], made)
            at += first - done
            stage.begins.append(at)
            at += len(made)
            stage.ends.append(at)
            stage.sources.append((first, last))
            stage.signs.append(data[first])
            done = last
        if not pieces:
            break
        data = b"".join([*pieces, data[done:]])
        stages.append(stage)
    return Decoded(data, stages, chars)


_LONG = 4096
# Of one exchange the same text is asked for up to nine times.
_plain_long = lru_cache(maxsize=16)(_plain)
_decoded_long = lru_cache(maxsize=16)(_decoded)

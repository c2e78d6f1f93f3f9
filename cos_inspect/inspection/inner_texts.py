"""Texts that stand inside of texts, in base64 or in hex, up to three deep.

Only what stands for text is told: four quads of base64, or twelve pairs of hex digits, that
are each printable are hardly ever met by chance. So it does not matter where in a longer run
the base64 begins, and digests, ids and bytes cost no more than a look.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from cos_inspect.inspection.base64_text import Runs, from_base64
from cos_inspect.inspection.escapes import plain

DEEPEST = 3
"""How many texts may stand one inside of the other."""
_SHORTEST = 16
"""Signs of base64 or hex."""
_SHORTEST_LINE = 60
"""Signs of a line that another one may go on: such lines have 64 or 76."""
_IN_LINES = re.compile(
    rb"\n(?:(?<=[A-Za-z0-9+/_-]{%d}\n)|(?<=[A-Za-z0-9+/_-]{%d}\r\n))[A-Za-z0-9+/_-]"
    % (_SHORTEST_LINE, _SHORTEST_LINE)
)

_QUAD = rb"(?:[CDI-Za-f][AC-HQS-Xgi-nwyz0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/_-])"
"""Base64 of three bytes that are printable, blanks or line ends."""
_IN_BASE64 = re.compile(rb"%b{15,}+(?:\r?\n%b++)++|%b{4,}+" % (_QUAD, _QUAD, _QUAD))
_PAIR = rb"(?:[2-7][0-9A-Fa-f]|0[9AaDd])"
_IN_HEX = re.compile(rb"%b{12,}+" % _PAIR)
_IN_SPACED_HEX = re.compile(rb"%b(?:[ :]%b){11,}+" % (_PAIR, _PAIR))
_SPACED = re.compile(rb" [2-7][0-9A-Fa-f](?: [2-7][0-9A-Fa-f]){3}")
_WITH_COLONS = re.compile(rb":[2-7][0-9A-Fa-f](?::[2-7][0-9A-Fa-f]){3}")
"""Four bytes in hex; a name has as many."""
_BLANKS = b" :\r\n"
_SIGNS = bytes(
    byte if byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_" else 0x0A
    for byte in range(256)
)
_LONGEST_WORD = 256
_MOST_WORDS = 256
"""Of which each is looked up by itself."""


class InnerText(NamedTuple):
    """Where in the text around it something stands, and what it stands for."""

    start: int
    end: int
    held: bytes
    """With its escapes, if there are any."""


def inner_texts(data: bytes) -> Iterator[InnerText]:
    """Of a text without escapes; not those that stand in others of them."""
    longest = max(map(len, data.translate(_SIGNS).split(b"\n")))
    if longest >= _SHORTEST:
        runs = Runs(data)
        for found in _IN_BASE64.finditer(data):
            first, last = runs.around(*found.span())
            tail = data[found.end() : last].rstrip(b"=")
            run = found[0] + (tail if len(tail) < 4 else b"")
            held = from_base64(run.translate(None, _BLANKS))
            if held is not None:
                yield InnerText(first, last, held)
        for found in _IN_HEX.finditer(data):
            yield _of_hex(found)
    if _is_spaced(data):
        for found in _IN_SPACED_HEX.finditer(data):
            yield _of_hex(found)


def _of_hex(found: re.Match[bytes]) -> InnerText:
    return InnerText(*found.span(), bytes.fromhex(found[0].translate(None, _BLANKS).decode()))


def _is_spaced(data: bytes) -> bool:
    """Whether hex with something between its bytes may stand in a text."""
    return _SPACED.search(data) is not None or _WITH_COLONS.search(data) is not None


def inner_of(data: bytes) -> bytes:
    """The texts inside of a text without escapes, and those inside of them, without theirs and
    in lines of their own; empty where there are none."""
    words = [word for word in data.translate(_SIGNS).split(b"\n") if len(word) >= _SHORTEST]
    is_spaced = _is_spaced(data)
    if not words and not is_spaced:
        return b""
    if is_spaced or len(words) > _MOST_WORDS or _has_lines(data, words):
        return _inner_of_long(data)
    # Most of them stand in one exchange after the other.
    inner = [
        _inner_of_word(word) if len(word) <= _LONGEST_WORD else _inner_of_long(word)
        for word in words
    ]
    return b"\n".join(filter(None, inner))


def _has_lines(data: bytes, words: list[bytes]) -> bool:
    """Whether base64 may go on behind a line's end."""
    return max(map(len, words)) >= _SHORTEST_LINE and _IN_LINES.search(data) is not None


def _inner(data: bytes) -> bytes:
    texts = []
    for _ in range(DEEPEST):
        # All of a level at once: there may be thousands. The empty lines keep them apart.
        data = plain(b"\n\n".join([each.held for each in inner_texts(data)]))
        if not data:
            break
        texts.append(data)
    return b"\n".join(texts)


_inner_of_word = lru_cache(maxsize=1024)(_inner)
_inner_of_long = lru_cache(maxsize=16)(_inner)


def opened(data: bytes) -> bytes:
    """A text without escapes, and behind it what stands inside of it."""
    inner = inner_of(data)
    return b"%b\n%b" % (data, inner) if inner else data

"""What must not stand in text that is written or shown: signs that are seen as something else.

Control characters can end a line or steer a terminal, bidirectional ones turn the order of
what follows, a space that is none of ASCII makes another key, others cannot be seen at all;
halves of surrogate pairs are no text, and have no UTF-8.
"""

import re
from typing import Any

import msgspec

UNSEEN = re.compile(
    "[\\x00-\\x1f\\x7f-\\xa0\\xad\\u061c\\u1680\\u180e\\u2000-\\u200f\\u2028-\\u202f\\u205f-\\u206f"
    "\\u3000\\ufeff\\ufff9-\\ufffb\\ud800-\\udfff\\U000e0000-\\U000e007f]"
)
"""Control characters (line ends and tabs among them), separators of lines and paragraphs, all
spaces but the plain one, marks of direction, signs without width, halves of surrogate pairs."""

_SEPARATORS = [
    (sign.encode(), f"\\u{ord(sign):04x}".encode()) for sign in ("\x85", "\u2028", "\u2029")
]
_HALVES = re.compile("[\ud800-\udfff]")


def escaped(text: str) -> str:
    r"""With ``\u202e`` in the place of each of these signs."""
    return UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def whole(text: str) -> str:
    """With a replacement character in the place of each half of a surrogate pair."""
    return _HALVES.sub("\N{REPLACEMENT CHARACTER}", text)


def shortened(text: str, most: int) -> str:
    """At most so many characters, and a sign that there were more."""
    return text if len(text) <= most else f"{text[:most]}…"


def encoded(value: msgspec.Struct) -> bytes:
    """As JSON, whatever its texts hold; in one line for whoever counts the separators of
    Unicode as ends of lines."""
    try:
        json = msgspec.json.encode(value)
    except UnicodeEncodeError:
        json = msgspec.json.encode(_whole(msgspec.to_builtins(value)))
    if not json.isascii():
        for sign, spelt in _SEPARATORS:
            json = json.replace(sign, spelt)
    return json


def packed(value: object) -> bytes:
    """A value as msgpack; halves of surrogate pairs in it become U+FFFD."""
    try:
        return _PACK(value)
    except UnicodeEncodeError:
        return _PACK(_whole(msgspec.to_builtins(value)))


_PACK = msgspec.msgpack.Encoder().encode


def _whole(value: Any) -> Any:
    match value:
        case str():
            return whole(value)
        case dict():
            return {_whole(key): _whole(item) for key, item in value.items()}
        case list() | tuple():
            return [_whole(item) for item in value]
        case _:
            return value

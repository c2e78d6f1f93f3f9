"""Whether a text may hold a secret: a quick look, before ``secret_finder`` reads it."""

import re
from enum import IntEnum

from cos_inspect.cos.secret_names import LONGEST_NAME, SECRET_KINDS, kind_of
from cos_inspect.inspection.inner_texts import inner_of
from cos_inspect.inspection.secret_shapes import MASK, has_base64

_SEPARATORS = b"=:>"
PAIRED = re.compile(rb"[\"'`], {0,4}b?[\"'`]")
"""Between a name and its value, as in ``["token", "…"]`` and ``(b'token', b'…')``."""
_LISTED = re.compile(rb"[\"'`]\$")
_LETTERS = bytes((*range(48, 58), *range(65, 91), *range(97, 123)))
INSIDE_NAMES = b"-_.[]$"
NAMES = bytes(ord(bytes((byte,)).lower()) if byte in _LETTERS else 0x0A for byte in range(256))
"""Letters and digits in lower case, a line end for anything else."""
_NAMES_AND_SEPARATORS = bytes(
    0x3D if byte in _SEPARATORS else made for byte, made in enumerate(NAMES)
)
NAMING = frozenset((b"name", b"key", b"field", b"header", b"parameter", b"k"))


class SecretHint(IntEnum):
    """Why a text may hold a secret: a name, or other marks, which stand also in texts that
    have neither separators nor escapes."""

    NONE = 0
    NAMES = 1
    MARKS = 2


def secret_hint(data: bytes) -> SecretHint:
    """Whether ``find`` may find something in a text without escapes; quick, and never wrong
    when it says no."""
    hint = hint_of_names(data)
    if hint is SecretHint.MARKS:
        return hint
    inner = inner_of(data)
    return SecretHint.MARKS if inner and hint_of_names(inner) else hint


def hint_of_names(data: bytes) -> SecretHint:
    """The same of a text, but for what stands in base64 or in hex inside of it."""
    if (
        (b"<" in data and _names_elements(data))
        or (b"@" in data and b"://" in data)
        or (b"$" in data and _LISTED.search(data) is not None)
        or has_base64(data)
    ):
        return SecretHint.MARKS
    if b'",' in data or b"'," in data or b"`," in data:
        data = PAIRED.sub(b"=", data)
    names = data.translate(_NAMES_AND_SEPARATORS, INSIDE_NAMES)
    if b"bearer\n" in names or b"basic\n" in names:
        return SecretHint.MARKS
    pieces = names.split(b"=")
    last = pieces.pop()
    found = [piece.rstrip(b"\n").rpartition(b"\n")[2] for piece in pieces]
    suspects = {name for name in set(found) - _INNOCENT if _is_worth_a_look(name)}
    if suspects:
        pieces.append(last)
        for at, name in enumerate(found):
            if name in suspects and _is_suspect_name(name[-LONGEST_NAME:], pieces, at + 1):
                return SecretHint.NAMES
    return SecretHint.NONE


def _names_elements(data: bytes) -> bool:
    """Whether an element has a name that ``find`` heeds."""
    for tag in set(_TAG.findall(data)):
        name = tag.rpartition(b":")[2].translate(NAMES, INSIDE_NAMES)
        if name in NAMING or kind_of(name) not in ("", "open"):
            return True
    return False


_TAG = re.compile(rb"<\s*+([^\s<>]++)")
_INNOCENT: set[bytes] = set()
"""Names that were looked up and are no secret's, so that this is done once."""
_MOST_INNOCENT = 4096
_LONGEST_INNOCENT = 32


def _is_worth_a_look(name: bytes) -> bool:
    """Whether a name may be a secret's, or say that its value is one."""
    if kind_of(name[-LONGEST_NAME:]) in SECRET_KINDS or name in NAMING:
        return True
    if len(name) <= _LONGEST_INNOCENT:
        if len(_INNOCENT) >= _MOST_INNOCENT:
            _INNOCENT.clear()
        _INNOCENT.add(name)
    return False


def _is_suspect_name(name: bytes, pieces: list[bytes], at: int) -> bool:
    """``pieces``: the names and values of a text, of which the value begins at ``at``."""
    if kind_of(name) in SECRET_KINDS:
        return not _is_masked(pieces, at)
    value = pieces[at].lstrip(b"\n").partition(b"\n")[0]
    return name in NAMING and kind_of(value[-LONGEST_NAME:]) in SECRET_KINDS


def _is_masked(pieces: list[bytes], at: int) -> bool:
    """``[masked:…]`` and nothing else is the value."""
    if pieces[at] != b"masked" or at + 1 == len(pieces):
        return False
    rest = pieces[at + 1].partition(b"\n")[0]
    return MASK.fullmatch(b"[masked:%b]" % rest) is not None

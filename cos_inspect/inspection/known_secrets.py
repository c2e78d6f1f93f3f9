"""Secrets that are known by their value, to find them wherever they stand again.

They are found in any case, in any escapes, and inside of base64 and hex. Of those that
look random also a piece is found, for texts may show no more than a part of a value.
"""

import base64
import hashlib
import re
from bisect import bisect_right
from collections.abc import Collection, Iterator
from functools import cache, lru_cache
from itertools import accumulate

from cos_inspect.cos.tables import rows
from cos_inspect.inspection.base64_text import Runs
from cos_inspect.inspection.escapes import Decoded, plain
from cos_inspect.inspection.inner_texts import DEEPEST, inner_texts, opened

SHORTEST = 8
"""Bytes; shorter ones are masked in their own place alone: they would hit innocent words."""
MOST = 64
"""Values that are looked for anywhere; more of one exchange as whole words only, so that the
time stays in proportion to the text."""

_FOLD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ -_", b"abcdefghijklmnopqrstuvwxyz++/")
_GRAM = 5
_SHORTEST_PIECE = 10
"""Bytes of a secret that are one when they stand alone."""
_SHORTEST_IN_PIECES = 12
_LONG = 20
"""Bytes of a secret; of a shorter one a piece must be longer."""
_LONGEST_IN_PIECES = 4096
_RANDOM = re.compile(rb"[a-z0-9+/=.~%!$()*@^:#,]+")
_WORDS = re.compile(rb"[^\x00-\x20\"'<>()\[\]{},;&=?]{8,}+")

Span = tuple[int, int, str]
"""Begin and end in a text, and the mask to put there."""
Echo = tuple[bytes, str]
"""A secret that stands elsewhere than in its own place, and its mask."""


def fold(data: bytes) -> bytes:
    """The form in which values are compared: case and the variants of base64 and of blanks
    do not count."""
    return data.translate(_FOLD)


@lru_cache(maxsize=4096)
def mask_of(value: bytes) -> str:
    """``[masked:…]`` with eight hex digits of the value's SHA-256. A short value could be
    found out by trying, so that it gets no digits."""
    if len(value) < SHORTEST:
        return "[masked:short]"
    return f"[masked:{hashlib.sha256(value).hexdigest()[:8]}]"


@cache
def _public_words() -> frozenset[bytes]:
    """Names of the protocol: a secret that is one of them is no secret elsewhere."""
    names = [
        *(row["code"] for row in rows("errors")),
        *(row["name"] for table in ("headers", "parameters", "secrets") for row in rows(table)),
        *(row["name"] for row in rows("operations")),
        "application/octet-stream", "application/xml", "application/json", "keep-alive",
        "tencent-cos", "gzip, deflate", "multipart/form-data", "no-cache", "HTTP/1.1", "HTTP/2.0",
    ]  # fmt: skip
    return frozenset(fold(name.encode()) for name in names)


class KnownSecrets:
    """Values, each with its mask. ``most``: how many are looked for anywhere in a text; with 0
    none is remembered."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._masks: dict[bytes, str] = {}
        self._more: dict[bytes, str] = {}
        """Without a mask those that get their own where they are found."""
        self._needles: dict[bytes, tuple[str, bool]] = {}
        """What to look for; its mask, and whether the base64 around it goes with it."""
        self._grams: dict[bytes, tuple[bytes, int]] | None = None
        self.is_ascii = True
        """Whether no value has bytes beyond."""

    def __bool__(self) -> bool:
        return bool(self._masks or self._more)

    def values(self) -> Iterator[tuple[bytes, str]]:
        """Folded values and their masks."""
        yield from self._masks.items()
        yield from self._more.items()

    def learn(self, value: bytes, mask: str | None = None) -> None:
        """``value`` without escapes; ``mask``: in place of its own, for what is a part of it."""
        folded = value.translate(_FOLD)
        if len(folded) < SHORTEST or folded in self._masks or folded in _public_words():
            return
        mask = mask or mask_of(value)
        if len(self._masks) >= self._most:
            if self._most:
                self._more.setdefault(folded, mask)
            return
        self._masks[folded] = mask
        self._grams = None
        self.is_ascii = self.is_ascii and value.isascii()
        needles = self._needles
        needles[folded] = mask, False
        for needle in _in_hex(value):
            needles.setdefault(needle, (mask, False))
        for needle in in_base64(value):
            needles.setdefault(needle, (mask, True))

    def learn_words(self, data: bytes) -> None:
        """Takes every word of a text without escapes for a secret: which of them are was not
        looked up. Quick: they are looked for as whole words only."""
        if self._most:
            for word in _folded_words(data) - _public_words():
                self._more.setdefault(word, "")

    def stands_in(self, data: bytes, *, pieces: bool = False) -> bool:
        """A quick look at a text, escapes and all: whether ``spans`` may find something in it
        or in any of its lines. ``pieces``: of secrets as well."""
        if not self:
            return False
        ascii_only = self.is_ascii and not self._more
        return self.stands_in_plain(plain(data, ascii_only=ascii_only), pieces=pieces)

    def stands_in_plain(self, data: bytes, *, pieces: bool = False) -> bool:
        """The same for a text without escapes."""
        data = opened(data)
        folded = data.translate(_FOLD)
        for needle in self._needles:
            if needle in folded:
                return True
        if self._more and not self._more.keys().isdisjoint(_folded_words(data)):
            return True
        return pieces and next(self._pieces(folded), None) is not None

    def spans(
        self, text: Decoded, *, pieces: bool = False, public: Collection[bytes] = ()
    ) -> list[Span]:
        """Where the secrets stand, in characters of the text before it was decoded.

        :param public: what is no secret, whatever it holds; folded, without escapes.
        """
        folded = fold(text.data)
        runs = Runs(text.data)
        found: list[Span] = []
        for needle, (mask, is_base64) in self._needles.items():
            at = folded.find(needle)
            while at >= 0:
                start, end = at, at + len(needle)
                at = folded.find(needle, end)
                if is_base64:
                    start, end = runs.around(start, end)
                    at = folded.find(needle, end)
                found.append((start, end, mask))
        if self._more:
            for word in _WORDS.finditer(text.data):
                folded_word = fold(word[0])
                shown = self._more.get(folded_word)
                if shown is not None:
                    self._more[folded_word] = shown = shown or mask_of(word[0])
                    found.append((*word.span(), shown))
        if pieces:
            # A blank is never inside of one; folded it looks like the sign + of base64.
            found += [
                span for span in self._pieces(folded) if b" " not in text.data[span[0] : span[1]]
            ]
        for inner in inner_texts(text.data):
            shown = self._mask_in(plain(inner.held), pieces, DEEPEST - 1)
            if shown is not None:
                found.append((inner.start, inner.end, shown))
        if found and public:
            found = _not_inside(public, folded, found)
        return [(*text.span(start, end), mask) for start, end, mask in found]

    def _mask_in(self, data: bytes, pieces: bool, inside: int) -> str | None:
        """The mask of a secret that stands in a text without escapes. ``inside``: how deep texts
        may stand inside of it."""
        folded = fold(data)
        for needle, (mask, _) in self._needles.items():
            if needle in folded:
                return mask
        for word in _WORDS.findall(data) if self._more else ():
            shown = self._more.get(fold(word))
            if shown is not None:
                return shown or mask_of(word)
        if pieces:
            for start, end, mask in self._pieces(folded):
                if b" " not in data[start:end]:
                    return mask
        for inner in inner_texts(data) if inside else ():
            shown = self._mask_in(plain(inner.held), pieces, inside - 1)
            if shown is not None:
                return shown
        return None

    def _pieces(self, folded: bytes) -> Iterator[Span]:
        if self._grams is None:
            self._grams = {}
            for secret in self._masks:
                self._grams.update(_grams_of(secret))
        grams = self._grams
        if not grams:
            return
        done = 0
        for at in range(0, len(folded) - _GRAM + 1, _GRAM):
            held = grams.get(folded[at : at + _GRAM])
            if held is None or at < done:
                continue
            secret, place = held
            start, end = _extended(folded, at, secret, place, done)
            if end - start >= _shortest_piece(len(secret)):
                done = end
                yield start, end, self._masks[secret]


def _folded_words(data: bytes) -> set[bytes]:
    words = set(fold(b"\n".join(_WORDS.findall(data))).split(b"\n"))
    words.discard(b"")
    return words


def _not_inside(public: Collection[bytes], folded: bytes, found: list[Span]) -> list[Span]:
    """Without those that stand inside of what is no secret."""
    safe = []
    for value in public:
        at = folded.find(value)
        while at >= 0:
            safe.append((at, at + len(value)))
            at = folded.find(value, at + len(value))
    if not safe:
        return found
    safe.sort()
    begins = [begin for begin, _ in safe]
    ends = list(accumulate((end for _, end in safe), max))
    left = []
    for span in found:
        index = bisect_right(begins, span[0])
        if index == 0 or ends[index - 1] < span[1]:
            left.append(span)
    return left


@lru_cache(maxsize=128)
def _grams_of(secret: bytes) -> dict[bytes, tuple[bytes, int]]:
    """Five bytes each, with the secret and where they stand in it."""
    if len(secret) < _SHORTEST_IN_PIECES or _RANDOM.fullmatch(secret) is None:
        return {}
    length = min(len(secret), _LONGEST_IN_PIECES)
    return {secret[at : at + _GRAM]: (secret, at) for at in reversed(range(length - _GRAM + 1))}


def _shortest_piece(length: int) -> int:
    return _SHORTEST_PIECE if length >= _LONG else max(_SHORTEST_PIECE, min(length - 2, 12))


def _extended(text: bytes, at: int, secret: bytes, place: int, least: int) -> tuple[int, int]:
    """The longest piece of the secret around a place where some bytes are the same."""
    start, begin = at, place
    while start > least and begin > 0 and text[start - 1] == secret[begin - 1]:
        start, begin = start - 1, begin - 1
    end, stop = at + _GRAM, place + _GRAM
    while end < len(text) and stop < len(secret) and text[end] == secret[stop]:
        end, stop = end + 1, stop + 1
    return start, end


def in_base64(value: bytes) -> tuple[bytes, bytes, bytes]:
    """What the base64 of any text has that holds the value, folded: one form for each place
    modulo three at which the value may begin, without the digits that its neighbours share."""
    bits = len(value) * 8
    encode = base64.b64encode
    return (
        encode(value)[: bits // 6].translate(_FOLD),
        encode(b"\0" + value)[2 : (bits + 8) // 6].translate(_FOLD),
        encode(b"\0\0" + value)[3 : (bits + 16) // 6].translate(_FOLD),
    )


def may_stand_in(value: bytes, data: bytes) -> bool:
    """Whether a value may stand in a text without escapes, with those inside of it; quicker than
    to learn it first."""
    needles = (value.translate(_FOLD), *in_base64(value), *_in_hex(value))
    return any(map(data.translate(_FOLD).__contains__, needles))


def _in_hex(value: bytes) -> tuple[bytes, ...]:
    """Also with blanks or colons between the bytes, as dumps have it; a folded blank is a plus."""
    return value.hex().encode(), value.hex("+").encode(), value.hex(":").encode()

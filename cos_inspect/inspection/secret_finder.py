"""Finds secrets by the names that they stand under, and by their shape.

``name=value``, ``name: value``, ``"name": "value"``, ``["name", "value"]``,
``<name>value</name>`` and their like in any escapes; ``user:password@host``; values behind
Bearer and Basic; JSON web tokens; and what stands so inside of base64 or hex. A value that
begins a URL's level ends with that level: of ``u=https%3A%2F%2Fh%3Ftoken%3Da%26b%3D1`` the
token is ``a``.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice

import msgspec

from cos_inspect.cos.secret_names import LONGEST_NAME, SECRET_KINDS, SecretKind, kind_of, words
from cos_inspect.inspection.escapes import Decoded, decode, plain
from cos_inspect.inspection.inner_texts import DEEPEST, inner_texts
from cos_inspect.inspection.known_secrets import SHORTEST
from cos_inspect.inspection.secret_hints import INSIDE_NAMES, NAMES, NAMING, PAIRED, secret_hint
from cos_inspect.inspection.secret_shapes import (
    BASE64,
    FIELDS_INSIDE,
    MASK,
    SCHEME_WORDS,
    TRAILING,
    Secret,
    base64_runs,
    by_shape,
    credentials_begin,
    has_base64,
    parts_of,
)

MOST_FOUND = 1_000_000
_QUOTES = b"\"'`"
_QUOTE_SIGNS = (b'"', b"'", b"`")
_SEPARATOR = re.compile(rb"[=:>]|[\"'`]\$|" + PAIRED.pattern)
_MOST_BETWEEN = 8
"""Quotes and blanks between a name and its separator."""
_LONGEST_TAG = 256
_BLANKS = re.compile(rb"[ \t]{0,16}")
_ENDS = re.compile(rb"[\x00-\x20\"`<>\x7f]|&")
_LINE_ENDS = re.compile(rb"[\x00\r\n]")
_LITERALS = frozenset(
    (b"", b"null", b"none", b"true", b"false", b"undefined", b"nil", b"*", b"...", "…".encode())
)
_VALUES = frozenset((b"value", b"content", b"val", b"v"))
_NOWHERE = -1000
_FARTHEST_VALUE = 64
"""Bytes between a pair's name and its value, as in ``{"name": …, "value": …}``."""
_FORM_PART = re.compile(rb"[^\r\n]{0,512}\r?\n(?:[^\r\n]{1,512}\r?\n){0,8}\r?\n")
_PART_END = re.compile(rb"\r?\n--")
_OPENING = re.compile(rb"[ \t]{0,16}[\"'`]?")
_ID = re.compile(rb"[A-Za-z0-9/_.%-]{1,256}")
_NAME = re.compile(rb"[A-Za-z0-9._$\[\]-]{1,96}")


class Findings(msgspec.Struct):
    """What was found in one text."""

    secrets: list[Secret]
    ids: list[bytes]
    """Values that are no secrets: SecretIds."""


def find(text: Decoded, *, inside: int = DEEPEST, most: int = MOST_FOUND) -> Findings:
    """``inside``: how deep texts may stand in base64 or hex inside of it; ``most``: where more
    secrets are found, the search is given up, so that not all are there."""
    found = Findings([], [])
    _Search(text, found).run(most)
    found.secrets += islice(by_shape(text), most)
    if inside:
        found.secrets += islice(_inside(text.data, inside, most), most)
    return found


def find_in(text: str, *, most: int) -> Findings:
    """The same of a text with its escapes. Of one exchange a long one is asked for again and
    again: for its report, for what is left on the flow, and for other texts about it."""
    return (_found if len(text) < _LONG else _found_long)(text, most)


def _found(text: str, most: int) -> Findings:
    return find(decode(text), most=most)


_LONG = 4096
_found_long = lru_cache(maxsize=16)(_found)


class _Search:
    """One pass from left to right over names and their values."""

    def __init__(self, text: Decoded, found: Findings) -> None:
        self._text = text
        self._data = text.data
        self._found = found
        self._pair = _NOWHERE
        """Where a name that is a value ended, as in ``{"name": "token", "value": …}``."""

    def run(self, most: int) -> None:
        at = 0
        secrets = self._found.secrets
        while (separator := _SEPARATOR.search(self._data, at)) is not None:
            if len(secrets) > most:
                break
            at = max(separator.end(), self._at(separator.start()))

    def _at(self, at: int) -> int:
        """Looks at one separator; where to go on."""
        data = self._data
        sign = data[at]
        if sign == 0x3E:
            return self._element(at)
        if sign in _QUOTES:
            return self._listed(at) if data[at + 1] == 0x24 else self._paired(at)
        start = at + 1
        if sign == 0x3A and data[start : start + 2] == b"//":
            return start
        while data[start : start + 1] in (b"=", b">"):
            start += 1
        name = self._name_before(at)
        return self._assigned(name, at, start, to_line_end=sign == 0x3A)

    def _name_before(self, at: int) -> bytes:
        begin = max(0, at - LONGEST_NAME - _MOST_BETWEEN)
        name = self._data[begin:at].translate(NAMES, INSIDE_NAMES).rstrip(b"\n")
        _, whole, last = name.rpartition(b"\n")
        # Of a longer one its end alone is known, which must not pass for the whole.
        return last if whole or begin == 0 else b"x" + last

    def _assigned(self, name: bytes, at: int, start: int, *, to_line_end: bool) -> int:
        """``start``: behind the separator."""
        kind = kind_of(name)
        if to_line_end and name in words() and self._data[at - 1] not in _QUOTES:
            return start
        if kind in ("", "open"):
            if name in NAMING:
                self._note_pair(at, start)
            elif name in _VALUES and 0 <= at - self._pair <= _FARTHEST_VALUE:
                self._pair = _NOWHERE
                return self._secret("value", *self._value(at, start))
            return start
        if kind in ("id", "base64", "credentials"):
            # What these say may be without end, and is looked into from its begin on.
            opening = _OPENING.match(self._data, start)
            begin = opening.end() if opening else start
            if kind == "credentials":
                if FIELDS_INSIDE.match(self._data, begin):
                    return begin
            else:
                held = (_ID if kind == "id" else BASE64).match(self._data, begin)
                return self._secret(kind, *held.span(), held.end()) if held else begin
        if kind in ("credentials", "cookies") and to_line_end:
            return self._secret(kind, *self._line(at, start))
        inner = _end_of(_BLANKS, self._data, start)
        if self._data[inner : inner + 1] == b"{":
            # Members have names of their own.
            self._pair = inner
            return inner + 1
        return self._secret(kind, *self._value(at, start))

    def _value(self, at: int, start: int) -> tuple[int, int, int]:
        """Begin and end of a value, and where to go on."""
        data, text = self._data, self._text
        begin = _end_of(_BLANKS, data, start)
        sign = data[begin : begin + 1]
        if sign == b"[" and MASK.match(data, begin) is None:
            masked = MASK.match(data, begin + 1)
            if masked is not None:
                return *masked.span(), masked.end()
            end = data.find(b"]", begin)
            end = len(data) if end < 0 else end
            return begin + 1, end, end
        if sign and sign in _QUOTES:
            end = self._closing(begin)
            return begin + 1, end, end + 1
        level = text.level(at)
        end = self._unquoted(begin, level)
        if data[end : end + 1] == b" " and data[begin:end].lower() in SCHEME_WORDS:
            end = self._unquoted(end + 1, level)
        after = end
        if data[end : end + 1] not in (b"", b"&") or data[at] == 0x3A:
            # In a sentence a bracket or full stop may follow.
            while end > begin and data[end - 1] in TRAILING and not _is_mask(data, begin, end):
                end -= 1
        return begin, end, after

    def _unquoted(self, at: int, level: int) -> int:
        """Where a value without quotes ends, whose separator stood in ``level`` percent
        escapes; what stood in more is the value's own."""
        while (stop := _ENDS.search(self._data, at)) is not None:
            at = stop.start()
            if self._text.level(at) <= level:
                return at
            at += 1
        return len(self._data)

    def _closing(self, quote: int) -> int:
        """Where the quote's counterpart stands, of the same depth; else the text's end."""
        data, text = self._data, self._text
        sign, depth = data[quote : quote + 1], text.depth(quote)
        end = quote + 1
        while (end := data.find(sign, end)) >= 0:
            if text.depth(end) <= depth:
                return end
            end += 1
        return len(data)

    def _line(self, at: int, start: int) -> tuple[int, int, int]:
        """The rest of a header's line; where it stands in quotes, up to their end."""
        data = self._data
        begin = _end_of(_BLANKS, data, start)
        if data[begin : begin + 1] in _QUOTE_SIGNS:
            end = self._closing(begin)
            return begin + 1, end, end + 1
        stop = _LINE_ENDS.search(data, begin)
        end = stop.start() if stop else len(data)
        name = at
        while name > 0 and at - name <= LONGEST_NAME and data[name - 1] not in b"\"'`\n":
            name -= 1
        if name > 0 and data[name - 1] in _QUOTES:
            closing = data.find(data[name - 1 : name], begin, end)
            end = end if closing < 0 else closing
        return begin, end, end

    def _element(self, at: int) -> int:
        """``<name …>value</name>``."""
        data = self._data
        begin = max(0, at - _LONGEST_TAG)
        tag = data[begin:at].rpartition(b"<")
        if not tag[1] or tag[2][:1] in (b"/", b"!", b"?", b"") or tag[2].endswith(b"/"):
            return at + 1
        words = tag[2].split(None, 1)
        if not words:
            return at + 1
        name = words[0].rpartition(b":")[2].translate(NAMES, INSIDE_NAMES)
        start = at + 1
        kind = kind_of(name)
        if kind in ("", "open"):
            if name in NAMING:
                value = data[start : start + LONGEST_NAME].partition(b"<")[0]
                if _is_secret_name(value):
                    self._pair = start + len(value)
                return start
            if name not in _VALUES or not 0 <= at - self._pair <= _FARTHEST_VALUE:
                return start
            self._pair = _NOWHERE
            kind = "value"
        if data.startswith(b"<![CDATA[", start):
            start += 9
            end = data.find(b"]]>", start)
        else:
            end = data.find(b"<", start)
        end = len(data) if end < 0 else end
        return self._secret(kind, start, end, end)

    def _listed(self, at: int) -> int:
        """``["eq", "$name", "value"]``, a condition of a policy."""
        data = self._data
        if data[at + 2 : at + 3] in _QUOTE_SIGNS:
            return at + 2
        end = self._closing(at)
        comma = _end_of(_BLANKS, data, end + 1)
        if not _is_secret_name(data[at + 2 : end]) or data[comma : comma + 1] != b",":
            return at + 2
        return self._secret("value", *self._value(at, comma + 1))

    def _paired(self, at: int) -> int:
        """``"name", "value"``. Where the value is short or a name, it is a list of names."""
        kind = kind_of(self._name_before(at))
        found = PAIRED.match(self._data, at)
        if kind not in SECRET_KINDS or found is None:
            return at + 1
        begin, end, after = self._value(at, found.end() - 1)
        if end - begin < SHORTEST or _is_secret_name(self._data[begin:end]):
            return at + 1
        return self._secret(kind, begin, end, after)

    def _note_pair(self, at: int, start: int) -> None:
        opening = _OPENING.match(self._data, start)
        named = _NAME.match(self._data, opening.end() if opening else start)
        if named is None or not _is_secret_name(named[0]):
            return
        self._pair = after = named.end()
        if b"form-data" in self._data[max(0, at - 64) : at]:
            part = _FORM_PART.match(self._data, after)
            if part is not None:
                stop = _PART_END.search(self._data, part.end())
                last = stop.start() if stop else len(self._data)
                self._secret("value", part.end(), last, last)

    def _secret(self, kind: SecretKind, begin: int, end: int, after: int) -> int:
        """Takes a value for what its name says; where to go on."""
        data = self._data
        while begin < end and data[begin] in b" \t\r\n":
            begin += 1
        while begin < end and data[end - 1] in b" \t\r\n":
            end -= 1
        value = data[begin:end]
        if value.lower() in _LITERALS or MASK.fullmatch(value):
            return after
        if kind == "id":
            self._found.ids.append(value)
            return after
        if kind == "base64" and BASE64.fullmatch(value) is None:
            return begin
        if kind == "credentials":
            skipped = credentials_begin(value)
            if MASK.fullmatch(value[skipped:]):
                return after
            begin += skipped
            value = value[skipped:]
        also = parts_of(kind, value, guessed=True)
        self._found.secrets.append(Secret(begin, end, value, also))
        return max(after, end)


def _is_secret_name(value: bytes) -> bool:
    name = value[-LONGEST_NAME:].translate(NAMES, INSIDE_NAMES).strip(b"\n")
    return kind_of(name) in SECRET_KINDS


def _is_mask(data: bytes, begin: int, end: int) -> bool:
    return MASK.fullmatch(data, begin, end) is not None


def _end_of(pattern: re.Pattern[bytes], data: bytes, at: int) -> int:
    found = pattern.match(data, at)
    return found.end() if found else at


def _inside(data: bytes, inside: int, most: int) -> Iterator[Secret]:
    """In base64 and in hex."""
    seen: set[int] = set()
    if has_base64(data):
        for run in base64_runs(data):
            if run.held is None:
                yield Secret(run.start, run.end, run.value)
                continue
            within = _named_in(run.held, inside - 1, most)
            if within:
                seen.add(run.end)
                yield _around(within, run.start, run.end, run.value)
    for inner in inner_texts(data):
        if inner.end in seen:
            continue
        within = _named_in(inner.held, inside - 1, most)
        if within:
            yield _around(within, inner.start, inner.end, data[inner.start : inner.end])


def _named_in(held: bytes, inside: int, most: int) -> list[Secret]:
    data = plain(held)
    return find(Decoded(data), inside=inside, most=most).secrets if secret_hint(data) else []


def _around(within: list[Secret], start: int, end: int, value: bytes) -> Secret:
    also = tuple(dict.fromkeys(part for each in within for part in (each.value, *each.also)))
    return Secret(start, end, value, also)

"""Secrets that are known by their shape: passwords in front of hosts, what stands behind
Bearer and Basic, JSON web tokens, and base64 in which more may stand."""

import itertools
import re
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from cos_inspect.cos.secret_names import SecretKind
from cos_inspect.inspection.base64_text import from_base64
from cos_inspect.inspection.escapes import Decoded, encoded, plain

MASK = re.compile(rb"\[masked:(?:[0-9a-f]{8}|short)\]")

_AUTHORITY_END = re.compile(rb"[/?#\x00-\x20\"'`<>\\]")
_USER_END = re.compile(rb"[\x00-\x20\"'`<>&]")
_NO_PORT = re.compile(rb":[0-9]*+[^0-9:\]]")
_SCHEME = re.compile(rb"(?i)\b(bearer|basic)[ +\t]{1,4}([A-Za-z0-9+/._~=-]{8,}+)")
_FIELD = re.compile(rb"[a-z_]{2,40}=")
"""Of a challenge, as in ``Bearer realm=…``."""
_SHORTEST_BEARER = 20
"""Of a word behind Bearer that has no digit, so that it may be a word of a sentence."""
_RUN = re.compile(rb"[A-Za-z0-9_.+/-]{24,}+={0,2}")
_BEGIN_OF_OBJECT = re.compile(rb"e[yw][JAok]")
"""Base64 of ``{"``, and of ``{`` with a blank behind."""
_BEGIN_OF_URL = b"aHR0c"
"""Base64 of ``http``."""
BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}+={0,2}")
TRAILING = b".,;:!?)]}'>"
SCHEME_WORDS = frozenset((b"bearer", b"basic", b"digest", b"negotiate", b"token"))
_WORD = re.compile(
    rb"(?i)(?:bearer|basic|digest|negotiate|ntlm|token|oauth|hawk|dpop|hoba|mutual|scram-sha-\w{1,9}"
    rb"|aws|signature|apikey|api-key|key|hmac|tc3-hmac-sha256)[ +]{1,4}"
)
"""Schemes of Authorization; what stands before a blank may be a secret as well."""
_AWS2 = re.compile(rb"AWS [^:\s]{1,128}:")
FIELDS_INSIDE = re.compile(rb"q-[a-z-]{1,20}=|AWS4-[A-Z0-9-]{1,40} ")
"""How a signature begins of which named fields tell what is secret."""
_QUOTED = (b'"', b"'")
_PIECES = re.compile(rb"[\"']\s*+[:,]?+\s*+[\"']?+")
_INNER_ENDS = re.compile(rb"[,;'\"}\])&]")


class Secret(msgspec.Struct, frozen=True, gc=False):
    """A secret in its own place."""

    start: int
    end: int
    """Bytes of the decoded text."""
    value: bytes
    also: tuple[bytes, ...] = ()
    """What it is made of, and is secret by itself."""


def has_base64(data: bytes) -> bool:
    """Whether the base64 of an object of JSON, or of a URL, may begin in a text."""
    return _BEGIN_OF_OBJECT.search(data) is not None or _BEGIN_OF_URL in data


def of_basic(value: bytes) -> tuple[bytes, ...]:
    """``user:password`` and the password, of what stands behind Basic."""
    held = from_base64(value)
    if held is None or b":" not in held:
        return ()
    return (held, held.partition(b":")[2])


def is_base64(value: str) -> bool:
    """Whether a parameter's value may be base64, as a policy is."""
    return BASE64.fullmatch(plain(encoded(value))) is not None


def has_fields(value: bytes) -> bool:
    """Whether a value as of Authorization consists of named fields."""
    return FIELDS_INSIDE.match(value) is not None


def credentials_begin(value: bytes) -> int:
    """Where the secret begins in a value as of Authorization, behind the scheme and what is
    no secret."""
    begin = _AWS2.match(value) or _WORD.match(value)
    return begin.end() if begin else 0


def parts_of(kind: SecretKind, value: bytes, *, guessed: bool = False) -> tuple[bytes, ...]:
    """What is secret by itself inside of a secret value. ``guessed``: where the value ends
    was told by nothing but what stands there."""
    if kind == "cookies":
        pairs = (piece.partition(b"=") for piece in value.split(b";"))
        return tuple(held.strip(b' "') for _, _, held in pairs if held)
    if kind == "credentials":
        return of_basic(value)
    word, _, rest = value.partition(b" ")
    if rest and word.lower() in SCHEME_WORDS:
        return (rest.strip(), *of_basic(rest.strip()))
    held = from_base64(value) if BASE64.fullmatch(value) else None
    if held is not None and held.isascii() and held.decode().isprintable():
        # As the key of an SSE-C encryption that was made of a word.
        return (held,)
    if any(sign in value for sign in _QUOTED):
        return tuple(piece for piece in _PIECES.split(value)[:64] if piece)
    if not guessed:
        return ()
    ends = itertools.islice(_INNER_ENDS.finditer(value, 8), 8)
    return (*[value[: found.start()] for found in ends], value.rstrip(TRAILING))


def by_shape(text: Decoded) -> Iterator[Secret]:
    """Passwords and tokens; what stands in base64 is told by ``base64_runs``."""
    yield from _passwords(text)
    lower = text.data.lower()
    if b"bearer" in lower or b"basic" in lower:
        yield from _behind_schemes(text.data)


def _passwords(text: Decoded) -> Iterator[Secret]:
    data = text.data
    at = data.find(b"://")
    while at >= 0:
        start = at + 3
        end = _end(_AUTHORITY_END, text, start, text.level(at))
        user, sign, _ = data[start:end].rpartition(b"@")
        if not sign and _NO_PORT.search(data, start, end):
            # A password with a slash, which should have been escaped.
            end = _end(_USER_END, text, end, text.level(at))
            user, sign, _ = data[start:end].rpartition(b"@")
        if sign:
            name, colon, _ = user.partition(b":")
            begin = start + len(name) + len(colon) if colon else start
            value = data[begin : start + len(user)]
            if value and MASK.fullmatch(value) is None:
                yield Secret(begin, begin + len(value), value)
        at = data.find(b"://", end)


def _end(ends: re.Pattern[bytes], text: Decoded, at: int, level: int) -> int:
    """Where something ends that began in ``level`` percent escapes."""
    while (stop := ends.search(text.data, at)) is not None:
        at = stop.start()
        if text.level(at) <= level:
            return at
        at += 1
    return len(text.data)


def _behind_schemes(data: bytes) -> Iterator[Secret]:
    for found in _SCHEME.finditer(data):
        value = found[2]
        if found[1].lower() == b"basic":
            also = of_basic(value)
            if also:
                yield Secret(*found.span(2), value, also)
        elif _FIELD.match(value) is None and (
            len(value) >= _SHORTEST_BEARER or any(48 <= byte < 58 for byte in value)
        ):
            yield Secret(*found.span(2), value)


class Run(NamedTuple):
    """A run of signs that may be base64."""

    start: int
    end: int
    value: bytes
    held: bytes | None
    """What it stands for; None for a JSON web token."""


def base64_runs(data: bytes) -> Iterator[Run]:
    """Those that begin as the base64 of an object of JSON, or of a URL, does."""
    for found in _RUN.finditer(data):
        run = found[0]
        of_object, begin = _BEGIN_OF_OBJECT.search(run), run.find(_BEGIN_OF_URL)
        if of_object is not None and (begin < 0 or of_object.start() < begin):
            begin = of_object.start()
        if begin < 0:
            continue
        value = run[begin:]
        span = found.start() + begin, found.end()
        if value.count(b".") == 2 and value.startswith(b"eyJ"):
            yield Run(*span, value, None)
            continue
        held = from_base64(value)
        if held is not None:
            yield Run(*span, value, held)

"""The signature of COS taken apart, and the strings that it is made of.

The scheme as COS documents it (page 436/7778): HttpString has four lines, each
ended by LF: method in lower case, decoded path, parameters, headers. Its SHA-1
stands in StringToSign, which is signed with SignKey, the lower-case hex text of
HMAC-SHA1(SecretKey, key time). A form's policy is signed in HttpString's place.
"""

import base64
import binascii
import hashlib
import hmac
import re
from urllib.parse import quote, unquote, unquote_to_bytes

import msgspec

from cos_inspect.cos.signature_scheme import SignaturePlace, Signed
from cos_inspect.cos.target import split_target
from cos_inspect.model.exchange import Request
from cos_inspect.model.headers import Headers
from cos_inspect.model.masks import is_masked
from cos_inspect.model.target_bounds import is_read_in_part

FIELDS = (
    "q-sign-algorithm",
    "q-ak",
    "q-sign-time",
    "q-key-time",
    "q-header-list",
    "q-url-param-list",
    "q-signature",
)
_POLICY_FIELDS = ("q-sign-algorithm", "q-ak", "q-key-time", "q-signature")
_WINDOW = re.compile(r"([0-9]{1,11});([0-9]{1,11})")
_VALUE = re.compile(r"[0-9a-f]{40}")
_BLANK_OR_QUOTE = re.compile(r"[\s\"'<>{}]")
_HIGH_SURROGATE = re.compile("[\ud800-\udc7f]")
_SAFE = "-_.~"
_MAX_POLICY = 256 * 1024
MAX_SIGNED = 16_384
"""Bytes of names and header values; all metadata of an object have 4 KB at most."""


class TimeWindow(msgspec.Struct, frozen=True):
    """A time span in Unix seconds, both ends inside."""

    start: int
    end: int

    @property
    def text(self) -> str:
        """As it is signed: ``begin;end``, seconds since the epoch."""
        return f"{self.start};{self.end}"


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of one signature, percent escapes of the URL taken off."""

    place: SignaturePlace
    over_policy: bool
    """It signs a form's policy; there are no lists then."""
    secret_id: str | None
    sign_time: TimeWindow | None
    key_time: TimeWindow | None
    headers: tuple[str, ...]
    """Lower-case names of q-header-list, in order, repeats kept."""
    parameters: tuple[str, ...]
    """Encoded lower-case names of q-url-param-list, in order, repeats kept."""
    value: str | None
    problems: tuple[str, ...]
    """What is missing, repeated or unreadable, in short phrases."""


class HttpString(msgspec.Struct, frozen=True, kw_only=True):
    """HttpString as the wire gives it. Bytes of the path that are not UTF-8 are surrogates."""

    method: str
    path: str
    parameters: tuple[tuple[str, str], ...]
    """Encoded names and values, sorted by name."""
    headers: tuple[tuple[str, str], ...]
    missing_parameters: tuple[str, ...] = ()
    """Listed, but not in the request."""
    missing_headers: tuple[str, ...] = ()
    raw_parameters: tuple[str, ...] = ()
    """Names that q-url-param-list has without percent-encoding, of parameters that were sent."""
    exact: bool = True
    """False where a value of a header could not be read back from the wire."""

    @property
    def text(self) -> str:
        """Its four lines, as they are hashed."""
        return http_text(self.method, self.path, self.parameters, self.headers)


def http_text(
    method: str,
    path: str,
    parameters: tuple[tuple[str, str], ...],
    headers: tuple[tuple[str, str], ...],
) -> str:
    """HttpString, from parts that are encoded and sorted already."""
    return f"{method}\n{path}\n{joined(parameters)}\n{joined(headers)}\n"


def joined(pairs: tuple[tuple[str, str], ...]) -> str:
    """``name=value`` pairs with ``&`` between them, in the order given."""
    return "&".join(f"{name}={value}" for name, value in pairs)


def encode(text: str, safe: str = _SAFE) -> str:
    """Percent-encoded as COS wants it: upper-case hex, all but ``A-Za-z0-9-_.~``."""
    return quote(text, safe=safe, encoding="utf-8", errors="surrogateescape")


def sha1_hex(text: str) -> str:
    """40 lower-case hex digits, of a text as UTF-8."""
    return hashlib.sha1(_bytes(text), usedforsecurity=False).hexdigest()


def sign_key(secret_key: str, key_time: str) -> str:
    """SignKey: lower-case hex text."""
    return hmac.digest(_bytes(secret_key), key_time.encode(), "sha1").hex()


def string_to_sign(sign_time: str, http_string: str) -> str:
    """StringToSign of an HttpString; ``sign_time`` is the text of q-sign-time."""
    return f"sha1\n{sign_time}\n{sha1_hex(http_string)}\n"


def signature_of(key: str | bytes, text: str) -> str:
    """The 40 hex digits, from SignKey and what is signed."""
    return hmac.digest(_bytes(key) if isinstance(key, str) else key, _bytes(text), "sha1").hex()


def is_signature(value: str) -> bool:
    """Whether a value is 40 lower-case hex digits."""
    return _VALUE.fullmatch(value) is not None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass" if _has_high_surrogate(text) else "surrogateescape")


def _has_high_surrogate(text: str) -> bool:
    # Surrogates that do not stand for single bytes come from hostile input only.
    return not text.isascii() and _HIGH_SURROGATE.search(text) is not None


def read_signature(
    signed: Signed, headers: Headers, target: str, form: Headers | None = None
) -> Signature | None:
    """The fields, read strictly; None where there is no signature of COS's own scheme.

    Only text that was found by ``read_signed`` is read. Never raises.
    """
    if signed.scheme != "cos" or signed.text is None:
        return None
    place = signed.place
    over_policy = place == "form" and form is not None and form.get("q-signature") is not None
    problems: list[str] = []
    fields: dict[str, str] = {}
    in_url = place == "query"
    twice = place == "sign" and "=" not in signed.text
    for piece in () if twice else signed.text.split("&"):
        sent, _, value = piece.partition("=")
        name = unquote(sent) if in_url else sent.strip()
        if not name.startswith("q-"):
            if place in ("header", "sign") and name.endswith("q-sign-algorithm"):
                problems.append("there is text before q-sign-algorithm")
                name = "q-sign-algorithm"
            else:
                continue
        if name not in FIELDS:
            if not in_url:
                problems.append(f"{name[:40]} is no field of a signature")
            continue
        if name in fields:
            problems.append(f"{name} stands more than once")
            continue
        fields[name] = unquote(value) if in_url else value.strip()
    if twice:
        problems.append("the value of sign= is percent-encoded twice")
    elif place in ("query", "sign"):
        _note_second_encoding(fields, problems)
    problems += _strange_company(place, headers, target, fields)
    wanted = _POLICY_FIELDS if over_policy else FIELDS
    if not twice:
        problems += [f"{name} is missing" for name in wanted if name not in fields]
    algorithm = fields.get("q-sign-algorithm")
    if algorithm is not None and algorithm != "sha1":
        problems.append("q-sign-algorithm is not sha1")
    secret_id = fields.get("q-ak")
    if secret_id is not None and (not secret_id or _BLANK_OR_QUOTE.search(secret_id)):
        problems.append("q-ak is empty" if not secret_id else "q-ak holds blanks or quotes")
    digits = fields.get("q-signature")
    if digits is not None and _VALUE.fullmatch(digits) is None and not is_masked(digits):
        problems.append("q-signature is not 40 lower-case hex digits")
    key_time = _window(fields, "q-key-time", problems)
    sign_time = _window(fields, "q-sign-time", problems)
    return Signature(
        place=place,
        over_policy=over_policy,
        secret_id=secret_id,
        sign_time=sign_time or (key_time if over_policy else None),
        key_time=key_time,
        headers=_list(fields.get("q-header-list")),
        parameters=_list(fields.get("q-url-param-list")),
        value=digits,
        problems=tuple(problems),
    )


def _note_second_encoding(fields: dict[str, str], problems: list[str]) -> None:
    for name in ("q-sign-time", "q-key-time", "q-header-list"):
        if "%3b" in fields.get(name, "").lower():
            problems.append(f"{name} is percent-encoded twice")
            fields[name] = unquote(fields[name])


def _strange_company(
    place: SignaturePlace, headers: Headers, target: str, fields: dict[str, str]
) -> list[str]:
    """A second signature beside the one that was read."""
    found = []
    query = target.partition("?")[2]
    if place == "header":
        if "q-signature=" in query:
            found.append("there are two signatures, in Authorization and in the URL")
        if len(headers.all("authorization")) > 1:
            found.append("Authorization stands more than once")
    elif place == "sign" and "q-signature" in fields and "&q-signature=" in f"&{query}":
        found.append("there are two signatures, in sign= and in parameters of their own")
    if f"&{query}".count("&sign=q-sign-algorithm") > 1:
        found.append("sign= stands more than once")
    return found


def _window(fields: dict[str, str], name: str, problems: list[str]) -> TimeWindow | None:
    text = fields.get(name)
    if text is None:
        return None
    found = _WINDOW.fullmatch(text)
    if found is None:
        problems.append(f"{name} is not start;end in Unix seconds")
        return None
    window = TimeWindow(int(found[1]), int(found[2]))
    if window.start > window.end:
        problems.append(f"{name} ends before it begins")
    return window


def _list(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip().lower() for name in (text or "").split(";") if name.strip())


def is_beyond_reading(signature: Signature, request: Request) -> bool:
    """Whether a signature is over more than any request has, so that it is not rebuilt: a target
    or a header of which not all is read, or very much of them, be it by lists that repeat
    names."""
    if signature.over_policy:
        return False
    headers, listed = request.headers, set(signature.headers)
    if is_read_in_part(request.target) or not headers.unread.isdisjoint(listed):
        return True
    values = [value for name, value in headers if name.lower() in listed]
    sizes = [len(value.encode("utf-8", "replace")) for value in values]
    repeats = len(signature.headers) - len(listed)
    size = sum(sizes) + sum(map(len, signature.headers)) + repeats * max(sizes, default=0)
    repeats = len(signature.parameters) - len(set(signature.parameters))
    size += sum(map(len, signature.parameters)) + repeats * len(request.target)
    return size > MAX_SIGNED


def wire_parameters(target: str, *, plus_is_blank: bool = False) -> list[tuple[str, str]]:
    """Decoded names and values of the query in order; ``+`` is a plus sign, or a blank as in
    HTML forms. ``%2B`` is a plus sign either way."""
    pairs = []
    query = split_target(target)[1]
    if plus_is_blank:
        query = query.replace("+", "%20")
    for piece in query.split("&"):
        if piece:
            name, _, value = piece.partition("=")
            pairs.append((_decode(name), _decode(value)))
    return pairs


def wire_path(target: str) -> str:
    """The decoded path as HttpString wants it."""
    return _decode(split_target(target)[0]) or "/"


def _decode(text: str) -> str:
    if "%" not in text and text.isascii():
        return text
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape")


def wire_headers(request: Request, *, put_back: bool = False) -> dict[str, list[str]]:
    """Values by lower-case name, blanks around them taken off. With ``put_back`` also
    those that the proxy did not pass on."""
    values: dict[str, list[str]] = {}
    for name, value in request.headers:
        values.setdefault(name.lower(), []).append(value.strip(" \t"))
    values.setdefault("host", [request.host])
    if put_back:
        for name, value in request.dropped_headers:
            values[name.lower()] = [value.strip(" \t")]
    return values


def rebuild(
    signature: Signature,
    request: Request,
    *,
    put_back: bool = False,
    plus_is_blank: bool = False,
) -> HttpString:
    """HttpString of the request as it passed, with what the signature's lists name.

    ``plus_is_blank``: with ``+`` in the query read as a blank. The Python SDK sends blanks so
    and signs ``%20``; how COS reads them is documented nowhere, its FormatString shows it.
    """
    available: dict[str, list[str]] = {}
    for name, value in wire_parameters(request.target, plus_is_blank=plus_is_blank):
        available.setdefault(encode(name).lower(), []).append(value)
    raw = {
        name: encoded
        for name in signature.parameters
        if name not in available and (encoded := encode(name).lower()) in available
    }
    names = tuple(raw.get(name, name) for name in signature.parameters)
    parameters, missing_parameters = _picked(names, available)
    sent = wire_headers(request, put_back=put_back)
    headers, missing_headers = _picked(signature.headers, sent)
    return HttpString(
        method=request.method.lower(),
        path=wire_path(request.target),
        parameters=parameters,
        headers=headers,
        missing_parameters=missing_parameters,
        missing_headers=missing_headers,
        raw_parameters=tuple(raw),
        # Bytes of a header that are no UTF-8 were replaced when it was recorded.
        exact="�"
        not in "".join(value for name in signature.headers for value in sent.get(name, ())),
    )


def _picked(
    names: tuple[str, ...], available: dict[str, list[str]]
) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    pairs: list[tuple[str, str]] = []
    missing: list[str] = []
    seen: dict[str, int] = {}
    for name in names:
        values = available.get(name)
        if not values:
            missing.append(name)
            continue
        turn = seen.get(name, 0)
        seen[name] = turn + 1
        pairs.append((name, encode(values[min(turn, len(values) - 1)])))
    return tuple(sorted(pairs, key=lambda pair: pair[0])), tuple(missing)


def policy_text(form: Headers | None) -> bytes | None:
    """The policy's JSON as it was signed; None where it is absent or no base64."""
    encoded = form.get("policy") if form is not None else None
    if not encoded or len(encoded) > _MAX_POLICY:
        return None
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def policy_string_to_sign(policy: bytes) -> str:
    """What a form's signature signs: the hex SHA-1 of the policy, without line end."""
    return hashlib.sha1(policy, usedforsecurity=False).hexdigest()

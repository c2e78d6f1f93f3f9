"""The signature computed with the SecretKey, and the mistake that gives the one sent.

The mistakes are those that users and SDKs are known for; their words stand in
``tables/signature_mistakes.tsv``. No key is kept in what is returned.
"""

from collections.abc import Callable, Iterator
from functools import cache
from urllib.parse import quote_plus, unquote

import msgspec

from cos_inspect.cos.endpoint import Endpoint
from cos_inspect.cos.signature import (
    MAX_SIGNED,
    HttpString,
    Signature,
    encode,
    http_text,
    policy_string_to_sign,
    policy_text,
    rebuild,
    sha1_hex,
    sign_key,
    signature_of,
    string_to_sign,
    wire_headers,
    wire_parameters,
)
from cos_inspect.cos.signature_forms import (
    content_types,
    lower_hex,
    other_hosts,
    other_paths,
)
from cos_inspect.cos.tables import rows
from cos_inspect.cos.target import split_target
from cos_inspect.model.exchange import Request
from cos_inspect.model.headers import Headers

_METHODS = ("get", "put", "post", "head", "delete", "options")
_MAX_NAMES = 64
"""Headers and parameters that are tried one by one."""

Pairs = tuple[tuple[str, str], ...]


class Mistake(msgspec.Struct, frozen=True):
    """One way to sign wrongly that programs are known for."""

    name: str
    said: str
    """Reads after ``the client signed``."""
    fix: str
    about: str | None = None
    """Which header, parameter or host."""


class Recomputed(msgspec.Struct, frozen=True, kw_only=True):
    """A request's signature made anew with the SecretKey, and held against what was sent."""

    value: str
    """The signature that the request should have."""
    same: bool
    mistake: Mistake | None = None
    """Gives exactly the signature that was sent; None where no known one does."""
    needs_dropped: bool = False
    """The sent signature is right for the request with what the proxy took away."""


def recompute(
    signature: Signature,
    request: Request,
    form: Headers | None,
    endpoint: Endpoint,
    secret_key: str,
    *,
    taken: bool = False,
    hashed: str | None = None,
) -> Recomputed | None:
    """None where the signature cannot be computed: fields are missing, or a signed header
    could not be read back from the wire. ``taken``: COS did not refuse the signature.
    ``hashed``: the SHA-1 of HttpString as COS has it, where its refusal tells."""
    sign_time, key_time = signature.sign_time, signature.key_time
    if sign_time is None or key_time is None or signature.value is None:
        return None
    if signature.over_policy:
        return _of_policy(signature, request, form, secret_key)
    wire = rebuild(signature, request)
    if not wire.exact:
        return None
    with_blanks = rebuild(signature, request, plus_is_blank=True)
    if hashed is not None and hashed == sha1_hex(with_blanks.text):
        wire, with_blanks = with_blanks, wire
    key = sign_key(secret_key, key_time.text)
    right = signature_of(key, string_to_sign(sign_time.text, wire.text))
    if right == signature.value or _with_bare_host(wire, key, signature) == signature.value:
        return Recomputed(value=signature.value, same=True)
    if request.dropped_headers:
        whole = rebuild(signature, request, put_back=True)
        if signature_of(key, string_to_sign(sign_time.text, whole.text)) == signature.value:
            return Recomputed(value=right, same=False, needs_dropped=True)
    other = signature_of(key, string_to_sign(sign_time.text, with_blanks.text))
    if other == signature.value:
        if taken:
            return Recomputed(value=other, same=True)
        kept = rebuild(signature, request).parameters == with_blanks.parameters
        name = "parameters-plus-kept" if kept else "parameters-plus-for-space"
        return Recomputed(value=right, same=False, mistake=mistake_of(name, None))
    for name, about, made in _attempts(signature, request, endpoint, wire, secret_key):
        if made == signature.value:
            return Recomputed(value=right, same=False, mistake=mistake_of(name, about))
    return Recomputed(value=right, same=False)


def _with_bare_host(wire: HttpString, key: str, signature: Signature) -> str | None:
    """SDKs may sign the host without a default port that the library sends."""
    host = dict(wire.headers).get("host", "")
    bare, port, number = host.rpartition("%3A")
    if not port or number not in ("80", "443") or signature.sign_time is None:
        return None
    headers = _put(wire.headers, "host", bare)
    text = http_text(wire.method, wire.path, wire.parameters, headers)
    return signature_of(key, string_to_sign(signature.sign_time.text, text))


def _of_policy(
    signature: Signature, request: Request, form: Headers | None, secret_key: str
) -> Recomputed | None:
    policy = policy_text(form)
    if policy is None or form is None or signature.key_time is None:
        return None
    window = signature.key_time.text
    key = sign_key(secret_key, window)
    signed = policy_string_to_sign(policy)
    right = signature_of(key, signed)
    if right == signature.value:
        return Recomputed(value=right, same=True)
    request_text = http_text(request.method.lower(), "/", (), ())
    attempts = (
        ("request-for-policy", signature_of(key, string_to_sign(window, request_text))),
        ("request-for-policy", signature_of(key, f"sha1\n{window}\n{signed}\n")),
        ("policy-base64", signature_of(key, sha1_hex(form.get("policy") or ""))),
        ("no-final-line-end", signature_of(key, signed + "\n")),
        ("sign-key-raw", signature_of(bytes.fromhex(key), signed)),
        ("sign-key-skipped", signature_of(secret_key, signed)),
        ("http-string-not-hashed", signature_of(key, policy.decode("utf-8", "surrogateescape"))),
        ("hash-upper-case", signature_of(key, signed.upper())),
    )
    for name, made in attempts:
        if made == signature.value:
            return Recomputed(value=right, same=False, mistake=mistake_of(name, None))
    return Recomputed(value=right, same=False)


def _attempts(
    signature: Signature,
    request: Request,
    endpoint: Endpoint,
    wire: HttpString,
    secret_key: str,
) -> Iterator[tuple[str, str | None, str]]:
    if signature.sign_time is None or signature.key_time is None:
        return
    times = signature.sign_time.text, signature.key_time.text
    key = sign_key(secret_key, times[1])
    yield from ((name, None, made) for name, made in _by_keys(times, wire.text, secret_key))
    if signature.secret_id:
        right = string_to_sign(times[0], wire.text)
        yield "secret-id-as-key", None, signature_of(sign_key(signature.secret_id, times[1]), right)
    for name, about, text in _texts(signature, request, endpoint, wire):
        yield name, about, signature_of(key, string_to_sign(times[0], text))


def _by_keys(times: tuple[str, str], text: str, secret_key: str) -> Iterator[tuple[str, str]]:
    """Mistakes made after HttpString."""
    sign_time, key_time = times
    key = sign_key(secret_key, key_time)
    right = string_to_sign(sign_time, text)
    if sign_time != key_time:
        swapped = string_to_sign(key_time, text)
        yield "times-swapped", signature_of(sign_key(secret_key, sign_time), swapped)
        yield "times-swapped", signature_of(key, swapped)
        yield "times-swapped", signature_of(sign_key(secret_key, sign_time), right)
    yield "sign-key-raw", signature_of(bytes.fromhex(key), right)
    yield "sign-key-skipped", signature_of(secret_key, right)
    yield "sign-key-upper-case", signature_of(key.upper(), right)
    bare = string_to_sign(sign_time, text[:-1])
    for made in (right[:-1], bare, bare[:-1]):
        yield "no-final-line-end", signature_of(key, made)
    windows = string_to_sign(sign_time, text.replace("\n", "\r\n"))
    for made in (windows, windows.replace("\n", "\r\n"), right.replace("\n", "\r\n")):
        yield "crlf-line-ends", signature_of(key, made)
    for made in (f"sha1\n{sign_time}\n{text}\n", f"sha1\n{sign_time}\n{text}", text):
        yield "http-string-not-hashed", signature_of(key, made)
    shouted = f"sha1\n{sign_time}\n{sha1_hex(text).upper()}\n"
    yield "hash-upper-case", signature_of(key, shouted)
    for charset in ("gbk", "latin-1"):
        digest = sha1_hex(text.encode(charset, "replace").decode("utf-8", "surrogateescape"))
        yield "other-charset", signature_of(key, f"sha1\n{sign_time}\n{digest}\n")
    bare_key = secret_key.strip()
    for other in (f"{bare_key}\n", f"{bare_key}\r\n", f"{bare_key} ", f" {bare_key}", bare_key):
        if other != secret_key:
            yield "secret-key-with-blanks", signature_of(sign_key(other, key_time), right)


def _texts(
    signature: Signature, request: Request, endpoint: Endpoint, wire: HttpString
) -> Iterator[tuple[str, str | None, str]]:
    """HttpStrings with one mistake in them."""
    method, path, parameters, headers = wire.method, wire.path, wire.parameters, wire.headers

    def text(m: str = method, p: str = path, q: Pairs = parameters, h: Pairs = headers) -> str:
        return http_text(m, p, q, h)

    if "host" in signature.headers:
        yield "host-left-out", None, text(h=_without(headers, "host"))
        for host in other_hosts(request, endpoint):
            yield "host-other-form", host, text(h=_put(headers, "host", encode(host)))
    for name, other in other_paths(request.target, path, endpoint):
        yield name, None, text(p=other)
    yield "method-case", None, text(m=method.upper())
    for verb in _METHODS:
        if verb != method:
            yield "method-other", verb.upper(), text(m=verb)
    yield from (
        (name, about, text(q=q, h=h)) for name, about, q, h in _lists(signature, request, wire)
    )
    yield from ((name, None, text(q=q, h=h)) for name, q, h in _values(request, wire))
    yield from (
        ("parameter-names-not-encoded", about, text(q=q))
        for about, q in _names_not_encoded(request, wire)
    )
    sent = wire_headers(request)
    if "content-type" in sent and "content-type" in signature.headers:
        for other in content_types(sent["content-type"][0]):
            changed = _put(headers, "content-type", encode(other))
            yield "header-changed", "content-type", text(h=changed)
    for name, value in sent.items():
        if name in signature.headers:
            for blank in (f"{value[0]} ", f" {value[0]}", f" {value[0]} "):
                yield "header-untrimmed", name, text(h=_put(headers, name, encode(blank)))
    for name, raw in request.headers:
        if name.lower() in signature.headers and raw != raw.strip(" \t"):
            yield "header-untrimmed", name.lower(), text(h=_put(headers, name.lower(), encode(raw)))


def _lists(
    signature: Signature, request: Request, wire: HttpString
) -> Iterator[tuple[str, str | None, Pairs, Pairs]]:
    parameters, headers = wire.parameters, wire.headers
    for name in tuple(dict.fromkeys(signature.parameters))[:_MAX_NAMES]:
        yield "parameter-left-out", name, _without(parameters, name), headers
    if len(parameters) > 1:
        yield "parameter-left-out", "all", (), headers
    for name in tuple(dict.fromkeys(signature.headers))[:_MAX_NAMES]:
        if name != "host":
            yield "header-left-out", name, parameters, _without(headers, name)
    if headers:
        yield "header-left-out", "all", parameters, ()
    # What is listed but not sent was perhaps signed with nothing behind it.
    for name in wire.missing_parameters[:_MAX_NAMES]:
        yield "parameter-left-out", name, _put(parameters, name, ""), headers
    for name, value in wire_parameters(request.target)[:_MAX_NAMES]:
        encoded = encode(name).lower()
        if encoded not in signature.parameters and not encoded.startswith("q-"):
            yield "parameter-not-listed", name, _put(parameters, encoded, encode(value)), headers
    for name, values in tuple(wire_headers(request).items())[:_MAX_NAMES]:
        if len(name) + len(values[0]) > MAX_SIGNED:
            continue
        if name not in signature.headers and name != "authorization":
            yield "header-not-listed", name, parameters, _put(headers, name, encode(values[0]))
    yield (
        "names-not-sorted",
        None,
        _in_order(parameters, signature.parameters),
        _in_order(headers, signature.headers),
    )
    as_sent = {name.lower(): name for name, _ in request.headers if len(name) <= MAX_SIGNED}
    some = tuple((name if name == "host" else as_sent.get(name, name), v) for name, v in headers)
    cased = tuple((as_sent.get(name, name), value) for name, value in headers)
    in_url = {encode(name).lower(): encode(name) for name, _ in wire_parameters(request.target)}
    shown = tuple((in_url.get(name, name), value) for name, value in parameters)
    forms = ((parameters, cased), (parameters, some), (shown, headers), (shown, cased))
    for q, h in (*forms, (shown, some)):
        yield "names-not-lower", None, q, h
        yield "names-not-lower", None, tuple(sorted(q)), tuple(sorted(h))


def _values(request: Request, wire: HttpString) -> Iterator[tuple[str, Pairs, Pairs]]:
    """Values encoded otherwise, in the parameters, the headers, or both."""
    for name, encoding in _encodings():
        parameters = _reencoded(wire.parameters, encoding)
        headers = _reencoded(wire.headers, encoding)
        for q, h in (
            (parameters, headers),
            (parameters, wire.headers),
            (wire.parameters, headers),
        ):
            yield name, q, h
    raw = _as_sent(request.target, tuple(name for name, _ in wire.parameters))
    if raw != wire.parameters:
        yield "values-not-encoded", raw, wire.headers


def _names_not_encoded(request: Request, wire: HttpString) -> Iterator[tuple[str | None, Pairs]]:
    """Names of parameters as they are or encoded in part, which operations of CI are full of
    (``imageMogr2/thumbnail/!50p``); sorted by themselves, or as the encoded ones would be."""
    decoded = {encode(name).lower(): name for name, _ in wire_parameters(request.target)}
    about = next((name for name, _ in wire.parameters if "%" in name), None)
    if about is None:
        return
    raw_values = _reencoded(wire.parameters, lambda value: value)
    for form in _NAME_FORMS:
        for pairs in (wire.parameters, raw_values):
            renamed = tuple((form(decoded.get(name, name)), value) for name, value in pairs)
            for ordered in (renamed, tuple(sorted(renamed))):
                yield decoded.get(about), ordered


_NAME_FORMS: tuple[Callable[[str], str], ...] = (
    str.lower,
    str,
    lambda name: encode(name, "/-_.~").lower(),
    lambda name: encode(name, "!'()*-_.~").lower(),
    lambda name: encode(name, "!'()*|/:,;@-_.~").lower(),
    lambda name: encode(name.lower()),
    lambda name: encode(encode(name)).lower(),
)


@cache
def _encodings() -> tuple[tuple[str, Callable[[str], str]], ...]:
    return (
        ("values-not-encoded", lambda value: value),
        ("values-lower-case-hex", lambda value: lower_hex(encode(value))),
        ("values-lower-case-hex", lambda value: encode(value).lower()),
        (
            "values-plus-for-space",
            lambda value: quote_plus(value, "-_.~", errors="surrogateescape"),
        ),
        ("values-slash-kept", lambda value: encode(value, "/-_.~")),
        ("values-marks-kept", lambda value: encode(value, "!'()*-_.~")),
        ("values-double-encoded", lambda value: encode(encode(value))),
    )


def _reencoded(pairs: Pairs, encoding: Callable[[str], str]) -> Pairs:
    return tuple(
        (name, encoding(unquote(value, errors="surrogateescape"))) for name, value in pairs
    )


def _as_sent(target: str, names: tuple[str, ...]) -> Pairs:
    pairs = []
    for piece in split_target(target)[1].split("&"):
        name, _, value = piece.partition("=")
        encoded = encode(unquote(name)).lower()
        if encoded in names:
            pairs.append((encoded, value))
    return tuple(sorted(pairs))


def _without(pairs: Pairs, name: str) -> Pairs:
    return tuple(pair for pair in pairs if pair[0] != name)


def _put(pairs: Pairs, name: str, value: str) -> Pairs:
    return tuple(sorted((*_without(pairs, name), (name, value))))


def _in_order(pairs: Pairs, names: tuple[str, ...]) -> Pairs:
    place = {name: at for at, name in reversed(tuple(enumerate(names)))}
    return tuple(sorted(pairs, key=lambda pair: place.get(pair[0], len(place))))


@cache
def _words() -> dict[str, dict[str, str]]:
    return {row["name"]: row for row in rows("signature_mistakes")}


def mistake_of(name: str, about: str | None) -> Mistake:
    """A mistake of the table."""
    row = _words()[name]
    return Mistake(name, row["said"], row["fix"], about)

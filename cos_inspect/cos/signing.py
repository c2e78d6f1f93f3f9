"""Makes signatures of COS, by the scheme of ``signature.py`` (COS's documentation, page
436/7778): for a request that a person has edited and wants to send again."""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from cos_inspect.cos.signature import (
    FIELDS,
    Signature,
    TimeWindow,
    encode,
    policy_string_to_sign,
    rebuild,
    sign_key,
    signature_of,
    string_to_sign,
    wire_parameters,
)
from cos_inspect.cos.signature_scheme import SignaturePlace
from cos_inspect.cos.target import split_target
from cos_inspect.model.exchange import Request
from cos_inspect.model.headers import Headers

TOKENS = frozenset({"x-cos-security-token", "x-ci-security-token"})
_SIGNED_ALWAYS = ("host", "content-md5", "content-type", "range")
_LOOSE = re.compile(r"%(?![0-9A-Fa-f]{2})|[^!$%&'()*,\-./0-9:;=@A-Z_a-z~]")


class Key(msgspec.Struct, frozen=True):
    """Whom a request is signed for."""

    secret_id: str
    secret_key: str


class SignedAnew(msgspec.Struct, frozen=True):
    """What is to be put into the request."""

    target: str
    authorization: str | None
    """The header's value; None where the signature stands in the target."""
    value: str
    """The 40 hex digits."""


def plain_target(target: str, *, plus_is_blank: bool = False) -> str:
    """A target that a person has typed, with every sign escaped that may not stand there or
    that may be read in two ways: blanks, non-ASCII, a plus, a lone percent sign. Escapes that
    are there stay.

    :param plus_is_blank: a plus in the query stands for a blank, as the Python SDK sends it.
    """
    path, query = split_target(target)
    if plus_is_blank:
        query = query.replace("+", "%20")
    path = _LOOSE.sub(_escape, path) or "/"
    query = _LOOSE.sub(_escape, query)
    return f"{path}?{query}" if query else path


def _escape(found: re.Match[str]) -> str:
    return quote(found[0], safe="", encoding="utf-8", errors="surrogateescape")


def without_parameters(target: str, names: Iterable[str]) -> str:
    """The target without the parameters of these names, which are compared in lower case."""
    wanted = frozenset(names)
    path, query = split_target(target)
    kept = [piece for piece in query.split("&") if piece and _name(piece) not in wanted]
    return f"{path}?{'&'.join(kept)}" if kept else path


def _name(piece: str) -> str:
    return wire_parameters(f"/?{piece.partition('=')[0]}")[0][0].lower() if piece[0] != "=" else ""


def sign(
    request: Request,
    key: Key,
    window: TimeWindow,
    *,
    place: SignaturePlace = "header",
    headers: Sequence[str] = (),
    parameters: Sequence[str] = (),
) -> SignedAnew:
    """Signs a request that has no signature (``plain_target``, ``without_parameters``).

    The lists hold what they held (``headers`` and ``parameters``: lower-case names, as
    ``Signature`` has them), less what is not sent, and all that is sent of COS's own headers
    and of the query.

    :param place: ``header``, ``query``, or ``sign`` for one parameter that holds all.
    """
    sent = {name.lower() for name, _ in request.headers} | {"host"}
    named = {name for name in headers if name in sent}
    named |= {name for name in sent if name in _SIGNED_ALWAYS or name.startswith("x-cos-")}
    asked = {encode(name).lower() for name, _ in wire_parameters(request.target)}
    # A token in the query is added behind the signature by some SDKs.
    asked = {name for name in asked if name not in TOKENS or name in parameters}
    draft = Signature(
        place=place,
        over_policy=False,
        secret_id=key.secret_id,
        sign_time=window,
        key_time=window,
        headers=tuple(sorted(named)),
        parameters=tuple(sorted(asked)),
        value=None,
        problems=(),
    )
    text = string_to_sign(window.text, rebuild(draft, request).text)
    value = signature_of(sign_key(key.secret_key, window.text), text)
    fields = dict(
        zip(
            FIELDS,
            (
                "sha1",
                key.secret_id,
                window.text,
                window.text,
                ";".join(draft.headers),
                ";".join(draft.parameters),
                value,
            ),
            strict=True,
        )
    )
    merged = "&".join(f"{name}={text}" for name, text in fields.items())
    if place == "header":
        return SignedAnew(request.target, merged, value)
    added = f"sign={encode(merged)}"
    if place == "query":
        added = "&".join(f"{name}={encode(text)}" for name, text in fields.items())
    sign_ = "&" if "?" in request.target else "?"
    return SignedAnew(f"{request.target}{sign_}{added}", None, value)


class PolicyError(ValueError):
    """A form's policy that cannot be renewed; one line."""


def sign_policy(policy: str, key: Key, window: TimeWindow, fields: Headers) -> dict[str, str]:
    """The fields of a form that make its signature: the policy with new times, this SecretId,
    and the form's own values where it demands exact ones, and the signature over it.

    :param policy: the field as it stands, base64 of JSON.
    :raises PolicyError: it is none.
    """
    try:
        document = json.loads(base64.b64decode(policy, validate=True))
        conditions = document["conditions"]
        if not isinstance(conditions, list):
            raise TypeError
    except (binascii.Error, ValueError, KeyError, TypeError, RecursionError):
        raise PolicyError("the form's policy is no JSON with conditions in base64") from None
    own = {"q-sign-algorithm": "sha1", "q-ak": key.secret_id, "q-sign-time": window.text}
    document["conditions"] = [_renewed(each, own, fields) for each in conditions]
    end = datetime.fromtimestamp(window.end, UTC)
    document["expiration"] = end.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    text = json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")
    value = signature_of(sign_key(key.secret_key, window.text), policy_string_to_sign(text))
    signed = {
        "policy": base64.b64encode(text).decode(),
        "q-sign-algorithm": "sha1",
        "q-ak": key.secret_id,
        "q-key-time": window.text,
        "q-signature": value,
    }
    if "q-sign-time" in fields:
        signed["q-sign-time"] = window.text
    return signed


def _renewed(condition: Any, own: dict[str, str], fields: Headers) -> Any:
    """``{"key": "a"}`` and ``["eq", "$key", "a"]`` demand exact values."""
    match condition:
        case {**members} if len(members) == 1:
            (name,) = members
            value = own.get(str(name).lower(), fields.get(str(name)))
            return condition if value is None else {name: value}
        case ["eq", str(name), _] if name.startswith("$"):
            value = own.get(name[1:].lower(), fields.get(name[1:]))
            return condition if value is None else ["eq", name, value]
    return condition

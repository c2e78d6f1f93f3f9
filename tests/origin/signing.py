"""Verifies signatures the way COS documents them, for ``Origin.authorise``.

Written from the documents, apart from the inspector, so that each judges the other.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, unquote, unquote_to_bytes

from tests.origin.errors import OriginError
from tests.origin.message import OriginRequest

MAX_SKEW = 15 * 60
FIELD_NAMES = (
    "q-sign-algorithm",
    "q-ak",
    "q-sign-time",
    "q-key-time",
    "q-header-list",
    "q-url-param-list",
    "q-signature",
)


@dataclass(frozen=True)
class TemporaryKey:
    secret_key: str
    token: str
    expires: float = float("inf")


@dataclass
class Verifier:
    """``origin.authorise = Verifier({"AKID…": "key"})``.

    - ``keys``: SecretKeys by SecretId.
    - ``temporary``: temporary keys by SecretId; they need their token.
    - ``anonymous``: requests without a signature are let through.
    - ``strict``: these headers must be signed when they are sent.

    Form uploads and S3 signatures are let through: their signature is not in the head,
    or not of this scheme.
    """

    keys: Mapping[str, str] = field(default_factory=dict)
    temporary: Mapping[str, TemporaryKey] = field(default_factory=dict)
    anonymous: bool = False
    strict: tuple[str, ...] = ()
    clock: Callable[[], float] = time.time
    refusals: list[str] = field(default_factory=list)
    """Codes answered, in order."""

    def __call__(self, request: OriginRequest) -> OriginError | None:
        refused = self._judge(request)
        if refused is not None:
            self.refusals.append(refused.code)
        return refused

    def judge_form(self, fields: Mapping[str, str]) -> OriginError | None:
        """The same for the fields of a form, by lower-case name: ``origin.service.judge_form``."""
        wanted = ("policy", "q-sign-algorithm", "q-ak", "q-key-time", "q-signature")
        refused = None
        if any(name not in fields for name in wanted):
            refused = None if self.anonymous else self._denied()
        elif fields["q-ak"] not in self.keys:
            refused = OriginError("InvalidAccessKeyId", "The Access Key Id does not exist.", 403)
        else:
            policy = base64.b64decode(fields["policy"], validate=True)
            times = {"q-sign-time": fields["q-key-time"], "q-key-time": fields["q-key-time"]}
            refused = self._window(times) or self._late(json.loads(policy)["expiration"])
            text = hashlib.sha1(policy).hexdigest()
            secret = self.keys[fields["q-ak"]]
            if (
                refused is None
                and sign(secret, fields["q-key-time"], text) != fields["q-signature"]
            ):
                refused = OriginError("SignatureDoesNotMatch", "The Signature is invalid.", 403)
        if refused is not None:
            self.refusals.append(refused.code)
        return refused

    def _late(self, expiration: str) -> OriginError | None:
        end = datetime.fromisoformat(expiration).timestamp()
        return self._denied("Policy expired") if end < self.clock() else None

    def _judge(self, request: OriginRequest) -> OriginError | None:
        if request.s3 or request.method == "OPTIONS" or _is_form(request):
            return None
        fields = _fields_of(request)
        if fields is None:
            return None if self.anonymous else self._denied()
        if any(len(fields.get(name, ())) != 1 for name in FIELD_NAMES):
            return OriginError("AccessDenied", "The authorization is malformed.", 403)
        given = {name: values[0] for name, values in fields.items()}
        secret = self._secret(request, given["q-ak"])
        if isinstance(secret, OriginError):
            return secret
        return self._window(given) or self._signature(request, given, secret)

    def _denied(self, message: str = "Access Denied.") -> OriginError:
        return OriginError("AccessDenied", message, 403, extra=[("ServerTime", self._now_text())])

    def _now_text(self) -> str:
        return datetime.fromtimestamp(int(self.clock()), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _secret(self, request: OriginRequest, secret_id: str) -> str | OriginError:
        if secret_id in self.keys:
            return self.keys[secret_id]
        known = self.temporary.get(secret_id)
        unknown = OriginError(
            "InvalidAccessKeyId",
            "The Access Key Id you provided does not exist.",
            403,
        )
        if known is None:
            return unknown
        wanted = (
            "x-ci-security-token"
            if ".ci." in request.host or ".pic." in request.host
            else "x-cos-security-token"
        )
        token = request.header(wanted) or request.param(wanted)
        if token != known.token:
            return unknown
        if known.expires < self.clock():
            return OriginError("ExpiredToken", "The provided token has expired.", 403)
        return known.secret_key

    def _window(self, given: dict[str, str]) -> OriginError | None:
        now = self.clock()
        for name in ("q-sign-time", "q-key-time"):
            start, _, end = given[name].partition(";")
            if not start.isdigit() or not end.isdigit():
                return OriginError("AccessDenied", "The authorization is malformed.", 403)
            if int(start) > now + MAX_SKEW:
                return OriginError(
                    "RequestTimeTooSkewed",
                    "The difference between the request time and the current time is too large.",
                    403,
                    extra=[("ServerTime", self._now_text())],
                )
            if int(end) < now:
                return self._denied("Request has expired")
        return None

    def _signature(
        self, request: OriginRequest, given: dict[str, str], secret: str
    ) -> OriginError | None:
        text = format_string(
            request, given["q-header-list"].split(";"), given["q-url-param-list"].split(";")
        )
        to_sign = string_to_sign(given["q-sign-time"], text)
        signed = {name.lower() for name in given["q-header-list"].split(";")}
        unsigned = {name.lower() for name, _ in request.headers} & set(self.strict) - signed
        if sign(secret, given["q-key-time"], to_sign) == given["q-signature"] and not unsigned:
            return None
        return OriginError(
            "SignatureDoesNotMatch",
            "The Signature you specified is invalid.",
            403,
            extra=[("StringToSign", to_sign), ("FormatString", text)],
        )


def _is_form(request: OriginRequest) -> bool:
    return request.method == "POST" and request.header("content-type").startswith(
        "multipart/form-data"
    )


def _fields_of(request: OriginRequest) -> dict[str, list[str]] | None:
    """The signature's fields with all of their values; None for an anonymous request."""
    header = request.header("authorization")
    if header:
        pairs = [piece.partition("=")[::2] for piece in header.split("&")]
    elif request.has("q-signature"):
        pairs = [(name, value) for name, value in request.query if name in FIELD_NAMES]
    elif request.has("sign"):
        pairs = [piece.partition("=")[::2] for piece in request.param("sign").split("&")]
    else:
        return None
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


def format_string(request: OriginRequest, headers: list[str], parameters: list[str]) -> str:
    """What COS calls FormatString: the server's own HttpString."""
    sent_headers = {name.lower(): value.strip() for name, value in reversed(request.headers)}
    sent_parameters: dict[str, str] = {}
    for piece in request.target.partition("?")[2].split("&"):
        name, _, value = piece.partition("=")
        if name:
            sent_parameters.setdefault(_escaped(unquote(name)).lower(), unquote(value))
    path = unquote_to_bytes(request.target.partition("?")[0]).decode("utf-8", "replace")
    return "\n".join(
        (
            request.method.lower(),
            path,
            _line(parameters, sent_parameters),
            _line(headers, sent_headers),
            "",
        )
    )


def _line(names: list[str], sent: dict[str, str]) -> str:
    found = sorted({name.lower() for name in names} & sent.keys())
    return "&".join(f"{name}={_escaped(sent[name])}" for name in found)


def _escaped(text: str) -> str:
    return quote(text, safe="-_.~")


def string_to_sign(sign_time: str, text: str) -> str:
    digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    return f"sha1\n{sign_time}\n{digest}\n"


def sign(secret_key: str, key_time: str, to_sign: str) -> str:
    key = hmac.new(secret_key.encode(), key_time.encode(), hashlib.sha1).hexdigest()
    return hmac.new(key.encode(), to_sign.encode(), hashlib.sha1).hexdigest()

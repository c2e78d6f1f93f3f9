"""Masks secrets, as one step between a report and everything that is written or shown.

Secret are signatures, security tokens, SSE-C keys and cookies; also where COS
echoes them (StringToSign and FormatString of a refused signature) and where
they stand percent-encoded. A SecretId is none. Equal values get equal masks,
made of their SHA-256, so that they can still be told apart.
"""

import hashlib
import re
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

import msgspec

from cos_inspect.model.flow_report import (
    Check,
    ErrorReport,
    Finding,
    FlowReport,
    HeaderReport,
)

_SECRET_PARAMETERS = (
    "q-signature",
    "sign",
    "signature",
    "x-amz-signature",
    "x-cos-security-token",
    "x-ci-security-token",
    "x-amz-security-token",
    "token",
    "policy",
    "x-cos-server-side-encryption-customer-key",
    "x-cos-copy-source-server-side-encryption-customer-key",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-copy-source-server-side-encryption-customer-key",
    "authorization",
)
_NAMES = "|".join(re.escape(name) for name in sorted(_SECRET_PARAMETERS, key=len, reverse=True))
_FIELD = rf"({_NAMES})(=|%3D|%253D|:\s*|>)((?:(?!%26|%2526)[^&\s,;<>\"'])+)"
_IN_TEXT = re.compile(rf"(?i)(?<![\w-]){_FIELD}")
_NESTED = re.compile(rf"(?i)(?:(?<![\w-])|(?<=%26)|(?<=%3F)|(?<=%2526)|(?<=%253F)){_FIELD}")
"""For texts with a URL that stands percent-encoded inside another one."""
_SIGNS_OF_NESTING = ("%26", "%3F", "%3f", "%25")
_SIGNATURE_FIELD = re.compile(r"(?i)(?<![\w-])((?:q-)?signature(?:=|%3D))([^&\s,]+)")
_AWS2_HEADER = re.compile(r"^(AWS [^:\s]+:)(\S+)$")
_MASK = re.compile(r"^\[masked:[0-9a-f]{8}\]$")
_SHORTEST_SECRET = 6
"""Shorter values are not looked for in other texts: they would hit innocent words."""


@lru_cache(maxsize=4096)
def mask(value: str) -> str:
    """``[masked:…]`` with eight hex digits of the value's SHA-256."""
    return f"[masked:{hashlib.sha256(value.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}]"


class Redactor:
    """Masks one exchange's secrets; remembers them to find their echoes."""

    def __init__(self) -> None:
        self._secrets: dict[str, str] = {}

    def hide(self, value: str) -> str:
        """The mask of a value, which is from now on looked for in other texts as well."""
        if not value or _MASK.match(value):
            return value
        masked = mask(unquote(value) if "%" in value else value)
        if len(value) >= _SHORTEST_SECRET:
            plain = unquote(value)
            encoded = quote(plain, safe="")
            for form in (value, plain, encoded, quote(encoded, safe="")):
                self._secrets[form.lower()] = masked
        return masked

    def authorization(self, value: str) -> str:
        """An Authorization value with only its secret part masked, where its form is known."""
        aws2 = _AWS2_HEADER.match(value)
        if aws2:
            return aws2[1] + self.hide(aws2[2])
        masked = _SIGNATURE_FIELD.sub(lambda found: found[1] + self.hide(found[2]), value)
        if masked != value or value.startswith("q-sign-algorithm="):
            return masked
        scheme, blank, rest = value.partition(" ")
        return f"{scheme} {self.hide(rest)}" if blank else self.hide(value)

    def header(self, value: str, secret: str) -> tuple[str, bool]:
        """``secret``: ``""`` not, ``part`` only inside, anything else wholly."""
        if not value:
            return value, False
        if not secret:
            if "=" in value or "%3" in value:
                shown = self.parameters(value)
                return shown, shown != value
            return value, False
        shown = self.authorization(value) if secret == "part" else self.hide(value)
        return shown, shown != value

    def parameters(self, text: str) -> str:
        """Masks the values of secret parameters in a URL, a query or an echo of one."""
        if "=" not in text and "%3" not in text and ">" not in text and ":" not in text:
            return text
        nested = "%" in text and any(sign in text for sign in _SIGNS_OF_NESTING)
        return (_NESTED if nested else _IN_TEXT).sub(self._hide_value, text)

    def _hide_value(self, found: re.Match[str]) -> str:
        value = found[3]
        # In a sentence a bracket or full stop may follow.
        secret = value.rstrip(").")
        return found[1] + found[2] + self.hide(secret) + value[len(secret) :]

    def text(self, text: str) -> str:
        """Masks parameters, and every secret met so far, anywhere in a text, in any case."""
        text = self.parameters(text)
        if not self._secrets:
            return text
        lower = text.lower()
        for secret, masked in self._secrets.items():
            if secret in lower:
                text = re.sub(re.escape(secret), masked, text, flags=re.IGNORECASE)
        return text

    def plain(self, value: Any) -> Any:
        """The same for strings inside plain data (evidence)."""
        match value:
            case str():
                return self.text(value)
            case dict():
                return {key: self.plain(item) for key, item in value.items()}
            case list() | tuple():
                return [self.plain(item) for item in value]
            case _:
                return value


class Watched:
    """Which headers of a report may hold a secret: their places, and how secret each is
    (``""``: only by what stands in it)."""

    def __init__(self) -> None:
        self.places: dict[str, list[tuple[int, str]]] = {"request": [], "response": []}

    def add(self, side: str, place: int, secret: str) -> None:
        self.places[side].append((place, secret))


def redacted(report: FlowReport, watched: Watched) -> FlowReport:
    """The report with its secrets masked."""
    redactor = Redactor()
    request = report.request
    _mask_headers(redactor, request.headers, watched.places["request"])
    url = redactor.parameters(request.url)
    if url != request.url:
        request = msgspec.structs.replace(request, url=url)
    if report.response is not None:
        _mask_headers(redactor, report.response.headers, watched.places["response"])
    return msgspec.structs.replace(
        report,
        request=request,
        error=_error(redactor, report.error),
        checks=[_check(redactor, check) for check in report.checks],
        findings=[_finding(redactor, finding) for finding in report.findings],
        ticket=redactor.text(report.ticket) if report.ticket else report.ticket,
    )


def _mask_headers(
    redactor: Redactor, headers: list[HeaderReport], places: list[tuple[int, str]]
) -> None:
    for place, secret in places:
        header = headers[place]
        value, changed = redactor.header(header.value, secret)
        if changed:
            headers[place] = msgspec.structs.replace(header, value=value, redacted=True)


def _error(redactor: Redactor, error: ErrorReport | None) -> ErrorReport | None:
    if error is None:
        return None
    return msgspec.structs.replace(
        error,
        message=redactor.text(error.message) if error.message else error.message,
        resource=redactor.text(error.resource) if error.resource else error.resource,
    )


def _check(redactor: Redactor, check: Check) -> Check:
    if check.check != "signature" or check.expected is None:
        return check
    return msgspec.structs.replace(
        check,
        expected=redactor.hide(check.expected),
        actual=redactor.hide(check.actual) if check.actual else None,
    )


def _finding(redactor: Redactor, finding: Finding) -> Finding:
    return msgspec.structs.replace(
        finding,
        detail=redactor.text(finding.detail),
        fix=redactor.text(finding.fix),
        evidence=redactor.plain(finding.evidence),
    )

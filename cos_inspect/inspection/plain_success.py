"""The most common exchange, masked quickly: a success of which nothing is to be said, signed
as nearly every client of COS does it."""

import re
from functools import lru_cache

import msgspec

from cos_inspect.cos.secret_names import SECRET_KINDS, kind_of_header
from cos_inspect.inspection import texts
from cos_inspect.inspection.escapes import plain
from cos_inspect.inspection.inner_texts import opened
from cos_inspect.inspection.known_secrets import mask_of, may_stand_in
from cos_inspect.inspection.secret_free_texts import PLAIN_NAMES, SECRET_FREE, secret_hint_of
from cos_inspect.model.flow_report import FlowReport

SIGNATURE = re.compile(
    r"(q-sign-algorithm=sha1&q-ak=\w{1,128})&q-sign-time=([0-9]{1,11})(?:;|%3B)([0-9]{1,11})"
    r"&q-key-time=([0-9]{1,11})(?:;|%3B)([0-9]{1,11})(&q-header-list=(?:[a-z0-9;-]|%3B)*+"
    r"&q-url-param-list=(?:[a-z0-9;-]|%3B)*+)&q-signature=([0-9a-f]{40})",
    re.ASCII,
)
"""As nearly every client writes it. Groups: what stands before its times, these (twice two), the
lists, and what is secret."""


def masked_at_once(report: FlowReport) -> FlowReport | None:
    """Its report, where the only secret is a signature in Authorization or in the URL. None
    where a closer look is needed; what that would find is the same."""
    request, response = report.request, report.response
    if response is None or request.changes:
        return None
    if report.findings or report.error is not None or report.broke_off is not None:
        return None
    place = _place_of_authorization(tuple([header.name for header in request.headers]))
    if place is None or not PLAIN_NAMES.issuperset([header.name for header in response.headers]):
        return None
    url, headers = request.url, request.headers
    if place >= 0:
        value = headers[place].value
        if "?" in url or not SIGNATURE.fullmatch(value):
            return None
        signature = value[-40:].encode()
        parsed = value[:-40] + mask_of(signature)
        headers = headers.copy()
        headers[place] = msgspec.structs.replace(headers[place], value=parsed, redacted=True)
    else:
        address, _, query = url.partition("?")
        if not SIGNATURE.fullmatch(query):
            return None
        signature = query[-40:].encode()
        url = parsed = url[:-40] + mask_of(signature)
    request = msgspec.structs.replace(request, url=url, headers=headers)
    report = msgspec.structs.replace(report, request=request)
    held = list(filter(None, texts.collect(report)))
    unknown = set(held) - SECRET_FREE
    unknown.discard(parsed)
    if place < 0:
        unknown.add(address)
    if (unknown and secret_hint_of(unknown)) or texts.collect_named(report):
        return None
    seen = plain("\n".join(held).encode("utf-8", "surrogatepass"), ascii_only=True)
    return None if may_stand_in(signature, opened(seen)) else report


@lru_cache(maxsize=256)
def _place_of_authorization(names: tuple[str, ...]) -> int | None:
    """Where it stands, -1 where it does not; None where other headers are secret."""
    secret = [at for at, name in enumerate(names) if kind_of_header(name) in SECRET_KINDS]
    if not secret:
        return -1
    return secret[0] if len(secret) == 1 and names[secret[0]].lower() == "authorization" else None

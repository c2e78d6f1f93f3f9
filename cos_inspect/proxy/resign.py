"""Signs a flow's request anew, on command, so that what was edited can be sent to COS again.

Live traffic is never touched: only a flow that is over and that somebody names.
"""

import base64
import hashlib
import time
from collections.abc import Mapping
from typing import Any

from mitmproxy import http

from cos_inspect.cos.cos_exchange import recognise
from cos_inspect.cos.signature import FIELDS, Signature, TimeWindow, read_signature
from cos_inspect.cos.signature_scheme import Signed, read_signed
from cos_inspect.cos.signing import (
    TOKENS,
    Key,
    PolicyError,
    plain_target,
    sign,
    sign_policy,
    without_parameters,
)
from cos_inspect.model.exchange import Request, Resigned
from cos_inspect.proxy.annotations import saved
from cos_inspect.proxy.flows import request_head
from cos_inspect.proxy.form_parts import Form, read_form
from cos_inspect.recording.message_heads import headers_of, request_of
from cos_inspect.recording.resigned import RESIGNED_KEY, resigned_data

_BEFORE = 60
"""Seconds that a signature begins before now, for clocks that differ a little."""
_SHORTEST, _USUAL, _LONGEST = 60, 3600, 86400
_BY_WHICH_BLANKS_ARE_PLUS = "cos-python-sdk"


class ResignError(Exception):
    """Why a flow cannot be signed anew, in one line."""


def resign(
    flow: http.HTTPFlow,
    keys: Mapping[str, str],
    patterns: tuple[str, ...],
    now: int | None = None,
) -> str:
    """Gives the request of a flow new times, lengths, Content-MD5 and a signature over what it
    holds now; a sentence that says how.

    :param keys: SecretKeys by SecretId.
    :param patterns: hosts that are buckets as well (``cos_hosts``).
    :raises ResignError: it cannot be; the flow is as it was.
    """
    body = _body_of(flow)
    now = int(time.time()) if now is None else now
    request = _request(flow.request)
    answer = headers_of(flow.response.headers.fields) if flow.response else None
    asked = (request.host, request.method, request.target, request.headers)
    if recognise(*asked, answer, patterns) is None:
        raise ResignError("the flow is no COS traffic")
    if request.unread_target:
        raise ResignError("its path or query is longer than any that a server takes")
    form = read_form(request.headers.get("content-type"), body)
    signed = read_signed(request.headers, request.target, form.fields if form else None)
    if signed.scheme not in ("cos", "none"):
        raise ResignError("the request is signed by another scheme than COS's own")
    before = read_signature(signed, request.headers, request.target, form.fields if form else None)
    key, how = _key(keys, before)
    drops_token = before is not None and before.secret_id != key.secret_id
    window = _window(before, now)
    # mitmweb's way back to what was captured.
    flow.backup()  # type: ignore[no-untyped-call]
    try:
        if form is not None and (signed.place == "form" or "policy" in form.fields):
            value, dropped = _sign_form(flow, form, key, window, drops_token=drops_token)
        else:
            value, dropped = _sign_head(flow, signed, before, key, window, drops_token=drops_token)
    except PolicyError as error:
        raise ResignError(str(error)) from None
    resigned = Resigned(secret_id=key.secret_id, token_removed=dropped, at=now)
    flow.metadata[RESIGNED_KEY] = resigned_data(value, resigned)
    token = ", and x-cos-security-token was taken off" if dropped else ""
    minutes = (window.end - now) // 60
    return f"signed anew with {how}{token}; it is good for {minutes} minutes: replay it now"


def _request(asked: http.Request) -> Request:
    head = request_head(asked)
    return request_of(head, headers_of(head.fields))


def _body_of(flow: http.HTTPFlow) -> bytes:
    if flow.live or (flow.response is None and flow.error is None):
        raise ResignError("the flow is still under way")
    body = flow.request.raw_content
    left: Any = saved(flow).get("request_body")
    size = left.get("size") if isinstance(left, dict) else None
    if body is None or (not body and isinstance(size, int) and size > 0):
        raise ResignError(
            "the flow does not hold its body, which was streamed: send it again with"
            " cos_stream=never, or a larger size"
        )
    return body


def _key(keys: Mapping[str, str], before: Signature | None) -> tuple[Key, str]:
    if not keys:
        raise ResignError("no key is known: name a file by cos_credentials")
    secret_id = before.secret_id if before is not None else None
    if secret_id is not None and secret_id in keys:
        return Key(secret_id, keys[secret_id]), f"the request's own SecretId, {secret_id}"
    if len(keys) == 1:
        ((only, secret_key),) = keys.items()
        return Key(only, secret_key), f"the only SecretId of cos_credentials, {only}"
    raise ResignError(
        f"cos_credentials has {len(keys)} keys, and none of them is of the request's SecretId"
    )


def _window(before: Signature | None, now: int) -> TimeWindow:
    """As long as it was, where that is usual."""
    length = _USUAL
    if before is not None and before.sign_time is not None:
        length = before.sign_time.end - before.sign_time.start
    if not _SHORTEST <= length <= _LONGEST:
        length = _USUAL
    return TimeWindow(now - _BEFORE, now + length)


def _sign_head(
    flow: http.HTTPFlow,
    signed: Signed,
    before: Signature | None,
    key: Key,
    window: TimeWindow,
    *,
    drops_token: bool,
) -> tuple[str, bool]:
    """The signature's value, and whether a token was taken off."""
    asked = flow.request
    dropped = _drop_tokens(asked) if drops_token else False
    agent = asked.headers.get("user-agent", "")
    target = plain_target(asked.path, plus_is_blank=agent.startswith(_BY_WHICH_BLANKS_ARE_PLUS))
    names = {*FIELDS, "sign"} if signed.place in ("query", "sign") else set(FIELDS)
    if drops_token:
        bare = without_parameters(target, TOKENS)
        dropped, target = dropped or bare != target, bare
    target = without_parameters(target, names)
    _renew_body_headers(asked)
    asked.headers.pop("authorization", None)
    asked.path = target
    request = _request(asked)
    place = "header" if signed.place in ("none", "form") else signed.place
    found = sign(
        request,
        key,
        window,
        place=place,
        headers=before.headers if before else (),
        parameters=before.parameters if before else (),
    )
    asked.path = found.target
    if found.authorization is not None:
        asked.headers["Authorization"] = found.authorization
    return found.value, dropped


def _sign_form(
    flow: http.HTTPFlow, form: Form, key: Key, window: TimeWindow, *, drops_token: bool
) -> tuple[str, bool]:
    policy = form.fields.get("policy")
    if policy is None:
        raise PolicyError("the form has no policy")
    dropped = drops_token and any(name in form.fields for name in TOKENS)
    kept = form.without(TOKENS) if dropped else form
    fields = sign_policy(policy, key, window, kept.fields)
    flow.request.raw_content = kept.with_fields(fields)
    flow.request.path = plain_target(flow.request.path)
    _renew_body_headers(flow.request)
    return fields["q-signature"], dropped


def _drop_tokens(asked: http.Request) -> bool:
    found = [name for name in TOKENS if name in asked.headers]
    for name in found:
        del asked.headers[name]
    return bool(found)


def _renew_body_headers(asked: http.Request) -> None:
    """Of those that are there."""
    body = asked.raw_content or b""
    if "content-md5" in asked.headers:
        digest = hashlib.md5(body, usedforsecurity=False).digest()
        asked.headers["content-md5"] = base64.b64encode(digest).decode()
    if "x-cos-content-sha1" in asked.headers:
        asked.headers["x-cos-content-sha1"] = hashlib.sha1(body, usedforsecurity=False).hexdigest()
    if "transfer-encoding" not in asked.headers and (body or "content-length" in asked.headers):
        asked.headers["content-length"] = str(len(body))

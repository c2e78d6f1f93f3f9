"""What the proxy made of a client's request before it went to the server, and who did it.

mitmproxy does not say who changes a message. What each of its options can change was read in
its source (12.2 and 12.3); what none of those that are set can have done was a script, or a
person at a breakpoint.
"""

import hashlib
import re
from collections.abc import Iterator

from mitmproxy import ctx, http

from cos_inspect.model.exchange import Change, Request
from cos_inspect.proxy.flows import request_head
from cos_inspect.proxy.other_addons import named, replacements, scripts_with
from cos_inspect.recording.actors import UNKNOWN
from cos_inspect.recording.flow_metadata import LONGEST_VALUE
from cos_inspect.recording.message_heads import (
    DEFAULT_PORTS,
    RequestHead,
    headers_of,
    request_of,
)

MITMPROXY = "mitmproxy"
"""It answers ``Expect: 100-continue`` itself, whatever its options are."""
_BY_HEADER = {
    "accept-encoding": "anticomp",
    "if-modified-since": "anticache",
    "if-none-match": "anticache",
    "authorization": "stickyauth",
    "cookie": "stickycookie",
}


def changes_of(
    flow: http.HTTPFlow, came: RequestHead, content: bytes | None, *, host_rewritten: bool
) -> tuple[Change, ...]:
    """What differs between the request as it came and the one that was sent.

    :param content: the body as it came, where it was kept whole.
    :param host_rewritten: in reverse mode the client's Host was gone before anybody saw it.
    """
    sent = request_head(flow.request)
    now = flow.request.raw_content
    replaced = content is not None and now is not None and content is not now and content != now
    if came == sent and not replaced and not host_rewritten:
        return ()
    return tuple(_changes(came, sent, content if replaced else None, now, host_rewritten))


def _changes(
    came: RequestHead,
    sent: RequestHead,
    content: bytes | None,
    now: bytes | None,
    host_rewritten: bool,
) -> Iterator[Change]:
    before = request_of(came, headers_of(came.fields))
    after = request_of(sent, headers_of(sent.fields))
    if before.method != after.method:
        yield Change(part="method", client=before.method, sent=after.method, by=_somebody())
    moved = (came.host, came.port, came.scheme) != (sent.host, sent.port, sent.scheme)
    target = _url(after, sent) if moved else after.target
    if moved or before.target != after.target:
        client = _url(before, None) if moved else before.target
        by = _mapper(_url(before, None), _url(after, sent if moved else None))
        yield Change(part="url", client=_short(client), sent=_short(target), by=by)
    follows = moved and after.host == _plain(sent.host)
    yield from _headers(came, sent, without_host=follows, resized=content is not None)
    if not follows and _host(came) is None and _host(sent) is None and before.host != after.host:
        yield Change(
            part="header", name="Host", client=before.host, sent=after.host, by=_somebody()
        )
    if host_rewritten:
        host = _host(sent) or after.host
        yield Change(part="header", name="Host", sent=_short(host), by="keep_host_header")
    if content is not None and now is not None:
        by = "modify_body" if getattr(ctx.options, "modify_body", None) else _somebody()
        yield Change(part="body", client=body_words(content), sent=body_words(now), by=by)


def body_words(content: bytes) -> str:
    """A body in a few words."""
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return f"{len(content)} bytes, MD5 {digest}"


def _headers(
    came: RequestHead, sent: RequestHead, *, without_host: bool, resized: bool
) -> Iterator[Change]:
    before, after = _by_name(came), _by_name(sent)
    for name in dict.fromkeys([*before, *after]):
        if (without_host and name == "host") or (resized and name == "content-length"):
            continue
        had, has = before.get(name), after.get(name)
        if had is not None and has is not None and had[1] == has[1]:
            continue
        shown = (had or has or (name, []))[0]
        client = None if had is None else _short(", ".join(had[1]))
        value = None if has is None else _short(", ".join(has[1]))
        yield Change(
            part="header", name=shown[:200], client=client, sent=value, by=_who(name, client, value)
        )


def _by_name(head: RequestHead) -> dict[str, tuple[str, list[str]]]:
    found: dict[str, tuple[str, list[str]]] = {}
    for name, value in headers_of(head.fields):
        found.setdefault(name.lower(), (name, []))[1].append(value)
    return found


def _host(head: RequestHead) -> str | None:
    return headers_of(head.fields).get("host")


@named
def _who(name: str, client: str | None, sent: str | None) -> str:
    if name == "expect" and sent is None and (client or "").lower() == "100-continue":
        return MITMPROXY
    for spec in replacements("modifyheaders"):
        if spec.subject.decode("utf-8", "replace").lower() == name:
            return "modify_headers"
    option = _BY_HEADER.get(name)
    if option is not None and getattr(ctx.options, option, None):
        return option
    return _somebody()


@named
def _mapper(url: str, sent: str) -> str:
    """Who made the one URL of the other. Which of the filters of map_remote were met cannot be
    asked any more."""
    specs = [spec for spec in replacements("mapremote") if re.search(spec.subject, url)]
    made = url
    for spec in specs:
        made = re.sub(spec.subject, spec.replacement, made)
        if sent in (made, re.sub(spec.subject, spec.replacement, url)):
            return "map_remote"
    others = _somebody()
    return "map_remote" if specs and others == UNKNOWN else others


@named
def _somebody() -> str:
    names = scripts_with("requestheaders", "request")
    if getattr(ctx.options, "intercept_active", False) and ctx.options.intercept:
        return f"{names} or a person (intercept)" if names else "intercept"
    return names or UNKNOWN


def _url(line: Request, sent: RequestHead | None) -> str:
    """``sent``: the place that it went to, whatever its Host says."""
    host, port = (line.host, line.port) if sent is None else (_plain(sent.host), sent.port)
    shown = f"[{host}]" if ":" in host else host
    place = shown if port == DEFAULT_PORTS.get(line.scheme) else f"{shown}:{port}"
    return f"{line.scheme}://{place}{line.target}"


def _plain(host: str) -> str:
    return host.lower().removesuffix(".").encode("utf-8", "replace").decode()


def _short(text: str) -> str:
    return (
        text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}… ({len(text)} characters)"
    )

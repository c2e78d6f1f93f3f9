"""Who may have answered in COS's place, by what the answer looks like."""

import re
from html import unescape
from urllib.parse import urlsplit

import msgspec

from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.cos.endpoint import read_endpoint
from cos_inspect.model.plain_text import shortened

_TITLE = re.compile(rb"<title[^>]{0,100}>([^<]{1,400})</title", re.IGNORECASE)
_TITLE_WITHIN = 16 * 1024
_LONGEST_TITLE = 120


class ForeignAnswer(msgspec.Struct, frozen=True):
    """Who answered in the place of COS, as far as the answer shows."""

    kind: str
    """A key of ``_WORDS``."""
    words: str
    """A sentence."""
    fix: str | None
    title: str | None
    """Of the page that came."""


def read_foreign_answer(cos: CosExchange) -> ForeignAnswer:
    """For an answer that bears no mark of COS."""
    title = _title_of(cos)
    kind = _kind_of(cos, title)
    words, fix = _WORDS[kind]
    if title is not None:
        words += f" The page's title is {title!r}."
    return ForeignAnswer(kind, words, fix, title)


def _kind_of(cos: CosExchange, title: str | None) -> str:
    response = cos.response
    status = response.status if response else 0
    if status == 407:
        return "proxy-password"
    if cos.through_cdn or cos.endpoint.kind == "cdn":
        return "cdn"
    if status == 511 or (300 <= status < 400 and status != 304 and _leads_away(cos)):
        return "login"
    if (title is not None and _LOGIN.search(title)) or (status < 300 and _is_page(cos)):
        return "login"
    return _BY_STATUS.get(status, "other")


_LOGIN = re.compile(r"log ?in|sign ?in|portal|authenticat|登录|登錄|认证|認證", re.IGNORECASE)
_BY_STATUS = {
    401: "filter",
    403: "filter",
    406: "filter",
    451: "filter",
    413: "size-limit",
    502: "gateway",
    503: "gateway",
    504: "gateway",
}
_WORDS: dict[str, tuple[str, str | None]] = {
    "login": (
        "It looks like the log-in page of a network (a captive portal): the request has not"
        " reached COS.",
        "Log in to the network in a browser, or leave it, and send the request again.",
    ),
    "proxy-password": (
        "Another proxy on the way wants a user name and a password: the request has not reached"
        " COS.",
        "Give mitmproxy that proxy and its password (--mode upstream:…, upstream_auth).",
    ),
    "gateway": (
        "A gateway or proxy on the way got no answer of COS in time, or none at all; whether COS"
        " did what was asked is open.",
        "Look at the gateway that the Server header and the page name: its time-outs, its way to"
        " COS; try without it.",
    ),
    "size-limit": (
        "Something on the way takes no body of this size; COS has names of its own for that.",
        "Raise the limit of the gateway that the Server header and the page name, or upload in"
        " smaller parts.",
    ),
    "filter": (
        "Most likely a firewall, a filtering proxy or another web server refused it; then COS was"
        " not asked, and keys and rights at COS have no part in it.",
        "Ask who runs what the Server header and the page name to let this host pass; try another"
        " network.",
    ),
    "cdn": (
        "The CDN itself answered: its own rules (hotlink, address lists, signed URLs, cache) or its"
        " way to the origin.",
        "Look at the domain's rules in the CDN's console, and ask the bucket's default host for the"
        " same to compare.",
    ),
    "other": ("", None),
}


def _is_page(cos: CosExchange) -> bool:
    """A page where something else was asked for."""
    media_type = cos.response.headers.get("content-type") if cos.response else None
    is_page = (media_type or "").lower().startswith("text/html")
    wanted = cos.request.method == "GET" and (cos.key or "").lower().endswith((".html", ".htm"))
    return is_page and not wanted


def _leads_away(cos: CosExchange) -> bool:
    """Whether a redirect leads to a host that is none of COS's."""
    location = cos.response.headers.get("location") if cos.response else None
    try:
        host = urlsplit(location or "").hostname
    except ValueError:
        return False
    return host is not None and host != cos.request.host and read_endpoint(host, "/") is None


def _title_of(cos: CosExchange) -> str | None:
    text = cos.response.body.text if cos.response else None
    found = _TITLE.search(text[:_TITLE_WITHIN]) if text else None
    if found is None:
        return None
    title = " ".join(unescape(found[1].decode("utf-8", "replace")).split())
    return shortened(title, _LONGEST_TITLE) or None

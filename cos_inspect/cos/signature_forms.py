"""Forms of a path, a host and a content type that clients take for one another when they sign."""

import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote

from cos_inspect.cos.endpoint import Endpoint
from cos_inspect.cos.region import documented_regions
from cos_inspect.cos.signature import encode, wire_headers
from cos_inspect.cos.tables import rows
from cos_inspect.cos.target import split_target
from cos_inspect.model.exchange import Request

_ESCAPE = re.compile("%[0-9A-Fa-f]{2}")
_DEFAULT_TYPES = (
    "",
    "application/json",
    "application/octet-stream",
    "application/x-www-form-urlencoded",
    "application/xml",
    "binary/octet-stream",
    "text/plain",
)


def content_types(sent: str) -> Iterator[str]:
    """What may have been signed where a library or a browser then set its own."""
    bare = sent.partition(";")[0].rstrip()
    kinds = dict.fromkeys((bare, bare.lower(), *_DEFAULT_TYPES))
    for kind in kinds:
        yield kind
        if kind:
            for charset in ("utf-8", "UTF-8"):
                yield f"{kind};charset={charset}"
                yield f"{kind}; charset={charset}"


def other_hosts(request: Request, endpoint: Endpoint) -> Iterator[str]:
    """The bucket's other hosts, and ways to write the one that was asked."""
    sent = wire_headers(request)["host"][0]
    hosts = [request.host, f"{request.host}:{request.port}", f"{request.host}:80"]
    hosts += [f"{request.host}:443", request.host.upper()]
    if endpoint.bucket is not None:
        # Hosts of global acceleration and of the CDN name no region: it may be any.
        regions = sorted(documented_regions()) if endpoint.region is None else (endpoint.region,)
        hosts += [
            row["template"].replace("{bucket}", endpoint.bucket).replace("{region}", region)
            for row in rows("host_templates")
            for region in (regions if "{region}" in row["template"] else ("",))
        ]
    for host in dict.fromkeys(hosts):
        if host != sent:
            yield host


def other_paths(target: str, path: str, endpoint: Endpoint) -> Iterator[tuple[str, str]]:
    """Names of mistakes, and what was signed then in place of the decoded path."""
    sent, query = split_target(target)
    if "+" in path or " " in path:
        yield "path-plus-for-space", path.replace("+", " ")
        yield "path-plus-for-space", path.replace(" ", "+")
    for escaped in dict.fromkeys((sent, *_escaped(path))):
        for form in (escaped, escaped.replace("%20", "+"), lower_hex(escaped)):
            if form != path:
                yield "path-encoded", form
    if "%" in path:
        yield "path-double-encoded", unquote(path, errors="surrogateescape")
    yield "path-without-leading-slash", path[1:]
    if sent[1:] != path[1:]:
        yield "path-encoded", sent[1:]
    if endpoint.bucket is not None:
        if endpoint.path_style:
            bare = path.removeprefix(f"/{endpoint.bucket}")
            yield "path-without-bucket", bare or "/"
        else:
            yield "path-with-bucket", f"/{endpoint.bucket}{path}"
    if query:
        yield "path-with-query", f"{path}?{query}"
        yield "path-with-query", f"{path}?{query.partition('&')[0]}"
    if path != "/":
        yield "path-left-out", "/"
        yield "path-left-out", ""
    for form in dict.fromkeys(_normalised(path)):
        if form != path:
            yield "path-normalised", form


def _escaped(path: str) -> Iterator[str]:
    """Percent-encoded whole or behind its first slash, with / or without, and as JavaScript's
    encodeURIComponent does it."""
    for safe in ("/-_.~", "/-_.~!'()*"):
        yield encode(path, safe)
    yield encode(path)
    for safe in ("-_.~", "-_.~!'()*"):
        yield f"/{encode(path[1:], safe)}"


def _normalised(path: str) -> Iterator[str]:
    yield unicodedata.normalize("NFC", path)
    yield unicodedata.normalize("NFD", path)
    single = path
    while "//" in single:
        single = single.replace("//", "/")
    yield single
    yield path.replace("/./", "/")
    yield path.rstrip("/")
    yield f"/{path}"


def lower_hex(text: str) -> str:
    """The same text with its percent escapes in lower case: ``%2F`` becomes ``%2f``."""
    return _ESCAPE.sub(lambda found: found[0].lower(), text)

"""Which COS endpoint a request goes to, by its host and path, and the marks COS leaves."""

import re
from collections.abc import Callable, Sequence
from fnmatch import translate
from functools import cache, lru_cache
from typing import Literal, cast

import msgspec

from cos_inspect.cos.ci_paths import is_ci_path
from cos_inspect.cos.misspelt_host import read_misspelt
from cos_inspect.cos.region import canonical_region
from cos_inspect.cos.tables import rows
from cos_inspect.cos.target import decode, split_target
from cos_inspect.model.flow_report import EndpointKind
from cos_inspect.model.headers import Headers

Family = Literal["xml", "ci", "pic", "website", "batch", "fetch", "vectors", "json-legacy"]
"""The API that a host speaks; it chooses the part of the operation table."""

_LONGEST_HOST = 253
_MISSPELT = "misspelt"
_SUFFIXES = (
    ".myqcloud.com",
    ".tencentcos.cn",
    ".tencentcos.com",
    ".tencentci.cn",
    ".coslake.com",
)
# An APPID has 5 to 10 digits in every published sample; one of 11 was a typing error.
_APPID = re.compile(r"[1-9][0-9]{4,9}")
_NAME = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_MACROS = {
    "label": rf"(?P<bucket>{_NAME})",
    "bucket": r"(?P<bucket>[a-z0-9][a-z0-9-]*-[0-9]{5,})",
    "appid": r"(?P<appid>[0-9]{5,})",
    "region": r"(?P<region>[a-z]{2}-[a-z]+(?:-[a-z0-9]+)*)",
    "zone": r"(?:myqcloud\.com|tencentcos\.cn)",
    "cizone": r"(?:myqcloud\.com|tencentcos\.cn|tencentci\.cn)",
}


class Endpoint(msgspec.Struct, frozen=True):
    """What a host and a path say of the service, the bucket, the region and the object."""

    kind: EndpointKind
    bucket: str | None
    """The full name, ``<name>-<appid>``; as sent where the APPID was left out, and
    for the JSON API the bare name."""
    appid: str | None
    """None where there is none, or it is none that COS could have given."""
    region: str | None
    """The region's present code; None for global acceleration and where the host has none."""
    key: str | None
    """Percent-decoded, without the leading slash; None where no object is named. Bytes
    that are not UTF-8 become U+FFFD."""
    path_style: bool
    """The bucket stands in the path."""
    host_form: str
    """The form's name in the host table; for a domain of one's own ``listed`` where it was
    named as COS, ``custom`` where requests or answers look so, ``misspelt`` for one that is
    meant for COS and is none of its hosts."""
    family: Family
    lacks: frozenset[str] = frozenset()
    """What clients cannot expect there, in the words of the host table."""

    @property
    def is_misspelt(self) -> bool:
        """Its host is none that COS has, though it is meant for COS."""
        return self.host_form == _MISSPELT

    @property
    def is_rapid(self) -> bool:
        """A Rapid Bucket or its service."""
        return self.host_form.startswith("rapid-")


class _Place(msgspec.Struct, frozen=True):
    """What the host alone tells."""

    kind: EndpointKind
    form: str
    family: Family
    path: str
    bucket: str | None
    appid: str | None
    region: str | None
    lacks: frozenset[str] = frozenset()


_CUSTOM = _Place("custom", "custom", "xml", "key", None, None, None)
_LISTED = _Place("custom", "listed", "xml", "key", None, None, None)


def read_endpoint(host: str, target: str, patterns: Sequence[str] = ()) -> Endpoint | None:
    """The COS endpoint of a request, or None when its host is not known as one.

    :param host: lower case, without port.
    :param target: path and query as sent.
    :param patterns: shell-style patterns of further hosts to take for COS.
    """
    place = _place(host) if host.endswith(_SUFFIXES) and len(host) <= _LONGEST_HOST else None
    if place is None:
        if not patterns or len(host) > _LONGEST_HOST or not _listed(host, tuple(patterns)):
            return None
        place = _LISTED
    return _endpoint(place, target)


def custom_endpoint(host: str, target: str) -> Endpoint:  # noqa: ARG001
    """The endpoint of a domain that only its answers or signatures show to be COS.

    Its bucket and region are unknown: they do not stand in the host.
    """
    return _endpoint(_CUSTOM, target)


@lru_cache(maxsize=1024)
def other_host(host: str) -> dict[str, str] | None:
    """The row of ``other_hosts.tsv`` on a host, in lower case, that is known as none of COS,
    however requests to it are signed."""
    if len(host) > _LONGEST_HOST:
        return None
    return next((row for row, fits in _others() if fits(host)), None)


def is_other_host(host: str) -> bool:
    """Whether a host, in lower case, is known as none of COS."""
    return other_host(host) is not None


@cache
def _others() -> tuple[tuple[dict[str, str], Callable[[str], re.Match[str] | None]], ...]:
    return tuple((row, re.compile(row["pattern"]).fullmatch) for row in rows("other_hosts"))


def has_cos_marks(headers: Headers) -> bool:
    """Whether an answer bears a header that only COS sends."""
    return _marked(headers, "cos")


def is_cdn(headers: Headers) -> bool:
    """Whether an answer came through a CDN or another cache."""
    return _marked(headers, "cdn")


def request_looks_like_cos(headers: Headers, target: str) -> bool:
    """Whether a request is signed the COS way or has a header of COS."""
    if "q-sign-algorithm" in (headers.get("authorization") or ""):
        return True
    if "q-sign-algorithm" in target.partition("?")[2]:
        return True
    return any(name.startswith(("x-cos-", "x-ci-")) for name in headers.names())


def _endpoint(place: _Place, target: str) -> Endpoint:
    path, query = split_target(target)
    kind, bucket, appid, key = place.kind, place.bucket, place.appid, None
    in_path = False
    match place.path:
        case "key":
            key = path[1:]
        case "ci":
            # An object may be called like a service, but a service takes no ci-process.
            if "ci-process=" in query or not is_ci_path(path):
                key = path[1:]
        case "bucket" | "fetch":
            bucket, _, rest = path[1:].partition("/")
            key = rest if place.path == "bucket" else None
            in_path = bool(bucket)
            bucket = decode(bucket) or None
            appid = bucket_appid(bucket)
            if bucket is None and kind in ("default", "internal"):
                kind = "service"
        case "json":
            _, _, appid, bucket, key = (*path[1:].split("/", 4), "", "", "", "")[:5]
            in_path = bool(bucket)
            bucket = decode(bucket) or None
            appid = appid if _APPID.fullmatch(appid) else None
        case _:
            pass
    return Endpoint(
        kind,
        bucket,
        appid,
        place.region,
        (decode(key) or None) if key else None,
        in_path,
        place.form,
        place.family,
        place.lacks,
    )


def bucket_appid(bucket: str | None) -> str | None:
    """The APPID that ends a bucket's full name."""
    name, _, digits = (bucket or "").rpartition("-")
    return digits if name and _APPID.fullmatch(digits) else None


@lru_cache(maxsize=1024)
def _place(host: str) -> _Place | None:
    for row, fullmatch in _forms():
        found = fullmatch(host)
        if found is None:
            continue
        groups = found.groupdict()
        bucket, region = groups.get("bucket"), groups.get("region")
        return _Place(
            cast(EndpointKind, row["kind"]),
            row["form"],
            cast(Family, row["family"]),
            row["path"],
            bucket,
            groups.get("appid") or bucket_appid(bucket),
            canonical_region(region) if region else None,
            frozenset(row["lacks"].split()),
        )
    return None if is_other_host(host) else _misspelt_place(host)


def _misspelt_place(host: str) -> _Place | None:
    misspelt = read_misspelt(host)
    if misspelt is None:
        return None
    kind, family = _SERVICE_KINDS.get(misspelt.service, ("default", "xml"))
    if misspelt.bucket is not None:
        path = "ci" if family in ("ci", "pic") else "key"
    elif host.startswith("service."):
        kind, path = "service", "service"
    else:
        path = "bucket"
    bucket, region = misspelt.bucket, misspelt.region
    return _Place(kind, _MISSPELT, family, path, bucket, bucket_appid(bucket), region)


_SERVICE_KINDS: dict[str, tuple[EndpointKind, Family]] = {
    "cos-internal": ("internal", "xml"),
    "cos-c-internal": ("internal", "xml"),
    "cos-website": ("website", "website"),
    "ci": ("ci", "ci"),
    "pic": ("ci", "pic"),
}


@lru_cache(maxsize=1024)
def _listed(host: str, patterns: tuple[str, ...]) -> bool:
    return _pattern(patterns).fullmatch(host) is not None


@lru_cache(maxsize=8)
def _pattern(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(translate(pattern.lower()) for pattern in patterns))


@cache
def _forms() -> tuple[tuple[dict[str, str], Callable[[str], re.Match[str] | None]], ...]:
    macros = dict(_MACROS)
    for macro, area in (("code", "legacy code"), ("early", "legacy name")):
        codes = "|".join(row["code"] for row in rows("regions") if row["area"] == area)
        macros[macro] = f"(?P<region>{codes})"
    forms = []
    for row in rows("hosts"):
        pattern = row["pattern"]
        for name, expression in macros.items():
            pattern = pattern.replace(f"{{{name}}}", expression)
        forms.append((row, re.compile(pattern).fullmatch))
    return tuple(forms)


def _marked(headers: Headers, role: str) -> bool:
    exact, prefixes = _marks(role)
    for name, _ in headers.fields:
        lower = name.lower()
        if lower.startswith(prefixes):
            return True
        value = exact.get(lower)
        if value is not None and (
            not value or any(value in sent.lower() for sent in headers.all(lower))
        ):
            return True
    return False


@cache
def _marks(role: str) -> tuple[dict[str, str], tuple[str, ...]]:
    table = [row for row in rows("marks") if row["role"] == role]
    exact = {row["header"]: row["value"] for row in table if not row["header"].endswith("*")}
    prefixes = tuple(row["header"][:-1] for row in table if row["header"].endswith("*"))
    return exact, prefixes

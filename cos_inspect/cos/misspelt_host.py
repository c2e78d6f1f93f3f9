"""Hosts that are surely meant for COS and cannot be one of its hosts.

A client puts its host together from a bucket, a region and a suffix. Where one of
them is empty, given whole, or given twice, the host is none that COS has; most do
not even resolve.
"""

import re
from functools import lru_cache
from typing import Literal

import msgspec

from cos_inspect.cos.region import read_region

HostMistake = Literal[
    "suffix-twice",
    "bucket-twice",
    "cos-twice",
    "cos-missing",
    "region-twice",
    "region-missing",
    "region-old",
    "region-unknown",
    "suffix",
    "host",
]
"""``suffix``: one of COS's, but not of the hosts of buckets. ``host``: none of the others; the
labels stand together as in no host of COS."""

_LONGEST_HOST = 253
_ZONES = ("myqcloud.com", "tencentcos.cn", "tencentcos.com", "tencentci.cn", "coslake.com")
_ZONES_OF_BUCKETS = frozenset(_ZONES[:2])
_OWN_ZONES = {"ci": "tencentci.cn", "cos-rapid": "tencentcos.com"}
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]*-[0-9]{5,}")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_SERVICES = (
    "cos",
    "cos-internal",
    "cos-c-internal",
    "cos-dualstack",
    "cos-website",
    "cosrapid",
    "cos-rapid",
    "ci",
    "pic",
)
_ACCELERATE = "accelerate"


class MisspeltHost(msgspec.Struct, frozen=True, kw_only=True):
    """A host that is none of COS, and nearly one: what is wrong, and what is meant."""

    mistake: HostMistake
    bucket: str | None
    """None of a host in path style, and of the service."""
    service: str
    """The label that COS has before the region: ``cos``, ``ci``, ``cos-website`` and so on."""
    region: str | None
    """The region that is meant, where that can be told."""
    written: str
    """What stands in the region's place."""
    right: str
    """The host that is meant; ``<region>`` stands in it where the region is not known."""


@lru_cache(maxsize=1024)
def read_misspelt(host: str) -> MisspeltHost | None:
    """How a host is misspelt; None for the right ones and for those that are not meant for
    COS. ``host``: lower case, without port. Older forms of hosts count as misspelt: the host
    table comes first."""
    if len(host) > _LONGEST_HOST:
        return None
    rest, zone, repeats = _without_zone(host)
    if zone is None:
        return None
    labels = rest.split(".") if rest else []
    bucket, labels, buckets = _without_bucket(labels, zone)
    is_service = bucket is None and labels[:2] == ["service", "cos"]
    if is_service:
        labels = labels[1:]
    elif bucket is None and labels[:1] != ["cos"]:
        return None
    services = [label for label in labels if label in _SERVICES]
    others = [label for label in labels if label not in _SERVICES]
    service = services[0] if services else "cos"
    known = [label for label in others if label == _ACCELERATE or _meant(label)]
    region = None
    if known:
        region = _ACCELERATE if known[0] == _ACCELERATE else _meant(known[0])
    mistake = _mistake(repeats, buckets, services, others, labels, zone)
    if mistake is None:
        return None
    right_zone = zone if zone in _ZONES_OF_BUCKETS else "myqcloud.com"
    place = region or "<region>"
    right = ".".join(filter(None, (bucket, service, place, right_zone)))
    if is_service:
        right = f"service.cos.{right_zone}"
    return MisspeltHost(
        mistake=mistake,
        bucket=bucket,
        service=service,
        region=None if region == _ACCELERATE else region,
        written=".".join(others),
        right=right,
    )


def read_foreign_suffix(host: str) -> tuple[str, str] | None:
    """The suffix of a host that is put together as COS's are and ends in none of its suffixes,
    and the host that is meant; None where it is not so. Stores of others may be built like
    that: it says something only of a host that does not exist."""
    if len(host) > _LONGEST_HOST or _without_zone(host)[1] is not None:
        return None
    bucket, service, region, suffix = [*host.rstrip(".").split(".", 3), "", "", ""][:4]
    if not _BUCKET.fullmatch(bucket) or service not in _SERVICES:
        return None
    if read_region(region).kind != "known":
        return None
    return suffix, f"{bucket}.{service}.{region}.myqcloud.com"


def _without_zone(host: str) -> tuple[str, str | None, int]:
    """What stands before the suffix, the suffix that stands first, and how many there are."""
    zone, repeats = None, 0
    while True:
        found = next((each for each in _ZONES if host.endswith(f".{each}")), None)
        if found is None:
            return host, zone, repeats
        host, zone, repeats = host[: -len(found) - 1], found, repeats + 1


def _without_bucket(labels: list[str], zone: str) -> tuple[str | None, list[str], int]:
    """The bucket, the labels behind it, and how often a bucket stands there."""
    buckets = [at for at, label in enumerate(labels[:3]) if _BUCKET.fullmatch(label)]
    if buckets:
        last = buckets[-1]
        # What stands before it may be the same bucket without its APPID.
        return labels[last], labels[last + 1 :], last + 1
    named = len(labels) > 1 and labels[1] == "cos" and _LABEL.fullmatch(labels[0])
    if named and labels[0] not in (*_SERVICES, "service") and zone in _ZONES_OF_BUCKETS:
        return labels[0], labels[1:], 1
    return None, labels, 0


def _meant(label: str) -> str | None:
    return read_region(label).meant


def _mistake(
    repeats: int,
    buckets: int,
    services: list[str],
    others: list[str],
    labels: list[str],
    zone: str,
) -> HostMistake | None:
    if repeats > 1:
        return "suffix-twice"
    if buckets > 1:
        return "bucket-twice"
    if len(services) > 1:
        return "cos-twice"
    if not "".join(others):
        return "region-missing"
    if len(others) > 1:
        alike = len({_meant(label) for label in others if label}) == 1
        return "region-twice" if alike and _meant(others[-1]) else "host"
    if not services:
        return "cos-missing" if others[0] == _ACCELERATE or _meant(others[0]) else "host"
    if labels[0] not in _SERVICES:
        return "host"
    region = read_region(others[0])
    if others[0] == _ACCELERATE or region.kind == "known":
        return (
            None if zone in _ZONES_OF_BUCKETS or zone == _OWN_ZONES.get(services[0]) else "suffix"
        )
    return _BY_KIND[region.kind]


_BY_KIND: dict[str, HostMistake] = {
    "old": "region-old",
    "missing": "region-missing",
    "unknown": "region-unknown",
}

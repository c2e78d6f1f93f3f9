"""Which bucket a Host header and a path name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

Style = Literal["bucket", "path", "service", "website", "none"]

_MAIN = re.compile(
    r"^(?:(?P<bucket>[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)\.)?"
    r"(?P<service>cos|cos-internal|cos-c-internal|cos-website|cos-dualstack|cosrapid|cos-rapid|ci|pic)"
    r"(?:\.(?P<region>accelerate|global|[a-z]{2}-[a-z0-9-]+))?"
    r"\.(?:myqcloud\.com|tencentcos\.(?:cn|com))$",
    re.IGNORECASE,
)
_OTHER = re.compile(
    r"^(?P<bucket>[a-z0-9][a-z0-9-]*-\d{5,})\.(?P<service>file|global)\.(?:myqcloud\.com|tencentcos\.cn)$"
)


@dataclass(frozen=True)
class Address:
    style: Style
    bucket: str
    region: str
    key: str
    """Percent-decoded, without the leading slash."""
    rapid: bool = False
    """A Rapid Bucket, or the service of these."""


def parse(host: str, path: str, custom: Mapping[str, str]) -> Address:
    """``host`` without port, ``path`` as sent. ``custom`` maps further host names to buckets."""
    host = host.lower()
    key = unquote(path.removeprefix("/"), errors="surrogateescape")
    if host in custom:
        return Address("bucket", custom[host], "ap-guangzhou", key)
    found = _MAIN.match(host)
    if found is None:
        other = _OTHER.match(host)
        if other is None:
            return Address("none", "", "", key)
        return Address("bucket", other["bucket"], "ap-guangzhou", key)
    region = (found["region"] or "ap-guangzhou").lower()
    bucket = found["bucket"] or ""
    if bucket and bucket != "service":
        style: Style = "website" if found["service"].lower() == "cos-website" else "bucket"
        return Address(style, bucket, region, key, "rapid" in found["service"].lower())
    if bucket == "service" or key == "":
        return Address("service", "", region, key)
    name, _, rest = key.partition("/")
    return Address("path", name, region, rest)

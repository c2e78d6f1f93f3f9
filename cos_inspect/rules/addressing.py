"""Rules about S3 clients and hosts: framing that COS does not take off, and wrong endpoints."""

import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from cos_inspect.cos.aws_chunked import is_aws_chunked
from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.cos.endpoint import read_endpoint
from cos_inspect.cos.error import read_xml_fields
from cos_inspect.cos.misspelt_host import HostMistake, MisspeltHost, read_misspelt
from cos_inspect.cos.region import canonical_region
from cos_inspect.model.exchange import Body, BodyEnd, PayloadKind
from cos_inspect.model.flow_report import Check, Finding, Severity
from cos_inspect.rules.connection_cause import failure_of
from cos_inspect.rules.rule import Rule

_SETTINGS = ("request_checksum_calculation", "response_checksum_validation")

S3_FRAMING = Rule(
    id="s3-framing",
    group="access",
    severity=Severity.WARNING,
    title="An S3 client frames its uploads",
    when="an aws-chunked upload is refused, or its framing is stored inside the object",
    cause="Newer AWS SDKs and tools add checksum trailers by default, in a framing that not every"
    " store takes off.",
    fix="Set request_checksum_calculation and response_checksum_validation to when_required in the"
    " client.",
    example="PutObject with x-amz-trailer, 411 MissingContentLength",
)

_FRAMING_CODES = frozenset(
    (
        "MissingContentLength",
        "IncompleteBody",
        "InvalidArgument",
        "InvalidRequest",
        "NotImplemented",
        "BadDigest",
        "InvalidDigest",
        "XAmzContentSHA256Mismatch",
        "EntityTooSmall",
    )
)
"""What stores answer that do not know the framing; MissingContentLength was seen of COS."""
_FRAME = re.compile(rb"([0-9A-Fa-f]{1,16})(;chunk-signature=[0-9a-f]{64})?\r\n")
_TAIL = re.compile(rb"\r\n0\r\n(?:\r\n$|x-amz-checksum-)")
_SHORTEST_TAIL = len(b"\r\n0\r\n\r\n")
_TAILS = frozenset(
    (
        _SHORTEST_TAIL,
        *(
            _SHORTEST_TAIL + len(f"x-amz-checksum-{name}:") + digits + 2
            for name, digits in (
                ("crc32", 8),
                ("crc32c", 8),
                ("crc64nvme", 12),
                ("sha1", 28),
                ("sha256", 44),
            )
        ),
    )
)
"""Lengths of what stands behind a sole chunk: size 0, and a checksum in base64 or none."""
_SMALLEST_CHUNK = 8192
"""Clients that send more than one chunk take powers of two from here on."""


def s3_framing(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    response = cos.response
    if response is None:
        return
    if cos.operation.uploads_object and is_aws_chunked(cos.request.headers):
        code = cos.error.code if cos.error else None
        if response.status >= 400 and (response.status == 411 or code in _FRAMING_CODES):
            yield S3_FRAMING.finding(
                f"The aws-chunked upload was refused: {response.status} {code or ''}".rstrip()
                + f". Set {' and '.join(_SETTINGS)} to when_required.",
                how="refused",
                code=code,
                settings=list(_SETTINGS),
            )
        elif cos.succeeded and (by := _stored_by(cos)) is not None:
            yield _stored(f"COS's {by} is that of the framed body", by)
    elif cos.describes_object and response.status in (200, 206):
        if "aws-chunked" in (response.headers.get("content-encoding") or "").lower():
            yield _stored("Content-Encoding of the object still names aws-chunked", "header")
        elif response.status == 200 and _begins_framed(response.body):
            yield _stored("the object begins with the size line of a chunk", "body")


def _stored(why: str, by: str) -> Finding:
    return S3_FRAMING.finding(
        f"The framing of an aws-chunked upload seems to be stored inside the object: {why}."
        f" Set {' and '.join(_SETTINGS)} to when_required and upload again.",
        how="stored",
        by=by,
        settings=list(_SETTINGS),
    )


def _stored_by(cos: CosExchange) -> str | None:
    """Which header of a success describes the framed body and not the decoded one."""
    body, response = cos.request.body, cos.response
    payload = body.payload
    if (
        response is None
        or payload is None
        or payload.kind is not PayloadKind.AWS_CHUNKED
        or body.end is not BodyEnd.COMPLETE
    ):
        return None
    crc = (response.headers.get("x-cos-hash-crc64ecma") or "").strip()
    if body.crc64 is not None and crc == str(body.crc64) and body.crc64 != payload.crc64:
        return "CRC-64"
    etag = (response.headers.get("etag") or "").strip('"').lower()
    if body.md5 is not None and etag == body.md5 and body.md5 != payload.md5:
        return "ETag"
    return None


def _begins_framed(body: Body) -> bool:
    if not body.sample or body.size is None:
        return False
    found = _FRAME.match(body.sample)
    if found is None:
        return False
    size = int(found[1], 16)
    rest = body.size - found.end() - size
    if found[2] is not None:
        return rest > 0
    # Without a signature a size line alone may be text of the object's own.
    if size >= _SMALLEST_CHUNK and size & (size - 1) == 0 and rest > size // 2:
        return True
    behind = body.sample[found.end() + size :]
    if len(behind) >= _SHORTEST_TAIL:
        return size > 0 and _TAIL.match(behind) is not None
    return size > 0 and rest in _TAILS


ENDPOINT_MISTAKE = Rule(
    id="endpoint-mistake",
    group="access",
    severity=Severity.WARNING,
    title="The request went to the wrong host",
    when="the error, or of a request that failed the host alone, fits a wrong host: bucket without"
    " APPID, a region that does not exist (undefined, empty, an old code), cos. missing or twice,"
    " path style, a CDN or website host for a write",
    cause="The endpoint, the region or the bucket's name in the client's settings is not the"
    " bucket's own, or was never filled in.",
    fix="Use <bucket>-<APPID>.cos.<region>.myqcloud.com, with the bucket in the host.",
    example="NoSuchBucket for examplebucket.cos.ap-guangzhou.myqcloud.com",
)

_NO_SUCH_PLACE = frozenset(("InvalidURI", "NoSuchBucket", "InvalidBucketName"))
_READS = frozenset(("GET", "HEAD", "OPTIONS"))
_REDIRECTS = frozenset((301, 302, 307, 308))
_PLACES = frozenset(("default", "internal", "accelerate", "service"))


def endpoint_mistake(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    response, endpoint = cos.response, cos.endpoint
    misspelt = _misspelt(cos)
    if misspelt is not None:
        yield misspelt_host(cos.request.host, misspelt)
        return
    if response is None or response.status < 300 or endpoint.family not in ("xml", "website"):
        return
    status, host = response.status, cos.request.host
    code = cos.error.code if cos.error else None
    right = _right_host(cos)
    if right is not None:
        yield ENDPOINT_MISTAKE.finding(
            f"The bucket is not to be reached at {host}; the answer names {right}.",
            fix=f"Use {right}.",
            mistake="region",
            host=host,
            right=right,
        )
    elif code == "PathStyleDomainForbidden":
        yield ENDPOINT_MISTAKE.finding(
            "The bucket stands in the path, which COS does not allow for it.",
            fix="Switch to virtual-hosted addressing (addressing_style: virtual, force path style"
            " off): the bucket belongs into the host.",
            mistake="path-style",
            host=host,
        )
    elif code == "InvalidRegionName":
        yield ENDPOINT_MISTAKE.finding(
            f"There is no region as in {host}.", mistake="region", host=host
        )
    elif code in _NO_SUCH_PLACE and endpoint.kind in _PLACES and endpoint.appid is None:
        name = endpoint.bucket
        yield ENDPOINT_MISTAKE.finding(
            f"The bucket {name} does not end in an APPID." if name else f"{host} names no bucket.",
            fix="Give the bucket's full name, <name>-<APPID>.",
            mistake="no-appid" if name else "no-bucket",
            host=host,
            bucket=name,
        )
    elif (
        endpoint.kind in ("website", "cdn")
        and cos.request.method not in _READS
        and status in (400, 403, 405, 501)
        and (endpoint.kind == "website" or status in (405, 501))
    ):
        yield ENDPOINT_MISTAKE.finding(
            f"{host} is a {endpoint.kind} host, which only reads; {cos.request.method} was"
            f" answered {status}.",
            mistake=f"{endpoint.kind}-write",
            host=host,
        )


def _misspelt(cos: CosExchange) -> MisspeltHost | None:
    """Of a request that failed: how its host is misspelt."""
    response, endpoint = cos.response, cos.endpoint
    if response is not None and response.status < 400:
        return None
    if endpoint.is_misspelt:
        return read_misspelt(cos.request.host)
    # It has the form of a region, so it may be a newer one than is known here.
    if endpoint.kind == "legacy" or cos.from_cos or (response is None and not _unreached(cos)):
        return None
    found = read_misspelt(cos.request.host)
    return found if found is not None and found.mistake in _REGIONS else None


_REGIONS: frozenset[HostMistake] = frozenset(("region-old", "region-unknown"))


def _unreached(cos: CosExchange) -> bool:
    """The host's name does not resolve."""
    return failure_of(cos.exchange.error or "") == "upstream-dns"


def misspelt_host(host: str, misspelt: MisspeltHost) -> Finding:
    """What is wrong with a host that is meant for COS."""
    written, right = misspelt.written[:80], misspelt.right
    said = _MISSPELT[misspelt.mistake].format(host=host, written=written)
    if misspelt.mistake == "region-missing" and written:
        said = (
            f"The region in {host} is {written!r}: the client's setting for it was never filled in."
        )
    elif misspelt.mistake == "region-old":
        said += f" {misspelt.region}."
    elif misspelt.mistake == "region-unknown" and misspelt.region is not None:
        said += f" Very likely {misspelt.region} is meant."
    fix = f"Use {right}."
    if misspelt.region is None and "<region>" in right:
        fix = f"Use {right}, with the region that the console shows for the bucket."
    return ENDPOINT_MISTAKE.finding(
        said, fix=fix, mistake=misspelt.mistake, host=host, right=right, written=written
    )


_MISSPELT: dict[HostMistake, str] = {
    "suffix-twice": "The suffix stands twice in {host}: a whole host was given where the bucket"
    " or the region belongs.",
    "bucket-twice": "The bucket stands twice in {host}, or something stands before it: an endpoint"
    " that has the bucket already was given one more.",
    "cos-twice": "cos. stands twice in {host}: the region was given with its prefix, or the"
    " endpoint twice.",
    "cos-missing": "cos. is missing in {host} between bucket and region.",
    "region-twice": "The region stands twice in {host}.",
    "region-missing": "There is no region in {host}.",
    "region-old": "{written} in {host} is an old name of a region; such hosts want its present"
    " name,",
    "region-unknown": "{written} in {host} is no region of COS that is known.",
    "suffix": "{host} ends in a suffix that hosts of buckets do not have.",
    "host": "{host} is put together as no host of COS is ({written} stands between bucket and"
    " suffix).",
}


def _right_host(cos: CosExchange) -> str | None:
    """The host or region that the answer names in place of the one asked."""
    response, endpoint = cos.response, cos.endpoint
    if response is None or endpoint.kind in ("website", "cdn", "custom"):
        return None
    headers = response.headers
    named = read_xml_fields(response.body.text, frozenset({"Endpoint", "Region"}))
    hosts = [named.get("Endpoint")]
    if response.status in _REDIRECTS:
        hosts.append(_host_of(headers.get("location")))
    for host in hosts:
        other = read_endpoint(host.strip().lower(), "/") if host else None
        if host and other is not None and host.strip().lower() != cos.request.host:
            same_bucket = other.bucket is None or other.bucket == endpoint.bucket
            if same_bucket and (other.region, other.kind) != (endpoint.region, endpoint.kind):
                return host.strip().lower()
    region = (
        headers.get("x-cos-bucket-region")
        or headers.get("x-amz-bucket-region")
        or named.get("Region")
    )
    if (
        region
        and endpoint.region is not None
        and canonical_region(region.strip().lower()) != endpoint.region
    ):
        return f"the region {region.strip()[:40]}"
    return None


def _host_of(location: str | None) -> str | None:
    """The host of a Location; None where it has none or is no URL."""
    if not location:
        return None
    try:
        return urlsplit(location).hostname
    except ValueError:
        return None

"""Rules about S3 clients and hosts: framing that COS does not take off, and wrong endpoints."""

import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from cos_inspect.cos.aws_chunked import is_aws_chunked
from cos_inspect.cos.cos_exchange import REDIRECTS, CosExchange
from cos_inspect.cos.endpoint import read_endpoint
from cos_inspect.cos.error import read_xml_fields
from cos_inspect.cos.misspelt_host import (
    HostMistake,
    MisspeltHost,
    read_foreign_suffix,
    read_misspelt,
)
from cos_inspect.cos.region import canonical_region, documented_regions, was_never_set
from cos_inspect.model.flow_report import Check, Finding, Severity
from cos_inspect.rules.actors import sent_host
from cos_inspect.rules.bucket_in_path import bucket_in_path
from cos_inspect.rules.connection_cause import failure_of
from cos_inspect.rules.framing import begins_framed, framing_stored
from cos_inspect.rules.refusal import listed
from cos_inspect.rules.rule import Rule

_SETTINGS = ("request_checksum_calculation", "response_checksum_validation")

S3_FRAMING = Rule(
    id="s3-framing",
    group="access",
    severity=Severity.WARNING,
    title="An S3 client frames its uploads",
    when="an aws-chunked upload is refused, or its framing is stored inside the object (an error"
    " where the digests of an upload prove it, in place of crc64-mismatch and etag-mismatch)",
    cause="Newer AWS SDKs and tools add checksum trailers by default, in a framing that not every"
    " store takes off.",
    fix="Set request_checksum_calculation and response_checksum_validation to when_required in the"
    " client.",
    example="PutObject with x-amz-trailer, 411 MissingContentLength",
    of_transfer=True,
    checks=(
        "etag",
        "crc64",
    ),
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
        elif cos.succeeded and (by := framing_stored(cos)) is not None:
            yield _stored(
                f"COS's {by} is that of the framed body, not of the {_inner(cos)} bytes in it",
                by,
                Severity.ERROR,
            )
    elif cos.describes_object and response.status in (200, 206):
        if "aws-chunked" in (response.headers.get("content-encoding") or "").lower():
            yield _stored("Content-Encoding of the object still names aws-chunked", "header")
        elif response.status == 200 and begins_framed(response.body):
            yield _stored("the object begins with the size line of a chunk", "body")


def _inner(cos: CosExchange) -> int | str:
    payload = cos.request.body.payload
    return payload.size if payload is not None else "?"


def _stored(why: str, by: str, severity: Severity | None = None) -> Finding:
    seems = "is" if severity is Severity.ERROR else "seems to be"
    return S3_FRAMING.finding(
        f"The framing of an aws-chunked upload {seems} stored inside the object: {why}."
        f" Set {' and '.join(_SETTINGS)} to when_required and upload again.",
        severity=severity,
        how="stored",
        by=by,
        settings=list(_SETTINGS),
    )


ENDPOINT_MISTAKE = Rule(
    id="endpoint-mistake",
    group="access",
    severity=Severity.WARNING,
    title="The request went to the wrong host",
    when="the error, or of a request that failed the host alone, fits a wrong host: bucket without"
    " APPID or with two, a region that does not exist (undefined, empty, an old code), cos. missing"
    " or twice, path style, the bucket in host and path (a notice where an upload worked so), a CDN"
    " or website host for a write",
    cause="The endpoint, the region or the bucket's name in the client's settings is not the"
    " bucket's own, or was never filled in.",
    fix="Use <bucket>-<APPID>.cos.<region>.myqcloud.com, with the bucket in the host.",
    example="NoSuchBucket for examplebucket.cos.ap-guangzhou.myqcloud.com",
)

_APPID_TWICE = re.compile(r"([a-z0-9][a-z0-9-]*-([0-9]{5,12}))-\2")
_NO_SUCH_PLACE = frozenset(("InvalidURI", "NoSuchBucket", "InvalidBucketName"))
_READS = frozenset(("GET", "HEAD", "OPTIONS"))
_PLACES = frozenset(("default", "internal", "accelerate", "service"))


_TWICE = (
    "Take the bucket out of the path: switch the client to virtual-hosted style (addressing_style:"
    " virtual, force path style off); for a domain of one's own to the setting that takes the"
    " endpoint for the bucket."
)


def endpoint_mistake(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    response, endpoint = cos.response, cos.endpoint
    if sent_host(cos) is not None:
        # The proxy sent it to another one.
        return
    misspelt = _misspelt(cos)
    if misspelt is not None:
        yield misspelt_host(cos.request.host, misspelt)
        return
    twice = bucket_in_path(cos)
    if twice is not None:
        yield ENDPOINT_MISTAKE.finding(
            twice.detail,
            severity=Severity.NOTICE if twice.stored else None,
            fix=_TWICE,
            mistake="bucket-twice",
            host=cos.request.host,
            bucket=twice.bucket,
            key=twice.key,
        )
        return
    if response is None:
        yield from _unresolved(cos)
        return
    if response.status < 300 or endpoint.family not in ("xml", "website"):
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
    elif (
        code in _NO_SUCH_PLACE and endpoint.kind in _PLACES and endpoint.appid is None
    ) or _names_nothing(cos, code):
        yield _without_appid(cos)
    elif code in _NO_SUCH_PLACE and (once := _APPID_TWICE.fullmatch(endpoint.bucket or "")):
        yield ENDPOINT_MISTAKE.finding(
            f"The APPID stands twice at the end of the bucket {endpoint.bucket}.",
            fix=f"Give the bucket as {once[1]}; some clients add the APPID by themselves.",
            mistake="appid-twice",
            host=host,
            bucket=endpoint.bucket,
            right=once[1],
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


def _without_appid(cos: CosExchange) -> Finding:
    name, host = cos.endpoint.bucket, cos.request.host
    said = f"The bucket {name} does not end in an APPID." if name else f"{host} names no bucket."
    if _never_set(name):
        said = f"The bucket in {host} is {name!r}: the client's setting for it was never filled in."
    return ENDPOINT_MISTAKE.finding(
        said,
        fix="Give the bucket's full name, <name>-<APPID>.",
        mistake="no-appid" if name else "no-bucket",
        host=host,
        bucket=name,
    )


def _names_nothing(cos: CosExchange, code: str | None) -> bool:
    """Whether the bucket was never filled in; where no code says what failed, too: HEAD has none,
    nor has what some server in between answers for a host that it does not know."""
    response = cos.response
    return (
        response is not None
        and response.status >= 400
        and (code is None or code in _NO_SUCH_PLACE)
        and _never_set(cos.endpoint.bucket)
    )


def _never_set(bucket: str | None) -> bool:
    """``undefined``, ``undefined-undefined``, ``null-1250000000``, ``name-undefined``."""
    if bucket is None:
        return False
    return was_never_set(bucket.partition("-")[0]) or was_never_set(bucket.rpartition("-")[2])


def _unresolved(cos: CosExchange) -> Iterator[Finding]:
    """What is wrong with a host that does not exist, though it is put together as one of COS."""
    endpoint, host = cos.endpoint, cos.request.host
    if not _unreached(cos):
        return
    foreign = read_foreign_suffix(host)
    if foreign is not None:
        suffix, right = foreign
        ends = f"ends in {suffix}" if suffix else "has no suffix"
        yield ENDPOINT_MISTAKE.finding(
            f"{host} {ends}: hosts of COS end in myqcloud.com (or tencentcos.cn).",
            fix=f"Use {right}.",
            mistake="suffix",
            host=host,
            right=right,
        )
    elif (
        endpoint.kind in _PLACES
        and endpoint.bucket is not None
        and (endpoint.appid is None or _never_set(endpoint.bucket))
    ):
        yield _without_appid(cos)
    elif (
        endpoint.kind in _PLACES
        and endpoint.region is not None
        and (endpoint.region not in documented_regions())
    ):
        near = sorted(each for each in documented_regions() if each.startswith(endpoint.region))
        meant = f" {listed(near)} exists." if near else ""
        yield ENDPOINT_MISTAKE.finding(
            f"{host} does not exist, and {endpoint.region} is none of the regions of COS that its"
            f" documents list.{meant}",
            fix="Use the region that the console shows for the bucket, or make the bucket in one"
            " that COS has.",
            mistake="region-unknown",
            host=host,
            written=endpoint.region,
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
    if response.status in REDIRECTS:
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

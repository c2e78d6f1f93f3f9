"""The bucket's name in the path of a host that is the bucket already."""

import re

import msgspec

from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.cos.target import read_query

_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{0,49}-1[0-4][0-9]{8}")
"""A bucket with an APPID as they are given out: of ten digits, so that no date is one."""
_OF_BUCKETS = frozenset(("list-type", "prefix", "delimiter", "marker", "max-keys", "uploads"))
_LONGEST_SHOWN = 300
_FAILURES = frozenset((400, 403, 404, 405))


class BucketTwice(msgspec.Struct, frozen=True):
    """A bucket that stands in the host and in the path of one request."""

    bucket: str
    key: str
    """Shortened."""
    detail: str
    stored: bool
    """An object was stored under that key: nobody refused it."""


def bucket_in_path(cos: CosExchange) -> BucketTwice | None:
    """Where a request that failed, or an upload that worked, names the bucket in its host and in
    its path; None where it does not, or where that may be right."""
    key, endpoint = cos.endpoint.key, cos.endpoint
    if not key or endpoint.family not in ("xml", "website") or cos.response is None:
        return None
    first, _, rest = key.partition("/")
    if endpoint.kind == "custom":
        if not _BUCKET.fullmatch(first):
            return None
        # A signature is of the path: it reached COS as it is.
        is_stored = cos.operation.uploads_object and cos.succeeded and bool(rest)
        if is_stored and cos.signed.place == "header" and cos.from_cos:
            return _twice(cos, first, key, f"{cos.request.host} is a domain of one bucket")
        if not (_failed(cos) and _means_key(cos, first)):
            return None
        of_bucket = not rest and not _OF_BUCKETS.isdisjoint(read_query(cos.request.target).first)
        if not of_bucket and cos.response.status not in (404, 405):
            return None
        where = f"{cos.request.host} is a domain of one bucket"
    elif first == endpoint.bucket and endpoint.appid is not None:
        where = (
            f"the path names the bucket {first} already"
            if endpoint.path_style
            else f"{cos.request.host} is the host of that bucket"
        )
        if not _failed(cos) and not (cos.operation.uploads_object and cos.succeeded and rest):
            return None
    else:
        return None
    return _twice(cos, first, key, where)


def _twice(cos: CosExchange, first: str, key: str, where: str) -> BucketTwice:
    stored = cos.succeeded
    shown = key[:_LONGEST_SHOWN]
    return BucketTwice(
        first,
        shown,
        f"The bucket stands twice: {where}, and the path begins with {first}/ as in path style, so"
        f" that the key {'stored under' if stored else 'asked for'} is {shown}.",
        stored,
    )


def _failed(cos: CosExchange) -> bool:
    return cos.failed and cos.status in _FAILURES


def _means_key(cos: CosExchange, first: str) -> bool:
    """Whether COS took the name for a part of the key, as far as its answer tells: behind a
    gateway of somebody's own the path may rightly name the bucket."""
    resource = cos.error.resource if cos.error else None
    if not resource:
        return True
    path = resource if resource.startswith("/") else f"/{resource.partition('/')[2]}"
    return path.startswith(f"/{first}")

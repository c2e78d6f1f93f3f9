"""What a copy is made from: the value of x-cos-copy-source, and of its S3 sister.

The documents of COS (page 436/10881) want the host of the source bucket, a slash and the
URL-encoded key, ``examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com/a%20b.txt``, without a
scheme; ``?versionId=`` may follow. S3 clients name bucket and key.
"""

import re

import msgspec

from cos_inspect.cos.endpoint import read_endpoint
from cos_inspect.cos.misspelt_host import read_misspelt
from cos_inspect.cos.target import decode
from cos_inspect.model.headers import Headers

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_OWN = frozenset(("default", "internal", "accelerate", "legacy"))
"""Kinds of hosts under which a bucket's objects are read by their keys."""
_ZONES = (".myqcloud.com", ".tencentcos.cn", ".tencentcos.com")
_LONGEST = 4096
HEADERS = ("x-cos-copy-source", "x-amz-copy-source")


class CopySource(msgspec.Struct, frozen=True, kw_only=True):
    """The value of a copy's source header, taken apart."""

    header: str = "x-cos-copy-source"
    value: str
    host: str | None
    """None in the form of S3, which names the bucket alone."""
    bucket: str | None
    key: str | None
    """Percent-decoded."""
    version_id: str | None
    problems: tuple[str, ...]
    """What is wrong with it, in short phrases such as ``begins with a scheme``."""


def copy_source_of(headers: Headers) -> CopySource | None:
    """The source that a request names; None where it names none, or one too long to be read."""
    for name in HEADERS:
        value = headers.get(name)
        if value and len(value) <= _LONGEST:
            return read_copy_source(value, name)
    return None


def read_copy_source(value: str, header: str = HEADERS[0]) -> CopySource:
    """Takes a source apart, whatever is wrong with it. Never raises."""
    text = value.strip()
    s3 = header != HEADERS[0]
    problems = []
    scheme = _SCHEME.match(text)
    rest = text[scheme.end() :] if scheme else text
    if scheme:
        problems.append("begins with a scheme")
    path, _, query = rest.lstrip("/").partition("?")
    place, slash, key = path.partition("/")
    if not slash and "%2f" in place.lower():
        problems.append("the slash behind the host is escaped: only the key is to be URL-encoded")
        place, _, key = decode(place).partition("/")
    elif not key:
        problems.append("names no key")
    elif not s3:
        problems += _of_place(place, key, leading=rest.startswith("/"))
    if not text.isascii() or " " in text:
        problems.append("not URL-encoded")
    name, _, version = query.partition("=")
    if query and name.lower() != "versionid":
        problems.append("a question mark in the key is not URL-encoded")
    has_host = "." in place or ":" in place
    endpoint = read_endpoint(place.partition(":")[0].lower(), f"/{key}") if has_host else None
    bucket = endpoint.bucket if endpoint else place.partition(".cos")[0] if has_host else place
    in_path = endpoint is not None and endpoint.path_style
    return CopySource(
        header=header,
        value=text,
        host=place if has_host else None,
        bucket=bucket or None,
        key=(endpoint.key if endpoint and in_path else decode(key)) or None,
        version_id=version or None if name.lower() == "versionid" else None,
        problems=() if s3 else tuple(problems),
    )


def _of_place(place: str, key: str, *, leading: bool) -> list[str]:
    """What is wrong with where a source lies."""
    if "." not in place and ":" not in place:
        return [
            "names a bucket and a key, as S3 clients do in x-amz-copy-source, and no host: the form"
            " is host/key"
        ]
    found = ["begins with a slash"] if leading else []
    host = place.partition(":")[0].lower()
    endpoint = read_endpoint(host, f"/{key}")
    if endpoint is None:
        if host.endswith(_ZONES):
            found.append("its host is none of COS")
    elif endpoint.is_misspelt and (misspelt := read_misspelt(host)) is not None:
        found.append(f"its host cannot exist: {misspelt.right} is probably meant")
    elif endpoint.path_style or endpoint.bucket is None:
        found.append("its host names no bucket: the form is <bucket>-<APPID>.cos.<region>…/key")
    elif endpoint.kind not in _OWN:
        found.append(f"its host is a {endpoint.kind} host, not the bucket's own")
    elif endpoint.appid is None:
        found.append(f"its bucket {endpoint.bucket} does not end in an APPID")
    return found

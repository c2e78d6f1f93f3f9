"""Grammars of header values, by the names that the header table uses.

A checker takes a value without surrounding blanks and answers what is wrong
with it in short phrases; nothing wrong is an empty tuple. They are lenient on
purpose: a word that a newer service may have added, an empty optional request
header, or a masked id of a published sample is not an issue. Only what COS
documents as fixed is held against a value.
"""

import binascii
import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Final

import msgspec

from cos_inspect.cos.copy_source import read_copy_source
from cos_inspect.cos.request_id import read_request_id, trace_id_well_formed

type Checker = Callable[[str], tuple[str, ...]]

_FINE: Final = ()
_MAX_CRC64: Final = 2**64 - 1
_MAX_EXAMINED: Final = 65_536
_MAX_METADATA: Final = 2048
"""Bytes of one x-cos-meta-… header; COS documents, page 436/7749."""

_ETAG = re.compile(r'"(?:[0-9a-f]{32}(?:-[1-9][0-9]{0,4})?|[0-9a-f]{40})"')
_ETAG_TEXT = re.compile(r"(?:[0-9a-f]{32}(?:-[1-9][0-9]{0,4})?|[0-9a-f]{40})")
_WEAK_ETAG = re.compile(r'W/"[^"]*"')
# A server or CDN that compresses marks the tag: "…-gzip", "…--gzip" or "…;gzip".
_RECODED_ETAG = re.compile(
    r'"(?:[0-9a-f]{32}|[0-9a-f]{40})(?:-[1-9][0-9]{0,4})?(?:--?|;)(?:gzip|br|deflate|zstd)"'
)
_IMF_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?:0[1-9]|[12][0-9]|3[01]) "
    r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [0-9]{4} "
    r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60) GMT"
)
_OTHER_DATES = re.compile(
    r"[A-Z][a-z]{2},? .{5,30}|[A-Z][a-z]{5,8}, .{5,30}|[0-9]{4}-[0-9]{2}-[0-9]{2}[T ].{5,24}"
)
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
# Ids are base64 where they are known; '-' and '_' occur in ids of other services, '*' masks.
_ID = re.compile(r"[A-Za-z0-9+/=_.:-]+\**")
_HEX32 = re.compile(r"[0-9A-Fa-f]{32}")
_DIGEST_HEX = re.compile(r"(?:[0-9A-Fa-f]{32}|[0-9A-Fa-f]{40})")
_TOKENS = re.compile(
    r"[!#$%&'*+.^_`|~0-9A-Za-z-]++(?:[ \t]*+,[ \t]*+[!#$%&'*+.^_`|~0-9A-Za-z-]*+)*+"
)
_MEDIA_TYPE = re.compile(r"[^\s/;,]*/[^\s/;,]*(?:[ \t]*[;,].*)?", re.DOTALL)
_MOST_DIGITS = 20
"""Of a number; 2^64-1 has as many."""
_DIGITS = re.compile(r"[0-9]+")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_REGION = re.compile(r"[A-Za-z0-9-]+")
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^\s/?#@\[\]:]+)(?::[0-9]{0,5})?")
_CONTENT_RANGE = re.compile(r"bytes (?:([0-9]{1,20})-([0-9]{1,20})|\*)/([0-9]{1,20}|\*)", re.ASCII)
_ONE_RANGE = re.compile(r"bytes=(?:([0-9]{1,20})-([0-9]{0,20})|-[0-9]{1,20})", re.IGNORECASE)
_KMS_KEY = re.compile(r"[A-Za-z0-9:/_.-]+\**")
_VERSION = re.compile(r"\S+")
_RESTORE = re.compile(r'ongoing-request="(?:true|false)"(?:,\s*[a-z-]+="[^"]*")*')
_PARAMETERS = re.compile(r'[A-Za-z-]+="[^"]*"(?:[;,]\s*[A-Za-z-]+="[^"]*")*[;,]?')
_ISO_DATE = re.compile(
    r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](?:\.[0-9]{1,9})?"
    r"(?:Z|[+-][0-2][0-9]:?[0-5][0-9])"
)
_GRANTS = re.compile(r"[A-Za-z]+=[^,]*(?:,[ \t]*[A-Za-z]+=[^,]*)*,?")
# An algorithm that is not known is told as such (``tables/sse_algorithms.tsv``), not as malformed.
_ALGORITHM = re.compile(r"[A-Za-z0-9][A-Za-z0-9:/_.+-]{0,63}")
_ACLS = frozenset(
    {
        "default",
        "private",
        "public-read",
        "public-read-write",
        "authenticated-read",
        "bucket-owner-read",
        "bucket-owner-full-control",
    }
)
_DIRECTIVES = frozenset({"copy", "replaced", "replace"})
_CONNECTIONS = frozenset({"keep-alive", "close"})
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_BOOLEANS = frozenset({"true", "false"})


def _pattern(pattern: re.Pattern[str], issue: str) -> Checker:
    fullmatch, found = pattern.fullmatch, (issue,)

    def check(value: str) -> tuple[str, ...]:
        return _FINE if fullmatch(value) else found

    return check


def _one_of(words: frozenset[str], issue: str) -> Checker:
    """Compares without regard to case."""
    found = (issue,)

    def check(value: str) -> tuple[str, ...]:
        # Letters of other alphabets become Latin ones in lower case.
        return _FINE if value.isascii() and value.lower() in words else found

    return check


def text(_value: str) -> tuple[str, ...]:
    """Anything goes."""
    return _FINE


def _etag(value: str) -> tuple[str, ...]:
    if _ETAG.fullmatch(value):
        return _FINE
    if _WEAK_ETAG.fullmatch(value) or _RECODED_ETAG.fullmatch(value):
        return _FINE
    issues = []
    tag = value[1:-1]
    if len(value) < 2 or not value[0] == value[-1] == '"':
        issues.append("not quoted")
        tag = value.strip('"')
    if not _ETAG_TEXT.fullmatch(tag):
        upper = tag.isascii() and _ETAG_TEXT.fullmatch(tag.lower())
        issues.append("upper case" if upper else "not 32 hex digits, 32 with a part count, or 40")
    return tuple(issues)


def _etag_list(value: str) -> tuple[str, ...]:
    # Clients leave the quotes out and COS copes; only half a pair of quotes is a mistake.
    return ("unpaired quotes",) if value.count('"') % 2 else _FINE


def _crc64(value: str) -> tuple[str, ...]:
    if not _DIGITS.fullmatch(value):
        return ("not an unsigned decimal number",)
    if value[0] == "0" and len(value) > 1:
        return ("leading zeros",)
    if len(value) > 20 or (len(value) == 20 and int(value) > _MAX_CRC64):
        return ("larger than 2^64-1",)
    return _FINE


def _date(value: str) -> tuple[str, ...]:
    if _IMF_DATE.fullmatch(value):
        return _day(value)
    if len(value) < 64 and _OTHER_DATES.fullmatch(value) and value.isascii():
        return ("not an IMF-fixdate (Sun, 06 Nov 1994 08:49:37 GMT)",)
    return ("not a date",)


def _day(value: str) -> tuple[str, ...]:
    """Whether the day exists and is of that weekday."""
    try:
        day = date(int(value[12:16]), _MONTHS.index(value[8:11]) + 1, int(value[5:7]))
    except ValueError:
        return ("names a day that does not exist",)
    weekday = _WEEKDAYS[day.weekday()]
    return _FINE if value.startswith(weekday) else (f"that day is a {weekday}",)


def _iso_date(value: str) -> tuple[str, ...]:
    if not _ISO_DATE.fullmatch(value):
        return ("not a date and time (2023-10-13T09:13:10Z)",)
    try:
        # A leap second is none that Python knows.
        datetime.fromisoformat(value.replace(":60", ":59"))
    except ValueError:
        return ("names a time that does not exist",)
    return _FINE


def _base64_of(size: int, what: str) -> Checker:
    """Base64 with padding of exactly ``size`` bytes."""
    length = (size + 2) // 3 * 4

    def check(value: str) -> tuple[str, ...]:
        if _BASE64.fullmatch(value) and len(value) % 4 == 0 and len(value) <= _MAX_EXAMINED:
            found = len(value) // 4 * 3 - value.count("=")
            if found == size:
                return _FINE
            if found == 24 and size == 16 and _HEX32.fullmatch(value):
                return ("a hex digest, not base64",)
            return (f"{found} bytes after base64, not {size} {what}",)
        if _HEX32.fullmatch(value) and size == 16:
            return ("a hex digest, not base64",)
        return (f"not base64 ({length} characters)",)

    return check


def _base64(value: str) -> tuple[str, ...]:
    # URL-safe digits are let pass: which of the two alphabets is wanted differs between pages.
    return (
        _FINE if _BASE64.fullmatch(value.replace("-", "+").replace("_", "/")) else ("not base64",)
    )


def _kms_context(value: str) -> tuple[str, ...]:
    if len(value) > _MAX_EXAMINED:
        return _FINE
    try:
        document = binascii.a2b_base64(value.encode("ascii", "replace"), strict_mode=True)
    except ValueError:
        return ("not base64",)
    return _json_object(document)


def _json(value: str) -> tuple[str, ...]:
    if len(value) > _MAX_EXAMINED:
        return _FINE
    return _json_object(value.encode("utf-8", "replace"))


def _json_object(document: bytes) -> tuple[str, ...]:
    try:
        decoded = msgspec.json.decode(document)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return ("not JSON",)
    return _FINE if isinstance(decoded, dict) else ("not a JSON object",)


def _media_type(value: str) -> tuple[str, ...]:
    return _FINE if _MEDIA_TYPE.fullmatch(value) else ("not a media type",)


def _content_range(value: str) -> tuple[str, ...]:
    match = _CONTENT_RANGE.fullmatch(value)
    if match is None:
        return ("not of the form bytes first-last/size",)
    first, last, size = match.groups()
    if size == "*":
        return ("size of the object is absent",)
    if first is not None and not int(first) <= int(last) < int(size):
        return ("range does not fit the size",)
    return _FINE


def _range(value: str) -> tuple[str, ...]:
    match = _ONE_RANGE.fullmatch(value)
    if match is None:
        if "," in value and value[:6].lower() == "bytes=":
            return ("more than one range",)
        return ("not of the form bytes=first-last",)
    first, last = match.groups()
    if first and last and int(first) > int(last):
        return ("ends before it begins",)
    return _FINE


def _copy_range(value: str) -> tuple[str, ...]:
    issues = _range(value)
    if not issues and (value.endswith("-") or "=-" in value):
        return ("not of the form bytes=first-last",)
    return issues


def _copy_source(value: str) -> tuple[str, ...]:
    return read_copy_source(value).problems


def _integer(value: str) -> tuple[str, ...]:
    if not _DIGITS.fullmatch(value):
        return ("not a whole number",)
    return _FINE if len(value) <= _MOST_DIGITS else (f"more than {_MOST_DIGITS} digits",)


def _traffic_limit(value: str) -> tuple[str, ...]:
    issues = _integer(value)
    if issues:
        return issues
    if not 819_200 <= int(value) <= 838_860_800:
        return ("outside 819200-838860800 bit/s",)
    return _FINE


def _tags(value: str) -> tuple[str, ...]:
    return ("more than 10 tags",) if value.count("&") > 9 else _FINE


def size_of(value: str) -> int:
    """Bytes of a value on the wire."""
    return len(value) if value.isascii() else len(value.encode("utf-8", "surrogateescape"))


def _meta_value(value: str) -> tuple[str, ...]:
    size = size_of(value)
    if size <= _MAX_METADATA:
        return _FINE
    # A form's field is not kept beyond what is examined.
    shown = f"{size} bytes" if size < _MAX_EXAMINED else "64 KB or more"
    return (f"{shown}, more than 2 KB",)


def _meta_name(value: str) -> tuple[str, ...]:
    return ("underscore in the name", *_meta_value(value))


CHECKERS: Final[dict[str, Checker]] = {
    "acl": _one_of(_ACLS, "not one of the canned ACLs"),
    "amz-sse-algorithm": _pattern(_ALGORITHM, "not the name of an algorithm"),
    "base64": _base64,
    "boolean": _one_of(_BOOLEANS, "neither true nor false"),
    "connection": _one_of(_CONNECTIONS, "neither keep-alive nor close"),
    "content-range": _content_range,
    "copy-range": _copy_range,
    "copy-source": _copy_source,
    "crc64": _crc64,
    "customer-algorithm": _pattern(_ALGORITHM, "not the name of an algorithm"),
    "date": _date,
    "digest-hex": _pattern(_DIGEST_HEX, "not 32 or 40 hex digits"),
    "digits": _pattern(_DIGITS, "not digits"),
    "directive": _one_of(_DIRECTIVES, "neither Copy nor Replaced"),
    "etag": _etag,
    "etag-list": _etag_list,
    "grants": _pattern(_GRANTS, 'not of the form id="…"'),
    "host": _pattern(_HOST, "not a host"),
    "integer": _integer,
    "iso-date": _iso_date,
    "json": _json,
    "key256": _base64_of(32, "of key"),
    "kms-context": _kms_context,
    "kms-key-id": _pattern(_KMS_KEY, "not a key id"),
    "md5": _base64_of(16, "of MD5"),
    "media-type": _media_type,
    "meta-name": _meta_name,
    "meta-value": _meta_value,
    "parameters": _pattern(_PARAMETERS, 'not of the form name="…"'),
    "range": _range,
    "region": _pattern(_REGION, "not a region"),
    "request-id": _pattern(_ID, "not base64"),
    "restore": _pattern(_RESTORE, 'not of the form ongoing-request="…"'),
    "sse-algorithm": _pattern(_ALGORITHM, "not the name of an algorithm"),
    "tags": _tags,
    "text": text,
    "tokens": _pattern(_TOKENS, "not a list of words"),
    "trace-id": _pattern(_ID, "not base64"),
    "traffic-limit": _traffic_limit,
    "version-id": _pattern(_VERSION, "holds blanks"),
    "word": _pattern(_WORD, "not a word"),
}
"""Name of a grammar to its checker. Checkers never raise and take linear time."""


def _request_id_remark(value: str) -> tuple[str, ...]:
    form = read_request_id(value).form
    if form == "unrecognised":
        return ("not of the known form: base64 of time_address_process_counter in hex",)
    return ("base64 without its padding",) if form == "bad-padding" else _FINE


def _trace_id_remark(value: str) -> tuple[str, ...]:
    if value.strip(" \t").endswith("*") or trace_id_well_formed(value.strip(" \t")):
        return _FINE
    return ("not of the known form: base64 of 128 hex digits",)


REMARKS: Final[dict[str, Checker]] = {
    "request-id": _request_id_remark,
    "trace-id": _trace_id_remark,
}
"""What is worth a word and no fault: other services may make ids of another form."""

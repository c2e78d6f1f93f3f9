"""Fuzzed: values of headers. Each grammar that COS fixes is held against a second one,
written without regular expressions."""

import base64
import binascii
import json
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime

from cos_inspect.cos.clock import http_date, iso_date
from cos_inspect.cos.header_syntax import CHECKERS, REMARKS
from cos_inspect.cos.header_values import (
    read_content_range,
    read_crc64,
    read_etag,
    read_length,
    read_md5,
)
from cos_inspect.cos.headers import annotate, duplicates
from cos_inspect.cos.request_id import read_request_id, trace_id_well_formed
from cos_inspect.model.headers import MAX_FIELDS, MAX_VALUE, Headers
from cos_inspect.recording.message_heads import headers_of
from scripts.fuzz_judge import Target, agree, demand

_GRAMMARS = sorted(CHECKERS)
_HEX = frozenset("0123456789abcdef")
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_DATE = "%a, %d %b %Y %H:%M:%S GMT"


def _is_digits(text: str, most: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= most


def _is_crc64(value: str) -> bool:
    return _is_digits(value, 20) and str(int(value)) == value and int(value) < 2**64


def _is_base64_of(size: int) -> Callable[[str], bool]:
    def check(value: str) -> bool:
        try:
            return len(base64.b64decode(value, validate=True)) == size
        except ValueError:
            return False

    return check


def _is_etag(value: str) -> bool:
    quoted = len(value) > 1 and value[0] == value[-1] == '"'
    if value.startswith('W/"') and value.endswith('"') and len(value) > 3:
        return '"' not in value[3:-1]
    if not quoted:
        return False
    bare = value[1:-1]
    for mark in ("--", "-", ";"):
        for coding in ("gzip", "br", "deflate", "zstd"):
            if bare.endswith(mark + coding):
                return _is_tag(bare.removesuffix(mark + coding), 40)
    return _is_tag(bare, 32)


def _is_tag(bare: str, most_with_parts: int) -> bool:
    first, dash, count = bare.partition("-")
    if not set(first) <= _HEX or len(first) not in (32, 40):
        return False
    if not dash:
        return True
    return len(first) <= most_with_parts and _is_digits(count, 5) and count[0] != "0"


def _is_tokens(value: str) -> bool:
    words = [word.strip(" \t") for word in value.split(",")]
    return bool(words[0]) and all(set(word) <= _TOKEN for word in words)


def _is_date(value: str) -> bool:
    # A leap second has no datetime.
    seconds = value.replace(":60 GMT", ":59 GMT")
    try:
        moment = datetime.strptime(seconds, _DATE).replace(tzinfo=UTC)
    except ValueError:
        return False
    return format_datetime(moment, usegmt=True) == seconds


def _is_iso_date(value: str) -> bool:
    try:
        moment = datetime.fromisoformat(value.replace(":60", ":59"))
    except ValueError:
        return False
    return moment.tzinfo is not None


def _is_range(value: str) -> bool:
    unit, equals, span = value.partition("=")
    first, dash, last = span.partition("-")
    if unit.lower() != "bytes" or not unit.isascii() or not equals or not dash:
        return False
    if not first:
        return _is_digits(last, 20)
    return _is_digits(first, 20) and (
        not last or (_is_digits(last, 20) and int(first) <= int(last))
    )


def _is_content_range(value: str) -> bool:
    span, slash, total = value.removeprefix("bytes ").partition("/")
    if not value.startswith("bytes ") or not slash or not _is_digits(total, 20):
        return False
    first, dash, last = span.partition("-")
    if span == "*":
        return True
    numbers = dash and _is_digits(first, 20) and _is_digits(last, 20)
    return bool(numbers) and int(first) <= int(last) < int(total)


def _is_json_object(document: str | bytes) -> bool:
    try:
        return isinstance(json.loads(document), dict)
    except (ValueError, RecursionError):
        return False


def _is_context(value: str) -> bool:
    try:
        return _is_json_object(base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError):
        return False


def _one_of(*words: str) -> Callable[[str], bool]:
    return lambda value: value.isascii() and value.lower() in words


_EXACT: dict[str, Callable[[str], bool]] = {
    "boolean": _one_of("true", "false"),
    "connection": _one_of("keep-alive", "close"),
    "content-range": _is_content_range,
    "crc64": _is_crc64,
    "date": _is_date,
    "digest-hex": lambda value: len(value) in (32, 40) and set(value.lower()) <= _HEX,
    "digits": lambda value: value.isascii() and value.isdigit(),
    "directive": _one_of("copy", "replaced", "replace"),
    "etag": _is_etag,
    "integer": lambda value: _is_digits(value, 20),
    "key256": _is_base64_of(32),
    "md5": _is_base64_of(16),
    "range": _is_range,
    "tokens": _is_tokens,
    "traffic-limit": lambda value: _is_digits(value, 20) and 819_200 <= int(value) <= 838_860_800,
}
"""Accepts what the grammar accepts, and nothing else."""
_NEEDED: dict[str, Callable[[str], bool]] = {
    "acl": _one_of(
        "default", "private", "public-read", "public-read-write", "authenticated-read",
        "bucket-owner-read", "bucket-owner-full-control",
    ),
    "copy-range": _is_range,
    "copy-source": lambda value: "/" in value and value.isascii() and " " not in value.strip(),
    "etag-list": lambda value: value.count('"') % 2 == 0,
    "host": lambda value: not any(sign.isspace() for sign in value),
    "iso-date": _is_iso_date,
    "json": _is_json_object,
    "kms-context": _is_context,
    "media-type": lambda value: "/" in value,
    "parameters": lambda value: value.count('"') % 2 == 0 and "=" in value,
    "region": lambda value: value.isascii() and " " not in value,
    "request-id": str.isascii,
    "restore": lambda value: value.startswith('ongoing-request="'),
    "tags": lambda value: value.count("&") < 10,
    "trace-id": str.isascii,
    "version-id": lambda value: not any(sign.isspace() for sign in value),
    "word": lambda value: value.isascii() and value[0].isalpha(),
}  # fmt: skip
"""What every value that the grammar accepts has; it may ask for more."""


def _grammar(data: bytes) -> None:
    """The first line names the grammar, the rest is the value."""
    name, _, rest = data.partition(b"\n")
    grammar = name.decode("latin-1")
    if grammar not in CHECKERS:
        grammar = _GRAMMARS[sum(name) % len(_GRAMMARS)]
    # As ``issues`` gives it to a grammar.
    value = rest.decode("utf-8", "replace").strip(" \t")[:MAX_VALUE].strip(" \t")
    if not value:
        return
    found = CHECKERS[grammar](value)
    demand(isinstance(found, tuple) and all(found), f"{grammar}: {found!r} are no phrases")
    agree("the same value again", CHECKERS[grammar](value), found)
    if grammar in _EXACT:
        agree(f"{grammar} of {value!r:.100} is fine", not found, _EXACT[grammar](value))
    elif not found and grammar in _NEEDED:
        demand(_NEEDED[grammar](value), f"{grammar} accepts {value!r:.100}")
    if not found and grammar in REMARKS:
        remarks = REMARKS[grammar](value)
        demand(isinstance(remarks, tuple), "remarks are no phrases")
    _read(value, grammar, is_fine=not found)


def _read(value: str, grammar: str, *, is_fine: bool) -> None:
    """What a grammar accepts can be read; what is read can be written."""
    crc64, md5, etag = read_crc64(value), read_md5(value), read_etag(value)
    length, span = read_length(value), read_content_range(value)
    if is_fine and grammar == "crc64":
        agree("CRC-64", crc64, int(value))
    if is_fine and grammar == "md5":
        agree("MD5", md5, base64.b64decode(value).hex())
    if is_fine and grammar == "etag" and len(value) <= 128:
        demand(etag is not None, f"the good ETag {value!r} is not read")
    if is_fine and grammar == "content-range" and len(value) < 60 and "*" not in value:
        demand(span is not None, f"the good Content-Range {value!r} is not read")
    if crc64 is not None:
        agree("CRC-64 written and read", read_crc64(str(crc64)), crc64)
        demand(crc64 < 2**64, "a CRC-64 of more than 64 bits")
    if length is not None:
        agree("a length written and read", read_length(str(length)), length)
    if md5 is not None:
        written = base64.b64encode(bytes.fromhex(md5)).decode()
        agree("an MD5 written and read", read_md5(written), md5)
    if etag is not None and etag.kind != "other":
        agree("an ETag written and read", read_etag(f'"{etag.text}"'), etag)
    if span is not None:
        total = "*" if span.total is None else span.total
        written = f"bytes {span.first}-{span.last}/{total}"
        agree("a Content-Range written and read", read_content_range(written), span)


def _head(data: bytes) -> None:
    """A message's head: ``name: value`` lines."""
    fields = tuple(
        (name, value.strip(b" \t"))
        for name, _, value in (line.partition(b":") for line in data.split(b"\r\n"))
        if name
    )
    headers = headers_of(fields)
    agree("fields", len(headers), len(fields))
    agree("the same fields, indexed otherwise", Headers(headers.fields).first, headers.first)
    for side in ("request", "response"):
        found = annotate(headers, side)
        names = [name if len(name) <= MAX_VALUE else name[:1024] for name, _ in headers.fields]
        agree("names in order", [field.name for field in found], names[:MAX_FIELDS])
        agree("the same head again", annotate(headers, side), found)
        for name, values in duplicates(headers, side):
            demand(len(set(values)) > 1, f"{name} is told as repeated")


def _request_id(data: bytes) -> None:
    value = data.decode("utf-8", "replace")
    found = read_request_id(value)
    agree("the same id again", read_request_id(value), found)
    if found.form in ("hex4", "bad-padding"):
        demand(found.text is not None, "an id that was read has a text")
        written = base64.b64encode((found.text or "").encode()).decode()
        agree("an id written and read", read_request_id(written).text, found.text)
        if found.form == "hex4":
            agree("the text's base64", written.rstrip("="), value.strip().rstrip("="))
    if found.time is not None:
        demand(0 <= found.time < 2**32, "a time of more than 32 bits")
    if found.address is not None:
        octets = found.address.split(".")
        demand(len(octets) == 4 and all(int(octet) < 256 for octet in octets), "no IPv4 address")
    demand(found.form != "unrecognised" or found.text is None, "what is no id has a text")
    if trace_id_well_formed(value):
        text = base64.b64decode(value, validate=True)
        demand(len(text) == 128 and set(text.decode()) <= _HEX, f"{value!r:.60} is no trace id")


def _moment(data: bytes) -> None:
    value = data.decode("utf-8", "replace")
    for read in (http_date, iso_date):
        found = read(value)
        agree("the same moment again", read(value), found)
    found = http_date(value)
    if found is not None and 0 < found < 253_402_300_799:
        moment = datetime.fromtimestamp(int(found), UTC)
        written = format_datetime(moment, usegmt=True)
        agree("a date written and read", http_date(written), float(int(found)))
        agree("as ISO 8601", iso_date(moment.isoformat()), float(int(found)))


_WORDS = (
    b"etag\n", b"crc64\n", b"date\n", b"tokens\n", b"range\n", b"content-range\n", b"json\n",
    b"kms-context\n", b"md5\n", b"key256\n", b"copy-source\n", b"iso-date\n", b'W/"', b"-gzip",
    b"bytes=", b"bytes 0-1/2", b", ", b"; ", b"=", b'"', b"keep-alive", b"18446744073709551615",
    b"Thu, 02 Jan 2020 09:39:45 GMT", b"Feb", b"Sat, ", b"\xe2\x84\xaa", b"\xd9\xa3", b"==", b"\\u",
)  # fmt: skip

TARGETS = (
    Target(
        name="header-values",
        parses="the grammars of header values, and what checks read out of them",
        check=_grammar,
        words=_WORDS,
        short=20000,
        pump_every=4,
    ),
    Target(
        name="heads",
        parses="header lines of a message",
        check=_head,
        words=(
            b"\r\n", b": ", b"Content-Length: ", b"Transfer-Encoding: chunked", b"ETag: ",
            b"x-cos-meta-a_b: ", b"x-cos-hash-crc64ecma: ", b"Date: ", b"\xff", b"Connection: ",
        ),
    ),
    Target(
        name="request-ids",
        parses="x-cos-request-id and x-cos-trace-id",
        check=_request_id,
        words=(b"NWUw", b"_", b"=", b"*", b"Xzk=", b"xxxxxxxx"),
    ),
    Target(
        name="moments",
        parses="Date headers, and times in ISO 8601",
        check=_moment,
        words=(b"Thu, ", b" Jan ", b"GMT", b"+0800", b"T09:", b"Z", b"9999", b"0001", b"(a"),
    ),
)  # fmt: skip

"""What every check is made of: a comparison or a reason, and what can be read of a message."""

from collections.abc import Callable

from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.cos.header_values import announced_length, read_crc64, read_etag
from cos_inspect.model.exchange import Body, BodyEnd
from cos_inspect.model.flow_report import Check, CheckName, Side, SkipReason
from cos_inspect.model.headers import Headers
from cos_inspect.model.plain_text import shortened

_LONGEST_SHOWN = 200


def skipped(check: CheckName, body: Side, reason: SkipReason, expected: str | None = None) -> Check:
    """A check that was not made, because of ``reason``."""
    return Check(check=check, body=body, status="skipped", expected=expected, reason=reason)


def compared(check: CheckName, body: Side, expected: str, actual: str, *, same: bool) -> Check:
    """A check that was made. ``expected`` is what COS says, ``actual`` what the body is."""
    return Check(
        check=check,
        body=body,
        status="match" if same else "mismatch",
        expected=expected,
        actual=actual,
    )


def why_unread(
    headers: Headers, name: str, read: Callable[[str | None], object]
) -> SkipReason | None:
    """Why a header that is there says nothing that could be compared."""
    if name in headers.unread:
        return "not-inspected"
    value = headers.get(name)
    return "malformed" if value is not None and read(value) is None else None


def absence(body: Body, headers: Headers) -> SkipReason | None:
    """Why a body cannot be compared at all."""
    match body.end:
        case BodyEnd.NOT_CAPTURED:
            return "not-captured"
        case BodyEnd.NOT_INSPECTED:
            return "not-inspected"
        case BodyEnd.RE_ENCODED:
            return "re-encoded"
        case BodyEnd.CUT:
            return "incomplete"
        case BodyEnd.STOPPED:
            return "proxy-stopped"
        case BodyEnd.COMPLETE:
            # A record may be shorter than what went over the wire without saying so.
            length = announced_length(headers)
            return "incomplete" if length is not None and length > (body.size or 0) else None


def why_failed(cos: CosExchange) -> SkipReason | None:
    """Why an answer that is no success is compared with nothing; None for a success."""
    return None if cos.succeeded else "failed-request"


def same_etag(etag: str, md5: str) -> bool:
    """Whether an ETag as sent is this MD5 (32 lower-case hex digits)."""
    read = read_etag(etag)
    return read is not None and read.text == md5


def same_crc(header: str, crc64: int) -> bool:
    """Whether x-cos-hash-crc64ecma as sent is this CRC-64."""
    return read_crc64(header) == crc64


def short(value: str | None) -> str | None:
    """What is shown of a value that may be anything."""
    return None if value is None else shortened(value, _LONGEST_SHOWN)

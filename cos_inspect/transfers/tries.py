"""What counts of an exchange where it may be a retry, or be retried: how it ended, and why."""

from cos_inspect.transfers.account import Fact
from cos_inspect.transfers.fetched_ranges import answers_whole
from cos_inspect.transfers.observation import Observation

_LONGEST_CAUSE = 200
_RETRIED_STATUSES = frozenset({408, 429})
_RETRIED_CODES = frozenset(
    {"BadDigest", "InvalidDigest", "InvalidSHA1Digest", "RequestTimeout", "RequestTimeOut"}
)
"""Refusals that SDKs answer with another try of the same bytes (read in the iOS SDK)."""


class Try(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """One sending of one request."""

    cause: str | None = None
    """Why it failed; None for a success, and for what is no reason to try again."""
    refused: str | None = None
    """An answer of COS that only a marked retry makes a failed try."""
    succeeded: bool = False
    clock: bool = False
    """Refused for the time of its signature."""
    sdk_retry: bool = False
    """The SDK said so (``x-cos-sdk-retry``, or a second ``attempt`` in ``amz-sdk-request``)."""
    sign_start: int | None = None
    """Where its signing time begins, in Unix seconds by the client's clock."""
    host: str = ""
    md5: str | None = None
    crc64: int | None = None
    """Both of the request's body, where it passed whole."""
    sent: int = 0
    """Bytes of the body that passed."""
    size: int | None = None
    """Bytes of the body as announced, else as they passed."""
    stores: bool = False
    """The body is what is stored."""
    got: int = 0
    """Bytes of a whole object that came before its download broke off."""
    of: int | None = None
    """How many there are, as announced."""


def may_be_retried(one: Try) -> bool:
    """Whether the same may be asked again because of how it ended."""
    return one.cause is not None or one.refused is not None


def try_of(seen: Observation) -> Try:
    """What counts of an exchange where it may be a retry, or be retried."""
    cause, refused = _cause(seen)
    whole = (seen.announced or 0) <= (seen.sent_size or 0)
    return Try(
        flow_id=seen.flow_id,
        started=seen.started,
        ended=seen.ended,
        cause=cause,
        refused=refused,
        succeeded=seen.succeeded and cause is None,
        clock=_is_clock(seen),
        sdk_retry=seen.sdk_retry,
        sign_start=seen.sign_start,
        host=seen.host,
        # Of a body that broke off they are those of a piece, as it happens.
        md5=seen.md5 if whole else None,
        crc64=seen.crc64 if whole else None,
        sent=seen.sent_size or 0,
        size=seen.announced if seen.announced is not None else seen.sent_size,
        stores=seen.stores_body,
        got=(seen.answer_size or 0) if _left_download(seen) else 0,
        of=seen.content_length if _left_download(seen) else None,
    )


def _left_download(seen: Observation) -> bool:
    """A whole object broke off, asked for without a range, or by one from its first byte on."""
    if seen.operation != "GetObject" or not seen.answer_cut or seen.span is not None:
        return False
    return answers_whole(seen)


def _is_clock(seen: Observation) -> bool:
    """COS refused the signing time: by its code, or by the message of AccessDenied."""
    if seen.status != 403:
        return False
    if seen.error_code == "RequestTimeTooSkewed":
        return True
    if "request has expired" in (seen.error_message or "").lower():
        return True
    return seen.operation.startswith("Head") and seen.error_code is None


def _cause(seen: Observation) -> tuple[str | None, str | None]:
    status = seen.status
    if seen.stopped:
        return None, None
    if seen.redirected:
        # Whoever goes where he was sent does not try again.
        return None, None
    if status is None:
        return _words(seen.failure, "no response"), None
    if seen.answer_cut:
        # Whoever stops reading a success may just have had enough.
        text = _words(seen.failure, "the answer broke off")
        stopped = "client" in text.lower() and status < 300
        return (None, text) if stopped else (text, None)
    if seen.succeeded:
        return None, None
    named = f"{status} {seen.error_code}" if seen.error_code else str(status)
    if not seen.from_cos:
        named += ", not from COS"
    if status < 300:
        return (named if seen.error_code else None), None
    if status >= 500 or status in _RETRIED_STATUSES or seen.error_code in _RETRIED_CODES:
        return named, None
    if _is_clock(seen) and seen.error_code is not None:
        return named, None
    if status >= 300 and status != 304 and not seen.from_cos:
        return named, None
    return None, named


def _words(said: str | None, otherwise: str) -> str:
    """How the recorder named a failure, to stand inside a sentence."""
    return (said or otherwise)[:_LONGEST_CAUSE].rstrip(". ") or otherwise

"""Rules about a signature's form, its time and its token."""

from collections.abc import Iterator, Sequence

from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.cos.token import looks_temporary, wanted_token_name
from cos_inspect.model.flow_report import Check, Finding, Severity
from cos_inspect.rules.precondition import Precondition
from cos_inspect.rules.refusal import (
    OTHER_REASONS,
    clocks_of,
    code_of,
    is_early,
    listed,
    missing_of,
    over_policy,
    place_of,
    refused,
    whole_hours,
    zone_words,
)
from cos_inspect.rules.rule import PendingFinding, Rule

_DAY = 24 * 3600

SIGNATURE_MALFORMED = Rule(
    id="signature-malformed",
    group="signature",
    severity=Severity.ERROR,
    title="The signature cannot be read",
    when="a refused signature has q-… fields that are missing, repeated or unreadable",
    cause="It was put together by hand, cut, percent-encoded twice, or there are two of them.",
    fix="Send each of the seven q-… fields once, in Authorization or in the URL, not in both.",
    example="Authorization without q-key-time, answered 403",
    precondition=Precondition.TROUBLE,
)


def signature_malformed(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    if not refused(cos):
        return
    signature = cos.signature
    if signature is not None and signature.problems:
        yield SIGNATURE_MALFORMED.finding(
            f"The signature ({place_of(cos)}) cannot be read: {'; '.join(signature.problems[:8])}.",
            place=cos.signed.place,
            problems=list(signature.problems[:8]),
        )


SIGNATURE_EXPIRED = Rule(
    id="signature-expired",
    group="signature",
    severity=Severity.ERROR,
    title="The signature's time was over",
    when="a refused signature's sign or key time had ended when the request was sent",
    cause="The client's clock is behind, a time zone was taken for another, or the signature or"
    " URL was kept too long.",
    fix="Sign right before sending, with a clock set by network time and Unix seconds in UTC.",
    example="q-sign-time ended at 10:00:00, the request came at 10:05:00",
    precondition=Precondition.TROUBLE,
    of_clock=True,
)


def signature_expired(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    clocks = clocks_of(cos)
    if clocks is None or is_early(clocks):
        return
    late = round(clocks.earliest - clocks.end)
    if late <= 0:
        if not clocks.about_time or code_of(cos) == "RequestTimeTooSkewed" or over_policy(cos):
            return
        late = max(0, round(clocks.latest - clocks.end))
    offset = clocks.start - clocks.earliest
    hours = whole_hours(cos, offset)
    over = f"ended {late} s before" if late else "had ended, COS says, before"
    yield SIGNATURE_EXPIRED.finding(
        f"The signature's time {over} the request was sent (by {clocks.source})."
        + zone_words(hours),
        late_seconds=late,
        **clocks.evidence,
        skew_seconds=round(offset),
        whole_hours=hours,
    )


SIGNATURE_NOT_YET_VALID = Rule(
    id="signature-not-yet-valid",
    group="signature",
    severity=Severity.ERROR,
    title="The signature's time had not begun",
    when="a refused signature's sign or key time begins later than the request was sent",
    cause="The client's clock is ahead, a time zone was taken for another, or milliseconds were"
    " taken for seconds.",
    fix="Set the clock by network time and sign with Unix seconds in UTC.",
    example="q-sign-time begins at 18:00:00, the request came at 10:00:00: 8 h ahead",
    precondition=Precondition.TROUBLE,
    of_clock=True,
)


def signature_not_yet_valid(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    clocks = clocks_of(cos)
    if clocks is None or not is_early(clocks):
        return
    ahead = clocks.start - clocks.latest
    hours = whole_hours(cos, ahead)
    yield SIGNATURE_NOT_YET_VALID.finding(
        f"The signature's time begins {round(ahead)} s after the request came"
        f" (by {clocks.source})." + zone_words(hours),
        early_seconds=round(ahead),
        **clocks.evidence,
        skew_seconds=round(ahead),
        whole_hours=hours,
    )


SIGNATURE_INCOMPLETE = Rule(
    id="signature-incomplete",
    group="signature",
    severity=Severity.ERROR,
    title="The signature covers what was not sent",
    when="a refused signature's q-header-list or q-url-param-list names what the request does not"
    " have",
    cause="The HTTP library or the browser left a header out after signing, or the URL was built"
    " anew.",
    fix="Send everything that was signed, or take it out of the list before signing.",
    example="q-header-list=content-md5;host, but no Content-MD5",
    precondition=Precondition.TROUBLE,
)


def signature_incomplete(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    if not refused(cos):
        return
    missing = missing_of(cos)
    if missing is not None:
        headers, parameters = missing
        parts = []
        if headers:
            parts.append(f"q-header-list names {listed(headers)}")
        if parameters:
            parts.append(f"q-url-param-list names {listed(parameters)}")
        yield SIGNATURE_INCOMPLETE.finding(
            f"{' and '.join(parts)}, and the request does not have that.",
            headers=list(headers),
            parameters=list(parameters),
        )


SIGNATURE_LONG_LIVED = Rule(
    id="signature-long-lived",
    group="signature",
    severity=Severity.NOTICE,
    title="The signature holds for a long time",
    when="a signature is valid for more than 24 hours",
    cause="A URL was signed to be kept, or the expiry was set far ahead.",
    fix="Sign for minutes; whoever sees the signature can use it until it ends.",
    example="q-sign-time spans 7 days",
    precondition=Precondition.SIGNATURE,
    reads_values=False,
)


def signature_long_lived(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    signed = cos.signed
    if signed.start is None or signed.end is None:
        return
    seconds = signed.end - signed.start
    if seconds > _DAY:
        yield SIGNATURE_LONG_LIVED.finding(
            f"The signature ({place_of(cos)}) is valid for {round(seconds / 3600)} hours.",
            seconds=seconds,
            place=signed.place,
        )


TOKEN_MISSING = Rule(
    id="token-missing",
    group="signature",
    severity=Severity.WARNING,
    title="The token of a temporary key is not where COS looks for it",
    when="a request is refused by 403 or InvalidAccessKeyId, and its token stands under another"
    " header's name than this host reads, or is missing though the key is a temporary one",
    cause="The token was forgotten beside SecretId and SecretKey, or a CI host was given COS's"
    " header.",
    fix="Send x-cos-security-token (x-ci-security-token to CI hosts, x-amz-security-token with S3"
    " signatures) with every request of a temporary key.",
    example="403 InvalidAccessKeyId, no x-cos-security-token",
    joins=("secret-id",),
    precondition=Precondition.TROUBLE,
)


def token_missing(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    wanted = _wanted_token(cos)
    names = cos.token_names
    if wanted is None:
        return
    if names:
        yield TOKEN_MISSING.finding(
            f"The token stands under {listed(names)}; {cos.request.host} reads {wanted}.",
            wanted=wanted,
            sent=list(names),
        )
    elif code_of(cos) == "InvalidAccessKeyId" and looks_temporary(cos.signed.secret_id):
        yield TOKEN_MISSING.finding(
            f"There is no {wanted}, and the SecretId is longer than a permanent one.",
            wanted=wanted,
            sent=[],
        )


def token_sent_elsewhere(cos: CosExchange, checks: Sequence[Check]) -> Iterator[PendingFinding]:
    """Where the request has no token: it should, if its SecretId comes with one elsewhere."""
    wanted = _wanted_token(cos)
    if wanted is None or cos.token_names or not cos.signed.secret_id:
        return
    if next(token_missing(cos, checks), None) is None:
        yield PendingFinding(
            shown="with-token",
            finding=TOKEN_MISSING.finding(
                f"There is no {wanted}, and the same SecretId was seen with a token.",
                wanted=wanted,
                sent=[],
            ),
        )


def _wanted_token(cos: CosExchange) -> str | None:
    """The name under which a refused request should have its token and does not."""
    if not cos.failed or cos.signed.scheme == "none":
        return None
    code = code_of(cos)
    if (cos.status != 403 and code != "InvalidAccessKeyId") or code in OTHER_REASONS:
        return None
    wanted = wanted_token_name(cos.signed.scheme, cos.endpoint.family)
    names = cos.token_names
    return None if wanted in names or "token" in names else wanted

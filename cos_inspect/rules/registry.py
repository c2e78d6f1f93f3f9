"""All rules, in the order in which their findings are told."""

from functools import lru_cache

from cos_inspect.model.flow_report import CheckName
from cos_inspect.rules import (
    access,
    addressing,
    clock_skew,
    connection,
    encryption,
    error,
    headers,
    integrity,
    multipart,
    pace,
    retries,
    signature,
    signature_content,
    tracing,
    transfer,
    unintended_success,
)
from cos_inspect.rules.precondition import Preconditions
from cos_inspect.rules.rule import Finder, PendingFinder, Rule

FLOW_RULES: tuple[tuple[Rule, Finder], ...] = (
    (integrity.BODY_TRUNCATED, integrity.body_truncated),
    (addressing.S3_FRAMING, addressing.s3_framing),
    (integrity.CRC64_MISMATCH, integrity.crc64_mismatch),
    (integrity.ETAG_MISMATCH, integrity.etag_mismatch),
    (integrity.APPEND_MD5_MISMATCH, integrity.append_md5_mismatch),
    (integrity.CONTENT_MD5_MISMATCH, integrity.content_md5_mismatch),
    (encryption.SSE_NOT_APPLIED, encryption.sse_not_applied),
    (encryption.SSE_MISMATCH, encryption.sse_mismatch),
    (encryption.SSE_CUSTOMER_KEY_MD5_MISMATCH, encryption.sse_customer_key_md5_mismatch),
    (encryption.SSE_CONFLICT, encryption.sse_conflict),
    (encryption.SSE_ALGORITHM_UNKNOWN, encryption.sse_algorithm_unknown),
    (encryption.SSE_KEY_ID_MISSING, encryption.sse_key_id_missing),
    (encryption.SSE_KEY_EXPOSED, encryption.sse_key_exposed),
    (error.CONNECTION_FAILED, error.connection_failed),
    (error.ERROR_RESPONSE, error.error_response),
    (error.ERROR_IN_SUCCESS, error.error_in_success),
    (error.ERROR_BODY_MALFORMED, error.error_body_malformed),
    (tracing.NOT_FROM_COS, tracing.not_from_cos),
    (tracing.REQUEST_ID_MISSING, tracing.request_id_missing),
    (tracing.REQUEST_ID_MISMATCH, tracing.request_id_mismatch),
    (tracing.TRACE_ID_MISSING, tracing.trace_id_missing),
    (tracing.TRACE_ID_ON_SUCCESS, tracing.trace_id_on_success),
    (clock_skew.CLOCK_SKEW, clock_skew.clock_skew),
    (headers.HEADER_MALFORMED, headers.header_malformed),
    (headers.HEADER_DUPLICATED, headers.header_duplicated),
    (signature.SIGNATURE_MALFORMED, signature.signature_malformed),
    (signature.SIGNATURE_EXPIRED, signature.signature_expired),
    (signature.SIGNATURE_NOT_YET_VALID, signature.signature_not_yet_valid),
    (signature_content.SIGNATURE_BROKEN_BY_PROXY, signature_content.signature_broken_by_proxy),
    (signature.SIGNATURE_INCOMPLETE, signature.signature_incomplete),
    (signature_content.SIGNATURE_MISMATCH, signature_content.signature_mismatch),
    (signature_content.SIGNATURE_WRONG_KEY, signature_content.signature_wrong_key),
    (signature_content.SIGNATURE_HEADER_UNSIGNED, signature_content.signature_header_unsigned),
    (signature.TOKEN_MISSING, signature.token_missing),
    (access.POST_POLICY_FAILED, access.post_policy_failed),
    (access.CORS_REFUSED, access.cors_refused),
    (access.CORS_ETAG_HIDDEN, access.cors_etag_hidden),
    (addressing.ENDPOINT_MISTAKE, addressing.endpoint_mistake),
    (access.PERMANENT_KEY_ON_DEVICE, access.permanent_key_on_device),
    (access.CREDENTIALS_IN_CLEAR, access.credentials_in_clear),
    (signature.SIGNATURE_LONG_LIVED, signature.signature_long_lived),
    (unintended_success.PROCESSING_NOT_APPLIED, unintended_success.processing_not_applied),
    (unintended_success.KEY_ESCAPED_TWICE, unintended_success.key_escaped_twice),
    (unintended_success.FORCED_DOWNLOAD, unintended_success.forced_download),
    (integrity.CRC64_MISSING, integrity.crc64_missing),
    (integrity.ETAG_MISSING, integrity.etag_missing),
)
"""Rules that one exchange alone can decide."""


@lru_cache(maxsize=64)
def finders(preconditions: Preconditions, ignore: frozenset[str]) -> tuple[Finder, ...]:
    """What is to look at an exchange, in order; ``ignore`` are rule ids to leave out."""
    return tuple(
        find
        for rule, find in FLOW_RULES
        if rule.id not in ignore and preconditions.include(rule.precondition)
    )


@lru_cache(maxsize=64)
def finders_of_values(preconditions: Preconditions, ignore: frozenset[str]) -> tuple[Finder, ...]:
    """Those of ``finders`` that have to look at each of several exchanges which differ in nothing
    but values."""
    says_the_same = {find for rule, find in FLOW_RULES if not rule.reads_values}
    return tuple(find for find in finders(preconditions, ignore) if find not in says_the_same)


PENDING_RULES: tuple[tuple[Rule, PendingFinder], ...] = (
    (signature.TOKEN_MISSING, signature.token_sent_elsewhere),
    (signature_content.SIGNATURE_MISMATCH, signature_content.key_accepted_elsewhere),
)
"""Rules that wait for what other flows show of the same SecretId."""

TRANSFER_RULES: tuple[Rule, ...] = (
    multipart.MULTIPART_CRC64_MISMATCH,
    multipart.MULTIPART_ETAG_MISMATCH,
    multipart.MULTIPART_PART_INVALID,
    multipart.MULTIPART_ABANDONED,
    transfer.RANGE_CRC64_MISMATCH,
    transfer.OBJECT_CHANGED,
    multipart.UPLOAD_PROBABLY_COMPLETED,
    retries.RETRIED,
    retries.RETRY_BODY_DIFFERS,
    pace.SLOW_TRANSFER,
)
"""Rules that need several exchanges, or are about speed; a session applies them."""

CONNECTION_RULES: tuple[Rule, ...] = (connection.TLS_UNTRUSTED,)
"""Rules about connections that came to nothing; they stand in the summary alone."""

RULES: tuple[Rule, ...] = (
    *(rule for rule, _ in FLOW_RULES),
    *TRANSFER_RULES,
    *CONNECTION_RULES,
)
RULE_IDS: frozenset[str] = frozenset(rule.id for rule in RULES)

OF_TRANSFER: frozenset[str] = frozenset(rule.id for rule in RULES if rule.of_transfer)
OF_FAILURE: tuple[str, ...] = tuple(rule.id for rule in RULES if rule.of_failure)
OF_CLOCK: tuple[str, ...] = tuple(rule.id for rule in RULES if rule.of_clock)
SAID_ONCE: frozenset[str] = frozenset(rule.id for rule in RULES if rule.said_once)
CHECKS_OF_RULES: dict[str, tuple[CheckName, ...]] = {
    rule.id: rule.checks for rule in RULES if rule.checks
}
"""The checks whose mismatch a rule tells, by rule."""

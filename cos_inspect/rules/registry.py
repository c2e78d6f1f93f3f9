"""All rules, in the order in which their findings are told."""

from functools import lru_cache

from cos_inspect.rules import (
    access,
    addressing,
    clock_skew,
    connection,
    encryption,
    error,
    integrity,
    meant,
    signature,
    signature_content,
    tracing,
    transfer,
)
from cos_inspect.rules.precondition import Precondition, Preconditions
from cos_inspect.rules.rule import Finder, PendingFinder, Rule

_ANY, _TROUBLE = Precondition.ANY, Precondition.TROUBLE
_ENCRYPTION, _SIGNATURE, _CHANGE = (
    Precondition.ENCRYPTION,
    Precondition.SIGNATURE,
    Precondition.CHANGE,
)

FLOW_RULES: tuple[tuple[Rule, Finder, Precondition], ...] = (
    (integrity.BODY_TRUNCATED, integrity.body_truncated, _TROUBLE),
    (addressing.S3_FRAMING, addressing.s3_framing, _ANY),
    (integrity.CRC64_MISMATCH, integrity.crc64_mismatch, _TROUBLE),
    (integrity.ETAG_MISMATCH, integrity.etag_mismatch, _TROUBLE),
    (integrity.APPEND_MD5_MISMATCH, integrity.append_md5_mismatch, _TROUBLE),
    (integrity.CONTENT_MD5_MISMATCH, integrity.content_md5_mismatch, _TROUBLE),
    (encryption.SSE_NOT_APPLIED, encryption.sse_not_applied, _ENCRYPTION),
    (encryption.SSE_MISMATCH, encryption.sse_mismatch, _ENCRYPTION),
    (
        encryption.SSE_CUSTOMER_KEY_MD5_MISMATCH,
        encryption.sse_customer_key_md5_mismatch,
        _ENCRYPTION,
    ),
    (encryption.SSE_CONFLICT, encryption.sse_conflict, _ENCRYPTION),
    (encryption.SSE_ALGORITHM_UNKNOWN, encryption.sse_algorithm_unknown, _ENCRYPTION),
    (encryption.SSE_KEY_ID_MISSING, encryption.sse_key_id_missing, _ENCRYPTION),
    (encryption.SSE_KEY_EXPOSED, encryption.sse_key_exposed, _ENCRYPTION),
    (error.CONNECTION_FAILED, error.connection_failed, _TROUBLE),
    (error.ERROR_RESPONSE, error.error_response, _TROUBLE),
    (error.ERROR_IN_SUCCESS, error.error_in_success, _TROUBLE),
    (error.ERROR_BODY_MALFORMED, error.error_body_malformed, _TROUBLE),
    (tracing.NOT_FROM_COS, tracing.not_from_cos, _TROUBLE),
    (tracing.REQUEST_ID_MISSING, tracing.request_id_missing, _ANY),
    (tracing.REQUEST_ID_MISMATCH, tracing.request_id_mismatch, _TROUBLE),
    (tracing.TRACE_ID_MISSING, tracing.trace_id_missing, _TROUBLE),
    (tracing.TRACE_ID_ON_SUCCESS, tracing.trace_id_on_success, _ANY),
    (clock_skew.CLOCK_SKEW, clock_skew.clock_skew, _ANY),
    (integrity.HEADER_MALFORMED, integrity.header_malformed, _ANY),
    (integrity.HEADER_DUPLICATED, integrity.header_duplicated, _ANY),
    (signature.SIGNATURE_MALFORMED, signature.signature_malformed, _TROUBLE),
    (signature.SIGNATURE_EXPIRED, signature.signature_expired, _TROUBLE),
    (signature.SIGNATURE_NOT_YET_VALID, signature.signature_not_yet_valid, _TROUBLE),
    (
        signature_content.SIGNATURE_BROKEN_BY_PROXY,
        signature_content.signature_broken_by_proxy,
        _CHANGE,
    ),
    (signature.SIGNATURE_INCOMPLETE, signature.signature_incomplete, _TROUBLE),
    (signature_content.SIGNATURE_MISMATCH, signature_content.signature_mismatch, _TROUBLE),
    (
        signature_content.SIGNATURE_WRONG_KEY,
        signature_content.signature_wrong_key,
        _TROUBLE,
    ),
    (
        signature_content.SIGNATURE_HEADER_UNSIGNED,
        signature_content.signature_header_unsigned,
        _TROUBLE,
    ),
    (signature.TOKEN_MISSING, signature.token_missing, _TROUBLE),
    (access.POST_POLICY_FAILED, access.post_policy_failed, _TROUBLE),
    (access.CORS_REFUSED, access.cors_refused, _ANY),
    (access.CORS_ETAG_HIDDEN, access.cors_etag_hidden, _ANY),
    (addressing.ENDPOINT_MISTAKE, addressing.endpoint_mistake, _ANY),
    (access.PERMANENT_KEY_ON_DEVICE, access.permanent_key_on_device, _SIGNATURE),
    (access.CREDENTIALS_IN_CLEAR, access.credentials_in_clear, _ANY),
    (signature.SIGNATURE_LONG_LIVED, signature.signature_long_lived, _SIGNATURE),
    (meant.PROCESSING_NOT_APPLIED, meant.processing_not_applied, _ANY),
    (meant.KEY_ESCAPED_TWICE, meant.key_escaped_twice, _ANY),
    (meant.FORCED_DOWNLOAD, meant.forced_download, _ANY),
    (integrity.CRC64_MISSING, integrity.crc64_missing, _ANY),
    (integrity.ETAG_MISSING, integrity.etag_missing, _ANY),
)
"""Rules that one exchange alone can decide, and when they may find something."""


@lru_cache(maxsize=64)
def finders(occasions: Preconditions, ignore: frozenset[str]) -> tuple[Finder, ...]:
    """What is to look at an exchange, in order; ``ignore`` are rule ids to leave out."""
    return tuple(
        find
        for rule, find, occasion in FLOW_RULES
        if rule.id not in ignore and occasions.include(occasion)
    )


PENDING_RULES: tuple[tuple[Rule, PendingFinder], ...] = (
    (signature.TOKEN_MISSING, signature.token_sent_elsewhere),
    (signature_content.SIGNATURE_MISMATCH, signature_content.key_accepted_elsewhere),
)
"""Rules that wait for what other flows show of the same SecretId."""

TRANSFER_RULES: tuple[Rule, ...] = (
    transfer.MULTIPART_CRC64_MISMATCH,
    transfer.MULTIPART_ETAG_MISMATCH,
    transfer.MULTIPART_PART_INVALID,
    transfer.MULTIPART_ABANDONED,
    transfer.RANGE_CRC64_MISMATCH,
    transfer.OBJECT_CHANGED,
    transfer.UPLOAD_PROBABLY_COMPLETED,
    transfer.RETRIED,
    transfer.RETRY_BODY_DIFFERS,
    transfer.SLOW_TRANSFER,
)
"""Rules that need several exchanges, or are about speed; a session applies them."""

CONNECTION_RULES: tuple[Rule, ...] = (connection.TLS_UNTRUSTED,)
"""Rules about connections that came to nothing; they stand in the summary alone."""

RULES: tuple[Rule, ...] = (
    *(rule for rule, _, _ in FLOW_RULES),
    *TRANSFER_RULES,
    *CONNECTION_RULES,
)
RULE_IDS: frozenset[str] = frozenset(rule.id for rule in RULES)

OF_TRANSFER: frozenset[str] = frozenset(rule.id for rule in RULES if rule.of_transfer)
SAID_ONCE: frozenset[str] = frozenset(rule.id for rule in RULES if rule.said_once)

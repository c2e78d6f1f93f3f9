"""All rules, in the order in which their findings are told."""

from cos_inspect.rules import encryption, error, integrity, tracing
from cos_inspect.rules.rule import Finder, Rule

FLOW_RULES: tuple[tuple[Rule, Finder], ...] = (
    (integrity.BODY_TRUNCATED, integrity.body_truncated),
    (integrity.CRC64_MISMATCH, integrity.crc64_mismatch),
    (integrity.ETAG_MISMATCH, integrity.etag_mismatch),
    (integrity.CONTENT_MD5_MISMATCH, integrity.content_md5_mismatch),
    (encryption.SSE_NOT_APPLIED, encryption.sse_not_applied),
    (encryption.SSE_MISMATCH, encryption.sse_mismatch),
    (encryption.SSE_CUSTOMER_KEY_MD5_MISMATCH, encryption.sse_customer_key_md5_mismatch),
    (encryption.SSE_CONFLICT, encryption.sse_conflict),
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
    (tracing.CLOCK_SKEW, tracing.clock_skew),
    (integrity.HEADER_MALFORMED, integrity.header_malformed),
    (integrity.HEADER_DUPLICATED, integrity.header_duplicated),
    (integrity.CRC64_MISSING, integrity.crc64_missing),
    (integrity.ETAG_MISSING, integrity.etag_missing),
)
"""Rules that one exchange alone can decide."""

RULES: tuple[Rule, ...] = tuple(rule for rule, _ in FLOW_RULES)
RULE_IDS: frozenset[str] = frozenset(rule.id for rule in RULES)

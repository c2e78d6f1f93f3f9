"""The kinds of fault that the soak puts in, and what the addon has to find of each."""

import random
from collections.abc import Callable, Sequence

from scripts.soak_truth import Fault, pairs
from tests.origin.damage import Effect, abort_upload, flip_upload
from tests.origin.effects import (
    CRC,
    REQUEST_ID,
    TRACE_ID,
    add_header,
    drop_element,
    drop_headers,
    early,
    error,
    error_in_success,
    etag_unquoted,
    etag_upper_case,
    flip_body,
    malformed_error,
    no_reply,
    other_kms_key,
    page,
    replace_element,
    set_header,
    shift_date,
    shift_request_id,
    sse_answered_as,
    sse_not_echoed,
    stall,
    trace_id_on_success,
    truncate,
    wrong_crc,
    wrong_etag,
)

OTHER_ID = "NjBlMDYxODRfNjRiODJhMDlfMWUzNGFfMTJhMjg="
CRC_AND_ETAG = "crc64-mismatch error, etag-mismatch error"
REFUSED = "error-response warning"
Put = Callable[[random.Random, int], Sequence[Effect]]


def _always(*effects: Effect) -> Put:
    return lambda _random, _size: effects


def _flipped_upload(given: random.Random, size: int) -> Sequence[Effect]:
    return [flip_upload(given.randrange(max(1, size)))]


def _flipped_body(given: random.Random, _size: int) -> Sequence[Effect]:
    """From the end, for the size of the answer is not known yet; bodies have 1000 or more."""
    return [flip_body(-given.randrange(1, 1000))]


def _cut_body(given: random.Random, _size: int) -> Sequence[Effect]:
    return [truncate(given.randrange(1000), by_reset=given.random() < 0.5)]


def _cut_large_body(given: random.Random, _size: int) -> Sequence[Effect]:
    return [truncate(given.randrange(1_000_000), by_reset=given.random() < 0.5)]


def _fault(
    name: str,
    found: str,
    operation: str | None = None,
    effects: Put | None = None,
    *,
    also: str = "",
    last: str | None = None,
    around: str = "",
    transfer: str = "",
    connection: str = "",
    nth: int = 1,
    times: int = 1,
) -> Fault:
    return Fault(
        name,
        pairs(found),
        operation,
        effects,
        nth,
        times,
        pairs(also),
        None if last is None else pairs(last),
        pairs(around),
        pairs(transfer),
        pairs(connection),
    )


def _of_uploads(operation: str) -> tuple[Fault, ...]:
    """Where the answer is read by nobody but the addon, so that the client goes on."""
    return (
        _fault("upload-flipped", CRC_AND_ETAG, operation, _flipped_upload),
        _fault("upload-wrong-crc", "crc64-mismatch error", operation, _always(wrong_crc())),
        _fault("upload-wrong-etag", "etag-mismatch", operation, _always(wrong_etag())),
        _fault("crc-missing", "crc64-missing notice", operation, _always(drop_headers(CRC))),
        _fault("request-id-missing", "request-id-missing warning", operation,
               _always(drop_headers(REQUEST_ID, "x-amz-request-id"))),
        _fault("trace-on-success", "trace-id-on-success notice", operation,
               _always(trace_id_on_success())),
        _fault("clock-of-server", "clock-skew warning", operation, _always(shift_date(600))),
        _fault("clock-in-request-id", "clock-skew error", operation,
               _always(shift_request_id(-1800))),
        _fault("etag-unquoted", "header-malformed warning", operation, _always(etag_unquoted())),
        _fault("etag-twice", "header-duplicated warning", operation,
               _always(add_header("ETag", f'"{"0" * 32}"'))),
    )  # fmt: skip


def _of_downloads() -> tuple[Fault, ...]:
    operation = "GetObject"
    return (
        _fault("download-flipped", CRC_AND_ETAG, operation, _flipped_body),
        _fault("download-wrong-etag", "etag-mismatch", operation, _always(wrong_etag())),
        _fault("download-wrong-crc", "crc64-mismatch error", operation, _always(wrong_crc())),
        _fault("etag-missing", "etag-missing notice", operation, _always(drop_headers("ETag"))),
        _fault("etag-upper-case", "header-malformed warning", operation,
               _always(etag_upper_case())),
        _fault("date-unreadable", "header-malformed warning", operation,
               _always(set_header("Date", "yesterday"))),
        _fault("late-first-byte", "slow-transfer notice", operation, _always(stall(3.3))),
    )  # fmt: skip


def _of_refusals(operation: str) -> tuple[Fault, ...]:
    """After which the client gives up."""
    denied = error("AccessDenied")
    return (
        _fault("denied", REFUSED, operation, _always(denied)),
        _fault("trace-nowhere", f"{REFUSED}, trace-id-missing warning", operation,
               _always(denied, drop_headers(TRACE_ID), drop_element("TraceId"))),
        _fault("trace-in-body-alone", f"{REFUSED}, trace-id-missing notice", operation,
               _always(denied, drop_headers(TRACE_ID))),
        _fault("other-request-id", f"{REFUSED}, request-id-mismatch warning", operation,
               _always(denied, replace_element("RequestId", OTHER_ID))),
        _fault("error-cut", f"{REFUSED}, error-body-malformed warning", operation,
               _always(malformed_error())),
        _fault("portal", "not-from-cos warning", operation,
               _always(page(403, b"<html>Please sign in.</html>"))),
    )  # fmt: skip


def _of_busy_servers(operation: str) -> tuple[Fault, ...]:
    """After which the client tries again, and succeeds."""
    return (
        _fault("busy-then-retried", "error-response error", operation,
               _always(error("SlowDown")), last="retried notice"),
        _fault("unanswered-then-retried", "connection-failed error", operation,
               _always(no_reply()), last="retried notice"),
    )  # fmt: skip


STALL_SECONDS = 60.0
"""How long a server waits inside an answer, so that the client surely breaks off before."""
CUT = "body-truncated error"
CUT_BY_CLIENT = "body-truncated"
"""How severe it is depends on who broke off."""

FAULTS: dict[str, tuple[Fault, ...]] = {
    "python-small": (
        *_of_uploads("PutObject"),
        *_of_downloads(),
        *_of_refusals("GetObject"),
        *_of_busy_servers("PutObject"),
        _fault("download-cut", CUT, "GetObject", _cut_body, around="retried notice"),
    ),
    "python-large": (
        _fault("upload-flipped", CRC_AND_ETAG, "PutObject", _flipped_upload),
        _fault("upload-wrong-crc", "crc64-mismatch error", "PutObject", _always(wrong_crc())),
        _fault("download-flipped", CRC_AND_ETAG, "GetObject", _flipped_body),
        _fault("download-cut", CUT, "GetObject", _cut_large_body, around="retried notice"),
        *_of_refusals("PutObject"),
        *_of_busy_servers("PutObject"),
    ),
    "python-multipart": (
        _fault("part-flipped", CRC_AND_ETAG, "UploadPart", _flipped_upload, nth=2,
               around="multipart-crc64-mismatch error, object-changed notice",
               transfer="multipart-crc64-mismatch, crc64-mismatch, etag-mismatch"),
        _fault("whole-wrong-crc", "multipart-crc64-mismatch error", "CompleteMultipartUpload",
               _always(wrong_crc()), around="object-changed notice",
               transfer="multipart-crc64-mismatch"),
        _fault("refused-late", "error-in-success error", "CompleteMultipartUpload",
               _always(error_in_success()), transfer="multipart-abandoned, error-in-success"),
        _fault("part-refused", REFUSED, "UploadPart", _always(error("AccessDenied")), nth=2,
               transfer=f"multipart-abandoned, {REFUSED}"),
        *_of_busy_servers("UploadPart"),
    ),
    "python-ranges": (
        _fault("range-flipped", "", "GetObject", _flipped_body, nth=2,
               last="range-crc64-mismatch error", transfer="range-crc64-mismatch"),
        _fault("range-refused", REFUSED, "GetObject", _always(error("AccessDenied")), nth=2,
               transfer=REFUSED),
    ),
    "python-append": (
        _fault("piece-flipped", "crc64-mismatch error, append-md5-mismatch error", "AppendObject",
               _flipped_upload, nth=2,
               # From there on the object is not what was appended.
               around="crc64-mismatch error", transfer="crc64-mismatch, append-md5-mismatch"),
        _fault("piece-refused", REFUSED, "AppendObject", _always(error("AccessDenied")), nth=2,
               transfer=REFUSED),
    ),
    "python-encrypted": (
        _fault("sse-unconfirmed", "sse-not-applied error", "PutObject", _always(sse_not_echoed())),
        _fault("sse-as-other", "sse-mismatch error", "PutObject",
               _always(sse_answered_as("AES256"))),
        _fault("sse-other-key", "sse-mismatch error", "PutObject", _always(other_kms_key())),
    ),
    "python-signature": (
        _fault("signed-with-other-key",
               # The second where the key was accepted before: then it must be the right one.
               "signature-wrong-key error|signature-mismatch error, error-response warning"),
        _fault("signed-long-ago", "signature-expired error, error-response warning",
               also="clock-skew"),
        _fault("signed-for-other-method", "signature-mismatch error, error-response warning"),
    ),
    "boto3-small": (
        *(fault for fault in _of_uploads("PutObject") if fault.name != "crc-missing"),
        *_of_refusals("HeadObject")[:1],
        _fault("busy-then-retried", "error-response error", "PutObject",
               _always(error("SlowDown")), last="retried notice"),
        _fault("download-cut", CUT, "GetObject", _cut_body, around="retried notice"),
    ),
    "boto3-multipart": (
        _fault("part-flipped", CRC_AND_ETAG, "UploadPart", _flipped_upload,
               around="multipart-crc64-mismatch error",
               transfer="multipart-crc64-mismatch, crc64-mismatch, etag-mismatch"),
        _fault("busy-then-retried", "error-response error", "UploadPart",
               _always(error("SlowDown")), last="retried notice"),
    ),
    "node": (
        _fault("upload-flipped", CRC_AND_ETAG, "PutObject", _flipped_upload),
        _fault("upload-wrong-crc", "crc64-mismatch error", "PutObject", _always(wrong_crc())),
        _fault("busy-then-retried", "error-response error", "PutObject",
               _always(error("SlowDown")), last="retried notice"),
        _fault("denied", REFUSED, "GetObject", _always(error("AccessDenied"))),
        _fault("trace-nowhere", f"{REFUSED}, trace-id-missing warning", "GetObject",
               _always(error("AccessDenied"), drop_headers(TRACE_ID), drop_element("TraceId"))),
    ),
    "node-sliced": (
        # Its parts have a Content-MD5, by which the server itself refuses damaged ones.
        _fault("part-flipped", REFUSED, "UploadPart", _flipped_upload, last="retried notice",
               around="retried notice"),
        _fault("part-wrong-crc", "crc64-mismatch error", "UploadPart", _always(wrong_crc(77)),
               transfer="crc64-mismatch, multipart-crc64-mismatch",
               around="multipart-crc64-mismatch error"),
    ),
    "coscmd": (
        _fault("upload-wrong-crc", "crc64-mismatch error", "PutObject", _always(wrong_crc())),
        _fault("download-wrong-etag", "etag-mismatch", "GetObject", _always(wrong_etag())),
    ),
    "http2": (
        *_of_uploads("PutObject")[:4],
        *_of_downloads()[:5],
        *_of_refusals("GetObject")[:4],
        _fault("download-cut", CUT, "GetObject", _cut_large_body),
    ),
    "http2-abort": (
        _fault("client-resets-download", CUT_BY_CLIENT, "GetObject",
               _always(stall(STALL_SECONDS, after=500_000))),
    ),
    "raw": (
        _fault("upload-flipped", CRC_AND_ETAG, "PutObject", _flipped_upload),
        _fault("other-content-md5", "content-md5-mismatch error, error-response warning"),
        _fault("upload-aborted", CUT_BY_CLIENT),
        _fault("download-aborted", CUT_BY_CLIENT, "GetObject",
               _always(stall(STALL_SECONDS, after=500_000))),
        _fault("server-breaks-off", "body-truncated error|connection-failed error", "PutObject",
               lambda given, _: [abort_upload(given.randrange(100_000, 2_000_000))]),
        _fault("refused-early", REFUSED, "PutObject",
               lambda given, _: [early(error("AccessDenied"), given.randrange(100_000), True)]),
        # Where the server closes too, a proxy that is busy sending may not read the answer.
        _fault("refused-early-and-closed",
               "error-response warning|body-truncated error|connection-failed error", "PutObject",
               lambda given, _: [early(error("AccessDenied"), given.randrange(100_000))]),
    ),
    "untrusting": (
        _fault("client-without-the-ca", "", connection="tls-untrusted"),
    ),
}  # fmt: skip
"""By scenario (``soak_scenarios.py``). Scenarios that are not here are always clean."""

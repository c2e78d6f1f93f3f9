"""Rules about bodies that are not what their headers say."""

from collections.abc import Iterator, Sequence

from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.cos.endpoint import has_cos_marks
from cos_inspect.cos.header_values import read_md5
from cos_inspect.model.exchange import Body, BodyEnd
from cos_inspect.model.flow_report import Check, Finding, Severity, Side
from cos_inspect.model.headers import Headers
from cos_inspect.rules.actors import broke_off_evidence, changes_evidence, left_words
from cos_inspect.rules.framing import framing_stored
from cos_inspect.rules.precondition import Precondition
from cos_inspect.rules.rule import Rule


def _mismatches(checks: Sequence[Check], *names: str) -> Iterator[Check]:
    return (check for check in checks if check.status == "mismatch" and check.check in names)


def _other_digest(checks: Sequence[Check], name: str, side: Side) -> str | None:
    for check in checks:
        if check.check == name and check.body == side and check.status != "skipped":
            return check.status
    return None


def _body(cos: CosExchange, side: Side) -> Body | None:
    if side == "request":
        return cos.request.body
    return cos.response.body if cos.response else None


CRC64_MISMATCH = Rule(
    id="crc64-mismatch",
    group="integrity",
    severity=Severity.ERROR,
    title="The bytes are not those that COS's CRC-64 describes",
    when="x-cos-hash-crc64ecma differs from the CRC-64 of the body that passed, or of the"
    " object that an append makes",
    cause="Bytes were changed between the proxy and COS: a damaging middlebox, a bad disk or"
    " memory, or a header that belongs to another object.",
    fix="Send the transfer again and compare. If it fails the same way, give COS support the"
    " request id; for an upload, do not trust the stored object.",
    example="GetObject 200, 1,048,576 bytes, x-cos-hash-crc64ecma 16749565679157681890, but"
    " the body that passed has 7188322482464764960",
    of_transfer=True,
    joins=("transfer", "object"),
    precondition=Precondition.TROUBLE,
    checks=(
        "crc64",
        "append-crc64",
    ),
)


def crc64_mismatch(cos: CosExchange, checks: Sequence[Check]) -> Iterator[Finding]:
    if framing_stored(cos):
        # The rule s3-framing tells the cause.
        return
    for check in _mismatches(checks, "crc64", "append-crc64"):
        body = _body(cos, check.body)
        etag = _other_digest(checks, "etag", check.body)
        hint = {
            "match": " The ETag agrees with the body, so the CRC-64 header itself is in doubt.",
            "mismatch": " The ETag does not agree with the body either.",
            None: "",
        }[etag]
        yield CRC64_MISMATCH.finding(
            f"COS says CRC-64 {check.expected}, the {check.body} body has {check.actual}.{hint}",
            body=check.body,
            expected=check.expected,
            actual=check.actual,
            size=body.size if body else None,
        )


ETAG_MISMATCH = Rule(
    id="etag-mismatch",
    group="integrity",
    severity=Severity.ERROR,
    title="The ETag is not the MD5 of the bytes that passed",
    when="the ETag of a plain or SSE-COS object differs from the MD5 of its body; a warning where"
    " the CRC-64 of the same body agrees",
    cause="Bytes were changed between the proxy and COS, or the ETag belongs to another"
    " version of the object.",
    fix="Compare the CRC-64 as well: when it agrees, the bytes are whole and the ETag is in"
    " doubt; when it does not, send the transfer again.",
    example='PutObject 200, ETag "ee8de918d05640145b18f70f4c3aa602", body MD5'
    " 22e024392de860289f0baa7d6cf8a549",
    of_transfer=True,
    joins=("transfer", "object"),
    precondition=Precondition.TROUBLE,
    checks=("etag",),
)


_WHOLE = (
    " The CRC-64 agrees with the body, so the bytes are whole, and the ETag is something else than"
    " their MD5: "
)
_UNTOLD = (
    " No CRC-64 came that could tell damage from an ETag that is no MD5: an object made by"
    " AppendObject, or encrypted by KMS whose headers got lost."
)
_OF_OTHERS = (
    " Nothing in the answer is COS's own, and the ETags of other servers may be no MD5: of parts,"
    " of encrypted objects, or ids."
)
_NO_MD5: dict[Side, str] = {
    "request": "that of an encryption by KMS whose headers got lost, or of a gateway that makes"
    " ETags of its own.",
    "response": "most likely the object was made by AppendObject, whose ETags are ids of their own;"
    " else it is encrypted by KMS and the headers got lost.",
}


def etag_mismatch(cos: CosExchange, checks: Sequence[Check]) -> Iterator[Finding]:
    if framing_stored(cos):
        return
    for check in _mismatches(checks, "etag"):
        crc64 = _other_digest(checks, "crc64", check.body)
        whole = crc64 == "match"
        hint = _UNTOLD if check.body == "response" else ""
        who = "COS"
        if cos.response is None or not has_cos_marks(cos.response.headers):
            who, hint = "The server", _OF_OTHERS
        if crc64 == "mismatch":
            hint = " The CRC-64 does not agree with the body either."
        yield ETAG_MISMATCH.finding(
            f"{who} answered ETag {check.expected}, the {check.body} body has MD5"
            f" {check.actual}.{_WHOLE + _NO_MD5[check.body] if whole else hint}",
            severity=Severity.WARNING if whole else None,
            fix="Nothing needs to be sent again. Verify this object by its CRC-64, not by its ETag;"
            " HEAD tells by x-cos-object-type whether it was appended."
            if whole
            else None,
            body=check.body,
            expected=check.expected,
            actual=check.actual,
        )


APPEND_MD5_MISMATCH = Rule(
    id="append-md5-mismatch",
    group="integrity",
    severity=Severity.ERROR,
    title="The piece that COS appended is not the one that passed",
    when="x-cos-content-sha1 on the answer of AppendObject has 32 hex digits and is not the MD5 of"
    " the piece",
    cause="Bytes were changed between the proxy and COS, or the answer belongs to another append.",
    fix="Compare the object with what was meant: read it, or make it anew from position 0. The Go"
    " SDK reports such an append as failed although it is stored.",
    example="AppendObject 200, x-cos-content-sha1: 22e024392de860289f0baa7d6cf8a549, the piece has"
    " MD5 ee8de918d05640145b18f70f4c3aa602",
    of_transfer=True,
    precondition=Precondition.TROUBLE,
    checks=("append-md5",),
)


def append_md5_mismatch(cos: CosExchange, checks: Sequence[Check]) -> Iterator[Finding]:
    for check in _mismatches(checks, "append-md5"):
        yield APPEND_MD5_MISMATCH.finding(
            f"COS says MD5 {check.expected} (x-cos-content-sha1) for the piece at position"
            f" {cos.append_position}, the request body has {check.actual}.",
            expected=check.expected,
            actual=check.actual,
            position=cos.append_position,
            size=cos.request.body.size,
        )


CONTENT_MD5_MISMATCH = Rule(
    id="content-md5-mismatch",
    group="integrity",
    severity=Severity.ERROR,
    title="Content-MD5 is not the MD5 of the request's body",
    when="the request's Content-MD5 differs from the MD5 of the body that passed; a warning where"
    " the proxy had changed the body",
    cause="The body was damaged between the client and the proxy, or the client hashed"
    " something else: another buffer, or a text before its encoding.",
    fix="Hash exactly the bytes that are sent and encode the 16 raw bytes as Base64.",
    example="Content-MD5: 7o3pGNBWQBRbGPcPTDqmAg==, body MD5 IuAkOS3oYCifC6p9bPilSQ==",
    of_transfer=True,
    precondition=Precondition.TROUBLE,
    checks=("content-md5",),
)


def content_md5_mismatch(cos: CosExchange, checks: Sequence[Check]) -> Iterator[Finding]:
    for check in _mismatches(checks, "content-md5"):
        by = _replaced_by(cos, check.expected)
        changed = f" It is that of the client's body, which this proxy had changed ({by})."
        yield CONTENT_MD5_MISMATCH.finding(
            f"The request says {check.expected}, its body has {check.actual}."
            + (changed if by else ""),
            severity=Severity.WARNING if by else None,
            expected=check.expected,
            actual=check.actual,
            size=cos.request.body.size,
            **changes_evidence(cos),
        )


def _replaced_by(cos: CosExchange, content_md5: str | None) -> str | None:
    """Who changed a body whose Content-MD5 was right."""
    for change in cos.request.changes:
        if change.part == "body" and change.client:
            digest = change.client.rpartition("MD5 ")[2]
            return change.by if digest == read_md5(content_md5) else None
    return None


BODY_TRUNCATED = Rule(
    id="body-truncated",
    group="integrity",
    severity=Severity.ERROR,
    title="The body ended early",
    when="fewer bytes came than Content-Length announced, or the connection ended inside the body;"
    " a warning where the client itself broke off",
    cause="The sender went away: a lost network, an app that was put to sleep, a time-out, a"
    " cancelled transfer.",
    fix="Resume or repeat the transfer; an upload that was cut is not stored. Look at who ended"
    " the connection and after how long.",
    example="GetObject 200, Content-Length 1048576, 300000 bytes came before the server closed",
    of_transfer=True,
    precondition=Precondition.TROUBLE,
    checks=("content-length",),
)


def body_truncated(cos: CosExchange, checks: Sequence[Check]) -> Iterator[Finding]:
    request, response = cos.request, cos.response
    # A server that refuses while the upload is under way need not read the rest of it.
    refused = response is not None and response.status >= 300
    if ended_early("request", request.body, checks) and not refused:
        yield _truncated(cos, "request", request.headers, request.body)
    if response is not None and ended_early("response", response.body, checks):
        yield _truncated(cos, "response", response.headers, response.body)


def ended_early(side: Side, body: Body, checks: Sequence[Check]) -> bool:
    """The connection ended inside the body, or a whole body is shorter than announced."""
    return body.end is BodyEnd.CUT or any(
        check.check == "content-length"
        and check.body == side
        and check.status == "mismatch"
        and int(check.expected or 0) > (body.size or 0)
        for check in checks
    )


def _truncated(cos: CosExchange, side: Side, headers: Headers, body: Body) -> Finding:
    announced = headers.get("content-length")
    of = f" of {announced}" if announced else ""
    said = (cos.exchange.error or "").rstrip(". ")
    because = f" ({said})" if said else ""
    seen = f"before all{of} bytes had come" if body.size is None else f"after {body.size}{of} bytes"
    ended = f"The {side} body ended {seen}{because}."
    left = cos.exchange.broken_by_client
    return BODY_TRUNCATED.finding(
        f"{ended} {left_words(cos)}" if left else ended,
        severity=Severity.WARNING if left else None,
        fix=_OF_CLIENT if left else None,
        body=side,
        expected=announced,
        actual=body.size,
        error=cos.exchange.error,
        **broke_off_evidence(cos),
    )


_OF_CLIENT = (
    "Nothing, where the client meant to cancel; an upload that was cut is not stored. Else look at"
    " the client's time-outs, and at why it took so long."
)


CRC64_MISSING = Rule(
    id="crc64-missing",
    group="integrity",
    severity=Severity.NOTICE,
    title="A successful upload was answered without x-cos-hash-crc64ecma",
    when="PutObject or UploadPart succeeds and the answer has no CRC-64",
    cause="Something between COS and the client took the header away, or an old gateway answered.",
    fix="Check the upload by its ETag, or read the object's headers once more; SDKs that insist"
    " on the CRC-64 report a failure here.",
    example="PutObject 200 with an ETag and no x-cos-hash-crc64ecma",
    reads_values=False,
)


def crc64_missing(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    if (
        cos.operation.name in ("PutObject", "UploadPart")
        and not cos.operation.processed_upload
        and _plain_success(cos)
        and not cos.signed.scheme.startswith("aws")
        and cos.response is not None
        and "x-cos-hash-crc64ecma" not in cos.response.headers
        and not _is_directory_without_crc64(cos)
    ):
        yield CRC64_MISSING.finding(f"{cos.operation.name} succeeded without a CRC-64 to compare.")


def _is_directory_without_crc64(cos: CosExchange) -> bool:
    return "directory-crc64" in cos.endpoint.lacks and (cos.key or "").endswith("/")


ETAG_MISSING = Rule(
    id="etag-missing",
    group="integrity",
    severity=Severity.NOTICE,
    title="A success that carries an ETag came without one",
    when="an upload, a GET or a HEAD of an object succeeds and the answer has no ETag",
    cause="A proxy, a security box or a CDN rule took the header away.",
    fix="Let the ETag pass: multipart uploads cannot be completed without the parts' ETags.",
    example="UploadPart 200 without ETag, then CompleteMultipartUpload 400 InvalidPart",
    reads_values=False,
)


def etag_missing(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    operation = cos.operation
    if (
        (operation.uploads_object or cos.describes_object)
        and not operation.processed
        and not operation.processed_upload
        and cos.endpoint.kind != "website"
        and _plain_success(cos)
        and cos.response is not None
        and "etag" not in cos.response.headers
    ):
        yield ETAG_MISSING.finding(f"{operation.name} succeeded without an ETag.")


def _plain_success(cos: CosExchange) -> bool:
    """A success of COS's own making, whose answer no callback has shaped."""
    return cos.succeeded and cos.status != 303 and cos.from_cos and not cos.has_callback

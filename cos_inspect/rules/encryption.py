"""Rules about server-side encryption: asked for, confirmed, exposed."""

from collections.abc import Iterator, Sequence

from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.cos.encryption import Encryption, read_copy_source_encryption
from cos_inspect.cos.header_values import read_md5
from cos_inspect.model.flow_report import Check, Finding, Severity
from cos_inspect.rules.precondition import Precondition
from cos_inspect.rules.rule import Rule

_CONFIRMED_BY = frozenset(
    ("PutObject", "PutObjectCopy", "InitiateMultipartUpload", "PostObject", "UploadPart")
)
"""Operations whose success repeats the encryption that was asked for (COS documents,
pages 436/7728 and 436/7729). UploadPartCopy and AppendObject do not promise it."""

SSE_NOT_APPLIED = Rule(
    id="sse-not-applied",
    group="encryption",
    severity=Severity.ERROR,
    title="Encryption was asked for and is not confirmed",
    when="a request asks for server-side encryption and the success does not confirm it",
    cause="The object was stored in clear, or something on the way took the headers out of the"
    " request or out of the answer.",
    fix="Read the object's headers with HEAD. If they show no encryption either, the object is"
    " stored in clear: upload it again over a path that leaves headers alone.",
    example="PutObject with x-cos-server-side-encryption: AES256, 200 without that header",
    of_transfer=True,
    precondition=Precondition.ENCRYPTION,
)


def _unread(cos: CosExchange) -> bool:
    """A header of encryption is beyond what is read, so that the others tell half of it."""
    unread = cos.request.headers.unread
    if cos.response is not None:
        unread |= cos.response.headers.unread
    return any("-server-side-encryption" in name for name in unread)


def sse_not_applied(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    if _unread(cos):
        return
    if (
        cos.asked.mode != "none"
        and cos.confirmed.mode == "none"
        and cos.confirmed.anomaly is None
        and cos.operation.name in _CONFIRMED_BY
        and cos.succeeded
        and cos.status != 303
        and cos.from_cos
    ):
        yield SSE_NOT_APPLIED.finding(
            f"{cos.operation.name} asked for {cos.asked.mode}; the answer confirms no encryption.",
            asked=cos.asked.mode,
            confirmed="none",
        )


SSE_MISMATCH = Rule(
    id="sse-mismatch",
    group="encryption",
    severity=Severity.ERROR,
    title="Another encryption was confirmed than was asked for",
    when="the algorithm, KMS key or customer-key MD5 in the answer differs from the request's",
    cause="A bucket policy or gateway chose another encryption, answers were mixed up, or"
    " headers were rewritten on the way.",
    fix="Compare both sets of headers; check the bucket's default encryption and the KMS key id.",
    example="PutObject asked for cos/kms, 200 with x-cos-server-side-encryption: AES256",
    of_transfer=True,
    precondition=Precondition.ENCRYPTION,
)


_CALLED = {"kms_key_id": "KMS key id", "customer_key_md5": "customer-key MD5"}


def _differences(asked: Encryption, confirmed: Encryption) -> Iterator[tuple[str, str, str]]:
    if asked.mode != confirmed.mode:
        yield "mode", asked.mode, confirmed.mode
        return
    for what in ("algorithm", "kms_key_id", "customer_key_md5"):
        wanted, got = getattr(asked, what), getattr(confirmed, what)
        if wanted is None or got is None:
            continue
        if what == "algorithm" and asked.mode == "SSE-KMS":
            # Said as cos/kms, as aws:kms by S3 clients, and as AES256 on the English page.
            continue
        if what == "customer_key_md5":
            # What cannot be read is no other key.
            one, other = read_md5(wanted), read_md5(got)
            differ = one is not None and other is not None and one != other
        else:
            differ = wanted.lower() != got.lower()
        if differ:
            yield what, wanted, got


def sse_mismatch(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    if not cos.succeeded or "none" in (cos.asked.mode, cos.confirmed.mode) or _unread(cos):
        return
    if cos.confirmed.anomaly == "unknown-algorithm":
        # Whether it is another name for what was asked for is not known.
        return
    for what, wanted, got in _differences(cos.asked, cos.confirmed):
        if _malformed(cos, wanted) or _malformed(cos, got):
            # What cannot be read is nothing that could differ.
            continue
        yield SSE_MISMATCH.finding(
            f"Asked for {_CALLED.get(what, what)} {wanted}, confirmed was {got}.",
            what=what,
            asked=wanted,
            confirmed=got,
        )


SSE_CUSTOMER_KEY_MD5_MISMATCH = Rule(
    id="sse-customer-key-md5-mismatch",
    group="encryption",
    severity=Severity.ERROR,
    title="The customer key's MD5 is not that of the key sent",
    when="…-customer-key-MD5 of the request is not the MD5 of the key in …-customer-key",
    cause="The MD5 was made of the Base64 text instead of the 32 raw bytes, or key and MD5"
    " belong to two keys.",
    fix="Send the Base64 of the MD5 of the raw key; COS refuses the request otherwise.",
    example="…-customer-key-MD5: U5L61r7jcwdNvT7frmUG8g== beside another key",
    precondition=Precondition.ENCRYPTION,
    checks=("sse-customer-key-md5",),
)


def sse_customer_key_md5_mismatch(_cos: CosExchange, checks: Sequence[Check]) -> Iterator[Finding]:
    for check in checks:
        if (
            check.check == "sse-customer-key-md5"
            and check.body == "request"
            and check.status == "mismatch"
        ):
            yield SSE_CUSTOMER_KEY_MD5_MISMATCH.finding(
                f"The request says {check.expected}, the key sent has {check.actual}.",
                expected=check.expected,
                actual=check.actual,
            )


SSE_CONFLICT = Rule(
    id="sse-conflict",
    group="encryption",
    severity=Severity.WARNING,
    title="The encryption headers contradict each other",
    when="headers of more than one encryption mode stand together, or a set for SSE-C is not whole",
    cause="Two layers of a client both set encryption, or a header was lost.",
    fix="Send the headers of one mode only: x-cos-server-side-encryption (with a key id for"
    " KMS), or the three …-customer-… headers.",
    example="x-cos-server-side-encryption: AES256 together with …-customer-algorithm: AES256",
    precondition=Precondition.ENCRYPTION,
)


def sse_conflict(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    if _unread(cos):
        return
    sides = [("request", cos.asked)]
    if cos.from_cos:
        sides.append(("response", cos.confirmed))
    for side, encryption in sides:
        if encryption.anomaly not in (None, "unknown-algorithm"):
            yield SSE_CONFLICT.finding(
                f"In the {side}: {encryption.detail}.", side=side, anomaly=encryption.anomaly
            )
    source = read_copy_source_encryption(cos.request.headers)
    if source.anomaly not in (None, "unknown-algorithm"):
        yield SSE_CONFLICT.finding(
            f"In the request, of the copy's source: {source.detail}.",
            side="request",
            anomaly=source.anomaly,
            of="copy-source",
        )
    for key, whose in ((cos.customer_key, "request"), (cos.copy_source_key, "copy's source")):
        if key is not None and key.problem is not None:
            yield SSE_CONFLICT.finding(
                f"The customer key of the {whose} is unusable: {key.problem}.",
                side="request",
                anomaly="key-unusable",
            )


SSE_ALGORITHM_UNKNOWN = Rule(
    id="sse-algorithm-unknown",
    group="encryption",
    severity=Severity.NOTICE,
    title="An encryption that is not known here",
    when="a header of server-side encryption names an algorithm that the tables do not know",
    cause="COS has learned an algorithm since this was written, or the word is misspelt.",
    fix="Compare it with the document on server-side encryption (436/18145): AES256, SM4 and"
    " cos/kms were known when this was written, and AES256 for SSE-C.",
    example="GetObject 200 with x-cos-server-side-encryption: CHACHA20",
    precondition=Precondition.ENCRYPTION,
)


def sse_algorithm_unknown(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    sides = [("request", cos.asked), ("request", read_copy_source_encryption(cos.request.headers))]
    if cos.from_cos:
        sides.append(("response", cos.confirmed))
    found: dict[str, list[str]] = {}
    for side, encryption in sides:
        if encryption.anomaly == "unknown-algorithm" and not _malformed(cos, encryption.algorithm):
            found.setdefault(encryption.detail or "", []).append(side)
    for detail, where in found.items():
        yield SSE_ALGORITHM_UNKNOWN.finding(
            f"In the {' and the '.join(dict.fromkeys(where))}: {detail}.", sides=where
        )


def _malformed(cos: CosExchange, value: str | None) -> bool:
    """What is no name of an algorithm, or of a key, at all is told as a malformed header."""
    headers = (*cos.request_headers, *cos.response_headers)
    return any(
        header.issues and header.value.strip() == value and header.fact.category == "sse"
        for header in headers
    )


SSE_KEY_ID_MISSING = Rule(
    id="sse-key-id-missing",
    group="encryption",
    severity=Severity.NOTICE,
    title="SSE-KMS is confirmed without the key's id",
    when="a success of PutObject, PostObject, PutObjectCopy, InitiateMultipartUpload, GetObject or"
    " HeadObject confirms cos/kms and names no key",
    cause="Something on the way took x-cos-server-side-encryption-cos-kms-key-id out of the"
    " answer.",
    fix="Read the object's headers with HEAD over another path: which key encrypts it can be told"
    " by this header alone.",
    example="PutObject 200, x-cos-server-side-encryption: cos/kms and no …-cos-kms-key-id",
    precondition=Precondition.ENCRYPTION,
)

_NAMES_THE_KEY = frozenset(
    (
        "PutObject",
        "PostObject",
        "PutObjectCopy",
        "InitiateMultipartUpload",
        "GetObject",
        "HeadObject",
    )
)
"""Operations whose answers name the KMS key, the default one too (COS documents, 436/7729)."""


def sse_key_id_missing(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    confirmed = cos.confirmed
    if _unread(cos):
        return
    if (
        confirmed.mode == "SSE-KMS"
        and confirmed.kms_key_id is None
        and confirmed.anomaly is None
        and cos.operation.name in _NAMES_THE_KEY
        and cos.succeeded
        and cos.from_cos
        and not cos.signed.scheme.startswith("aws")
    ):
        asked = cos.asked.kms_key_id
        wanted = f" Asked for was {asked}." if asked else ""
        yield SSE_KEY_ID_MISSING.finding(
            f"{cos.operation.name} confirms {confirmed.algorithm} and names no key.{wanted}",
            asked=asked,
        )


SSE_KEY_EXPOSED = Rule(
    id="sse-key-exposed",
    group="encryption",
    severity=Severity.ERROR,
    title="A customer key went over plain HTTP",
    when="a request with an SSE-C key uses http://",
    cause="The client is configured for http, or built the URL itself.",
    fix="Switch the client to https and change the key: whoever was on the way has it.",
    example="PUT http://… with x-cos-server-side-encryption-customer-key",
    precondition=Precondition.ENCRYPTION,
)


def sse_key_exposed(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    if cos.request.scheme != "http":
        return
    for key, what in ((cos.customer_key, "key"), (cos.copy_source_key, "copy source's key")):
        if key is not None:
            yield SSE_KEY_EXPOSED.finding(
                f"The SSE-C {what} was sent in clear to {cos.request.host}."
            )

"""Rules about multipart uploads: what the parts make, the list of parts, how an upload ended."""

from collections.abc import Iterator
from typing import Any

from cos_inspect.model.flow_report import Finding, Severity
from cos_inspect.rules.rule import Rule
from cos_inspect.rules.transfer import MOST_NAMED, is_mismatch
from cos_inspect.transfers.multipart import Upload
from cos_inspect.transfers.multipart_verdict import CompleteVerdict, part_problem
from cos_inspect.transfers.observation import Observation, flow_of
from cos_inspect.transfers.unanswered_complete import UnansweredComplete

MULTIPART_CRC64_MISMATCH = Rule(
    id="multipart-crc64-mismatch",
    group="transfer",
    severity=Severity.ERROR,
    title="The object is not what its parts make",
    when="x-cos-hash-crc64ecma on CompleteMultipartUpload differs from the CRC-64 of the"
    " parts that passed, joined in part order",
    cause="A part was damaged behind the proxy, replaced by somebody else, or joined in"
    " another order.",
    fix="Do not trust the object: upload it again. Look in the part table for a part whose own"
    " check fails, and give COS support the request ids of it and of the Complete.",
    example="CompleteMultipartUpload 200, x-cos-hash-crc64ecma 7188322482464764960, but the 3"
    " parts that passed join to 16749565679157681890",
    joins=("transfer",),
    checks=("multipart-crc64",),
)


def multipart_crc64_mismatch(verdict: CompleteVerdict) -> Iterator[Finding]:
    if is_mismatch(verdict.crc64):
        hint = " It is that of the parts in the order listed." if verdict.order_as_listed else ""
        yield MULTIPART_CRC64_MISMATCH.finding(
            f"COS says CRC-64 {verdict.crc64.expected} for the object, the {verdict.parts}"
            f" parts that passed join to {verdict.crc64.actual}.{hint}",
            expected=verdict.crc64.expected,
            actual=verdict.crc64.actual,
            parts=verdict.parts,
        )


MULTIPART_ETAG_MISMATCH = Rule(
    id="multipart-etag-mismatch",
    group="transfer",
    severity=Severity.ERROR,
    title="The list of parts names other ETags than COS answered",
    when="CompleteMultipartUpload lists an ETag that COS did not answer for the part's last"
    " upload, or the N of the final …-N ETag is not the number of parts listed",
    cause="The client mixed up its parts, kept the ETag of an upload that a later one"
    " replaced, or computed ETags itself.",
    fix="List for each part the ETag that COS answered to its last upload.",
    example='part 2 listed with "108f528e…", but COS answered "22e02439…" for it',
    joins=("transfer",),
    checks=("multipart-etags",),
)


def multipart_etag_mismatch(verdict: CompleteVerdict) -> Iterator[Finding]:
    if not is_mismatch(verdict.etags):
        return
    evidence: dict[str, Any] = {
        "expected": verdict.etags.expected,
        "actual": verdict.etags.actual,
    }
    if verdict.wrong_etags:
        named = list(verdict.wrong_etags[:MOST_NAMED])
        evidence["parts"] = named
        detail = (
            f"Listed was {verdict.etags.expected}, COS answered {verdict.etags.actual}"
            f" ({len(verdict.wrong_etags)} of {verdict.parts} parts differ)."
        )
        if verdict.replaced:
            evidence["replaced"] = list(verdict.replaced[:MOST_NAMED])
            detail += (
                f" Part {verdict.replaced[0]} was uploaded again later; the list names the"
                " ETag of the earlier upload."
            )
    else:
        detail = (
            f"The request lists {verdict.etags.expected}, the object's ETag says"
            f" {verdict.etags.actual}."
        )
    yield MULTIPART_ETAG_MISMATCH.finding(detail, **evidence)


MULTIPART_PART_INVALID = Rule(
    id="multipart-part-invalid",
    group="transfer",
    severity=Severity.ERROR,
    title="A part breaks the rules of multipart uploads",
    when="a part number is outside 1-10000 or none, parts are listed out of order, twice or with"
    " an ETag that is none, a part is under 1 MiB and not the last, or over 5 GiB",
    cause="A client that counts from 0, sorts part numbers as text, or cuts parts too small.",
    fix="Number parts from 1, list each once in ascending order, and make all but the last"
    " between 1 MiB and 5 GiB.",
    example="CompleteMultipartUpload lists part 10 before part 2",
    joins=("transfer",),
    of_transfer=True,
)


def multipart_list_invalid(verdict: CompleteVerdict) -> Iterator[Finding]:
    if verdict.invalid:
        yield MULTIPART_PART_INVALID.finding(
            f"The list of parts is not valid: {'; '.join(verdict.invalid)}.",
            problems=list(verdict.invalid),
        )


def multipart_part_invalid(seen: Observation) -> Iterator[Finding]:
    if seen.operation not in ("UploadPart", "UploadPartCopy"):
        return
    problem = part_problem(seen.part_number, seen.size)
    if seen.no_part_number is not None:
        problem = f"part number {seen.no_part_number!r} is none"
    if problem is not None:
        yield MULTIPART_PART_INVALID.finding(
            f"This upload is not valid: {problem}.", problems=[problem], part=seen.part_number
        )


MULTIPART_ABANDONED = Rule(
    id="multipart-abandoned",
    group="transfer",
    severity=Severity.NOTICE,
    title="A multipart upload was neither completed nor aborted",
    when="parts were uploaded, and until the end of what was seen there was no successful"
    " Complete or Abort",
    cause="The upload is still under way, was given up, or its Complete failed.",
    fix="Resume it or abort it: its parts are stored and paid for until then. A lifecycle rule"
    " can remove such remains.",
    example="12 parts uploaded, then nothing more",
    joins=("transfer",),
)


def multipart_abandoned(upload: Upload) -> Finding:
    refused = (each for each in upload.completes.values() if each.error_code)
    last = max(refused, key=lambda each: each.order, default=None)
    because = f" Complete was refused with {last.error_code}." if last is not None else ""
    stored = {
        number
        for number, tries in upload.parts.items()
        if any(part.stored for part in tries.values())
    }
    count = len(stored | upload.listed.keys())
    were = "1 part was" if count == 1 else f"{count} parts were"
    return MULTIPART_ABANDONED.finding(
        f"{were} uploaded, and neither completed nor aborted.{because}",
        parts=count,
        upload_id=upload.upload_id,
    )


UPLOAD_PROBABLY_COMPLETED = Rule(
    id="upload-probably-completed",
    group="transfer",
    severity=Severity.WARNING,
    title="The upload is gone, probably because it was completed",
    when="NoSuchUpload or PathConflict after a CompleteMultipartUpload that timed out, broke off"
    " or was answered 5xx or 200 with an error; nothing where a later read shows the object",
    cause="COS completed the upload, but the answer did not reach the client, which asked again.",
    fix="Send HEAD for the object and compare size and CRC-64 before anything is uploaded again.",
    example="CompleteMultipartUpload without an answer, then again: 404 NoSuchUpload",
    joins=("transfer", "object"),
)


def upload_probably_completed(upload: Upload, unanswered: UnansweredComplete) -> Finding:
    return UPLOAD_PROBABLY_COMPLETED.finding(
        "An earlier CompleteMultipartUpload had no answer that says how it ended, and now COS does"
        " not know the upload any more, or is writing the object: it was probably completed.",
        complete=[flow_of(flow) for flow in unanswered.lost],
        upload_id=upload.upload_id,
    )

"""Rules about what several exchanges say together, and about speed."""

from collections.abc import Iterator
from typing import Any

from cos_inspect.model.flow_report import Check, CheckName, Finding, Severity, Side
from cos_inspect.rules.integrity import CRC64_MISMATCH
from cos_inspect.rules.rule import Rule
from cos_inspect.transfers.account import DigestComparison
from cos_inspect.transfers.appends import AppendVerdict
from cos_inspect.transfers.multipart import Upload
from cos_inspect.transfers.multipart_verdict import CompleteVerdict, part_problem
from cos_inspect.transfers.objects import CopyVerdict, ReadAfterWrite
from cos_inspect.transfers.observation import Observation, flow_of
from cos_inspect.transfers.pace import SLOW_BY_COS, Slowness, judge_pace
from cos_inspect.transfers.pieces import Coverage
from cos_inspect.transfers.ranges import GAP, VersionChange
from cos_inspect.transfers.retries import Chain
from cos_inspect.transfers.unanswered_complete import UnansweredComplete

_MOST_NAMED = 20


def check_of(name: CheckName, body: Side, comparison: DigestComparison) -> Check:
    """A comparison over several exchanges as the check of one of them."""
    if comparison.reason is not None:
        return Check(
            check=name,
            body=body,
            status="skipped",
            expected=comparison.expected,
            reason=comparison.reason,
        )
    return Check(
        check=name,
        body=body,
        status="match" if comparison.same else "mismatch",
        expected=comparison.expected,
        actual=comparison.actual,
    )


def is_mismatch(comparison: DigestComparison) -> bool:
    """Whether a comparison was made and failed."""
    return comparison.reason is None and not comparison.same


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
        named = list(verdict.wrong_etags[:_MOST_NAMED])
        evidence["parts"] = named
        detail = (
            f"Listed was {verdict.etags.expected}, COS answered {verdict.etags.actual}"
            f" ({len(verdict.wrong_etags)} of {verdict.parts} parts differ)."
        )
        if verdict.replaced:
            evidence["replaced"] = list(verdict.replaced[:_MOST_NAMED])
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
    refused = [complete.error_code for complete in upload.completes.values() if complete.error_code]
    because = f" Complete was refused with {refused[-1]}." if refused else ""
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


RANGE_CRC64_MISMATCH = Rule(
    id="range-crc64-mismatch",
    group="transfer",
    severity=Severity.ERROR,
    title="The ranges together are not the object",
    when="ranged GETs cover an object, and joined they differ from its x-cos-hash-crc64ecma",
    cause="One of the ranges was damaged on the way, or belongs to another version.",
    fix="Download the object again; if single ranges repeat with other bytes, look at what is"
    " between the client and COS.",
    example="4 ranges cover 4,000,000 bytes; COS says CRC-64 16749565679157681890, joined they"
    " have 7188322482464764960",
    joins=("transfer",),
    checks=("range-crc64",),
)


def range_crc64_mismatch(coverage: Coverage) -> Iterator[Finding]:
    if is_mismatch(coverage.check):
        yield RANGE_CRC64_MISMATCH.finding(
            f"{len(coverage.flows)} ranges cover the {coverage.size} bytes of the object; COS"
            f" says CRC-64 {coverage.check.expected}, joined they have"
            f" {coverage.check.actual}.",
            expected=coverage.check.expected,
            actual=coverage.check.actual,
            ranges=len(coverage.flows),
            size=coverage.size,
        )


OBJECT_CHANGED = Rule(
    id="object-changed",
    group="transfer",
    severity=Severity.WARNING,
    title="The object changed while it was in use",
    when="ETag, CRC-64 or version changed between the ranges of one download (ranges of one"
    f" client, less than {GAP:.0f} seconds apart, the earlier download neither whole nor begun"
    " anew); a notice where an object read is not the one that was written before, with no"
    " other write seen",
    cause="Somebody wrote the object while it was downloaded, or after it was written here.",
    fix="Send If-Match with the first ETag, or read one version by versionId; start the download"
    " over.",
    example='bytes 0-999 with ETag "ee8de918…", then bytes 1000-1999 with "22e02439…"',
    joins=("transfer", "object"),
)


def object_changed(change: VersionChange) -> Finding:
    names = ("etag", "crc64", "version_id")
    pairs = (change.etag, change.crc64, change.version_id)
    differences = [
        (name, before, after)
        for name, (before, after) in zip(names, pairs, strict=True)
        if before != after and before is not None and after is not None
    ]
    told = ", ".join(f"{name} {before} became {after}" for name, before, after in differences)
    evidence: dict[str, Any] = {
        name: [str(before), str(after)] for name, before, after in differences
    }
    return OBJECT_CHANGED.finding(
        f"Between two ranges of one download the object changed: {told}.",
        before=flow_of(change.before),
        **evidence,
    )


def object_rewritten(found: ReadAfterWrite) -> Iterator[Finding]:
    if not found.crc64.same:
        yield OBJECT_CHANGED.finding(
            f"This is not the object that was written before: it was written with CRC-64"
            f" {found.crc64.expected} and is read with {found.crc64.actual}. Somebody else"
            " wrote it in between.",
            severity=Severity.NOTICE,
            before=flow_of(found.write),
            crc64=[found.crc64.expected, found.crc64.actual],
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


RETRIED = Rule(
    id="retried",
    group="transfer",
    severity=Severity.NOTICE,
    title="The request was sent again after a failed try",
    when="the same request follows a failed try of the same client; stands on the last try",
    cause="Each failed try has its own: see the causes in the evidence.",
    fix="Nothing where it succeeded in the end; else look at the first failure.",
    example="UploadPart: 503 SlowDown, then 200 after 1.2 s",
    joins=("request",),
)


def retried(chain: Chain) -> Finding:
    count = len(chain.flows)
    lost = f"{chain.time_lost:.1f} s"
    if chain.time_lost < 1:
        lost = f"{chain.time_lost * 1000:.0f} ms"
    # The last try's own cause, where it failed as well, is that flow's.
    causes = "; ".join(chain.causes[: min(count - 1, _MOST_NAMED)])
    if chain.clock_corrected:
        detail = (
            f"The client's clock was wrong by about {abs(chain.clock_shift or 0)} s. COS refused"
            " its signing time, the SDK corrected its clock and succeeded: clock"
            f" self-corrected, {lost} lost."
        )
    else:
        end = "succeeded" if chain.succeeded else "did not succeed either"
        detail = f"Try {count} {end}, {lost} after the first began. Before: {causes}."
    if chain.host_switches:
        times = "once" if chain.host_switches == 1 else f"{chain.host_switches} times"
        detail += f" The host was switched {times}."
    evidence: dict[str, Any] = {}
    if chain.got_before is not None:
        got, size = chain.got_before
        detail += (
            f" {got} of {size} bytes had come before, and all were asked for again: the request"
            " has no Range."
        )
        evidence["bytes_again"] = got
    return RETRIED.finding(
        detail,
        fix=f"Resume with Range: bytes={evidence['bytes_again']}- and If-Match with the ETag of"
        " the first answer, so that only the rest is sent."
        if evidence
        else None,
        **evidence,
        tries=count,
        causes=list(chain.causes),
        hosts=list(chain.hosts),
        host_switches=chain.host_switches,
        time_lost_ms=round(chain.time_lost * 1000, 3),
        succeeded=chain.succeeded,
        clock_self_corrected=bool(chain.clock_corrected),
        flows=[flow_of(flow) for flow in chain.flows],
    )


RETRY_BODY_DIFFERS = Rule(
    id="retry-body-differs",
    group="transfer",
    severity=Severity.WARNING,
    title="The retry stored another body than the failed try sent",
    when="a try was stored whose body is not that of the failed try before it: empty, shorter"
    " (an error), or other bytes",
    cause="A stream that was not rewound before the second try, a file that changed meanwhile.",
    fix="Rewind the body before each try, or give the SDK a file or bytes in place of a stream;"
    " upload the object again.",
    example="PutObject: 4096 bytes without an answer, then 0 bytes, 200",
    joins=("request",),
    of_transfer=True,
)

_DIFFERENCES = {
    "empty": "is empty",
    "shorter": "is shorter: a piece of it",
    "other": "has other bytes",
}


def retry_body_differs(chain: Chain) -> Iterator[Finding]:
    found = chain.other_body
    if found is None:
        return
    before, after = found.sizes
    yield RETRY_BODY_DIFFERS.finding(
        f"The body that was stored {_DIFFERENCES[found.kind]}: {_bytes(after)}, and the failed try"
        f" had {_bytes(before)}. The checks agree with what was stored, and what"
        " should have been stored is not.",
        severity=Severity.WARNING if found.kind == "other" else Severity.ERROR,
        difference=found.kind,
        before=flow_of(found.before),
        sizes=[before, after],
    )


def _bytes(size: int | None) -> str:
    return "a size that is not known" if size is None else f"{size} bytes"


SLOW_TRANSFER = Rule(
    id="slow-transfer",
    group="transfer",
    severity=Severity.NOTICE,
    title="The transfer was slow",
    when="the first byte came later than 3 s, or a body over 1 MiB ran slower than 100 KiB/s",
    cause="As the evidence says: a traffic limit that was asked for, a wait for the server, a"
    " client that sends slowly, the network, or many tries.",
    fix="For traffic-limit, look at x-cos-traffic-limit; for server-wait, give COS support the"
    " request id; for client-stall and network, try another network, or global acceleration"
    " across borders; for many-tries, look at why the tries failed.",
    example="GetObject, 5,242,880 bytes in 54 s: 95 KiB/s, x-cos-traffic-limit 819200",
)

_REASON_TEXTS = {
    "traffic-limit": "x-cos-traffic-limit asks for it",
    "server-wait": "the server took its time",
    "client-stall": "the client sent slowly",
    "network": "the network, or the client that reads, is slow",
    "many-tries": "most of the time went into tries that failed",
}


def of_one(seen: Observation) -> Iterator[Finding]:
    """What one exchange alone tells of its transfer."""
    if seen.operation in ("UploadPart", "UploadPartCopy"):
        yield from multipart_part_invalid(seen)
    slow = judge_pace(seen)
    if slow is not None:
        yield slow_transfer(slow)


def slow_transfer(slow: Slowness) -> Finding:
    because = _REASON_TEXTS[slow.reason]
    evidence: dict[str, Any] = {"reason": slow.reason}
    if slow.wait is not None:
        evidence["wait_ms"] = round(slow.wait * 1000, 3)
    if slow.traffic_limit is not None:
        evidence["traffic_limit"] = slow.traffic_limit
    if slow.bytes_per_second is None:
        detail = f"The first byte came after {slow.wait or 0:.1f} s: {because}."
    else:
        evidence |= _speed(slow.bytes_per_second) | {"body": slow.side, "size": slow.size}
        detail = (
            f"{slow.size} bytes ran at {slow.bytes_per_second / 1024:.0f} KiB/s: {because}."
            " COS's documents call less than 8 Mbit/s slow."
        )
    return SLOW_TRANSFER.finding(detail, **evidence)


def slow_altogether(size: int, seconds: float, bytes_per_second: float, reason: str) -> Finding:
    """For a transfer of several exchanges."""
    return SLOW_TRANSFER.finding(
        f"{size} bytes took {seconds:.1f} s of exchanges, {bytes_per_second / 1024:.0f} KiB/s:"
        f" {_REASON_TEXTS[reason]}. COS's documents call less than 8 Mbit/s slow.",
        reason=reason,
        size=size,
        **_speed(bytes_per_second),
    )


def _speed(bytes_per_second: float) -> dict[str, Any]:
    bits = bytes_per_second * 8
    return {
        "bytes_per_second": round(bytes_per_second),
        "below_8_mbit": bits < SLOW_BY_COS,
    }


def append_mismatch(verdict: AppendVerdict, *, own: bool) -> Iterator[Finding]:
    """``own``: the exchange alone has already been found to differ."""
    said: list[str] = []
    evidence: dict[str, Any] = {"body": "request"}
    if is_mismatch(verdict.crc64) and not own:
        said.append(
            f"COS says CRC-64 {verdict.crc64.expected} for the object after this append, what"
            f" was appended makes {verdict.crc64.actual}."
        )
        evidence |= {"expected": verdict.crc64.expected, "actual": verdict.crc64.actual}
    if verdict.next_position is not None:
        told, follows = verdict.next_position
        said.append(
            f"COS says that the next append goes to {told}; after this one it is {follows}."
        )
        evidence |= {"next_position": told, "expected_next_position": follows}
    if said:
        yield CRC64_MISMATCH.finding(" ".join(said), **evidence)


def copy_mismatch(verdict: CopyVerdict) -> Iterator[Finding]:
    if is_mismatch(verdict.crc64):
        yield CRC64_MISMATCH.finding(
            f"COS says CRC-64 {verdict.crc64.expected} for the copy; its source, with the same"
            f" ETag, has {verdict.crc64.actual}.",
            expected=verdict.crc64.expected,
            actual=verdict.crc64.actual,
            source=None if verdict.source is None else flow_of(verdict.source),
        )

"""What the transfers known so far say of one of their exchanges."""

from collections.abc import Iterator

import msgspec

from cos_inspect.report.model import Check, Finding, SkipReason, TransferReport
from cos_inspect.rules import transfer as rules
from cos_inspect.rules.error import ERROR_RESPONSE
from cos_inspect.rules.integrity import ETAG_MISMATCH
from cos_inspect.rules.tracing import CLOCK_SKEW
from cos_inspect.transfers.account import skipped
from cos_inspect.transfers.appends import judge_append
from cos_inspect.transfers.multipart import Upload
from cos_inspect.transfers.multipart_verdict import (
    judge_complete,
    part_problem,
    probably_completed,
)
from cos_inspect.transfers.objects import judge_copy, read_after_write
from cos_inspect.transfers.observation import Observation
from cos_inspect.transfers.pace import judge_pace
from cos_inspect.transfers.ranges import transfer_id, version_name
from cos_inspect.transfers.retries import Chain
from cos_inspect.transfers.tracker import Tracker

CLOCK_RULES = frozenset(
    {ERROR_RESPONSE.id, CLOCK_SKEW.id, "signature-expired", "signature-not-yet-valid"}
)
"""Findings that are no more than notices once the SDK has corrected its clock."""


class Said(msgspec.Struct):
    """What is to be changed in the report that the exchange alone gives."""

    checks: list[Check] = []
    """In the place of those of the same name and body."""
    findings: list[Finding] = []
    transfer: TransferReport | None = None
    mute: frozenset[str] = frozenset()
    """Rules whose findings do not hold."""
    soften: frozenset[str] = frozenset()
    """Rules whose findings become notices."""

    @property
    def is_nothing(self) -> bool:
        return not (self.checks or self.findings or self.transfer or self.mute or self.soften)


def say(tracker: Tracker, seen: Observation) -> Said:
    said = Said()
    chain = tracker.chain_of(seen)
    attempt = chain.flows.index(seen.flow_id) + 1 if chain else None
    if seen.upload_id:
        _of_upload(tracker, seen, said, attempt)
    elif seen.operation == "AppendObject":
        _of_append(tracker, seen, said, attempt)
    elif seen.describes_object:
        _of_read(tracker, seen, said, attempt)
    elif seen.operation == "PutObjectCopy" and seen.succeeded:
        _of_copy(tracker, seen, said)
    slow = judge_pace(seen)
    if slow is not None:
        said.findings.append(rules.slow_transfer(slow))
    if chain is not None:
        _of_chain(seen, chain, said, attempt)
    return said


def _of_upload(tracker: Tracker, seen: Observation, said: Said, attempt: int | None) -> None:
    upload = tracker.upload_of(seen)
    if seen.operation in ("UploadPart", "UploadPartCopy"):
        said.findings.extend(rules.multipart_part_invalid(part_problem(seen), seen.part_number))
    if upload is None:
        return
    said.transfer = TransferReport(
        kind="multipart-upload", id=upload.upload_id, position=seen.part_number, attempt=attempt
    )
    if seen.operation == "UploadPart":
        reason = _no_md5(upload, seen)
        if reason is not None and seen.succeeded and seen.etag and seen.etag != seen.md5:
            etag = f'"{seen.etag}"'
            said.checks.append(
                Check(check="etag", body="request", status="skipped", expected=etag, reason=reason)
            )
            said.mute = frozenset((ETAG_MISMATCH.id,))
        return
    complete = upload.completes.get(seen.flow_id)
    if complete is not None:
        verdict = judge_complete(upload, complete)
        said.checks.append(rules.check_of("multipart-crc64", "request", verdict.crc64))
        said.checks.append(rules.check_of("multipart-etags", "request", verdict.etags))
        said.findings.extend(rules.multipart_crc64_mismatch(verdict))
        said.findings.extend(rules.multipart_etag_mismatch(verdict))
        said.findings.extend(rules.multipart_list_invalid(verdict))
    if seen.error_code == "NoSuchUpload" and probably_completed(upload) == seen.flow_id:
        said.findings.append(rules.upload_probably_completed(upload))


def _no_md5(upload: Upload, part: Observation) -> SkipReason | None:
    """Why the ETag of a part need not be an MD5, by the encryption of its upload."""
    mode, etag_form = upload.encryption
    if etag_form == "other":
        return "sse-kms" if mode == "SSE-KMS" else "sse-c"
    damaged = None not in (part.crc64, part.header_crc64) and part.crc64 != part.header_crc64
    return "not-md5" if etag_form == "unknown" and not damaged else None


def _of_append(tracker: Tracker, seen: Observation, said: Said, attempt: int | None) -> None:
    log = tracker.log_of(seen)
    if log is None or seen.flow_id not in log.appends:
        return
    said.transfer = TransferReport(
        kind="append", id=log.id, position=seen.append_position, attempt=attempt
    )
    verdict = judge_append(log, seen.flow_id)
    if verdict is None:
        return
    alone = seen.append_position == 0
    if not alone and verdict.crc64.reason is None:
        said.checks.append(rules.check_of("append-crc64", "request", verdict.crc64))
    said.findings.extend(rules.append_mismatch(verdict, own=alone))


def _of_read(tracker: Tracker, seen: Observation, said: Said, attempt: int | None) -> None:
    reading = tracker.reading_of(seen)
    changed = False
    if reading is not None:
        name = version_name(seen)
        if reading.is_ranged(name):
            said.transfer = TransferReport(
                kind="ranged-download",
                id=transfer_id(reading, name),
                position=seen.span[0] if seen.span else 0,
                attempt=attempt,
            )
        coverage = reading.coverages.get(name)
        if coverage is not None and coverage.closer == seen.flow_id and seen.span is not None:
            check = coverage.check
            if check.reason == "no-header" and seen.crc64_unread is not None:
                check = skipped(seen.crc64_unread)
            said.checks.append(rules.check_of("range-crc64", "response", check))
            said.findings.extend(rules.range_crc64_mismatch(coverage))
        change = reading.changes.get(name)
        if change is not None and change.flow_id == seen.flow_id:
            changed = True
            said.findings.append(rules.object_changed(change))
    if seen.answer_md5 not in (None, seen.etag) and tracker.appended(seen):
        skip = Check(
            check="etag",
            body="response",
            status="skipped",
            expected=f'"{seen.etag}"',
            reason="append",
        )
        said.checks.append(skip)
        said.mute = frozenset((ETAG_MISMATCH.id,))
    content = tracker.content_of(seen)
    if content is not None and not changed:
        found = read_after_write(content, seen.flow_id)
        if found is not None:
            said.findings.extend(rules.object_rewritten(found))


def _of_copy(tracker: Tracker, seen: Observation, said: Said) -> None:
    content = tracker.content_of(seen)
    copy = content.copies.get(seen.flow_id) if content else None
    if copy is None:
        return
    verdict = judge_copy(copy, tracker.source_of(seen))
    if seen.crc64_unread is not None:
        said.checks.append(rules.check_of("crc64", "request", skipped(seen.crc64_unread)))
    elif verdict.crc64.reason is None:
        said.checks.append(rules.check_of("crc64", "request", verdict.crc64))
    if seen.etag_unread:
        said.checks.append(rules.check_of("etag", "request", skipped("malformed")))
    elif verdict.etag.reason is None:
        said.checks.append(rules.check_of("etag", "request", verdict.etag))
    said.findings.extend(rules.copy_mismatch(verdict))


def _of_chain(seen: Observation, chain: Chain, said: Said, attempt: int | None) -> None:
    if said.transfer is None:
        said.transfer = TransferReport(kind="retry", id=chain.id, position=attempt, attempt=attempt)
    if seen.flow_id == chain.flows[-1]:
        said.findings.append(rules.retried(chain))
    if seen.flow_id in chain.clock_corrected:
        said.soften = CLOCK_RULES


def amended(
    checks: list[Check], findings: list[Finding], said: Said, ignore: frozenset[str]
) -> tuple[list[Check], list[Finding]]:
    """The checks and findings of an exchange with what the transfers say of it."""
    return list(_checks(checks, said)), list(_findings(findings, said, ignore))


def _checks(checks: list[Check], said: Said) -> Iterator[Check]:
    better = {(check.check, check.body): check for check in said.checks}
    for check in checks:
        yield better.pop((check.check, check.body), check)
    yield from better.values()


def _findings(findings: list[Finding], said: Said, ignore: frozenset[str]) -> Iterator[Finding]:
    for finding in findings:
        if finding.rule in said.mute:
            continue
        if finding.rule in said.soften:
            yield msgspec.structs.replace(
                finding,
                severity=rules.RETRIED.severity,
                detail=f"{finding.detail} The SDK then corrected its clock and succeeded.",
            )
        else:
            yield finding
    for finding in said.findings:
        if finding.rule not in ignore:
            yield finding

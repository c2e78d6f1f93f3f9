"""The second look: what everything that was seen of an object says of one of its flows."""

from collections.abc import Iterator

import msgspec

from cos_inspect.inspection.redaction import KnownSecrets, Redactor
from cos_inspect.inspection.secret_free_texts import names_secrets
from cos_inspect.model.flow_report import Check, Finding, SkipReason, TransferReport, Unmasked
from cos_inspect.rules import multipart as multipart_rules
from cos_inspect.rules import retries as retry_rules
from cos_inspect.rules import transfer as rules
from cos_inspect.rules.error import ERROR_IN_SUCCESS, ERROR_RESPONSE
from cos_inspect.rules.integrity import ETAG_MISMATCH
from cos_inspect.rules.registry import OF_CLOCK, OF_FAILURE
from cos_inspect.rules.rule import PendingFinding
from cos_inspect.rules.unintended_success import KEY_ESCAPED_TWICE
from cos_inspect.transfers.account import skipped
from cos_inspect.transfers.appends import judge_append
from cos_inspect.transfers.history import ObjectHistory
from cos_inspect.transfers.invalid_part import part_trouble
from cos_inspect.transfers.multipart import Upload
from cos_inspect.transfers.multipart_verdict import judge_complete
from cos_inspect.transfers.object_versions import version_name
from cos_inspect.transfers.objects import CopyVerdict, read_after_write
from cos_inspect.transfers.observation import Observation, writes_object
from cos_inspect.transfers.ranges import transfer_id
from cos_inspect.transfers.retries import ChainPosition
from cos_inspect.transfers.unanswered_complete import unanswered_complete, why_gone, words_of_open

_MOST_TRIES = 20
_CLOCK = "The SDK then corrected its clock and succeeded."
_COMPLETED = (
    "The upload was completed all the same: a later HEAD, GET or list shows the object that its"
    " parts make."
)


class Revision(msgspec.Struct, omit_defaults=True):
    """What is to be changed in the report that an exchange alone gives."""

    checks: list[Check] = []
    """In the place of those of the same name and body."""
    findings: list[Finding] = []
    transfer: TransferReport | None = None
    mutes: list[Unmasked] = []
    """Rules whose findings do not hold."""
    softens: dict[str, str] = {}
    """Rules whose findings become notices, and why, in a sentence."""
    details: dict[str, str] = {}
    """Rules of whose findings more is known now, and what, in sentences."""
    counts: dict[str, int] = {}
    """Rules whose findings stand for those of so many flows."""

    def __bool__(self) -> bool:
        return bool(
            self.checks
            or self.findings
            or self.transfer
            or self.mutes
            or self.softens
            or self.details
            or self.counts
        )


def masked(revision: Revision, echoes: KnownSecrets | None) -> Revision:
    """Without what its texts name as secret, and without what exchanges repeat of theirs."""
    if not echoes and not names_secrets(revision):
        return revision
    return Redactor(others=echoes).struct(revision)


def revision_of(history: ObjectHistory, seen: Observation) -> Revision:
    """What the history of its object says of an exchange."""
    revision = Revision()
    place = history.requests.place_of(seen)
    attempt = place.attempt if place else None
    if seen.upload_id:
        _of_upload(history, seen, revision, attempt)
    elif seen.operation == "AppendObject":
        _of_append(history, seen, revision, attempt)
    elif seen.describes_object:
        _of_read(history, seen, revision, attempt)
    if writes_object(seen.operation) and history.is_read_as_it_is_named:
        revision.mutes.append(KEY_ESCAPED_TWICE.id)
    if place is not None:
        _of_tries(place, revision)
    if seen.stopped:
        # Others may learn from it; of itself nothing more can be said.
        return Revision(transfer=revision.transfer)
    return revision


def add_copy(revision: Revision, seen: Observation, verdict: CopyVerdict) -> None:
    """What the history of its source says of a copy."""
    if seen.crc64_unread is not None:
        revision.checks.append(rules.check_of("crc64", "request", skipped(seen.crc64_unread)))
    elif verdict.crc64.reason is None:
        revision.checks.append(rules.check_of("crc64", "request", verdict.crc64))
    if seen.etag_unread:
        revision.checks.append(rules.check_of("etag", "request", skipped("malformed")))
    elif verdict.etag.reason is None:
        revision.checks.append(rules.check_of("etag", "request", verdict.etag))
    revision.findings.extend(rules.copy_mismatch(verdict))


def add_pending(revision: Revision, pending: PendingFinding) -> None:
    """A finding that holds now, since another flow has shown what it waited for."""
    revision.findings.append(pending.finding)
    revision.mutes.extend(pending.mutes)


def _of_upload(
    history: ObjectHistory, seen: Observation, revision: Revision, attempt: int | None
) -> None:
    upload = history.upload_of(seen)
    if upload is None:
        return
    revision.transfer = TransferReport(
        kind="multipart-upload", id=upload.upload_id, position=seen.part_number, attempt=attempt
    )
    if seen.operation == "UploadPart":
        reason = _no_md5(upload, seen)
        if reason is not None and seen.succeeded and seen.etag and seen.etag != seen.md5:
            etag = f'"{seen.etag}"'
            revision.checks.append(
                Check(check="etag", body="request", status="skipped", expected=etag, reason=reason)
            )
            revision.mutes = [ETAG_MISMATCH.id]
        return
    complete = upload.completes.get(seen.flow_id)
    if complete is not None:
        verdict = judge_complete(upload, complete)
        revision.checks.append(rules.check_of("multipart-crc64", "request", verdict.crc64))
        revision.checks.append(rules.check_of("multipart-etags", "request", verdict.etags))
        revision.findings.extend(multipart_rules.multipart_crc64_mismatch(verdict))
        revision.findings.extend(multipart_rules.multipart_etag_mismatch(verdict))
        revision.findings.extend(multipart_rules.multipart_list_invalid(verdict))
        trouble = part_trouble(upload, complete)
        if trouble is not None:
            revision.details = dict.fromkeys((ERROR_RESPONSE.id, ERROR_IN_SUCCESS.id), trouble)
    words = None
    if complete is not None and complete.unanswered:
        words = words_of_open(upload, history.events)
    words = words or why_gone(upload, seen.flow_id, seen.started)
    if words is not None:
        revision.details |= dict.fromkeys(OF_FAILURE, words)
    unanswered = unanswered_complete(upload, history.events)
    if unanswered is None:
        return
    if unanswered.proof is not None:
        if seen.flow_id in (*unanswered.lost, *unanswered.gone):
            revision.softens |= dict.fromkeys(OF_FAILURE, _COMPLETED)
    elif seen.flow_id == unanswered.told:
        revision.findings.append(multipart_rules.upload_probably_completed(upload, unanswered))


def _no_md5(upload: Upload, part: Observation) -> SkipReason | None:
    """Why the ETag of a part need not be an MD5, by the encryption of its upload."""
    mode, etag_form = upload.encryption
    if etag_form == "other":
        return "sse-kms" if mode == "SSE-KMS" else "sse-c"
    damaged = None not in (part.crc64, part.header_crc64) and part.crc64 != part.header_crc64
    return "not-md5" if etag_form == "unknown" and not damaged else None


def _of_append(
    history: ObjectHistory, seen: Observation, revision: Revision, attempt: int | None
) -> None:
    log = history.appends
    if log is None or seen.flow_id not in log.appends:
        return
    revision.transfer = TransferReport(
        kind="append", id=log.id, position=seen.append_position, attempt=attempt
    )
    verdict = judge_append(log, seen.flow_id)
    if verdict is None:
        return
    alone = seen.append_position == 0
    if not alone and verdict.crc64.reason is None:
        revision.checks.append(rules.check_of("append-crc64", "request", verdict.crc64))
    revision.findings.extend(rules.append_mismatch(verdict, own=alone))


def _of_read(
    history: ObjectHistory, seen: Observation, revision: Revision, attempt: int | None
) -> None:
    reading = history.reading_of(seen)
    changed = False
    if reading is not None:
        name = version_name(seen)
        if reading.is_ranged(name):
            revision.transfer = TransferReport(
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
            revision.checks.append(rules.check_of("range-crc64", "response", check))
            revision.findings.extend(rules.range_crc64_mismatch(coverage))
        change = reading.changes.get(name)
        if change is not None and change.flow_id == seen.flow_id:
            changed = True
            revision.findings.append(rules.object_changed(change))
    if seen.answer_md5 not in (None, seen.etag) and history.was_appended(seen):
        skip = Check(
            check="etag",
            body="response",
            status="skipped",
            expected=f'"{seen.etag}"',
            reason="append",
        )
        revision.checks.append(skip)
        revision.mutes = [ETAG_MISMATCH.id]
    if not changed:
        found = read_after_write(history.events, seen.flow_id)
        if found is not None:
            revision.findings.extend(rules.object_rewritten(found))


def _of_tries(place: ChainPosition, revision: Revision) -> None:
    chain = place.chain
    if revision.transfer is None:
        revision.transfer = TransferReport(
            kind="retry", id=chain.id, position=place.attempt, attempt=place.attempt
        )
    earlier = chain.flows[:-1][-_MOST_TRIES:] if place.is_last else ()
    revision.transfer = msgspec.structs.replace(
        revision.transfer, healed=place.is_healed, earlier_tries=earlier
    )
    if place.is_last:
        revision.findings.extend(retry_rules.retry_body_differs(chain))
        revision.findings.append(retry_rules.retried(chain))
    if place.is_corrected:
        revision.softens |= dict.fromkeys(OF_CLOCK, _CLOCK)


def revised(
    checks: list[Check], findings: list[Finding], revision: Revision
) -> tuple[list[Check], list[Finding]]:
    """The checks and findings of an exchange alone, with a revision."""
    return list(_checks(checks, revision)), list(_findings(findings, revision))


def _checks(checks: list[Check], revision: Revision) -> Iterator[Check]:
    better = {(check.check, check.body): check for check in revision.checks}
    for check in checks:
        yield better.pop((check.check, check.body), check)
    yield from better.values()


def _findings(findings: list[Finding], revision: Revision) -> Iterator[Finding]:
    for each in findings:
        finding = each
        if finding.rule in revision.mutes:
            continue
        if finding.rule in revision.details:
            more = revision.details[finding.rule]
            finding = msgspec.structs.replace(finding, detail=f"{finding.detail} {more}")
        if finding.rule in revision.softens:
            yield msgspec.structs.replace(
                finding,
                severity=retry_rules.RETRIED.severity,
                detail=f"{finding.detail} {revision.softens[finding.rule]}",
            )
        elif finding.rule in revision.counts:
            count = revision.counts[finding.rule]
            yield msgspec.structs.replace(
                finding,
                detail=f"{finding.detail} So did {_others(count - 1)} of this client and key.",
                evidence=finding.evidence | {"flows": count},
            )
        else:
            yield finding
    yield from revision.findings


def _others(count: int) -> str:
    return "1 other flow" if count == 1 else f"{count} other flows"

"""Rules about what several exchanges say together of one object: ranges, appends, copies."""

from collections.abc import Iterator
from typing import Any

from cos_inspect.model.flow_report import Check, CheckName, Finding, Severity, Side
from cos_inspect.rules.integrity import CRC64_MISMATCH
from cos_inspect.rules.rule import Rule
from cos_inspect.transfers.account import DigestComparison
from cos_inspect.transfers.appends import AppendVerdict
from cos_inspect.transfers.fetched_ranges import Coverage
from cos_inspect.transfers.object_versions import GAP
from cos_inspect.transfers.objects import CopyVerdict, ReadAfterWrite
from cos_inspect.transfers.observation import flow_of
from cos_inspect.transfers.ranges import VersionChange

MOST_NAMED = 20


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

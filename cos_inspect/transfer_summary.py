"""The list of transfers, retries and objects read back, as the summary has it."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable

from cos_inspect.inspection import verdict_of
from cos_inspect.report.model import Check, Finding, Severity
from cos_inspect.report.summary import (
    PartSummary,
    ReadBackSummary,
    RetryChain,
    SessionSummary,
    TransferSummary,
)
from cos_inspect.rules import transfer as rules
from cos_inspect.transfers import appends, multipart_verdict, ranges
from cos_inspect.transfers.account import Account, PartRow
from cos_inspect.transfers.appends import Log
from cos_inspect.transfers.multipart import Upload
from cos_inspect.transfers.objects import read_backs
from cos_inspect.transfers.pace import LARGE, SLOWEST
from cos_inspect.transfers.ranges import Reading
from cos_inspect.transfers.retries import Chain
from cos_inspect.transfers.tracker import Tracker

Clean = Callable[[Finding], Finding]

_MOST_LISTED = 10_000
_MOST_ROWS = 50_000
_MOST_FLOWS = 500_000
_MOST_NOTES = 50_000
_OF_BYTES = frozenset(
    {"crc64-mismatch", "etag-mismatch", "append-md5-mismatch", "content-md5-mismatch"}
)
"""Findings of a flow that count for its transfer when its bytes do."""
_OF_THE_WHOLE = frozenset(rule.id for rule in (
    rules.MULTIPART_CRC64_MISMATCH,
    rules.MULTIPART_ETAG_MISMATCH,
    rules.MULTIPART_PART_INVALID,
    rules.RANGE_CRC64_MISMATCH,
    rules.OBJECT_CHANGED,
    rules.UPLOAD_PROBABLY_COMPLETED,
))  # fmt: skip
_NOTED = _OF_BYTES | _OF_THE_WHOLE | {rules.SLOW_TRANSFER.id}


class Ledger:
    """What was found on flows that belong to transfers, and transfers that were closed
    to bound memory."""

    def __init__(self) -> None:
        self.notes: OrderedDict[str, list[Finding]] = OrderedDict()
        self.closed: list[TransferSummary] = []
        self.left_out = 0

    def note(self, flow_id: str, findings: list[Finding]) -> None:
        """Keeps what a transfer should know of one of its flows."""
        kept = [finding for finding in findings if finding.rule in _NOTED]
        if kept:
            self.notes[flow_id] = kept
            if len(self.notes) > _MOST_NOTES:
                self.notes.popitem(last=False)
        elif flow_id in self.notes:
            del self.notes[flow_id]

    def merge(self, other: "Ledger") -> None:
        self.notes.update(other.notes)
        self.closed.extend(other.closed)
        self.left_out += other.left_out

    def close_early(
        self,
        closed: tuple[list[Upload], list[Reading], list[Log]],
        clean: Clean,
        ignore: frozenset[str],
    ) -> None:
        """Sums up what the tracker had to give up."""
        uploads, readings, logs = closed
        if not uploads and not readings and not logs:
            return
        for account, checks, findings in (
            *(_of_upload(upload, over=False, early=True) for upload in uploads),
            *(one for reading in readings for one in _of_reading(reading, early=True)),
            *(_of_log(log, early=True) for log in logs),
        ):
            if len(self.closed) >= _MOST_LISTED:
                self.left_out += 1
                continue
            self.closed.append(self._summed(account, checks, findings, clean, ignore))

    def summary(
        self, tracker: Tracker, clean: Clean, ignore: frozenset[str], *, over: bool
    ) -> SessionSummary:
        accounts = [
            *(_of_upload(upload, over=over, early=False) for upload in tracker.uploads()),
            *(one for reading in tracker.readings() for one in _of_reading(reading, early=False)),
            *(_of_log(log, early=False) for log in tracker.logs()),
        ]
        accounts.sort(key=lambda each: (each[0].started, each[0].kind, each[0].id))
        room = max(0, _MOST_LISTED - len(self.closed))
        transfers = list(self.closed)
        for account, checks, findings in accounts[:room]:
            transfers.append(self._summed(account, checks, findings, clean, ignore))
        chains = tracker.chains()
        return SessionSummary(
            transfers=_bounded(transfers),
            retries=[_retry(chain, clean) for chain in chains[:_MOST_LISTED]],
            read_back=[
                ReadBackSummary(
                    bucket=found.bucket,
                    key=found.key,
                    write=found.write,
                    reads=list(found.reads),
                    same=found.same,
                )
                for content in tracker.contents()
                for found in read_backs(content)
            ][:_MOST_LISTED],
            left_out=self.left_out
            + max(0, len(accounts) - room)
            + max(0, len(chains) - _MOST_LISTED),
        )

    def _summed(
        self,
        account: Account,
        checks: list[Check],
        own: list[Finding],
        clean: Clean,
        ignore: frozenset[str],
    ) -> TransferSummary:
        findings = [clean(finding) for finding in own if finding.rule not in ignore]
        slow: Counter[str] = Counter()
        for flow in account.flows if self.notes else ():
            for finding in self.notes.get(flow, ()):
                if _counts(finding, counting=flow in account.counting):
                    findings.append(finding)
                elif finding.rule == rules.SLOW_TRANSFER.id:
                    slow[str(finding.evidence.get("reason"))] += 1
        speed = None
        if account.size and account.active > 0 and account.state in ("completed", "complete"):
            speed = account.size / account.active
            if account.size > LARGE and speed < SLOWEST and rules.SLOW_TRANSFER.id not in ignore:
                reason = _slow_reason(account, slow)
                findings.append(
                    clean(rules.slow_altogether(account.size, account.active, speed, reason))
                )
        return TransferSummary(
            kind=account.kind,
            id=account.id,
            bucket=account.bucket,
            key=account.key,
            state=account.state,
            size=account.size,
            parts=account.parts,
            duration_ms=round((account.ended - account.started) * 1000, 3),
            verdict=verdict_of(findings),
            findings=findings,
            flows=list(account.flows),
            checks=checks,
            bytes_sent_twice=account.bytes_sent_twice,
            throughput=None if speed is None else round(speed, 1),
            tries=account.tries,
            part_table=[_part(row) for row in account.table],
            notice=_notice(account),
        )


def _counts(finding: Finding, *, counting: bool) -> bool:
    """Whether a finding on a flow is one of its transfer. A read of an object that was
    written before is told on its flow alone: the download itself is fine."""
    if finding.rule == rules.OBJECT_CHANGED.id:
        return finding.severity is not Severity.NOTICE
    return finding.rule in _OF_THE_WHOLE or (counting and finding.rule in _OF_BYTES)


def _slow_reason(account: Account, slow: Counter[str]) -> str:
    if account.size is not None and account.bytes_sent_twice * 2 >= account.size:
        return "many-tries"
    if slow:
        return min(slow, key=lambda reason: (-slow[reason], reason))
    return "client-stall" if account.kind == "multipart-upload" else "network"


def _of_upload(
    upload: Upload, *, over: bool, early: bool
) -> tuple[Account, list[Check], list[Finding]]:
    account = multipart_verdict.account_of(upload, over=over, closed_early=early)
    checks: list[Check] = []
    completes = [each for each in upload.completes.values() if each.succeeded]
    if completes:
        first = min(completes, key=lambda each: each.order)
        verdict = multipart_verdict.judge_complete(upload, first)
        checks = [
            rules.check_of("multipart-crc64", "request", verdict.crc64),
            rules.check_of("multipart-etags", "request", verdict.etags),
        ]
    findings = [rules.multipart_abandoned(upload)] if account.state == "abandoned" else []
    return account, checks, findings


def _of_reading(
    reading: Reading, *, early: bool
) -> Iterable[tuple[Account, list[Check], list[Finding]]]:
    for name, account in ranges.accounts_of(reading, closed_early=early):
        coverage = reading.coverages.get(name)
        checks = [rules.check_of("range-crc64", "response", coverage.check)] if coverage else []
        yield account, checks, []


def _of_log(log: Log, *, early: bool) -> tuple[Account, list[Check], list[Finding]]:
    account = appends.account_of(log, closed_early=early)
    verdict = appends.judge_append(log, log.end.flow_id) if log.end else None
    checks = [rules.check_of("append-crc64", "request", verdict.crc64)] if verdict else []
    return account, checks, []


def _part(row: PartRow) -> PartSummary:
    return PartSummary(
        number=row.number,
        size=row.size,
        md5=row.md5,
        crc64ecma=row.crc64ecma,
        etag=row.etag,
        tries=row.tries,
        duration_ms=round(row.seconds * 1000, 3),
        host=row.host,
        flow=row.flow,
    )


def _notice(account: Account) -> str | None:
    notes = []
    if account.closed_early:
        notes.append("closed before its end was seen: too many transfers were open")
    if account.left_out:
        notes.append(f"{account.left_out} flows were not kept: too many for one transfer")
    return "; ".join(notes) or None


def _bounded(transfers: list[TransferSummary]) -> list[TransferSummary]:
    """Long lists inside are left out of the last transfers, once there are too many."""
    rows = flows = 0
    for transfer in transfers:
        rows += len(transfer.part_table)
        flows += len(transfer.flows)
        if rows > _MOST_ROWS:
            transfer.part_table.clear()
        if flows > _MOST_FLOWS:
            transfer.flows.clear()
    return transfers


def _retry(chain: Chain, clean: Clean) -> RetryChain:
    told = clean(rules.retried(chain)).evidence
    return RetryChain(
        id=chain.id,
        operation=chain.operation,
        bucket=chain.bucket,
        key=chain.key,
        flows=list(chain.flows),
        causes=told["causes"],
        hosts=list(chain.hosts),
        time_lost_ms=told["time_lost_ms"],
        succeeded=chain.succeeded,
        clock_corrected=bool(chain.clock_corrected),
    )

"""What a history says of its transfers, as the summary lists them."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from cos_inspect.inspection.second_look import revised, revision_of
from cos_inspect.model.flow_report import VERDICT_RANKS, Check, Finding, FlowReport, Severity
from cos_inspect.model.summary import (
    PartSummary,
    ReadBackSummary,
    RetryChain,
    SessionSummary,
    TransferSummary,
)
from cos_inspect.model.summary_merging import MOST_LISTED, without_long_tables
from cos_inspect.rules import multipart as multipart_rules
from cos_inspect.rules import pace as pace_rules
from cos_inspect.rules import retries as retry_rules
from cos_inspect.rules import transfer as rules
from cos_inspect.rules.registry import OF_TRANSFER
from cos_inspect.transfers import appends, multipart_verdict, ranges
from cos_inspect.transfers.account import Account, PartRow
from cos_inspect.transfers.appends import AppendHistory
from cos_inspect.transfers.history import ObjectHistory
from cos_inspect.transfers.multipart import Upload
from cos_inspect.transfers.objects import read_backs
from cos_inspect.transfers.observation import Observation, flow_of
from cos_inspect.transfers.pace import LARGE, SLOWEST
from cos_inspect.transfers.retries import Chain
from cos_inspect.transfers.unanswered_complete import unanswered_complete

_MOST_NAMED = 100
"""Tries of one request, and reads of one object, whose flows are named."""
_OVERLAP = (
    "not checked as a whole, because ranges share bytes that were not told apart when they passed"
)


class TransferNote(msgspec.Struct, frozen=True):
    """What one flow shows that counts for its transfer."""

    seen: Observation
    findings: list[Finding]


def note_of(report: FlowReport, seen: Observation) -> TransferNote | None:
    """None where the flow shows nothing that counts, as most do."""
    found = [
        finding
        for finding in report.findings
        if finding.rule in OF_TRANSFER or finding.rule == pace_rules.SLOW_TRANSFER.id
    ]
    return TransferNote(seen, found) if found else None


class HistorySummary(msgspec.Struct):
    """What one history gives to the summary; each with the moment at which it began."""

    transfers: list[tuple[float, TransferSummary]] = []
    retries: list[tuple[float, RetryChain]] = []
    read_backs: list[ReadBackSummary] = []

    def __bool__(self) -> bool:
        return bool(self.transfers or self.retries or self.read_backs)


class SummaryListsState(msgspec.Struct, frozen=True, kw_only=True):
    """What lists hold, and have counted, on its way to others."""

    listing: HistorySummary = msgspec.field(default_factory=HistorySummary)
    verdicts: dict[str, int] = {}
    left_out: int = 0
    retries_left_out: int = 0


class SummaryLists:
    """The lists of the summary, bounded: the worst are kept, the others are counted."""

    def __init__(self, most: int = MOST_LISTED) -> None:
        self._most = most
        self._listing = HistorySummary()
        self._verdicts: Counter[str] = Counter()
        self._left_out = 0
        self._retries_left_out = 0

    def add(self, listing: HistorySummary) -> None:
        """Adds what one history shows."""
        self._verdicts.update(transfer.verdict for _, transfer in listing.transfers)
        self._take(listing)

    def merge(self, other: SummaryListsState) -> None:
        """Adds what other lists hold, and have counted."""
        self._verdicts.update(other.verdicts)
        self._left_out += other.left_out
        self._retries_left_out += other.retries_left_out
        self._take(other.listing)

    def _take(self, listing: HistorySummary) -> None:
        own = self._listing
        own.transfers += listing.transfers
        own.retries += listing.retries
        own.read_backs += listing.read_backs
        if len(own.transfers) + len(own.retries) + len(own.read_backs) > 4 * self._most:
            self._bound()

    def state(self) -> SummaryListsState:
        """What ``merge`` takes."""
        self._bound()
        return SummaryListsState(
            listing=self._listing,
            verdicts=dict(self._verdicts),
            left_out=self._left_out,
            retries_left_out=self._retries_left_out,
        )

    def _bound(self) -> None:
        own, most = self._listing, self._most
        own.transfers.sort(key=_worst_first)
        own.retries.sort(key=lambda each: (each[1].succeeded, each[0], each[1].id))
        own.read_backs.sort(
            key=lambda each: (each.same, each.bucket or "", each.key or "", each.write, each.reads)
        )
        self._left_out += max(0, len(own.transfers) - most)
        self._retries_left_out += max(0, len(own.retries) - most)
        del own.transfers[most:], own.retries[most:], own.read_backs[most:]

    def summary(self, *, forgotten: int = 0) -> SessionSummary:
        """In the order of time. ``forgotten``: exchanges and objects of which nothing is known
        any more."""
        self._bound()
        own = self._listing
        own.transfers.sort(key=lambda each: (each[0], *_name_of(each[1])))
        own.retries.sort(key=lambda each: (each[0], each[1].id))
        return SessionSummary(
            transfers=without_long_tables([transfer for _, transfer in own.transfers]),
            retries=[retry for _, retry in own.retries],
            read_back=own.read_backs,
            left_out=self._left_out,
            retries_left_out=self._retries_left_out,
            forgotten=forgotten,
            # Partitions may have been joined in any number.
            verdicts=dict(sorted(self._verdicts.items())),
        )


def _worst_first(listed: tuple[float, TransferSummary]) -> tuple[Any, ...]:
    started, transfer = listed
    return -VERDICT_RANKS[transfer.verdict], started, *_name_of(transfer)


def _name_of(transfer: TransferSummary) -> tuple[str, ...]:
    """No other one has the same: an upload id may be met with several objects."""
    place = transfer.bucket or "", transfer.key or ""
    return transfer.kind, transfer.id, *place, *transfer.flows[:1]


def list_history(
    history: ObjectHistory,
    notes: dict[str, TransferNote],
    *,
    ignore: frozenset[str],
    over: bool,
    is_whole: bool = True,
    has_gaps: bool = False,
) -> HistorySummary:
    """Sums up one history.

    It may hold secrets. ``notes`` are those of its flows, by flow. ``over``: nothing more will
    come, so what is open was given up. ``is_whole``: what is not in the history was not seen.
    ``has_gaps``: a capture lost some of the traffic, so that what was not seen may have happened.
    """
    of = _Sums(history, notes, ignore=ignore, over=over, is_whole=is_whole, has_gaps=has_gaps)
    return HistorySummary(list(of.transfers()), list(of.retries()), list(of.read_backs()))


class _Sums:
    def __init__(
        self,
        history: ObjectHistory,
        notes: dict[str, TransferNote],
        *,
        ignore: frozenset[str],
        over: bool,
        is_whole: bool = True,
        has_gaps: bool = False,
    ) -> None:
        self._history = history
        self._notes = notes
        self._ignore = ignore
        self._over = over
        self._is_whole = is_whole
        self._has_gaps = has_gaps
        self._replaced = history.requests.replaced()
        self._other_bodies = {
            chain.flows[-1]: found
            for tries in history.requests.by_name.values()
            for chain in tries.chains
            for found in retry_rules.retry_body_differs(chain)
        }

    def transfers(self) -> Iterator[tuple[float, TransferSummary]]:
        history = self._history
        for upload in history.uploads.values():
            yield self._upload(upload)
        for reading in history.readings.values():
            for name, account in ranges.accounts_of(reading, history.heads):
                coverage = reading.coverages.get(name)
                change = reading.changes.get(name)
                yield self._summed(
                    account,
                    [rules.check_of("range-crc64", "response", coverage.check)] if coverage else [],
                    [
                        *(rules.range_crc64_mismatch(coverage) if coverage else ()),
                        *([rules.object_changed(change)] if change else ()),
                    ],
                    notice=_OVERLAP if reading.overlaps_unresolved(name, history.heads) else None,
                )
        if history.appends is not None:
            yield self._log(history.appends)

    def retries(self) -> Iterator[tuple[float, RetryChain]]:
        for tries in self._history.requests.by_name.values():
            for chain in tries.chains:
                yield chain.started, _retry(chain)

    def read_backs(self) -> Iterator[ReadBackSummary]:
        history = self._history
        for found in read_backs(history.events):
            yield ReadBackSummary(
                bucket=history.bucket,
                key=history.key,
                write=flow_of(found.write),
                reads=[flow_of(read) for read in found.reads[:_MOST_NAMED]],
                count=len(found.reads),
                same=found.same,
            )

    def _upload(self, upload: Upload) -> tuple[float, TransferSummary]:
        # Of an upload whose beginning was forgotten nobody knows whether it was completed.
        over = self._over and not self._has_gaps and (self._is_whole or upload.was_begun)
        events = self._history.events
        account = multipart_verdict.account_of(upload, events, over=over)
        unanswered = unanswered_complete(upload, events)
        checks: list[Check] = []
        findings: list[Finding] = []
        judged = multipart_verdict.deciding_complete(upload)
        if judged is not None:
            verdict = multipart_verdict.judge_complete(upload, judged)
            checks = [
                rules.check_of("multipart-crc64", "request", verdict.crc64),
                rules.check_of("multipart-etags", "request", verdict.etags),
            ]
            findings += multipart_rules.multipart_crc64_mismatch(verdict)
            findings += multipart_rules.multipart_etag_mismatch(verdict)
            findings += multipart_rules.multipart_list_invalid(verdict)
        if account.state == "probably-completed" and unanswered is not None:
            findings.append(multipart_rules.upload_probably_completed(upload, unanswered))
        elif account.state == "abandoned":
            findings.append(multipart_rules.multipart_abandoned(upload))
        # An upload that was not completed has no good end, whatever its flows show.
        at_least = None
        if (
            judged is not None
            and unanswered is None
            and not judged.succeeded
            and not self._has_gaps
        ):
            at_least = Severity.WARNING if judged.unanswered else Severity.ERROR
        notice = None
        if unanswered is not None and unanswered.proof is not None:
            proof = flow_of(unanswered.proof)
            notice = f"completed, though no answer said so: flow {proof} shows the object"
        elif self._has_gaps and account.state in ("open", "refused"):
            notice = "not all was captured: it may have been completed"
        return self._summed(account, checks, findings, at_least, notice)

    def _log(self, log: AppendHistory) -> tuple[float, TransferSummary]:
        shown = appends.judge_append(log, log.end.flow_id) if log.end else None
        findings: list[Finding] = []
        for append in sorted(log.appends.values(), key=lambda append: append.begin):
            verdict = appends.judge_append(log, append.flow_id)
            if verdict is None:
                continue
            findings += rules.append_mismatch(verdict, own=append.position == 0)
            if rules.is_mismatch(verdict.crc64):
                shown = verdict
        checks = [rules.check_of("append-crc64", "request", shown.crc64)] if shown else []
        return self._summed(appends.account_of(log), checks, findings)

    def _summed(
        self,
        account: Account,
        checks: list[Check],
        own: list[Finding],
        at_least: Severity | None = None,
        notice: str | None = None,
    ) -> tuple[float, TransferSummary]:
        findings = [finding for finding in own if finding.rule not in self._ignore]
        slow: Counter[str] = Counter()
        if retry_rules.RETRY_BODY_DIFFERS.id not in self._ignore:
            findings += [
                self._other_bodies[flow]
                for flow in account.flows
                if flow in self._other_bodies and flow not in account.replaced
            ]
        for flow in account.flows if self._notes else ():
            note = self._notes.get(flow)
            if note is None:
                continue
            counts = flow not in self._replaced and flow not in account.replaced
            for finding in self._findings_of(note):
                if finding.rule == pace_rules.SLOW_TRANSFER.id:
                    slow[str(finding.evidence.get("reason"))] += 1
                elif counts:
                    findings.append(finding)
        speed = None
        if account.size and account.active > 0 and account.state in ("completed", "complete"):
            speed = account.size / account.active
            is_slow = account.size > LARGE and speed < SLOWEST
            if is_slow and pace_rules.SLOW_TRANSFER.id not in self._ignore:
                reason = _slow_reason(account, slow)
                findings.append(
                    pace_rules.slow_altogether(account.size, account.active, speed, reason)
                )
        return account.started, TransferSummary.judged(
            kind=account.kind,
            id=account.id,
            bucket=account.bucket,
            key=account.key,
            state=account.state,
            size=account.size,
            parts=account.parts,
            duration_ms=round((account.ended - account.started) * 1000, 3),
            findings=findings,
            flows=[flow_of(flow) for flow in account.flows],
            checks=checks,
            bytes_sent_twice=account.bytes_sent_twice,
            throughput=None if speed is None else round(speed, 1),
            tries=account.tries,
            part_table=[_part(row) for row in account.table],
            notice=_left_out(account) or notice,
            at_least=at_least,
        )

    def _findings_of(self, note: TransferNote) -> list[Finding]:
        """As the flow's report has them after the second look."""
        revision = revision_of(self._history, note.seen)
        revision.findings = []
        return revised([], note.findings, revision)[1] if revision else note.findings


def _slow_reason(account: Account, slow: Counter[str]) -> str:
    if account.size is not None and account.bytes_sent_twice * 2 >= account.size:
        return "many-tries"
    if slow:
        return min(slow, key=lambda reason: (-slow[reason], reason))
    return "client-stall" if account.kind == "multipart-upload" else "network"


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
        flow=flow_of(row.flow),
    )


def _left_out(account: Account) -> str | None:
    if account.left_out:
        return f"{account.left_out} flows were not kept: too many for one transfer"
    return None


def _retry(chain: Chain) -> RetryChain:
    told = retry_rules.retried(chain).evidence
    return RetryChain(
        id=chain.id,
        operation=chain.operation,
        bucket=chain.bucket,
        key=chain.key,
        flows=[flow_of(flow) for flow in chain.flows[-_MOST_NAMED:]],
        tries=len(chain.flows),
        causes=told["causes"],
        hosts=list(chain.hosts),
        time_lost_ms=told["time_lost_ms"],
        succeeded=chain.succeeded,
        clock_corrected=bool(chain.clock_corrected),
    )

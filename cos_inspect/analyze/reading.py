"""Reads one shard: the first look at each of its flows. Reports wait in a spool on the disk,
until what all flows say together is known; observations go to the partition of what they are
about.
"""

from array import array
from collections.abc import Iterator

import msgspec

from cos_inspect.analyze.shards import Shard
from cos_inspect.analyze.spool import PartitionsWriter, SpoolWriter, hash_of
from cos_inspect.analyze.spooled import (
    ACCEPTED,
    OTHER,
    WITH_TOKEN,
    CaptureRead,
    ConnectionUse,
    FlowIdentity,
    ShardRead,
    SpooledListing,
    SpooledObservation,
    SpooledReport,
)
from cos_inspect.captures.capture_format import CapturePart
from cos_inspect.captures.captured_flow import UNINSPECTED, UNREADABLE, CapturedFlow, InputRemarks
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.source import Progress, Stream
from cos_inspect.cos.cos_exchange import Recognised
from cos_inspect.inspection.first_look import FirstLook, first_look
from cos_inspect.inspection.redaction import Redactor, fault_text
from cos_inspect.inspection.said_once import said_once_names
from cos_inspect.inspection.transfer_summary import TransferNote, note_of
from cos_inspect.model.capture_account import CaptureAccount
from cos_inspect.model.capture_summary import CaptureFacts
from cos_inspect.model.exchange import Exchange
from cos_inspect.model.flow_report import TimingReport
from cos_inspect.model.plain_text import packed
from cos_inspect.settings.analysis_settings import AnalysisSettings
from cos_inspect.settings.execution import DEVICE, labels_of
from cos_inspect.transfers.history import history_name, object_name, source_name
from cos_inspect.transfers.objects import listings_of
from cos_inspect.transfers.observation import Observation, identity_of

_LONGEST_PROGRAM = 200
"""Signs of the name that a file gives to what wrote it."""
_NO_TIMES = TimingReport(
    total_ms=None, connect_ms=None, tls_ms=None, request_ms=None, wait_ms=None, response_ms=None
)


class ShardReader:
    """Never raises for what is wrong with the input: that stands in ``errors``. OSError when
    the disk is full."""

    def __init__(
        self, shard: Shard, settings: AnalysisSettings, folder: str, partitions: int
    ) -> None:
        self._shard = shard
        self._settings = settings
        prefix = f"{shard.number}"
        self._spool = SpoolWriter(f"{folder}/{prefix}.reports")
        self._identities = PartitionsWriter(folder, f"{prefix}.identities", partitions)
        self._connections = PartitionsWriter(folder, f"{prefix}.connections", partitions)
        self._observations = PartitionsWriter(folder, f"{prefix}.observations", partitions)
        self._listings = PartitionsWriter(folder, f"{prefix}.listings", partitions)
        self._read = ShardRead(
            number=shard.number,
            spool=f"{folder}/{prefix}.reports",
            offsets=self._spool.offsets,
            places=array("Q"),
            captures=[],
            secret_ids={},
            said_once=array("Q"),
            notes=[],
            faults=[],
            facts={},
        )

    def read(self, progress: Progress | None = None) -> ShardRead:
        """Reads all parts of the shard, once."""
        for part in self._shard.parts:
            self._read_part(part, progress)
        return self._close()

    def _close(self) -> ShardRead:
        read = self._read
        self._spool.close()
        read.identities = self._identities.close()
        read.connections = self._connections.close()
        read.observations = self._observations.close()
        read.listings = self._listings.close()
        return read

    def give_up(self, why: str) -> ShardRead:
        """What is known of a shard that nobody can read: all of its captures are lost."""
        for part in self._shard.parts:
            error = CaptureError(part.name, why, part.begin, loses=True)
            self._read.faults.append(str(error))
            self._read.lost.add(UNREADABLE)
            self._read.met[part.name] += 1
        return self._close()

    def _read_part(self, part: CapturePart, progress: Progress | None) -> None:
        read = self._read
        remarks = InputRemarks(part.name)
        read.captures.append((len(read.offsets), remarks.file))
        device = labels_of(part.name, self._settings.labels).get(DEVICE)
        ended: CaptureError | None = None
        about = CaptureRead(format=part.format.name, facts=remarks.facts)
        try:
            for saved in saved_in(part, self._settings, remarks, progress):
                read.met[part.name] += 1
                about.exchanges += 1
                self._take(saved, remarks, device)
        except CaptureError as error:
            ended = error
            if error.loses:
                remarks.lost[UNREADABLE] += 1
        if remarks.account is not None:
            _add_account(about.facts, remarks.account)
        program = about.facts.program
        if program is not None:
            shown = program[:_LONGEST_PROGRAM]
            about.facts.program = Redactor().text(shown) if self._settings.redact else shown
        if about.facts.misses_exchanges:
            read.gaps.append((read.captures[-1][0], len(read.offsets)))
        read.notes += remarks.notes
        read.faults += remarks.faults
        read.met[part.name] += remarks.lost.total() + (ended is not None)
        about.lost = remarks.lost
        known = read.facts.setdefault(part.name, about)
        if known is not about:
            known.merge(about)
        if ended is not None:
            read.faults.append(str(ended))
        for reason, count in remarks.lost.items():
            read.lost.add(reason, count)

    def _take(self, saved: CapturedFlow, remarks: InputRemarks, device: str | None) -> None:
        lost = remarks.lost.total()
        look = _guarded_look(saved, self._settings, remarks, device)
        if look is None:
            if remarks.lost.total() == lost:
                self._identify(saved, OTHER, ())
            return
        report, seen = look.first.report, look.first.seen
        index = len(self._spool.offsets)
        if look.is_said_once:
            self._read.said_once.append(index)
        self._spool.add(look.spooled)
        self._read.places.append(saved.offset)
        # Of the same from several captures, the same one counts in any order.
        rank = (*_rank(saved, look.first), hash_of(remarks.file) >> 1)
        self._identify(saved, index, rank)
        if saved.connection is not None:
            self._connections.add(
                saved.connection,
                ConnectionUse(
                    hash_of(saved.connection),
                    (seen.started, seen.flow_id),
                    self._shard.number,
                    index,
                ),
            )
        if seen.is_dated:
            # What has no time has no place among others.
            self._observe(seen, index, note_of(report, seen))
            for key, listing in listings_of(look.first.cos, seen):
                name = object_name(seen.place, key)
                self._listings.add(name, SpooledListing(self._shard.number, index, name, listing))
        self._show(seen)

    def _observe(self, seen: Observation, index: int, note: TransferNote | None) -> None:
        shard = self._shard.number
        self._observations.add(history_name(seen), SpooledObservation(shard, index, seen, (), note))
        source = source_name(seen) if seen.operation == "PutObjectCopy" else None
        if source is not None and seen.succeeded:
            self._observations.add(source, SpooledObservation(shard, index, seen, is_copy=True))

    def _show(self, seen: Observation) -> None:
        if seen.secret_id is not None and (seen.with_token or seen.accepted):
            name = hash_of(seen.secret_id)
            flags = (WITH_TOKEN if seen.with_token else 0) | (ACCEPTED if seen.accepted else 0)
            known = self._read.secret_ids
            known[name] = known.get(name, 0) | flags

    def _identify(self, saved: CapturedFlow, index: int, rank: tuple[int, ...]) -> None:
        name = saved.flow_id if saved.exchange is None else identity_of(saved.exchange)
        self._identities.add(
            name, FlowIdentity(hash_of(name), rank, self._shard.number, index, saved.host)
        )


def _add_account(facts: CaptureFacts, account: CaptureAccount) -> None:
    """What a reader of packets has counted."""
    facts.program = account.program
    for counts in (account.left_out, account.unread):
        for reason, count in counts.items():
            facts.leave_out(reason, count)
    facts.bytes_lost, facts.packets_lost = account.bytes_lost, account.packets_lost
    facts.misses_exchanges = account.has_holes


def _rank(saved: CapturedFlow, look: FirstLook) -> tuple[int, ...]:
    """How much a capture knows of a flow; at last anything that does not depend on the order."""
    report = look.report
    made = sum(check.status != "skipped" for check in report.checks)
    content = msgspec.structs.replace(report, timing=_NO_TIMES)
    return (
        1,
        int(saved.judged),
        int(report.response is not None),
        made,
        hash_of(packed(content).hex()) >> 1,
        hash_of(packed((report, look.seen)).hex()) >> 1,
    )


class _Look(msgspec.Struct, frozen=True):
    first: FirstLook
    spooled: bytes
    """A ``SpooledReport``, packed."""
    is_said_once: bool


def _guarded_look(
    saved: CapturedFlow,
    settings: AnalysisSettings,
    remarks: InputRemarks,
    device: str | None = None,
) -> _Look | None:
    """As live: one flow that cannot be inspected costs its own report alone. None for it, and
    for what is no COS traffic."""
    if saved.exchange is None:
        return None
    try:
        first = look_at(saved.exchange, settings, saved.recognised)
        return None if first is None else _packed_look(_of_device(first, device))
    except Exception as error:
        what = f"a flow that cannot be inspected ({fault_text(error)})"
        remarks.lose(what, saved.offset, saved.entry, UNINSPECTED)
        return None


def _of_device(first: FirstLook, device: str | None) -> FirstLook:
    """Behind other routers, other devices have the same private address."""
    if device is None:
        return first
    seen = first.seen
    scoped = msgspec.structs.replace(
        seen,
        client=f"{device}\0{seen.client or ''}",
        same_request=f"{device}\0{seen.same_request}",
    )
    return msgspec.structs.replace(first, seen=scoped)


def _packed_look(first: FirstLook) -> _Look:
    """Here what cannot be packed costs nothing but its report."""
    report, seen = first.report, first.seen
    packed(seen)
    is_said_once = any(said_once_names(report.findings, seen))
    joined = first.pending or is_said_once
    spooled = packed(SpooledReport(report, first.pending, seen if joined else None))
    return _Look(first, spooled, is_said_once)


def look_at(
    exchange: Exchange, settings: AnalysisSettings, recognised: Recognised | None = None
) -> FirstLook | None:
    """None when it is no COS traffic; ``recognised``: what its head said, where it was read."""
    return first_look(
        exchange,
        recognised=recognised,
        hosts=settings.hosts,
        ignore=settings.ignore,
        redact=settings.redact,
        keys=settings.keys,
    )


def saved_in(
    part: CapturePart,
    settings: AnalysisSettings,
    remarks: InputRemarks,
    progress: Progress | None = None,
) -> Iterator[CapturedFlow]:
    """The flows of a part.

    :raises CaptureError: where it cannot be read, after what came before.
    """
    stream = Stream(part.path, progress, part.begin, part.name)
    try:
        yield from part.format.read(stream, part, settings.hosts, remarks)
        stream.finish()
    finally:
        stream.close()


def marks_of(
    shard: Shard, settings: AnalysisSettings, wanted: dict[int, list[int]]
) -> dict[int, tuple[tuple[int, int], ...]]:
    """Reads a shard again for the CRC-64 of some answers' bodies up to some offsets; both by
    the index of the flow in the spool."""
    found: dict[int, tuple[tuple[int, int], ...]] = {}
    index = 0
    for part in shard.parts:
        # What is wrong with it was told when it was read first.
        remarks = InputRemarks(part.name)
        try:
            again = msgspec.structs.replace(part, asked_again=True)
            for saved in saved_in(again, settings, remarks):
                if _guarded_look(saved, settings, remarks) is None:
                    continue
                if index in wanted and saved.marks is not None:
                    found[index] = tuple(saved.marks(wanted[index]))
                index += 1
        except CaptureError:
            continue
    return found

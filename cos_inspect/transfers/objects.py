"""What was seen of an object's content at one time or another: copies, and reads after writes."""

import bisect
from collections.abc import Iterator
from itertools import accumulate
from typing import Literal

import msgspec

from cos_inspect.cos.clock import http_date, iso_date
from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.cos.object_list import read_object_list
from cos_inspect.transfers.account import DigestComparison, Fact, compared, keep, newest, skipped
from cos_inspect.transfers.limits import Limits
from cos_inspect.transfers.observation import Observation, plain_etag

_UNKNOWN_CONTENT = frozenset({"DeleteObject", "RenameObject", "PutSymlink"})

ObjectEventKind = Literal["write", "unclear-write", "delete", "read", "absent"]
"""``absent``: a read that found no object."""


class ObjectEvent(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """One exchange that told what the object is, or changed it."""

    kind: ObjectEventKind
    etag: str | None = None
    crc64: int | None = None
    size: int | None = None
    version_id: str | None = None
    """As answered."""
    wanted_version: str | None = None
    """As asked for."""
    head: bool = False
    """The headers alone were asked for."""
    cached: bool = False
    """It came through a CDN, which may tell of the past."""
    encrypted: bool = False
    """The ETag is no MD5 of the bytes, or need not be one."""
    appendable: bool = False
    age: float | None = None
    """Seconds since the object was made when the read was answered, by COS's own clock."""

    @property
    def is_write(self) -> bool:
        """Whether the object was changed by it."""
        return self.kind not in ("read", "absent")


class Copy(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """A successful copy of a whole object."""

    source_version: str | None = None
    """The versionId that was asked for."""
    etag: str | None = None
    crc64: int | None = None
    """Both of the object that the copy made, as COS told."""
    encrypted: bool = False
    """The ETag need not be an MD5 of the bytes."""


class ObjectEvents(msgspec.Struct, kw_only=True, dict=True):
    """What was seen of one object at one time or another, and the copies made of it."""

    by_flow: dict[str, ObjectEvent] = {}
    copies: dict[str, Copy] = {}
    """Successful copies of this object to another one, or onto itself."""
    listed: dict[str, ObjectEvent] = {}
    """What lists showed, which is asked for where nobody heard of a Complete, and nowhere else:
    of other objects live traffic does not read them."""
    dropped_until: float = 0.0
    """When the newest event ended that was dropped to bound memory."""
    any_written: bool = False
    """Something else than a read was seen of it."""
    any_read: bool = False

    def __post_init__(self) -> None:
        self._writes: _Writes | None = None
        self._by_end: dict[str | None, list[ObjectEvent]] | None = None

    @property
    def facts(self) -> int:
        """How many events and copies are held; bounds of memory count them."""
        return len(self.by_flow) + len(self.copies) + len(self.listed)

    def add(self, event: ObjectEvent, limits: Limits) -> int:
        """How many events say less than they would, to bound memory: older writes that were
        dropped, and one that comes when what followed it was dropped already. What was read
        meanwhile has been compared with the writes before it."""
        self.any_written = self.any_written or event.is_write
        self.any_read = self.any_read or not event.is_write
        keep(self.by_flow, event)
        self._writes = self._by_end = None
        is_late = event.started < self.dropped_until
        kept = newest(self.by_flow, limits.events)
        if kept is self.by_flow:
            return int(is_late)
        dropped = [each for name, each in self.by_flow.items() if name not in kept]
        self.dropped_until = max(self.dropped_until, *(each.ended for each in dropped))
        self.by_flow = kept
        return is_late + sum(each.is_write for each in dropped)

    def add_listed(self, entry: ObjectEvent, limits: Limits) -> int:
        """How many older ones were dropped."""
        self.any_read = True
        keep(self.listed, entry)
        before = len(self.listed)
        self.listed = newest(self.listed, limits.events)
        return before - len(self.listed)

    def add_copy(self, copy: Copy, limits: Limits) -> int:
        """The same of copies."""
        keep(self.copies, copy)
        before = len(self.copies)
        self.copies = newest(self.copies, limits.events)
        return before - len(self.copies)

    @property
    def writes(self) -> "_Writes":
        """What changed the object; made anew after each event."""
        if self._writes is None:
            self._writes = _Writes([event for event in self.by_flow.values() if event.is_write])
        return self._writes

    def last_before(self, moment: float, version: str | None) -> ObjectEvent | None:
        """The last event that had ended by then, of this version or of none in particular."""
        if self._by_end is None:
            self._by_end = {}
            for event in sorted(self.by_flow.values(), key=lambda event: event.order):
                self._by_end.setdefault(event.wanted_version, []).append(event)
        found = None
        for wanted in {None, version}:
            events = self._by_end.get(wanted, [])
            at = bisect.bisect_right(events, moment, key=lambda event: event.ended)
            if at and (found is None or events[at - 1].order > found.order):
                found = events[at - 1]
        return found


class _Writes:
    """What changed an object, in the order in which it began."""

    def __init__(self, writes: list[ObjectEvent]) -> None:
        self._sorted = sorted(writes, key=lambda write: (write.started, write.flow_id))
        self._last_two = list(accumulate(self._sorted, _last_two, initial=_NO_TWO))

    def before(self, read: ObjectEvent) -> ObjectEvent | None:
        """The last one before a read; None where that cannot be told, since another was
        under way with the read or with that last one."""
        at = bisect.bisect_right(self._sorted, read.ended, key=lambda write: write.started)
        last, second = self._last_two[at]
        if last is None or last.ended > read.started:
            return None
        if second is not None and second.ended >= last.started:
            return None
        return last


_Two = tuple[ObjectEvent | None, ObjectEvent | None]
_NO_TWO: _Two = (None, None)


def _last_two(two: _Two, new: ObjectEvent) -> _Two:
    """The two that ended last."""
    last, second = two
    if last is None or new.order > last.order:
        return new, last
    return last, new if second is None or new.order > second.order else second


class ReadAfterWrite(msgspec.Struct, frozen=True, kw_only=True):
    """A download held against the write before it."""

    flow_id: str
    write: str
    """The flow that wrote what was to be expected."""
    crc64: DigestComparison


def read_after_write(events: ObjectEvents, flow_id: str) -> ReadAfterWrite | None:
    """Compares a read with the last write before it; None where that cannot be told:
    another write was under way, its outcome is unknown, or a cache answered."""
    read = events.by_flow.get(flow_id) if events.any_written else None
    if read is None or read.kind != "read" or read.crc64 is None or read.cached or read.head:
        return None
    last = events.writes.before(read)
    if last is None or last.kind != "write" or last.crc64 is None:
        return None
    wanted = read.wanted_version
    if wanted is not None and wanted != last.version_id:
        return None
    return ReadAfterWrite(
        flow_id=flow_id, write=last.flow_id, crc64=compared(last.crc64, read.crc64)
    )


class CopyVerdict(msgspec.Struct, frozen=True):
    """What is said of a copy against its source."""

    crc64: DigestComparison
    etag: DigestComparison
    source: str | None
    """The flow that told what the source is."""


def judge_copy(copy: Copy, source: ObjectEvents) -> CopyVerdict:
    """The copy's CRC-64 and ETag against what was last seen of its source.

    Only equal CRCs, or different ones under the same ETag, can be told: when
    both differ, the source may have been written meanwhile, out of sight.
    """
    nothing = skipped("copy")
    last = source.last_before(copy.started, copy.source_version)
    if last is None or last.kind not in ("write", "read") or last.cached:
        return CopyVerdict(nothing, nothing, None)
    if copy.source_version is not None and copy.source_version != last.version_id:
        return CopyVerdict(nothing, nothing, None)
    same_etag = copy.etag is not None and copy.etag == last.etag
    crc64 = nothing
    if copy.crc64 is not None and last.crc64 is not None:
        same = copy.crc64 == last.crc64
        if same or (same_etag and not copy.encrypted and not last.encrypted):
            crc64 = compared(copy.crc64, last.crc64)
    etag = compared(f'"{copy.etag}"', f'"{last.etag}"') if same_etag else nothing
    return CopyVerdict(crc64, etag, last.flow_id)


class ReadBack(msgspec.Struct, frozen=True, kw_only=True):
    """A write and the reads of what it wrote, within what was seen."""

    write: str
    reads: tuple[str, ...]
    same: bool


def read_backs(events: ObjectEvents) -> Iterator[ReadBack]:
    """One for each write that was read."""
    reads: dict[str, list[ReadAfterWrite]] = {}
    if not events.any_written:
        return
    for event in sorted(events.by_flow.values(), key=lambda event: event.order):
        found = read_after_write(events, event.flow_id)
        if found is not None:
            reads.setdefault(found.write, []).append(found)
    for write, found_reads in reads.items():
        yield ReadBack(
            write=write,
            reads=tuple(found.flow_id for found in found_reads),
            same=all(found.crc64.same for found in found_reads),
        )


def event_of(seen: Observation) -> ObjectEvent | None:
    """What an exchange tells of its object; None when nothing."""
    kind: ObjectEventKind
    if seen.describes_object:
        kind = "read"
    elif seen.finds_nothing:
        kind = "absent"
    elif seen.operation in _UNKNOWN_CONTENT:
        kind = "delete"
    elif seen.succeeded and seen.reworked:
        kind = "unclear-write"
    elif seen.succeeded:
        kind = "write"
    elif seen.status is None or seen.status >= 500 or seen.answer_cut or seen.status == 200:
        kind = "unclear-write"
    else:
        return None
    etag, crc64, size = seen.etag, seen.header_crc64, seen.size
    passed = seen.crc64
    if kind == "read":
        size = seen.total
        passed = seen.answer_crc64 if seen.span is None and not seen.answer_cut else None
    elif seen.operation == "AppendObject":
        size, passed = seen.next_position, None
    if crc64 is None:
        crc64 = seen.result_crc64 if seen.result_crc64 is not None else passed
    elif passed is not None and passed != crc64:
        # Which of the two is the object's is told as a finding of its own.
        crc64 = None
    return ObjectEvent(
        flow_id=seen.flow_id,
        started=seen.started,
        ended=seen.ended,
        kind=kind,
        etag=etag or seen.result_etag,
        crc64=crc64,
        size=size,
        version_id=seen.version_id,
        wanted_version=seen.wanted_version,
        head=seen.operation == "HeadObject",
        cached=seen.through_cdn,
        encrypted=seen.etag_form != "md5",
        age=seen.age,
        appendable=seen.appendable,
    )


class ListEntry(msgspec.Struct, frozen=True, array_like=True):
    """What a list of a bucket's objects told of one of them: its ETag as observations have it, and
    its size in bytes."""

    flow_id: str
    started: float
    ended: float
    etag: str
    size: int | None
    age: float | None = None
    """Seconds since it was last modified, when the list was answered, by COS's own clock."""


def listings_of(cos: CosExchange, seen: Observation) -> Iterator[tuple[str, ListEntry]]:
    """Keys and what was told of them, by the answer to GetBucket."""
    if seen.operation != "GetBucket" or not seen.succeeded or cos.response is None:
        return
    now = http_date(cos.response.headers.get("date"))
    for each in read_object_list(cos.response.body.text):
        etag, made = plain_etag(each.etag), iso_date(each.last_modified)
        age = None if now is None or made is None else now - made
        yield each.key, ListEntry(seen.flow_id, seen.started, seen.ended, etag, each.size, age)


def event_of_listing(listing: ListEntry) -> ObjectEvent:
    """A list tells as much as a HEAD, but for the CRC-64."""
    return ObjectEvent(
        flow_id=listing.flow_id,
        started=listing.started,
        ended=listing.ended,
        kind="read",
        etag=listing.etag,
        size=listing.size,
        head=True,
        age=listing.age,
    )


def copy_of(seen: Observation) -> Copy:
    """The copy that an exchange of such an operation made."""
    return Copy(
        flow_id=seen.flow_id,
        started=seen.started,
        ended=seen.ended,
        source_version=seen.copy_version,
        etag=seen.result_etag or seen.etag,
        crc64=seen.result_crc64 if seen.result_crc64 is not None else seen.header_crc64,
        encrypted=seen.etag_form != "md5",
    )

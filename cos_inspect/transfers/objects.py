"""What was seen of an object's content at one time or another: copies, and reads after writes."""

from collections.abc import Iterator
from typing import Literal

import msgspec

from cos_inspect.transfers.account import Comparison, Fact, compared, newest, skipped
from cos_inspect.transfers.observation import Observation

MOST_SIGHTS = 32
"""The newest of each object are kept, and half as many more."""

_UNKNOWN_CONTENT = frozenset({"DeleteObject", "RenameObject", "PutSymlink"})

SightKind = Literal["write", "unclear-write", "delete", "read"]


class Sight(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """One exchange that told what the object is, or changed it."""

    kind: SightKind
    etag: str | None = None
    crc64: int | None = None
    size: int | None = None
    version_id: str | None = None
    wanted_version: str | None = None
    head: bool = False
    cached: bool = False
    """It came through a CDN, which may tell of the past."""
    encrypted: bool = False
    """The ETag is no MD5 of the bytes, or need not be one."""


class Copy(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """A successful copy of a whole object."""

    source: str
    """The source object's name in the tracker."""
    source_version: str | None = None
    etag: str | None = None
    crc64: int | None = None
    encrypted: bool = False


class Content(msgspec.Struct, kw_only=True):
    """One object: what was seen of it, and the copies that made it."""

    bucket: str | None
    key: str | None
    sights: dict[str, Sight] = {}
    copies: dict[str, Copy] = {}
    last: float = 0.0
    any_written: bool = False
    """Something else than a read was seen of it."""

    @property
    def facts(self) -> int:
        return len(self.sights) + len(self.copies)

    def add(self, sight: Sight | None, copy: Copy | None) -> None:
        if sight is not None:
            self.any_written = self.any_written or sight.kind != "read"
            self.sights[sight.flow_id] = sight
            self.last = max(self.last, sight.ended)
            self.sights = newest(self.sights, MOST_SIGHTS)
        if copy is not None:
            self.copies[copy.flow_id] = copy
            self.last = max(self.last, copy.ended)
            self.copies = newest(self.copies, MOST_SIGHTS)

    def join(self, other: "Content") -> None:
        self.sights.update(other.sights)
        self.copies.update(other.copies)
        self.last = max(self.last, other.last)
        self.any_written = self.any_written or other.any_written
        self.sights = newest(self.sights, MOST_SIGHTS)
        self.copies = newest(self.copies, MOST_SIGHTS)


class ReadAfterWrite(msgspec.Struct, frozen=True, kw_only=True):
    flow_id: str
    write: str
    """The flow that wrote what was to be expected."""
    crc64: Comparison


def read_after_write(content: Content, flow_id: str) -> ReadAfterWrite | None:
    """Compares a read with the last write before it; None where that cannot be told:
    another write was under way, its outcome is unknown, or a cache answered."""
    read = content.sights.get(flow_id) if content.any_written else None
    if read is None or read.kind != "read" or read.crc64 is None or read.cached or read.head:
        return None
    last: Sight | None = None
    for sight in content.sights.values():
        if sight.kind == "read" or sight.started > read.ended:
            continue
        if sight.ended > read.started:
            return None
        if last is None or sight.order > last.order:
            last = sight
    if last is None or last.kind != "write" or last.crc64 is None:
        return None
    if any(
        sight is not last and sight.kind != "read" and sight.ended >= last.started
        for sight in content.sights.values()
        if sight.started <= read.started
    ):
        return None
    wanted = read.wanted_version
    if wanted is not None and wanted != last.version_id:
        return None
    return ReadAfterWrite(
        flow_id=flow_id, write=last.flow_id, crc64=compared(last.crc64, read.crc64)
    )


class CopyVerdict(msgspec.Struct, frozen=True):
    crc64: Comparison
    etag: Comparison
    source: str | None
    """The flow that told what the source is."""


def judge_copy(copy: Copy, source: Content | None) -> CopyVerdict:
    """The copy's CRC-64 and ETag against what was last seen of its source.

    Only equal CRCs, or different ones under the same ETag, can be told: when
    both differ, the source may have been written meanwhile, out of sight.
    """
    nothing = skipped("copy")
    sights = [] if source is None else [
        sight
        for sight in source.sights.values()
        if sight.ended <= copy.started
        and not (sight.wanted_version and sight.wanted_version != copy.source_version)
    ]  # fmt: skip
    last = max(sights, key=lambda sight: sight.order, default=None)
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
    """An object that was written and read within what was seen."""

    bucket: str | None
    key: str | None
    write: str
    reads: tuple[str, ...]
    same: bool


def read_backs(content: Content) -> Iterator[ReadBack]:
    """One for each write that was read."""
    reads: dict[str, list[ReadAfterWrite]] = {}
    for sight in sorted(content.sights.values(), key=lambda sight: sight.order):
        found = read_after_write(content, sight.flow_id)
        if found is not None:
            reads.setdefault(found.write, []).append(found)
    for write, found_reads in reads.items():
        yield ReadBack(
            bucket=content.bucket,
            key=content.key,
            write=write,
            reads=tuple(found.flow_id for found in found_reads),
            same=all(found.crc64.same for found in found_reads),
        )


def sight_of(seen: Observation) -> Sight | None:
    """What an exchange tells of its object; None when nothing."""
    kind: SightKind
    if seen.describes_object:
        kind = "read"
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
    return Sight(
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
    )


def copy_of(seen: Observation, source: str) -> Copy:
    return Copy(
        flow_id=seen.flow_id,
        started=seen.started,
        ended=seen.ended,
        source=source,
        source_version=seen.copy_version,
        etag=seen.result_etag or seen.etag,
        crc64=seen.result_crc64 if seen.result_crc64 is not None else seen.header_crc64,
        encrypted=seen.etag_form != "md5",
    )

"""All that was seen of one object: its uploads, appends, reads, copies, and the tries of each
request.

Whatever several exchanges say together they say of one object, so what belongs together has
one name (``history_name``) and lies in one place, whichever captures or processes it came
through. Nothing depends on the order of arrival. What a history says of one of its flows is
said in ``inspection/second_look.py``.
"""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from math import inf

import msgspec

from cos_inspect.transfers.appends import AppendHistory
from cos_inspect.transfers.fetched_ranges import fetched_range_of
from cos_inspect.transfers.limits import UNBOUNDED, Limits
from cos_inspect.transfers.multipart import Step, Upload
from cos_inspect.transfers.object_versions import VersionHead, better_head, version_name
from cos_inspect.transfers.objects import (
    Copy,
    ListEntry,
    ObjectEvent,
    ObjectEvents,
    event_of,
    event_of_listing,
)
from cos_inspect.transfers.observation import Observation, belongs_to_upload, writes_object
from cos_inspect.transfers.ranges import RangedDownload
from cos_inspect.transfers.requests import RequestHistory
from cos_inspect.transfers.unanswered_complete import (
    UnansweredComplete,
    unanswered_complete,
    words_of_open,
)

_LONGEST_ID = 128


class ObjectHistory(msgspec.Struct, kw_only=True):
    """Plain data: it can be written to disk and read back. Exchanges without a key, of a bucket
    or a service, have a history for each request."""

    name: str
    bucket: str | None
    key: str | None
    uploads: dict[str, Upload] = {}
    """By upload id."""
    readings: dict[str, RangedDownload] = {}
    """By the client's address."""
    requests: RequestHistory = msgspec.field(default_factory=RequestHistory)
    appends: AppendHistory | None = None
    events: ObjectEvents = msgspec.field(default_factory=ObjectEvents)
    heads: dict[str, VersionHead] = {}
    """What HEADs and GETs told of the object's versions, by ETag."""
    last: float = 0.0
    """When the last of its exchanges ended."""
    facts: int = 0
    """Exchanges that are kept in mind; one that says several things counts for each."""
    left_out: int = 0
    """Exchanges that were not kept, to bound memory."""

    def __post_init__(self) -> None:
        self.settle()

    @classmethod
    def of(cls, seen: Observation) -> "ObjectHistory":
        """An empty one, for an exchange of it."""
        return cls(name=history_name(seen), bucket=seen.bucket, key=seen.key)

    def add(
        self,
        seen: Observation,
        marks: Sequence[tuple[int, int]] = (),
        limits: Limits = UNBOUNDED,
        *,
        judge: bool = True,
    ) -> set[str]:
        """Takes one exchange in; the flows of which something else is to be said now, itself
        among them. ``marks``: running CRC-64s of the answer's body by offset. Where not to
        ``judge``, because more will come, ``settle`` does it once."""
        self.last = max(self.last, seen.ended)
        # One that was copied from before it was seen itself does not know its bucket.
        self.bucket = self.bucket or seen.bucket
        touched = {seen.flow_id}
        if belongs_to_upload(seen.operation):
            touched |= self._add_to_upload(seen, limits, judge=judge)
        if seen.key is not None:
            if seen.operation == "AppendObject":
                touched |= self._add_to_appends(seen, limits, judge=judge)
            if seen.describes_object or seen.finds_nothing or writes_object(seen.operation):
                touched |= self._add_to_events(seen, limits, judge=judge)
            if seen.operation == "GetObject" and fetched_range_of(seen) is not None:
                touched |= self._add_to_reading(seen, marks, limits, judge=judge)
        facts, left_out = self.requests.facts, self.requests.left_out
        touched |= self.requests.add(seen, limits, judge=judge)
        self.facts += self.requests.facts - facts
        self.left_out += self.requests.left_out - left_out
        return touched

    def expect_upload(self, seen: Observation, steps: dict[str, Step]) -> None:
        """Begins the upload that a part belongs to, with what is known of it."""
        upload_id = seen.upload_id or ""
        self.uploads[upload_id] = Upload(
            upload_id=self._shown_id(upload_id), bucket=seen.bucket, key=seen.key, steps=steps
        )

    def add_copy(self, copy: Copy, limits: Limits = UNBOUNDED) -> None:
        """Takes in that another object was made from this one."""
        before = self.events.facts
        self._count(before, self.events.add_copy(copy, limits))
        self.last = max(self.last, copy.ended)

    @property
    def wants_proof(self) -> bool:
        """Whether a list that shows the object would tell that a Complete worked unanswered."""
        return any(upload.is_open and not upload.done for upload in self.uploads.values())

    def add_listing(self, listing: ListEntry, limits: Limits = UNBOUNDED) -> set[str]:
        """Takes in that a list, made after a Complete of which nobody heard, showed the object;
        the flows of which something else is to be said now."""
        uploads = self.uploads.values()
        lost = (
            each.ended
            for upload in uploads
            for each in upload.completes.values()
            if each.unanswered and not upload.done
        )
        if listing.started < min(lost, default=inf):
            return set()
        facts = self.events.facts
        self._count(facts, self.events.add_listed(event_of_listing(listing), limits))
        self.last = max(self.last, listing.ended)
        return {flow for upload in uploads for flow in self._flows_of_open(upload)}

    def _count(self, before: int, dropped: int) -> None:
        self.facts += self.events.facts - before
        self.left_out += dropped

    def settle(self) -> set[str]:
        """Judges what was put off; the flows of which something else is to be said now."""
        touched: set[str] = set()
        for reading in self.readings.values():
            touched |= reading.settle(self.heads)
        if self.appends is not None:
            touched |= self.appends.settle()
        for upload in self.uploads.values():
            touched |= upload.settle()
        return touched

    @property
    def is_read_as_it_is_named(self) -> bool:
        """Whether an object whose name looks escaped is also asked for, and found, by that name."""
        return "%" in (self.key or "") and any(
            event.kind == "read" for event in self.events.by_flow.values()
        )

    def upload_of(self, seen: Observation) -> Upload | None:
        """The multipart upload that an exchange names; None where none was seen."""
        return self.uploads.get(seen.upload_id) if seen.upload_id else None

    def was_appended(self, seen: Observation) -> bool:
        """Whether the object that was read was made by an append that was seen, or another
        answer said that it was appended."""
        if seen.etag is None:
            return False
        head, log = self.heads.get(seen.etag), self.appends
        if head is not None and head.appendable:
            return True
        return log is not None and log.appended_as(seen.etag, seen.ended)

    def reading_of(self, seen: Observation) -> RangedDownload | None:
        """The reading that has the answer for a piece."""
        reading = self.readings.get(seen.client or "") if seen.describes_object else None
        version = reading.versions.get(version_name(seen)) if reading else None
        return reading if version is not None and seen.flow_id in version.pieces else None

    def boundaries(self, seen: Observation) -> set[int]:
        """Where earlier pieces begin or end within a ranged answer, of which only the headers
        came yet: a running CRC-64 there lets overlaps be joined."""
        reading = self.readings.get(seen.client or "")
        if reading is None or seen.span is None:
            return set()
        first, last = seen.span
        return set(reading.boundaries(version_name(seen), first, last + 1))

    def overlaps(self) -> Iterator[tuple[str, list[int]]]:
        """As ``RangedDownload.overlaps``, of all downloads in ranges."""
        for reading in self.readings.values():
            yield from reading.overlaps(self.heads)

    def _add_to_upload(self, seen: Observation, limits: Limits, *, judge: bool) -> set[str]:
        if not seen.upload_id:
            return set()
        upload = self.uploads.get(seen.upload_id)
        if upload is None:
            self.expect_upload(seen, {})
            upload = self.uploads[seen.upload_id]
        was = self._open_completes(upload) if judge else None
        before = upload.facts
        self.left_out += not upload.add(seen, limits)
        self.facts += upload.facts - before
        if not judge:
            return set()
        is_part = seen.operation in ("UploadPart", "UploadPartCopy")
        touched: set[str] = set()
        if is_part and upload.completes:
            part = upload.parts.get(seen.part_number or 0, {}).get(seen.flow_id)
            touched = upload.due(part)
        if seen.stored_parts:
            touched |= upload.completes.keys()
        if seen.operation == "InitiateMultipartUpload" and seen.etag_form != "md5":
            touched |= _flows_of(upload)
        ends = seen.operation in ("AbortMultipartUpload", "CompleteMultipartUpload")
        if upload.is_gone and ends and seen.succeeded:
            # Of those that came too late it is known now why the upload is gone.
            touched |= {flow for flow in _flows_of(upload) if flow in upload.gone_flows}
        now = self._open_completes(upload)
        return touched if was == now else touched | _flows_in(was, upload) | _flows_in(now, upload)

    def _add_to_appends(self, seen: Observation, limits: Limits, *, judge: bool) -> set[str]:
        if self.appends is None:
            self.appends = AppendHistory(
                id=f"append-{_digest(self.name)}", bucket=seen.bucket, key=seen.key
            )
            for event in self.events.by_flow.values():
                self._add_known_length(event, limits, judge=judge)
        before, left_out = self.appends.facts, self.appends.left_out
        touched = self.appends.add(seen, limits, judge=judge)
        if judge and seen.etag:
            touched |= {
                event.flow_id
                for event in self.events.by_flow.values()
                if event.etag == seen.etag and event.ended >= seen.ended
            }
        self.facts += self.appends.facts - before
        self.left_out += self.appends.left_out - left_out
        return touched

    def _add_known_length(self, event: ObjectEvent, limits: Limits, *, judge: bool) -> set[str]:
        """What was read of an object says what is appended to."""
        log = self.appends
        if log is None or event.kind != "read" or event.cached:
            return set()
        if event.size is None or event.crc64 is None:
            return set()
        before = log.facts
        touched = log.learn(event.size, event.crc64, event.ended, limits, judge=judge)
        self.facts += log.facts - before
        return touched

    def _add_to_events(self, seen: Observation, limits: Limits, *, judge: bool) -> set[str]:
        event = event_of(seen)
        if event is None:
            return set()
        events = self.events
        before = events.facts
        open_ones = [upload for upload in self.uploads.values() if judge and upload.is_open]
        states = [self._open_completes(upload) for upload in open_ones]
        self._count(before, events.add(event, limits))
        touched: set[str] = set()
        for upload, was in zip(open_ones, states, strict=True):
            now = self._open_completes(upload)
            if was != now:
                touched |= _flows_in(was, upload) | _flows_in(now, upload)
        if judge and event.kind == "read" and "%" in (self.key or ""):
            touched |= {each.flow_id for each in events.by_flow.values() if each.is_write}
        if not event.is_write:
            touched |= self._learn(event, limits, judge=judge)
            touched |= self._add_known_length(event, limits, judge=judge)
        elif judge:
            touched |= {
                read.flow_id for read in events.by_flow.values() if read.ended >= event.started
            }
        if judge and events.copies:
            touched |= {
                copy.flow_id for copy in events.copies.values() if copy.started >= event.ended
            }
        return touched

    def _learn(self, event: ObjectEvent, limits: Limits, *, judge: bool) -> set[str]:
        """A HEAD or GET tells size and CRC of a version to those who read parts of it."""
        etag = event.etag
        if not etag or event.size is None:
            return set()
        known = self.heads.get(etag)
        if known is None and len(self.heads) >= limits.versions:
            self._forget_oldest_head()
        told = VersionHead(event.ended, event.size, event.crc64, event.appendable)
        head = self.heads[etag] = better_head(known, told)
        if not judge:
            return set()
        touched: set[str] = set()
        if head.appendable and not (known and known.appendable):
            touched = {each.flow_id for each in self.events.by_flow.values() if each.etag == etag}
        if known and (known.total, known.crc64) == (head.total, head.crc64):
            return touched
        for reading in self.readings.values():
            touched |= reading.learn(etag, self.heads)
        return touched

    def _forget_oldest_head(self) -> None:
        oldest = min(self.heads, key=lambda etag: (self.heads[etag].when, etag))
        del self.heads[oldest]
        self.left_out += any(reading.reads(oldest) for reading in self.readings.values())

    def _add_to_reading(
        self, seen: Observation, marks: Sequence[tuple[int, int]], limits: Limits, *, judge: bool
    ) -> set[str]:
        client = seen.client or ""
        reading = self.readings.get(client)
        if reading is None:
            identity = f"read-{_digest(f'{self.name}\0{client}')}"
            reading = RangedDownload(id=identity, bucket=seen.bucket, key=seen.key)
            self.readings[client] = reading
        before, left_out = reading.facts, reading.left_out
        touched = reading.add(seen, marks, limits, self.heads if judge else None)
        self.facts += reading.facts - before
        self.left_out += reading.left_out - left_out
        return touched

    def _open_completes(self, upload: Upload) -> "_OpenCompletes":
        """What is known of Completes of which nobody heard how they ended, and words about it."""
        if not upload.is_open:
            return None, None
        return unanswered_complete(upload, self.events), words_of_open(upload, self.events)

    def _flows_of_open(self, upload: Upload) -> set[str]:
        return _flows_in(self._open_completes(upload), upload)

    def _shown_id(self, upload_id: str) -> str:
        if len(upload_id) <= _LONGEST_ID:
            return upload_id
        return f"upload-{_digest(f'{self.name}\0{upload_id}')}"


def history_name(seen: Observation) -> str:
    """Of the history that an exchange belongs to."""
    if seen.key is None:
        return f"{seen.place}\0\0{seen.same_request}"
    return object_name(seen.place, seen.key)


def source_name(seen: Observation) -> str | None:
    """Of the history of what a copy was made from."""
    if seen.copy_place is None or seen.copy_key is None:
        return None
    return object_name(seen.copy_place, seen.copy_key)


def object_name(place: str, key: str) -> str:
    """One text for an object, under which its history is kept.

    :param place: the bucket, or the host where no bucket is known.
    """
    return f"{place}\0{key}"


_OpenCompletes = tuple[UnansweredComplete | None, str | None]


def _flows_in(known: _OpenCompletes | None, upload: Upload) -> set[str]:
    """The flows that speak of Completes which may have worked unanswered."""
    if known is None:
        return set()
    unanswered, words = known
    found = set() if unanswered is None else {*unanswered.lost, *unanswered.gone}
    return found if words is None else found | {each.flow_id for each in upload.unanswered}


def _flows_of(upload: Upload) -> set[str]:
    parts = (flow for tries in upload.parts.values() for flow in tries)
    return {*parts, *upload.completes, *upload.steps}


def _digest(name: str) -> str:
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()

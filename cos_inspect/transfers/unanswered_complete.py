"""A CompleteMultipartUpload of which no answer says how it ended: what came of it, as later
answers and reads of the object tell."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from cos_inspect.cos.header_values import read_etag
from cos_inspect.transfers.multipart import GONE, CompleteTry, Step, Upload
from cos_inspect.transfers.objects import ObjectEvent, ObjectEvents
from cos_inspect.transfers.observation import plain_etag
from cos_inspect.transfers.stored_parts import joined, stored_part

_SLACK = 2.0
"""Seconds; Last-Modified and Date are whole ones."""

_OPEN = (
    "Whether COS completed the upload all the same is open: send HEAD for the object and compare"
    " its size or CRC-64 before Complete, or the parts, are sent again."
)
_REFUTED = {
    "absent": "A later {method} was answered 404: by then COS had not completed the upload.",
    "older": "A later {method} shows an object that was there before: by then COS had not completed"
    " the upload.",
    "other": "A later {method} shows another object than the parts make.",
}


class UnansweredComplete(msgspec.Struct, frozen=True, kw_only=True):
    """A Complete that worked, or probably did, though no answer said so."""

    lost: tuple[str, ...]
    """The Completes of which it is open whether COS did them."""
    gone: tuple[str, ...] = ()
    """Flows that were then told that there is no such upload, or that they collide with another
    write, in order: another Complete, an Abort."""
    proof: str | None = None
    """A later read that shows the object with the size or the CRC-64 of the parts."""
    crc64: int | None = None
    """As the proof tells."""

    @property
    def told(self) -> str | None:
        """The first flow that heard of it."""
        return self.gone[0] if self.gone else None


class Refutation(msgspec.Struct, frozen=True):
    """A read after the Complete that does not show what the parts make."""

    why: Literal["absent", "older", "other"]
    event: ObjectEvent

    @property
    def is_sure(self) -> bool:
        """Another object may also have been written over the completed one."""
        return self.why != "other"


def unanswered_complete(upload: Upload, events: ObjectEvents) -> UnansweredComplete | None:
    """None when no Complete is open, or nothing speaks for it; ``events``: what was seen of
    the object."""
    if not (upload.is_gone or events.any_read):
        return None
    lost = open_completes(upload)
    if not lost:
        return None
    gone = [
        each.begin
        for group in (upload.completes, upload.steps)
        for each in group.values()
        if each.error_code in GONE and each.started >= lost[0].ended
    ]
    proof = _proof(upload, lost, events)
    if not gone and proof is None:
        return None
    return UnansweredComplete(
        lost=tuple(each.flow_id for each in lost),
        gone=tuple(flow_id for _, flow_id in sorted(gone)),
        proof=proof.flow_id if proof else None,
        crc64=proof.crc64 if proof else None,
    )


def refutation_of(upload: Upload, events: ObjectEvents) -> Refutation | None:
    """The last read after all open Completes, where no read shows what the parts make."""
    lost = open_completes(upload)
    if not lost or not events.any_read or _proof(upload, lost, events) is not None:
        return None
    over = max(each.ended for each in lost)
    reads = [event for event in _reads(upload, lost, events) if event.started >= over]
    last = max(reads, key=lambda event: event.begin, default=None)
    if last is None:
        return None
    if last.kind == "absent":
        return Refutation("absent", last)
    if _is_older(last, lost):
        return Refutation("older", last)
    made = _AssembledParts.of(upload, lost)
    return None if made is None or made.differs(last) is not True else Refutation("other", last)


def words_of_open(upload: Upload, events: ObjectEvents) -> str | None:
    """What is to be said beside the failure of each Complete of which it is open whether COS did
    it (``open_completes``); None where that is known."""
    if not open_completes(upload):
        return None
    unanswered = unanswered_complete(upload, events)
    if unanswered is not None and unanswered.proof is not None:
        return None
    refuted = refutation_of(upload, events)
    if refuted is None:
        return _OPEN
    return _REFUTED[refuted.why].format(method="HEAD" if refuted.event.head else "GET")


def why_gone(upload: Upload, flow_id: str, started: float) -> str | None:
    """Why a flow was told that there is no such upload, where that was seen."""
    told = upload.completes.get(flow_id) or upload.steps.get(flow_id)
    if told is None or told.error_code != "NoSuchUpload":
        return None
    done = [
        (each.order, "completed" if isinstance(each, CompleteTry) else "aborted")
        for group in (upload.completes, upload.steps)
        for each in group.values()
        if each.succeeded and each.ended <= started and _ends(each)
    ]
    if not done:
        return None
    _, how = min(done)
    return f"The upload had been {how} before; an id ends with that."


def _ends(each: CompleteTry | Step) -> bool:
    return isinstance(each, CompleteTry) or each.operation == "AbortMultipartUpload"


def is_aborted(upload: Upload) -> bool:
    """Whether an Abort of the upload came through."""
    return upload.is_aborted


def open_completes(upload: Upload) -> Sequence[CompleteTry]:
    """The Completes that are open, by their beginning; none where the end is known."""
    if upload.done or not upload.is_open or is_aborted(upload):
        return ()
    return upload.unanswered


def _reads(upload: Upload, lost: Sequence[CompleteTry], events: ObjectEvents) -> list[ObjectEvent]:
    """Those after the first open Complete that tell of it: not a cache's, and nobody else wrote
    or deleted the object meanwhile."""
    since = lost[0].started
    others = [
        event.started
        for event in events.by_flow.values()
        if event.is_write and event.ended >= since and event.flow_id not in upload.completes
    ]
    until = min(others, default=None)
    return [
        event
        for event in (*events.by_flow.values(), *events.listed.values())
        if not event.is_write
        and not event.cached
        and event.started >= since
        and (until is None or event.ended <= until)
    ]


class _AssembledParts(msgspec.Struct, frozen=True):
    """What the listed parts make."""

    parts: int
    size: int | None
    crc64: int | None

    @classmethod
    def of(cls, upload: Upload, lost: Sequence[CompleteTry]) -> "_AssembledParts | None":
        listed = next((each.listed for each in lost if each.listed is not None), None)
        if listed is None:
            return None
        parts = [
            stored_part(upload, number, lost[0], plain_etag(etag))
            for number, etag in sorted(listed)
        ]
        sizes = [
            None if part is None else part.announced if part.size is None else part.size
            for part in parts
        ]
        size = None if None in sizes else sum(size or 0 for size in sizes)
        return cls(len(listed), size, joined(iter(parts)))

    def differs(self, event: ObjectEvent) -> bool | None:
        """Whether a read shows another object; None where that cannot be told."""
        etag = read_etag(event.etag)
        if etag is not None and etag.kind == "parts" and etag.parts != self.parts:
            return True
        if event.crc64 is not None and self.crc64 is not None:
            return event.crc64 != self.crc64
        if event.size is not None and self.size is not None:
            return event.size != self.size
        if etag is not None and etag.kind == "parts" and event.age is not None:
            # Made of as many parts since then; the parts themselves were not seen.
            return False
        return None


def _proof(upload: Upload, lost: Sequence[CompleteTry], events: ObjectEvents) -> ObjectEvent | None:
    """The first read after the Complete that shows what the parts make."""
    made = _AssembledParts.of(upload, lost)
    if made is None:
        return None
    shown = [
        event
        for event in _reads(upload, lost, events)
        if event.kind == "read" and not _is_older(event, lost) and made.differs(event) is False
    ]
    return min(shown, key=lambda event: event.begin, default=None)


def _is_older(event: ObjectEvent, lost: Sequence[CompleteTry]) -> bool:
    """Whether the object was made before the first open Complete began; by COS's clock alone."""
    return event.age is not None and event.age > event.ended - lost[0].started + _SLACK

"""What is to be said of a multipart upload: which parts count, and what they make.

Of every part number the last upload that COS stored counts.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

import msgspec

from cos_inspect.cos.header_values import read_etag
from cos_inspect.digests import combine_crc64
from cos_inspect.transfers.account import (
    Account,
    Comparison,
    Fact,
    PartRow,
    busy_seconds,
    compared,
    skipped,
)
from cos_inspect.transfers.multipart import GONE, CompleteTry, PartTry, Upload
from cos_inspect.transfers.objects import Content, Sight
from cos_inspect.transfers.observation import plain_etag

SMALLEST_PART = 1024 * 1024
LARGEST_PART = 5 * 1024**3
LAST_NUMBER = 10_000
"""COS documents, pages 436/7742 and 436/14518."""

UploadState = Literal[
    "open", "completed", "aborted", "refused", "unanswered", "probably-completed", "abandoned"
]


class CompleteVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be said of one CompleteMultipartUpload."""

    crc64: Comparison
    etags: Comparison
    wrong_etags: tuple[int, ...] = ()
    """Numbers whose listed ETag is not the one that COS answered."""
    replaced: tuple[int, ...] = ()
    """Those among them where it is the ETag of an upload that a later one replaced."""
    invalid: tuple[str, ...] = ()
    """What breaks the rules for lists of parts, in words."""
    order_as_listed: bool = False
    """COS's CRC-64 is that of the parts in the order listed, which is not that of the numbers."""
    parts: int | None = None


def judge_complete(upload: Upload, complete: CompleteTry) -> CompleteVerdict:
    listed = complete.listed
    refused = not complete.succeeded
    if listed is None:
        reason = skipped("failed-request" if refused else "not-captured", complete.crc64)
        if not refused and complete.crc64 is None:
            return CompleteVerdict(
                crc64=skipped(complete.crc64_unread or "no-header"), etags=reason
            )
        return CompleteVerdict(crc64=reason, etags=reason)
    chosen = {
        number: stored_part(upload, number, complete, plain_etag(etag)) for number, etag in listed
    }
    etags, wrong = _compare_etags(complete, chosen)
    replaced = tuple(
        number for number, etag in wrong if _was_answered(upload.parts.get(number, {}), etag)
    )
    crc64, as_listed = _compare_crc64(upload, complete, chosen)
    return CompleteVerdict(
        crc64=crc64,
        etags=etags,
        wrong_etags=tuple(number for number, _ in wrong),
        replaced=replaced,
        invalid=tuple(_invalid(listed, complete.no_numbers, chosen)),
        order_as_listed=as_listed,
        parts=len(listed),
    )


def counting_try(
    tries: dict[str, PartTry], complete: CompleteTry | None, etag: str | None = None
) -> PartTry | None:
    """The upload of a part that counts: the last one that COS stored.

    Of uploads that overlap in time nobody on the way knows which came last at
    COS; then the one with the ETag that COS accepted is taken. None when none
    was seen, or a later one is unanswered and may have replaced it.
    """
    stored = [part for part in tries.values() if part.stored]
    if complete is not None:
        stored = [part for part in stored if part.started <= complete.ended] or stored
    if not stored:
        return None
    last = max(stored, key=lambda part: part.order)
    for part in tries.values():
        same = part.crc64 is not None and part.crc64 == last.crc64
        if part.unanswered and part.ended > last.started and not same:
            return None
    if etag and last.etag != etag:
        rivals = [part for part in stored if part.ended >= last.started and part.etag == etag]
        if rivals:
            return max(rivals, key=lambda part: part.order)
    return last


def stored_part(
    upload: Upload, number: int, complete: CompleteTry | None, etag: str | None = None
) -> PartTry | None:
    """The same of one number of an upload; where none was seen, what ListParts told of it."""
    tries = upload.parts.get(number)
    if tries:
        return counting_try(tries, complete, etag)
    told = upload.listed.get(number)
    if told is None:
        return None
    if complete is not None and complete.succeeded and etag and etag != told.etag:
        # COS took another one, which was sent out of sight.
        return None
    return PartTry(
        flow_id=told.flow_id,
        started=told.moment,
        ended=told.moment,
        number=number,
        stored=True,
        size=told.size,
        etag=told.etag,
    )


def _compare_etags(
    complete: CompleteTry, chosen: dict[int, PartTry | None]
) -> tuple[Comparison, list[tuple[int, str]]]:
    listed = complete.listed or ()
    wrong: list[tuple[int, str]] = []
    unknown = False
    unread = bool(complete.no_numbers) or complete.etag_unread
    first: tuple[str, str] | None = None
    for number, sent in listed:
        part = chosen.get(number)
        etag = plain_etag(sent)
        if read_etag(etag) is None:
            unread = True
        elif part is None or part.etag is None:
            unknown = True
        elif part.etag == etag:
            continue
        elif read_etag(part.etag) is None:
            unread = True
        else:
            wrong.append((number, etag))
            first = first or (f'part {number} "{etag}"', f'part {number} "{part.etag}"')
    if first is not None:
        return Comparison(*first), wrong
    if not complete.succeeded:
        return skipped("incomplete" if complete.answer_cut else "failed-request"), wrong
    if unread:
        return skipped("malformed"), wrong
    made = read_etag(complete.etag)
    if made is not None and made.parts not in (None, len(listed)):
        return Comparison(_counted(len(listed)), _counted(made.parts or 0)), wrong
    if unknown:
        return skipped("unseen-parts"), wrong
    if complete.etag is None and complete.callback:
        return skipped("callback"), wrong
    return Comparison(_counted(len(listed)), _counted(len(listed)), same=True), wrong


def _counted(parts: int) -> str:
    return "1 part" if parts == 1 else f"{parts} parts"


def _was_answered(tries: dict[str, PartTry], etag: str) -> bool:
    return any(part.etag == etag for part in tries.values())


def _compare_crc64(
    upload: Upload, complete: CompleteTry, chosen: dict[int, PartTry | None]
) -> tuple[Comparison, bool]:
    if not complete.succeeded:
        return skipped("incomplete" if complete.answer_cut else "failed-request"), False
    if complete.crc64 is None:
        return skipped(complete.crc64_unread or "no-header"), False
    if complete.no_numbers:
        return skipped("malformed", complete.crc64), False
    if upload.left_out:
        return skipped("unseen-parts", complete.crc64), False
    joined = _joined(chosen[number] for number in sorted(chosen))
    if joined is None:
        return skipped("unseen-parts", complete.crc64), False
    outcome = compared(complete.crc64, joined)
    numbers = [number for number, _ in complete.listed or ()]
    as_listed = (
        not outcome.same
        and numbers != sorted(numbers)
        and _joined(chosen[number] for number in numbers) == complete.crc64
    )
    return outcome, as_listed


def _joined(parts: Iterator[PartTry | None]) -> int | None:
    crc64 = 0
    for part in parts:
        if part is None or part.crc64 is None or part.size is None:
            return None
        crc64 = combine_crc64(crc64, part.crc64, part.size)
    return crc64


def _invalid(
    listed: tuple[tuple[int, str], ...],
    no_numbers: tuple[str, ...],
    chosen: dict[int, PartTry | None],
) -> Iterator[str]:
    numbers = [number for number, _ in listed]
    if no_numbers:
        yield f"listed without a number: {_few([repr(text) for text in no_numbers])}"
    no_etags = [number for number, etag in listed if read_etag(plain_etag(etag)) is None]
    if no_etags:
        yield f"listed with an ETag that is none: {_few(no_etags)}"
    if len(set(numbers)) < len(numbers):
        twice = sorted(number for number, count in Counter(numbers).items() if count > 1)
        yield f"listed more than once: {_few(twice)}"
    late = [b for a, b in pairwise(numbers) if b < a]
    if late:
        yield f"out of ascending order: {_few(late)}"
    outside = [
        number
        for number in numbers
        if not 1 <= number <= LAST_NUMBER and chosen.get(number) is None
    ]
    if outside:
        yield f"number outside 1-{LAST_NUMBER}: {_few(outside)}"
    last = max(numbers, default=0)
    small = [
        number
        for number in sorted(chosen)
        if number != last and _size(chosen[number], SMALLEST_PART) < SMALLEST_PART
    ]
    if small:
        yield f"smaller than 1 MiB and not the last: {_few(small)}"


def part_problem(number: int | None, size: int | None) -> str | None:
    """What breaks the rules for parts in one upload of a part, in words."""
    if number is not None and not 1 <= number <= LAST_NUMBER:
        return f"part number {number} is outside 1-{LAST_NUMBER}"
    if size is not None and size > LARGEST_PART:
        return f"part {number} has {size} bytes, more than 5 GiB"
    return None


def _size(part: PartTry | None, unknown: int) -> int:
    return unknown if part is None or part.size is None else part.size


def _few(numbers: Sequence[object]) -> str:
    shown = ", ".join(str(number) for number in numbers[:10])
    return f"{shown} and {len(numbers) - 10} more" if len(numbers) > 10 else shown


class Unheard(msgspec.Struct, frozen=True, kw_only=True):
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


def unheard_complete(upload: Upload, content: Content) -> Unheard | None:
    """None when no Complete is open, or nothing speaks for it; ``content``: what was seen of
    the object."""
    if upload.done or not upload.is_open or not (upload.is_gone or content.any_read):
        return None
    if _is_aborted(upload):
        return None
    lost = sorted(
        (each for each in upload.completes.values() if each.unanswered),
        key=lambda each: each.begin,
    )
    if not lost:
        return None
    gone = [
        each.begin
        for group in (upload.completes, upload.steps)
        for each in group.values()
        if each.error_code in GONE and each.started >= lost[0].ended
    ]
    proof = _proof(upload, lost, content)
    if not gone and proof is None:
        return None
    return Unheard(
        lost=tuple(each.flow_id for each in lost),
        gone=tuple(flow_id for _, flow_id in sorted(gone)),
        proof=proof.flow_id if proof else None,
        crc64=proof.crc64 if proof else None,
    )


def _proof(upload: Upload, lost: list[CompleteTry], content: Content) -> Sight | None:
    """The first read after the Complete that shows what the parts make."""
    listed = next((each.listed for each in lost if each.listed is not None), None)
    if listed is None:
        return None
    parts = [
        stored_part(upload, number, lost[0], plain_etag(etag)) for number, etag in sorted(listed)
    ]
    crc64 = _joined(iter(parts))
    sizes = [part.size if part else None for part in parts]
    size = None if None in sizes else sum(size or 0 for size in sizes)
    shown = [
        sight
        for sight in content.sights.values()
        if sight.kind == "read" and not sight.cached and sight.started >= lost[0].started
        and _shows(sight, size, crc64)
    ]  # fmt: skip
    return min(shown, key=lambda sight: sight.begin, default=None)


def _shows(sight: Sight, size: int | None, crc64: int | None) -> bool:
    if sight.crc64 is not None and crc64 is not None:
        return sight.crc64 == crc64
    return size is not None and sight.size == size


def _is_aborted(upload: Upload) -> bool:
    return any(
        step.operation == "AbortMultipartUpload" and step.succeeded
        for step in upload.steps.values()
    )


def deciding_complete(upload: Upload) -> CompleteTry | None:
    """The Complete that made the object: the first that succeeded; else the last one that was
    tried."""
    completes = sorted(upload.completes.values(), key=lambda each: each.order)
    done = [complete for complete in completes if complete.succeeded]
    return done[0] if done else completes[-1] if completes else None


def state_of(upload: Upload, content: Content, *, over: bool) -> UploadState:
    """``over``: nothing more will come; ``content``: what was seen of the object."""
    completes = upload.completes.values()
    if any(complete.succeeded for complete in completes):
        return "completed"
    if _is_aborted(upload):
        return "aborted"
    unheard = unheard_complete(upload, content)
    if unheard is not None:
        return "probably-completed" if unheard.proof is None else "completed"
    if any(complete.unanswered for complete in completes):
        return "unanswered"
    parts = [part for tries in upload.parts.values() for part in tries.values()]
    under_way = any(part.stopped for part in parts)
    gone = any(
        each.error_code == "NoSuchUpload"
        for group in (upload.completes, upload.steps)
        for each in group.values()
    )
    stored = upload.listed or any(part.stored for part in parts)
    if over and stored and not under_way and not gone:
        return "abandoned"
    return "refused" if completes else "open"


def account_of(upload: Upload, content: Content, *, over: bool) -> Account:
    done = [complete for complete in upload.completes.values() if complete.succeeded]
    complete = min(done, key=lambda each: (each.ended, each.flow_id)) if done else None
    wanted: dict[int, str] = {}
    if complete is not None and complete.listed is not None:
        wanted = {number: plain_etag(etag) for number, etag in complete.listed}
    table: list[PartRow] = []
    twice = 0
    replaced: set[str] = set()
    unheard = unheard_complete(upload, content)
    if done or unheard is not None:
        replaced |= {each.flow_id for each in upload.completes.values() if not each.succeeded}
        replaced |= set(unheard.gone) if unheard is not None else set()
    sizes: list[int | None] = []
    for number in sorted(upload.parts.keys() | upload.listed.keys() | wanted.keys()):
        tries = upload.parts.get(number, {})
        part = stored_part(upload, number, complete, wanted.get(number))
        counts = not wanted or number in wanted
        if counts:
            sizes.append(part.size if part else None)
        if not tries:
            continue
        sent = [each.sent for each in tries.values()]
        twice += sum(sent) - (part.sent if part else max(sent))
        shown = part or max(tries.values(), key=lambda each: each.order)
        if part is not None or not counts:
            replaced |= tries.keys()
        if part is not None and counts:
            replaced.discard(part.flow_id)
        table.append(_row(shown, len(tries)))
    every: list[Fact] = [
        *(part for tries in upload.parts.values() for part in tries.values()),
        *upload.completes.values(),
        *upload.steps.values(),
    ]
    every.sort(key=lambda each: (each.started, each.flow_id))
    known = [size for size in sizes if size is not None]
    return Account(
        kind="multipart-upload",
        id=upload.upload_id,
        bucket=upload.bucket,
        key=upload.key,
        state=state_of(upload, content, over=over),
        size=sum(known) if len(known) == len(sizes) and known else None,
        parts=len(wanted) or len(upload.parts.keys() | upload.listed.keys()),
        started=every[0].started if every else 0.0,
        ended=max((each.ended for each in every), default=0.0),
        active=busy_seconds((each.started, each.ended) for each in every),
        tries=sum(len(tries) for tries in upload.parts.values()),
        bytes_sent_twice=twice,
        flows=tuple(each.flow_id for each in every),
        replaced=frozenset(replaced),
        table=tuple(table),
        left_out=upload.left_out,
    )


def _row(part: PartTry, tries: int) -> PartRow:
    return PartRow(
        number=part.number,
        size=part.size,
        md5=part.md5,
        crc64ecma=None if part.crc64 is None else str(part.crc64),
        etag=part.etag,
        tries=tries,
        seconds=round(part.ended - part.started, 6),
        host=part.host,
        flow=part.flow_id,
    )

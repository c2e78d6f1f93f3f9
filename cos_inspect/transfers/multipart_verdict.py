"""What is to be said of a multipart upload: which parts count, and what they make.

Of every part number the last upload that COS stored counts.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

import msgspec

from cos_inspect.cos.header_values import read_etag
from cos_inspect.transfers.account import (
    Account,
    DigestComparison,
    Fact,
    PartRow,
    busy_seconds,
    compared,
    skipped,
)
from cos_inspect.transfers.multipart import (
    LAST_NUMBER,
    SMALLEST_PART,
    CompleteTry,
    PartTry,
    Upload,
)
from cos_inspect.transfers.objects import ObjectEvents
from cos_inspect.transfers.observation import plain_etag
from cos_inspect.transfers.stored_parts import joined, stored_part
from cos_inspect.transfers.unanswered_complete import is_aborted, refutation_of, unanswered_complete

LARGEST_PART = 5 * 1024**3
"""Bytes; COS documents, pages 436/7742 and 436/14518."""

UploadState = Literal[
    "open", "completed", "aborted", "refused", "unanswered", "probably-completed", "abandoned"
]


class CompleteVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be said of one CompleteMultipartUpload."""

    crc64: DigestComparison
    etags: DigestComparison
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
    """What a Complete says of the parts that it lists, against those that were sent: each ETag,
    and the CRC-64 of all parts joined in order."""
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


def _compare_etags(
    complete: CompleteTry, chosen: dict[int, PartTry | None]
) -> tuple[DigestComparison, list[tuple[int, str]]]:
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
        return DigestComparison(*first), wrong
    if not complete.succeeded:
        return skipped("incomplete" if complete.answer_cut else "failed-request"), wrong
    if unread:
        return skipped("malformed"), wrong
    made = read_etag(complete.etag)
    if made is not None and made.parts not in (None, len(listed)):
        return DigestComparison(_counted(len(listed)), _counted(made.parts or 0)), wrong
    if unknown:
        return skipped("unseen-parts"), wrong
    if complete.etag is None and complete.callback:
        return skipped("callback"), wrong
    return DigestComparison(_counted(len(listed)), _counted(len(listed)), same=True), wrong


def _counted(parts: int) -> str:
    return "1 part" if parts == 1 else f"{parts} parts"


def _was_answered(tries: dict[str, PartTry], etag: str) -> bool:
    return any(part.etag == etag for part in tries.values())


def _compare_crc64(
    upload: Upload, complete: CompleteTry, chosen: dict[int, PartTry | None]
) -> tuple[DigestComparison, bool]:
    if not complete.succeeded:
        return skipped("incomplete" if complete.answer_cut else "failed-request"), False
    if complete.crc64 is None:
        return skipped(complete.crc64_unread or "no-header"), False
    if complete.no_numbers:
        return skipped("malformed", complete.crc64), False
    if upload.left_out:
        return skipped("unseen-parts", complete.crc64), False
    made = joined(chosen[number] for number in sorted(chosen))
    if made is None:
        return skipped("unseen-parts", complete.crc64), False
    outcome = compared(complete.crc64, made)
    numbers = [number for number, _ in complete.listed or ()]
    as_listed = (
        not outcome.same
        and numbers != sorted(numbers)
        and joined(chosen[number] for number in numbers) == complete.crc64
    )
    return outcome, as_listed


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


def deciding_complete(upload: Upload) -> CompleteTry | None:
    """The Complete that made the object: the first that succeeded; else the last one that was
    tried."""
    completes = sorted(upload.completes.values(), key=lambda each: each.order)
    done = [complete for complete in completes if complete.succeeded]
    return done[0] if done else completes[-1] if completes else None


def state_of(upload: Upload, events: ObjectEvents, *, over: bool) -> UploadState:
    """``over``: nothing more will come; ``events``: what was seen of the object."""
    completes = upload.completes.values()
    if any(complete.succeeded for complete in completes):
        return "completed"
    if is_aborted(upload):
        return "aborted"
    unanswered = unanswered_complete(upload, events)
    if unanswered is not None and unanswered.proof is not None:
        return "completed"
    refuted = refutation_of(upload, events)
    is_refuted = refuted is not None and refuted.is_sure
    if unanswered is not None and not is_refuted:
        return "probably-completed"
    if not is_refuted and any(complete.unanswered for complete in completes):
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


def account_of(upload: Upload, events: ObjectEvents, *, over: bool) -> Account:
    """The sum of an upload.

    :param events: what is known of the object that it makes.
    :param over: no exchange can follow, so that what is open stays so.
    """
    done = [complete for complete in upload.completes.values() if complete.succeeded]
    complete = min(done, key=lambda each: (each.ended, each.flow_id)) if done else None
    wanted: dict[int, str] = {}
    if complete is not None and complete.listed is not None:
        wanted = {number: plain_etag(etag) for number, etag in complete.listed}
    table: list[PartRow] = []
    twice = 0
    replaced: set[str] = set()
    unanswered = unanswered_complete(upload, events)
    if done or unanswered is not None:
        replaced |= {each.flow_id for each in upload.completes.values() if not each.succeeded}
        replaced |= set(unanswered.gone) if unanswered is not None else set()
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
        state=state_of(upload, events, over=over),
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

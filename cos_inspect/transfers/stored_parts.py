"""Which upload of a part counts, and what parts make together."""

from collections.abc import Iterator

from cos_inspect.digests import combine_crc64
from cos_inspect.transfers.multipart import CompleteTry, PartTry, Upload


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


def joined(parts: Iterator[PartTry | None]) -> int | None:
    """The CRC-64 of parts in their order; None where one of them is not known."""
    crc64 = 0
    for part in parts:
        if part is None or part.crc64 is None or part.size is None:
            return None
        crc64 = combine_crc64(crc64, part.crc64, part.size)
    return crc64

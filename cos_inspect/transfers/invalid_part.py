"""Which of the parts that a CompleteMultipartUpload lists COS cannot have, and why."""

from collections.abc import Iterator

from cos_inspect.transfers.multipart import PART_ERRORS, CompleteTry, PartTry, Upload
from cos_inspect.transfers.observation import plain_etag

_MOST = 10


def part_trouble(upload: Upload, complete: CompleteTry) -> str | None:
    """In a sentence or two, of a Complete that was refused for its parts; None where nothing
    can be said: no list, or no part was seen at all."""
    if complete.error_code not in PART_ERRORS or complete.listed is None:
        return None
    if not upload.parts and not upload.listed:
        return None
    found = list(_troubles(upload, complete, complete.listed))
    if not found:
        return (
            "Each listed part was seen to be stored, with the ETag that is listed: perhaps another"
            " process uploaded one of them again, or the list belongs to another upload."
        )
    shown = found[:_MOST]
    if len(found) > _MOST:
        shown.append(f"{len(found) - _MOST} parts more")
    return f"Of the listed parts: {'; '.join(shown)}."


def _troubles(
    upload: Upload, complete: CompleteTry, listed: tuple[tuple[int, str], ...]
) -> Iterator[str]:
    for number, sent in listed:
        tries, etag = upload.parts.get(number), plain_etag(sent)
        if not tries:
            told = upload.listed.get(number)
            if told is None:
                yield f"part {number} was not seen to be uploaded"
            elif told.etag != etag:
                yield f'part {number} is listed with ETag "{etag}", ListParts told "{told.etag}"'
            continue
        stored = [part for part in tries.values() if part.stored]
        if not stored:
            yield f"the upload of part {number} {_failure(list(tries.values()))}"
            continue
        stored = [part for part in stored if part.started <= complete.ended]
        if not stored:
            yield f"part {number} was uploaded only later"
            continue
        last = max(stored, key=lambda part: part.order)
        if last.etag is None or last.etag == etag:
            continue
        if any(part.etag == etag for part in stored):
            yield f"part {number} was uploaded again, and is listed with the ETag of an earlier try"
        elif not etag:
            yield f'part {number} is listed without an ETag, COS answered "{last.etag}"'
        else:
            yield f'part {number} is listed with ETag "{etag}", COS answered "{last.etag}"'


def _failure(tries: list[PartTry]) -> str:
    return "had no answer" if any(part.unanswered for part in tries) else "failed"

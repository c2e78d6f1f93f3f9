"""What came of a Complete that no answer tells the end of."""

from email.utils import formatdate
from itertools import permutations
from typing import Any

import pytest

from cos_inspect.model.exchange import Exchange
from cos_inspect.transfers.history import ObjectHistory
from cos_inspect.transfers.multipart_verdict import state_of
from cos_inspect.transfers.unanswered_complete import (
    open_completes,
    refutation_of,
    unanswered_complete,
    why_gone,
    words_of_open,
)
from tests.transfers.build import (
    MIB,
    START,
    UPLOAD,
    body_of,
    complete,
    crc64,
    exchange,
    failure,
    initiate,
    md5,
    part,
    put,
    seen,
)

CHUNKS = [bytes(MIB), b"the end"]
LISTED = [(number, md5(data)) for number, data in enumerate(CHUNKS, 1)]
WHOLE = b"".join(CHUNKS)
MADE = f'"{md5(b"x")}-2"'
PARTS = [initiate("i"), *(part(f"p{n}", n, data, float(n)) for n, data in enumerate(CHUNKS, 1))]
LOST = complete("lost", LISTED, None, 5.0, **failure(503, "ServiceUnavailable"))
GONE = complete("gone", LISTED, None, 8.0, **failure(404, "NoSuchUpload"))


def head(
    at: float,
    *,
    size: int = len(WHOLE),
    crc: int | None = None,
    etag: str = MADE,
    age: float | None = None,
    **more: Any,
) -> Exchange:
    answered = {"ETag": etag, "Content-Length": str(size)}
    if crc is not None:
        answered["x-cos-hash-crc64ecma"] = str(crc)
    if age is not None:
        answered["Date"] = formatdate(START + at, usegmt=True)
        answered["Last-Modified"] = formatdate(START + at - age, usegmt=True)
    return exchange("head", "HEAD", "/a", at, answered=answered, **more)


def history(*flows: Exchange) -> ObjectHistory:
    made = ObjectHistory.of(seen(flows[0]))
    for flow in flows:
        made.add(seen(flow))
    return made


def told(*flows: Exchange) -> tuple[str, str | None, str | None]:
    """State, proof, and why it is refuted; the same in whatever order."""
    found = set()
    for order in permutations(flows, len(flows)) if len(flows) < 6 else (flows, flows[::-1]):
        made = history(*order)
        upload, content = made.uploads[UPLOAD], made.events
        unanswered, refuted = unanswered_complete(upload, content), refutation_of(upload, content)
        state = state_of(upload, content, over=True)
        proof = None if unanswered is None else unanswered.proof
        found.add((state, proof, None if refuted is None else refuted.why))
    (one,) = found
    return one


def test_nothing_more_was_seen() -> None:
    assert told(*PARTS, LOST) == ("unanswered", None, None)
    made = history(*PARTS, LOST)
    words = words_of_open(made.uploads[UPLOAD], made.events)
    assert words is not None
    assert "HEAD" in words
    assert [each.flow_id for each in open_completes(made.uploads[UPLOAD])] == ["lost"]


@pytest.mark.parametrize("age", [None, 0.0, 3.0])
def test_a_read_that_shows_what_the_parts_make(age: float | None) -> None:
    assert told(*PARTS, LOST, head(9.0, crc=crc64(WHOLE), age=age)) == ("completed", "head", None)
    assert told(*PARTS, LOST, head(9.0, age=age)) == ("completed", "head", None)


def test_an_object_that_was_there_before_proves_nothing() -> None:
    """The same file, uploaded again: the old object has its size and its CRC-64."""
    old = head(9.0, crc=crc64(WHOLE), age=86_400.0)
    assert told(*PARTS, LOST, old) == ("abandoned", None, "older")
    assert told(*PARTS, LOST, GONE, old)[0] not in ("completed", "probably-completed")


def test_another_number_of_parts_is_another_object() -> None:
    other = head(9.0, etag=f'"{md5(b"x")}-3"')
    assert told(*PARTS, LOST, other) == ("unanswered", None, "other")
    assert told(*PARTS, LOST, GONE, other) == ("probably-completed", None, "other")


def test_what_somebody_else_wrote_meanwhile_proves_nothing() -> None:
    again = put("put", WHOLE, 6.0)
    shown = head(9.0, crc=crc64(WHOLE), etag=f'"{md5(WHOLE)}"')
    assert told(*PARTS, LOST, again, shown) == ("unanswered", None, None)
    before = head(5.5, crc=crc64(WHOLE))
    assert told(*PARTS, LOST, again, before) == ("completed", "head", None)


def test_a_read_that_finds_nothing() -> None:
    assert told(*PARTS, LOST, head(9.0, status=404)) == ("abandoned", None, "absent")
    early = head(4.0, status=404)
    assert told(*PARTS, LOST, early) == ("unanswered", None, None)
    made = history(*PARTS, LOST, head(9.0, status=404))
    assert "404" in (words_of_open(made.uploads[UPLOAD], made.events) or "")


def test_only_the_end_was_seen() -> None:
    """As many parts as were listed, made since then."""
    assert told(LOST, GONE, head(9.0, age=2.0)) == ("completed", "head", None)
    assert told(LOST, GONE, head(9.0)) == ("probably-completed", None, None)


def test_parts_whose_bytes_were_not_kept() -> None:
    """As in a HAR: their sizes are those that were announced."""
    bare = [
        part(f"p{n}", n, data, float(n), body=body_of(b""), sent={"Content-Length": str(len(data))})
        for n, data in enumerate(CHUNKS, 1)
    ]
    unknown = [
        seen(each).__class__(**{**_fields(each), "size": None, "crc64": None}) for each in bare
    ]
    made = ObjectHistory.of(unknown[0])
    for one in (*unknown, seen(LOST), seen(head(9.0))):
        made.add(one)
    assert state_of(made.uploads[UPLOAD], made.events, over=True) == "completed"


def _fields(one: Exchange) -> dict[str, Any]:
    found = seen(one)
    return {name: getattr(found, name) for name in found.__struct_fields__}


def test_a_later_success_leaves_nothing_open() -> None:
    made = history(*PARTS, LOST, complete("done", LISTED, crc64(WHOLE), 8.0))
    assert words_of_open(made.uploads[UPLOAD], made.events) is None
    assert not open_completes(made.uploads[UPLOAD])


def test_why_an_upload_is_gone() -> None:
    abort = exchange("x", "DELETE", f"/a?uploadId={UPLOAD}", 6.0, status=204)
    upload = history(*PARTS, abort, GONE).uploads[UPLOAD]
    assert "aborted before" in (why_gone(upload, "gone", START + 8.0) or "")
    assert why_gone(history(*PARTS, GONE).uploads[UPLOAD], "gone", START + 8.0) is None

"""What ListParts answered of parts that were sent before anything was seen."""

import itertools

import pytest

from tests.inspection.test_session import CHUNKS, LISTED, WHOLE, Run, on_transfer
from tests.transfers.build import complete, exchange, failure, list_parts, md5, part

OTHER = md5(b"other")


TOLD = list_parts([(n, md5(data), len(data)) for n, data in enumerate(CHUNKS[:2], 1)], 0.0)
LAST = part("p3", 3, CHUNKS[2], 1.0)


@pytest.mark.parametrize("order", itertools.permutations(range(3)))
def test_a_resumed_upload_is_whole(order: tuple[int, ...]) -> None:
    flows = [TOLD, LAST, complete("c", LISTED, WHOLE, 2.0)]
    run = Run([flows[number] for number in order])
    summary = run.close()
    assert run.rules() == {}
    assert run.check("c", "multipart-etags").status == "match"
    # ListParts tells no CRC-64.
    assert run.check("c", "multipart-crc64").reason == "unseen-parts"
    (transfer,) = summary.transfers
    assert (transfer.state, transfer.parts) == ("completed", 3)
    assert transfer.size == sum(map(len, CHUNKS))


def test_another_etag_than_listed_is_told_where_cos_refuses_it() -> None:
    listed = [(1, OTHER), *LISTED[1:]]
    refused = complete("c", listed, None, 2.0, **failure(400, "InvalidPart"))
    run = Run([TOLD, LAST, refused])
    assert "multipart-etag-mismatch" in run.rules()["c"]
    # What COS took was sent out of sight after the list.
    taken = Run([TOLD, LAST, complete("c", listed, WHOLE, 2.0)])
    assert taken.rules() == {}
    assert taken.check("c", "multipart-etags").reason == "unseen-parts"


def test_what_was_listed_proves_a_complete_that_nobody_heard() -> None:
    lost = complete("c", LISTED, None, 2.0, status=None)
    size = {"Content-Length": str(sum(map(len, CHUNKS))), "ETag": f'"{OTHER}-3"'}
    head = exchange("h", "HEAD", "/a", 3.0, answered=size)
    summary = Run([TOLD, LAST, lost, head]).close()
    (transfer,) = summary.transfers
    assert transfer.state == "completed"
    assert "multipart-abandoned" not in on_transfer(summary)


def test_parts_that_are_only_listed_are_paid_for_as_well() -> None:
    summary = Run([TOLD]).close()
    assert on_transfer(summary) == ["multipart-abandoned"]
    assert summary.transfers[0].findings[0].evidence["parts"] == 2

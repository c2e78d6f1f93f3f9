"""What is told of a multipart upload as a whole, and of a part that cannot be one."""

import itertools

import msgspec
import pytest

from cos_inspect.rules.multipart import (
    multipart_abandoned,
    multipart_crc64_mismatch,
    multipart_etag_mismatch,
    multipart_list_invalid,
    multipart_part_invalid,
)
from cos_inspect.rules.transfer import MOST_NAMED
from cos_inspect.transfers.account import compared
from cos_inspect.transfers.limits import UNBOUNDED
from cos_inspect.transfers.multipart import Upload
from cos_inspect.transfers.multipart_verdict import CompleteVerdict
from tests.transfers.build import UPLOAD, complete, failure, part, put, seen

FINE = CompleteVerdict(crc64=compared(5, 5), etags=compared("a", "a"), parts=3)


def test_nothing_is_said_of_a_sound_upload() -> None:
    for rule in (multipart_crc64_mismatch, multipart_etag_mismatch, multipart_list_invalid):
        assert not list(rule(FINE))


def test_both_checksums_are_told_where_they_differ() -> None:
    (finding,) = multipart_crc64_mismatch(msgspec.structs.replace(FINE, crc64=compared(5, 6)))
    assert "5" in finding.detail
    assert "6" in finding.detail


def test_of_many_wrong_etags_the_first_are_named() -> None:
    wrong = tuple(range(1, 101))
    verdict = msgspec.structs.replace(FINE, etags=compared("a", "b"), wrong_etags=wrong, parts=100)
    (finding,) = multipart_etag_mismatch(verdict)
    assert finding.evidence["parts"] == list(range(1, MOST_NAMED + 1))
    assert "100 of 100 parts" in finding.detail


def test_a_part_whose_number_is_none_is_told() -> None:
    fine = seen(part("p", 1, b"x", 0.0))
    assert not list(multipart_part_invalid(fine))
    (finding,) = multipart_part_invalid(
        msgspec.structs.replace(fine, part_number=None, no_part_number="one")
    )
    assert "'one'" in finding.detail


def test_only_parts_have_part_numbers() -> None:
    odd = msgspec.structs.replace(seen(put("f", b"x", 0.0)), no_part_number="one")
    assert not list(multipart_part_invalid(odd))


@pytest.mark.parametrize("order", itertools.permutations(range(2)))
def test_of_several_refusals_the_last_is_told_whatever_came_first(order: tuple[int, ...]) -> None:
    refused = [
        complete("c1", [(1, "e")], None, 2.0, **failure(400, "InvalidPart")),
        complete("c2", [(1, "e")], None, 3.0, **failure(403, "AccessDenied")),
    ]
    upload = Upload(upload_id=UPLOAD, bucket=None, key="a")
    upload.add(seen(part("p", 1, b"x", 1.0)), UNBOUNDED)
    for number in order:
        upload.add(seen(refused[number]), UNBOUNDED)
    assert "refused with AccessDenied" in multipart_abandoned(upload).detail

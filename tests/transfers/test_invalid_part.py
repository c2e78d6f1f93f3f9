"""What is said of the parts where a Complete is refused for them."""

import itertools

import pytest

from cos_inspect.model.exchange import Exchange
from tests.inspection.test_session import CHUNKS, LISTED, Run
from tests.transfers.build import complete, crc64, failure, md5, part, upload_of

REFUSED = failure(400, "InvalidPart")
PARTS = upload_of(CHUNKS)[:3]
OTHER = md5(b"other")


def refused(listed: list[tuple[int, str]] | None = None) -> Exchange:
    return complete("c", LISTED if listed is None else listed, None, 9.0, **REFUSED)


def said(flows: list[Exchange]) -> str:
    run = Run(flows)
    run.close()
    (error,) = (f for f in run.reports["c"].findings if f.rule == "error-response")
    return error.detail


AGAIN = part(
    "again",
    2,
    b"other",
    4.0,
    answered={"ETag": f'"{OTHER}"', "x-cos-hash-crc64ecma": str(crc64(b"other"))},
)
FAILED = part("failed", 2, CHUNKS[1], 2.0, **failure(503, "ServiceUnavailable"))
LATE = part("late", 2, CHUNKS[1], 20.0)


@pytest.mark.parametrize(
    ("flows", "told"),
    [
        ([PARTS[0], PARTS[2], refused()], "part 2 was not seen to be uploaded."),
        ([PARTS[0], FAILED, PARTS[2], refused()], "the upload of part 2 failed."),
        ([PARTS[0], PARTS[2], refused(), LATE], "part 2 was uploaded only later."),
        (
            [*PARTS, refused([LISTED[0], (2, OTHER), LISTED[2]])],
            f'part 2 is listed with ETag "{OTHER}", COS answered "{LISTED[1][1]}".',
        ),
        (
            [*PARTS, refused([LISTED[0], (2, ""), LISTED[2]])],
            f'part 2 is listed without an ETag, COS answered "{LISTED[1][1]}".',
        ),
        (
            [*PARTS, AGAIN, refused()],
            "part 2 was uploaded again, and is listed with the ETag of an earlier try.",
        ),
        (
            [PARTS[0], refused([LISTED[0], (2, OTHER), (3, OTHER)])],
            "part 2 was not seen to be uploaded; part 3 was not seen to be uploaded.",
        ),
        ([*PARTS, refused()], "Each listed part was seen to be stored, with the ETag"),
    ],
)
def test_the_part_is_named(flows: list[Exchange], told: str) -> None:
    """Whatever the order in which they come."""
    answers = {said(list(order)) for order in itertools.permutations(flows)}
    assert len(answers) == 1
    assert told in answers.pop()


@pytest.mark.parametrize(
    "flows",
    [
        [refused()],
        [*PARTS[:2], complete("c", LISTED, None, 9.0, **failure(400, "MalformedXML"))],
    ],
    ids=["no part was seen", "another error"],
)
def test_nothing_is_said_of_parts_where_nothing_is_known(flows: list[Exchange]) -> None:
    detail = said(flows)
    assert "not seen to be uploaded" not in detail
    assert "listed part" not in detail


def test_only_the_first_of_many_are_named() -> None:
    detail = said([PARTS[0], refused([LISTED[0], *((n, OTHER) for n in range(2, 40))])])
    assert "part 11 was not" in detail
    assert "part 12 was not" not in detail
    assert "28 parts more" in detail

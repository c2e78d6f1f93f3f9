import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cos_inspect.model.exchange import BodyEnd
from cos_inspect.transfers.limits import UNBOUNDED, Limits
from cos_inspect.transfers.multipart import Upload
from cos_inspect.transfers.multipart_verdict import (
    LARGEST_PART,
    account_of,
    judge_complete,
    part_problem,
    state_of,
)
from cos_inspect.transfers.objects import ObjectEvents
from cos_inspect.transfers.observation import Observation
from tests.transfers.build import (
    HOST,
    MIB,
    UPLOAD,
    body_of,
    complete,
    crc64,
    exchange,
    md5,
    part,
    seen,
)

A, B, C = bytes([1]) * MIB, bytes([2]) * MIB, b"last"
LISTED = [(number, md5(data)) for number, data in enumerate((A, B, C), 1)]
WHOLE = crc64(A + B + C)


def uploaded(*flows: Observation, limits: Limits = UNBOUNDED) -> Upload:
    upload = Upload(upload_id=UPLOAD, bucket=None, key="a")
    for flow in flows:
        upload.add(flow, limits)
    return upload


PARTS = [seen(part(f"p{n}", n, data, float(n))) for n, data in enumerate((A, B, C), 1)]
DONE = seen(complete("c", LISTED, WHOLE, 9.0))


def test_last_upload_of_a_number_counts() -> None:
    earlier = seen(part("early", 2, A, 0.5))
    upload = uploaded(earlier, *PARTS, DONE)
    verdict = judge_complete(upload, upload.completes["c"])
    assert verdict.crc64.same
    assert verdict.etags.same
    account = account_of(upload, ObjectEvents(), over=True)
    assert account.bytes_sent_twice == MIB
    assert "early" in account.flows
    assert account.replaced == {"early"}


def test_of_uploads_at_the_same_time_the_listed_one_counts() -> None:
    rival = seen(part("rival", 2, A, 2.0, took=0.5))
    upload = uploaded(*PARTS, rival, DONE)
    assert judge_complete(upload, upload.completes["c"]).crc64.same


def test_an_unanswered_upload_of_other_bytes_leaves_it_open() -> None:
    lost = seen(part("lost", 2, A, 3.0, status=None, error="timed out"))
    upload = uploaded(*PARTS, lost, DONE)
    assert judge_complete(upload, upload.completes["c"]).crc64.reason == "unseen-parts"
    same = seen(part("same", 2, B, 3.0, status=None, error="timed out"))
    upload = uploaded(*PARTS, same, DONE)
    assert judge_complete(upload, upload.completes["c"]).crc64.same


@pytest.mark.parametrize("told", [True, False])
def test_copied_parts_need_their_crc(told: bool) -> None:
    crc = f"<CRC64>{crc64(B)}</CRC64>" if told else ""
    answer = f'<CopyPartResult><ETag>"{md5(B)}"</ETag>{crc}</CopyPartResult>'.encode()
    copied = exchange(
        "p2",
        "PUT",
        f"/a?partNumber=2&uploadId={UPLOAD}",
        2.0,
        sent={"x-cos-copy-source": f"{HOST}/b", "x-cos-copy-source-range": f"bytes=0-{MIB - 1}"},
        answer=body_of(answer, sample=True),
    )
    upload = uploaded(PARTS[0], seen(copied), PARTS[2], DONE)
    verdict = judge_complete(upload, upload.completes["c"])
    assert verdict.etags.same
    assert verdict.crc64.same is told
    assert (verdict.crc64.reason == "unseen-parts") is not told


def test_complete_without_a_crc_or_a_list() -> None:
    bare = seen(complete("c", LISTED, None, 9.0))
    upload = uploaded(*PARTS, bare)
    assert judge_complete(upload, upload.completes["c"]).crc64.reason == "no-header"
    dark = seen(complete("c", LISTED, WHOLE, 9.0, body=body_of(b"x")))
    upload = uploaded(*PARTS, dark)
    verdict = judge_complete(upload, upload.completes["c"])
    assert (verdict.crc64.reason, verdict.etags.reason) == ("not-captured", "not-captured")


def test_the_header_leaves_before_the_body_ends() -> None:
    cut = seen(complete("c", LISTED, WHOLE ^ 1, 9.0, answer=body_of(b" ", end=BodyEnd.CUT)))
    upload = uploaded(*PARTS, cut)
    verdict = judge_complete(upload, upload.completes["c"])
    assert (verdict.crc64.reason, verdict.etags.reason) == ("incomplete", "incomplete")
    assert state_of(upload, ObjectEvents(), over=True) == "unanswered"


@pytest.mark.parametrize(
    ("listed", "words"),
    [
        ([2, 1, 3], "out of ascending order: 1"),
        ([1, 1, 2], "listed more than once: 1"),
        ([0, 1], "number outside 1-10000: 0"),
        ([1, 10_001], "number outside 1-10000: 10001"),
        ([3, 4], "smaller than 1 MiB and not the last: 3"),
    ],
)
def test_invalid_lists(listed: list[int], words: str) -> None:
    upload = uploaded(*PARTS, seen(complete("c", [(n, "e") for n in listed], 1, 9.0)))
    assert words in judge_complete(upload, upload.completes["c"]).invalid


def test_part_problems() -> None:
    assert part_problem(1, MIB) is None
    assert part_problem(10_001, MIB) == "part number 10001 is outside 1-10000"
    assert "more than 5 GiB" in str(part_problem(1, LARGEST_PART + 1))


def test_a_limit_on_parts_leaves_it_open() -> None:
    upload = uploaded(PARTS[0], DONE, PARTS[1], PARTS[2], limits=Limits(parts=3))
    assert upload.facts == 3
    assert judge_complete(upload, upload.completes["c"]).crc64.reason == "unseen-parts"
    assert account_of(upload, ObjectEvents(), over=True).left_out == 1


def test_states() -> None:
    assert state_of(uploaded(*PARTS), ObjectEvents(), over=False) == "open"
    assert state_of(uploaded(*PARTS), ObjectEvents(), over=True) == "abandoned"
    assert state_of(uploaded(*PARTS, DONE), ObjectEvents(), over=True) == "completed"
    lost = seen(complete("c", LISTED, None, 9.0, status=None))
    assert state_of(uploaded(*PARTS, lost), ObjectEvents(), over=True) == "unanswered"
    assert state_of(uploaded(), ObjectEvents(), over=True) == "open"


FLOWS = [
    *PARTS,
    seen(part("early", 2, A, 0.5)),
    seen(part("lost", 1, A, 0.2, status=503)),
    seen(complete("refused", LISTED[:2], None, 8.0, status=400)),
    DONE,
]


@settings(deadline=None, max_examples=50)
@given(st.randoms(use_true_random=False), st.integers(0, len(FLOWS)))
def test_any_order_says_the_same(shuffle: random.Random, twice: int) -> None:
    expected = uploaded(*FLOWS)
    flows = list(FLOWS)
    shuffle.shuffle(flows)
    one = uploaded(*flows, *flows[:twice])
    assert one == expected
    assert account_of(one, ObjectEvents(), over=True) == account_of(
        expected, ObjectEvents(), over=True
    )
    assert judge_complete(one, one.completes["c"]) == judge_complete(
        expected, expected.completes["c"]
    )

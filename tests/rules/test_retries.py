"""What is told of a request that was tried again."""

import msgspec
import pytest

from cos_inspect.rules.retries import retried, retry_body_differs
from cos_inspect.rules.transfer import MOST_NAMED
from cos_inspect.transfers.retries import BodyDifference, Chain, ChangedBody


def test_retried_tells_what_happened() -> None:
    chain = Chain(
        id="x",
        started=0.0,
        flows=("a", "b"),
        causes=("503 SlowDown",),
        hosts=("h1", "h2"),
        host_switches=1,
        time_lost=1.25,
        succeeded=True,
    )
    finding = retried(chain)
    assert finding.detail.startswith("Try 2 succeeded, 1.2 s after")
    assert "503 SlowDown" in finding.detail
    assert "host was switched once" in finding.detail
    assert finding.evidence["clock_self_corrected"] is False


CHAIN = Chain(
    id="x",
    started=0.0,
    flows=("a", "b"),
    causes=("503 SlowDown",),
    hosts=("h1",),
    host_switches=0,
    time_lost=1.0,
    succeeded=True,
)


def test_the_causes_of_many_tries_are_not_all_told() -> None:
    causes = tuple(f"cause {number}." for number in range(100))
    flows = tuple(str(number) for number in range(101))
    detail = retried(msgspec.structs.replace(CHAIN, flows=flows, causes=causes)).detail
    assert f"cause {MOST_NAMED - 1}." in detail
    assert f"cause {MOST_NAMED}." not in detail


@pytest.mark.parametrize(
    ("kind", "sizes", "words"),
    [
        ("empty", (10, 0), "is empty"),
        ("shorter", (10, 4), "4 bytes, and the failed try had 10 bytes"),
        ("other", (10, None), "a size that is not known"),
    ],
)
def test_another_body_is_told_with_both_sizes(
    kind: BodyDifference, sizes: tuple[int, int | None], words: str
) -> None:
    changed = ChangedBody("b", "a", kind, sizes)
    (finding,) = retry_body_differs(msgspec.structs.replace(CHAIN, other_body=changed))
    assert words in finding.detail

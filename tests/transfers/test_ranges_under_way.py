"""Ranges that overlap while their bodies are under way."""

from cos_inspect.inspection.session import Session
from cos_inspect.transfers.ranges_under_way import RangesUnderWay
from tests.inspection.test_session import Run
from tests.transfers.build import crc64, ranged, seen

DATA = bytes(range(256)) * 4
KEY = "a"


def test_edges_of_others() -> None:
    held = RangesUnderWay(2)
    one, two, three = (
        seen(ranged(name, DATA, first, end, 1.0))
        for name, first, end in (("1", 0, 600), ("2", 400, 1024), ("3", 100, 200))
    )
    held.begin(one)
    assert held.edges(one) == set()
    assert held.edges(two) == {0, 600}
    held.begin(two)
    assert held.edges(three) == {0, 600, 400, 1024}
    other = seen(ranged("4", DATA, 0, 600, 1.0, client="10.0.0.9"))
    assert held.edges(other) == set()
    held.begin(three)
    assert held.edges(one) == {400, 1024, 100, 200}, "what began first is forgotten"
    held.over(two)
    held.over(two)
    assert held.edges(one) == {100, 200}


def test_overlapping_bodies_that_pass_at_the_same_time_are_joined() -> None:
    run = Run([], Session())
    pieces = [
        ranged(name, DATA, first, end, 1.0)
        for name, first, end in (("1", 0, 600), ("2", 400, 1024))
    ]
    wanted = [run.session.boundaries(piece) for piece in pieces]
    assert wanted == [[], [200]]
    for piece, offsets, (first, end) in zip(pieces, wanted, ((0, 600), (400, 1024)), strict=True):
        body = DATA[first:end]
        run.take(piece, [(offset, crc64(body[:offset])) for offset in offsets])
    summary = run.close()
    (transfer,) = summary.transfers
    assert (transfer.state, transfer.notice) == ("complete", None)


def test_what_cannot_be_joined_says_so() -> None:
    summary = Run([ranged("1", DATA, 0, 600, 1.0), ranged("2", DATA, 400, 1024, 2.0)]).close()
    (transfer,) = summary.transfers
    assert (transfer.state, transfer.verdict) == ("partial", "ok")
    assert "not checked as a whole, because ranges share bytes" in (transfer.notice or "")

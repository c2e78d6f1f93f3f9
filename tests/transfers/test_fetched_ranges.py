from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from cos_inspect.transfers.fetched_ranges import FetchedRange, cover, fetched_range_of
from tests.transfers.build import crc64, get, ranged, seen

DATA = bytes(range(256)) * 2


def piece(number: int, first: int, end: int, marks: tuple[int, ...] = ()) -> FetchedRange:
    return FetchedRange(
        flow_id=f"f{number}",
        started=float(number),
        ended=number + 0.5,
        first=first,
        end=end,
        crc64=crc64(DATA[first:end]),
        partial=True,
        marks=tuple((at - first, crc64(DATA[first:at])) for at in marks),
    )


@st.composite
def covering(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Spans that leave no byte of DATA out, in any order, with repeats and overlaps."""
    cuts = sorted(draw(st.sets(st.integers(1, len(DATA) - 1), max_size=6)))
    edges = [0, *cuts, len(DATA)]
    spans = [
        (max(0, first - draw(st.integers(0, 40))), min(len(DATA), end + draw(st.integers(0, 40))))
        for first, end in pairwise(edges)
    ]
    more = st.tuples(st.integers(0, len(DATA) - 1), st.integers(1, len(DATA)))
    spans += [(first, end) for first, end in draw(st.lists(more, max_size=4)) if first < end]
    return draw(st.permutations(spans))


@settings(deadline=None)
@given(covering())
def test_any_cover_gives_the_crc(spans: list[tuple[int, int]]) -> None:
    pieces: list[FetchedRange] = []
    for number, (first, end) in enumerate(spans):
        edges = {at for before in pieces for at in (before.first, before.end)}
        marks = tuple(sorted(at for at in edges if first < at < end))
        pieces.append(piece(number, first, end, marks))
    found = cover(pieces, len(DATA), crc64(DATA))
    assert found is not None
    assert found.check.same
    assert found.check.actual == str(crc64(DATA))


@settings(deadline=None)
@given(covering(), st.randoms(use_true_random=False))
def test_order_does_not_matter(spans: list[tuple[int, int]], shuffle: object) -> None:
    pieces = [piece(number, first, end) for number, (first, end) in enumerate(spans)]
    found = cover(pieces, len(DATA), None)
    shuffle.shuffle(pieces)  # type: ignore[attr-defined]
    assert cover(pieces, len(DATA), None) == found


def test_gap_and_overlap_without_marks_say_nothing() -> None:
    assert cover([piece(1, 0, 200), piece(2, 201, 512)], 512, None) is None
    assert cover([piece(1, 0, 200), piece(2, 100, 512)], 512, None) is None


def test_the_later_of_two_in_one_place_counts() -> None:
    damaged = FetchedRange(flow_id="bad", started=1.0, ended=1.5, first=200, end=512, crc64=7)
    found = cover([piece(0, 0, 200), damaged, piece(2, 200, 512)], 512, crc64(DATA))
    assert found is not None
    assert found.check.same
    assert found.closer == "f2"


def test_what_is_a_piece() -> None:
    cut = fetched_range_of(seen(ranged("r", DATA, 100, 200, 0.0, cut_at=30)))
    assert cut is not None
    assert (cut.first, cut.end, cut.crc64) == (100, 130, crc64(DATA[100:130]))
    assert fetched_range_of(seen(get("g", DATA, 0.0))) is None
    whole = {"Content-Range": f"bytes 0-511/{len(DATA)}"}
    assert fetched_range_of(seen(ranged("r", DATA, 0, 512, 0.0, answered=whole))) is None
    too_much = ranged("r", DATA, 100, 200, 0.0, got=DATA)
    assert fetched_range_of(seen(too_much)) is None

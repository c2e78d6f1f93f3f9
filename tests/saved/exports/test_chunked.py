"""The chunked coding, however the bytes are cut."""

from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.captures.exports.chunked import ChunkedDecoder
from tests.saved.exports.archives import chunked


def decoded(data: bytes, cuts: list[int]) -> tuple[bytes, ChunkedDecoder]:
    decoder = ChunkedDecoder()
    found = bytearray()
    at = 0
    for cut in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        for piece in decoder.feed(data[at:cut]):
            found += piece
        at = cut
    return bytes(found), decoder


@given(st.binary(max_size=200), st.integers(1, 50), st.lists(st.integers(0, 999), max_size=20))
def test_the_content_comes_out(body: bytes, size: int, cuts: list[int]) -> None:
    found, decoder = decoded(chunked(body, size), cuts)
    assert (found, decoder.complete, decoder.broken) == (body, True, False)


@given(
    st.binary(min_size=1, max_size=60),
    st.integers(1, 50),
    st.integers(1, 999),
    st.lists(st.integers(0, 999), max_size=9),
)
def test_a_body_that_is_cut_is_not_complete(
    body: bytes, size: int, missing: int, cuts: list[int]
) -> None:
    whole = chunked(body, size)
    found, decoder = decoded(whole[: -(1 + missing % len(whole))], cuts)
    assert body.startswith(found)
    assert not decoder.complete
    assert not decoder.broken


@given(st.binary(max_size=200), st.lists(st.integers(0, 999), max_size=9))
def test_anything_is_told_alike_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    one, whole = decoded(data, [])
    other, pieces = decoded(data, cuts)
    assert one == other
    assert (whole.complete, whole.broken) == (pieces.complete, pieces.broken)


def test_extensions_and_trailers() -> None:
    found, decoder = decoded(b"3;a=b\r\nabc\r\n0\r\nx-a: b\r\nx-c: d\r\n\r\n", [])
    assert (found, decoder.complete) == (b"abc", True)
    assert decoded(b"3\nabc\n0\n\n", [])[1].complete
    assert decoded(b"0\r\n\r\nmore", [])[1].surplus == 4


def test_what_is_no_chunk() -> None:
    for data in (b"no\r\n", b"3\r\nabcd\r\n", b"-1\r\n", b"x" * 9000, b"1" * 20 + b"\r\n"):
        found, decoder = decoded(data, [])
        assert decoder.broken
        assert found in (b"", b"abc")

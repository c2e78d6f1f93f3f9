"""The server's own CRC and its joining, against published values."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.origin.checksums import Hasher, combine, crc64, md5_base64, repeated_crc, sums_of
from tests.origin.content import Discarded, Flipped, Held, Joined, Repeated, Slice, whole


@pytest.mark.parametrize(
    ("body", "crc"),
    [
        (b"", 0),
        (b"123456789", 11051210869376104954),
        (b"[Object Content]", 16749565679157681890),
        (b"[Object Part]", 4510578591875220731),
        (b"[Object Content Version 2]", 11596229263574363878),
    ],
)
def test_published_values(body: bytes, crc: int) -> None:
    assert crc64(body) == crc


def test_base64_md5() -> None:
    assert md5_base64(b"[Object Content]") == "7o3pGNBWQBRbGPcPTDqmAg=="


@given(st.binary(max_size=600), st.binary(max_size=600))
def test_combine(first: bytes, second: bytes) -> None:
    assert combine(crc64(first), crc64(second), len(second)) == crc64(first + second)


@given(st.binary(min_size=1, max_size=40), st.integers(0, 3000))
def test_repeated(pattern: bytes, size: int) -> None:
    data = (pattern * (size // len(pattern) + 1))[:size]
    content = Repeated(pattern, size)
    assert whole(content) == data
    assert repeated_crc(pattern, size) == crc64(data)
    assert sums_of(content) == sums_of(Held([data]))


@given(st.lists(st.binary(max_size=20), max_size=6), st.integers(0, 130), st.integers(0, 130))
def test_pieces_read_like_one(pieces: list[bytes], start: int, stop: int) -> None:
    data = b"".join(pieces)
    for content in (Held(pieces), Joined([Held([piece]) for piece in pieces])):
        assert content.size == len(data)
        assert b"".join(content.read(start, stop)) == data[start:stop]
    assert (
        whole(Slice(Held(pieces), min(start, len(data)), min(stop, len(data)))) == data[start:stop]
    )


def test_flipped() -> None:
    assert whole(Flipped(Held([b"ab", b"cd"]), 2)) == b"ab\x9cd"
    assert whole(Flipped(Held([b"ab", b"cd"]), -1)) == b"abc\x9b"
    assert b"".join(Flipped(Held([b"abcd"]), 1).read(1, 3)) == b"\x9dc"


def test_hasher_stops_at_its_limit() -> None:
    hasher = Hasher(limit=4)
    hasher.update(b"1234")
    assert hasher.sums().md5 == hashlib.md5(b"1234", usedforsecurity=False).hexdigest()
    hasher.update(b"5")
    assert (hasher.sums().size, hasher.sums().md5, hasher.sums().crc64) == (5, None, None)


def test_discarded_content_cannot_be_read() -> None:
    with pytest.raises(LookupError):
        whole(Discarded(3))

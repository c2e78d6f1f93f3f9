import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.cos.header_values import (
    ContentRange,
    Etag,
    announced_length,
    read_content_range,
    read_crc64,
    read_etag,
    read_length,
    read_md5,
)
from cos_inspect.model.headers import Headers

MD5 = "444bcb3a3fcf8389296c49467f27e1d6"


@given(st.integers(0, 10**20 - 1))
def test_a_length_is_read_as_it_was_written(number: int) -> None:
    assert read_length(f" {number}\t") == number


@pytest.mark.parametrize("text", [None, "", "-1", "+1", "1.0", "1_000", "٣", "9" * 21, "0x10"])
def test_what_is_no_length(text: str | None) -> None:
    assert read_length(text) is None


def test_a_length_beside_chunks_says_nothing() -> None:
    assert announced_length(Headers([("Content-Length", "5")])) == 5
    framed = Headers([("Content-Length", "5"), ("Transfer-Encoding", "chunked")])
    assert announced_length(framed) is None
    assert announced_length(Headers([])) is None


@given(st.integers(0, 2**64 - 1))
def test_a_crc_is_read_as_it_was_written(number: int) -> None:
    assert read_crc64(str(number)) == number
    assert read_crc64(f"0{number}") is None
    assert read_crc64(str(number + 2**64)) is None


@given(st.binary(max_size=40))
def test_an_md5_is_sixteen_bytes_in_base64(digest: bytes) -> None:
    text = base64.b64encode(digest).decode()
    assert read_md5(text) == (digest.hex() if len(digest) == 16 else None)


@pytest.mark.parametrize(
    ("text", "etag"),
    [
        (f'"{MD5}"', Etag("md5", MD5)),
        (MD5.upper(), Etag("md5", MD5)),
        (f'W/"{MD5}"', Etag("md5", MD5)),
        (f'"{MD5}-12"', Etag("parts", f"{MD5}-12", 12)),
        (f'"{MD5}-0"', None),
        (f'"{MD5}-gzip"', Etag("other", f"{MD5}-gzip")),
        (f'"{MD5}ffffffff"', Etag("other", f"{MD5}ffffffff")),
        ('W/"anything"', Etag("other", "anything")),
        ('"anything"', None),
        ('""', None),
        (None, None),
        ("f" * 129, None),
    ],
)
def test_forms_of_etags(text: str | None, etag: Etag | None) -> None:
    assert read_etag(text) == etag


@given(st.integers(0, 10**19), st.integers(0, 10**19), st.none() | st.integers(0, 10**19))
def test_a_range_counts_where_its_numbers_fit(first: int, last: int, total: int | None) -> None:
    fits = first <= last and (total is None or last < total)
    size = "*" if total is None else total
    found = read_content_range(f"bytes {first}-{last}/{size}")
    assert found == (ContentRange(first, last, total) if fits else None)
    if found is not None:
        assert found.is_whole is (first == 0 and total == last + 1)


@pytest.mark.parametrize(
    "text", [None, "", "bytes 0-1", "items 0-1/2", "bytes */5", "bytes 0-1/2,"]
)
def test_what_is_no_range(text: str | None) -> None:
    assert read_content_range(text) is None

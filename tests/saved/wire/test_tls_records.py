"""Records are the same however their bytes come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.captures.wire.tls_records import (
    LONGEST,
    LostRecord,
    NotTlsError,
    Record,
    RecordSplitter,
    looks_like_tls,
)


def _record(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + b"\x03\x03" + len(body).to_bytes(2) + body


def _all(splitter: RecordSplitter) -> list[tuple[int, bytes, int]]:
    found = []
    while (record := splitter.next()) is not None:
        assert isinstance(record, Record)
        assert record.head == _record(record.type, bytes(record.body))[:5]
        found.append((record.type, bytes(record.body), record.position))
    return found


@given(
    bodies=st.lists(st.binary(max_size=40), min_size=1, max_size=6),
    sizes=st.lists(st.integers(1, 50), min_size=1),
)
def test_any_split_gives_the_same_records(bodies: list[bytes], sizes: list[int]) -> None:
    data = b"".join(_record(23, body) for body in bodies)
    splitter = RecordSplitter()
    found, at, number = [], 0, 0
    while at < len(data):
        piece = data[at : at + sizes[number % len(sizes)]]
        splitter.add(piece, at, -1)
        found += _all(splitter)
        at += len(piece)
        number += 1
    places = [sum(len(body) + 5 for body in bodies[:n]) for n in range(len(bodies))]
    assert found == [(23, body, place) for body, place in zip(bodies, places, strict=True)]
    assert not splitter.is_inside


@given(body=st.binary(min_size=1, max_size=60), begin=st.integers(0, 70), length=st.integers(0, 70))
def test_a_hole_costs_a_record_or_the_place(body: bytes, begin: int, length: int) -> None:
    data = _record(23, body)
    begin = min(begin, len(data))
    splitter = RecordSplitter()
    if begin:
        splitter.add(data[:begin], 0, -1)
        whole = splitter.next()
        if begin == len(data):
            assert isinstance(whole, Record)
    fits = 5 <= begin < len(data) and begin + length <= len(data)
    assert splitter.hole(length) is fits
    if not fits:
        return
    if data[begin + length :]:
        splitter.add(data[begin + length :], begin + length, -1)
    found = splitter.next()
    assert isinstance(found, LostRecord) if length else isinstance(found, Record)
    assert splitter.next() is None
    splitter.add(_record(22, b"next"), len(data), -1)
    assert _all(splitter) == [(22, b"next", len(data))]


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\n", b"\x17\x02\x03\0\0", b"\x18\x03\x03\xff\xff", b"\x30\x03\x03\0\0"],
)
def test_what_is_no_record_is_refused(data: bytes) -> None:
    def split(size: int) -> None:
        splitter = RecordSplitter()
        for at in range(0, len(data), size):
            splitter.add(data[at : at + size], at, -1)
            splitter.next()

    for size in (1, len(data)):
        with pytest.raises(NotTlsError):
            split(size)


def test_the_longest_record_is_read() -> None:
    splitter = RecordSplitter()
    splitter.add(_record(23, bytes(LONGEST)), 0, -1)
    assert [len(body) for _, body, _ in _all(splitter)] == [LONGEST]


def test_tls_is_known_by_its_first_bytes() -> None:
    for first in (b"\x16\x03\x01", b"\x16\x03\x01\x02", b"\x17\x03\x03", b"\x16\x01\x01"):
        assert looks_like_tls(first)
    for first in (b"", b"\x16\x03", b"G", b"GET ", b"\x16\x02\x01", b"\x17\x03\x09", b"PRI * HTTP"):
        assert not looks_like_tls(first)

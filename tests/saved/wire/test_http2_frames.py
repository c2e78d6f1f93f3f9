"""Frames are the same however their bytes come."""

import pytest
from hyperframe.frame import DataFrame, Frame, HeadersFrame, PingFrame, SettingsFrame
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.captures.wire.http2_frames import Data, FrameSplitter, NotHttp2Error, Whole


def _data(body: bytes, padding: int | None, *, ends: bool) -> bytes:
    frame = DataFrame(1, body, flags=["END_STREAM"] if ends else [])
    if padding is not None:
        frame.flags.add("PADDED")
        frame.pad_length = padding
    return frame.serialize()


def _read(pieces: list[bytes]) -> tuple[bytes, list[bool], list[Frame]]:
    splitter = FrameSplitter()
    body, ends, frames = b"", [], []
    for piece in pieces:
        splitter.add(piece)
        while (found := splitter.next()) is not None:
            if isinstance(found, Data):
                body += found.data
                ends.append(found.ends)
            else:
                assert isinstance(found, Whole)
                frames.append(found.frame)
    assert not splitter.is_inside
    return body, ends, frames


@given(
    bodies=st.lists(
        st.tuples(st.binary(max_size=50), st.none() | st.integers(0, 20)), min_size=1, max_size=5
    ),
    size=st.integers(1, 80),
)
def test_any_split_gives_the_same(bodies: list[tuple[bytes, int | None]], size: int) -> None:
    last = len(bodies) - 1
    wire = PingFrame(0, b"12345678").serialize()
    for number, (body, padding) in enumerate(bodies):
        wire += _data(body, padding, ends=number == last)
        wire += HeadersFrame(3, b"block", flags=["END_HEADERS"]).serialize()
    pieces = [wire[at : at + size] for at in range(0, len(wire), size)]
    body, ends, frames = _read(pieces)
    assert body == b"".join(each for each, _ in bodies)
    assert ends.count(True) == 1
    assert ends[-1]
    assert len(frames) == 1 + len(bodies)
    assert isinstance(frames[-1], HeadersFrame)
    assert frames[-1].data == b"block"


@given(begin=st.integers(0, 80), length=st.integers(0, 80), padding=st.none() | st.integers(0, 20))
def test_a_hole_is_of_a_body_or_of_nobody_knows_what(
    begin: int, length: int, padding: int | None
) -> None:
    wire = _data(b"a" * 40, padding, ends=True)
    begin = min(begin, len(wire))
    splitter = FrameSplitter()
    if begin:
        splitter.add(wire[:begin])
    got = 0
    while (found := splitter.next()) is not None:
        assert isinstance(found, Data)
        got += len(found.data)
    known = 9 if padding is None else 10
    missing = splitter.hole(length)
    if begin < known or begin + length > len(wire) or begin == len(wire):
        assert missing is None
        return
    assert missing is not None
    assert missing[0] == 1
    splitter.add(wire[begin + length :])
    ended = False
    while (found := splitter.next()) is not None:
        assert isinstance(found, Data)
        got += len(found.data)
        ended = found.ends
    assert ended
    assert got + missing[1] == 40


@pytest.mark.parametrize(
    "wire",
    [
        b"\xff\xff\xff\x01\x04\0\0\0\1",
        b"\0\0\4\0\0\0\0\0\0abcd",
        b"\0\0\2\0\x08\0\0\0\1\5a",
        SettingsFrame(0).serialize()[:8] + b"\1",
        b"\0\0\5\4\0\0\0\0\0abcde",
    ],
)
def test_what_is_no_frame_is_refused(wire: bytes) -> None:
    splitter = FrameSplitter()
    splitter.add(wire)
    with pytest.raises(NotHttp2Error):
        list(iter(splitter.next, None))


def test_frames_of_other_kinds_are_passed_over() -> None:
    _, _, frames = _read([b"\0\0\3\x77\0\0\0\0\0abc"])
    assert frames[0].stream_id == 0

"""Base64 is read in every way that it is written, and its runs are found."""

import base64

from hypothesis import assume, given
from hypothesis import strategies as st

from cos_inspect.inspection.base64_text import Runs, from_base64


@given(st.binary(max_size=40))
def test_base64_is_read_back(data: bytes) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        assert from_base64(encode(data)) == data
        assert from_base64(encode(data).rstrip(b"=")) == data
    assert from_base64(b"not base64!") is None


@given(st.lists(st.sampled_from([b"a", b"A", b"-", b"/", b"=", b" ", b"."]), min_size=1), st.data())
def test_the_run_around_some_signs(pieces: list[bytes], data: st.DataObject) -> None:
    text = b"".join(pieces)
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    signs = b"aA-/"
    assume(text[start] in signs and text[end - 1] in signs)
    first, last = Runs(text).around(start, end)
    assert first <= start < end <= last
    assert not text[first:start].translate(None, signs)
    assert first == 0 or text[first - 1] not in signs
    behind = text[end:last].rstrip(b"=")
    assert not behind.translate(None, signs)
    assert last == len(text) or text[last] != 0x3D
    assert text[last - 1] == 0x3D or last == len(text) or text[last] not in signs

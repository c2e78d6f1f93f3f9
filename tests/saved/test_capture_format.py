import pytest

from cos_inspect.captures.capture_format import beginning


@pytest.mark.parametrize("before", [b"", b" ", b"\r\n\t", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n "])
def test_text_begins_behind_marks_and_white_space(before: bytes) -> None:
    assert beginning(before + b"{ }") == b"{ }"


def test_other_bytes_are_left() -> None:
    assert beginning(b"\x00 \xef\xbb\xbf") == b"\x00 \xef\xbb\xbf"

import pickle

import pytest

from cos_inspect.captures.errors import CaptureError


@pytest.mark.parametrize(
    ("offset", "text"), [(None, "a.har: cut short"), (7, "a.har: cut short, at byte 7")]
)
def test_its_line_says_where_it_is(offset: int | None, text: str) -> None:
    assert str(CaptureError("a.har", "cut short", offset)) == text


def test_it_comes_whole_out_of_another_process() -> None:
    sent = CaptureError("a.har", "cut short", 7, loses=True)
    came = pickle.loads(pickle.dumps(sent))
    assert (came.file, came.what, came.offset, came.loses) == ("a.har", "cut short", 7, True)

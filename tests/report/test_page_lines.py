"""Lines of the pages' data files can be read back."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.report.page_lines import call, json_of, script_text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_line_gives_its_json_back(text: str) -> None:
    json = msgspec.json.encode(text)
    line = call("row", json)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert json_of(line[:-1]) == json
    assert json_of(b"cosInspect.flow(12,%b)" % script_text(json)) == json


@given(st.integers(min_value=0, max_value=20))
def test_a_line_that_was_cut_gives_nothing(at: int) -> None:
    assert json_of(call("row", b'{"n":12345}')[:at]) is None

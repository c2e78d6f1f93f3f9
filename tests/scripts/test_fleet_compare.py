"""What is compared of two analyses."""

import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.fleet_compare import Reports, differences, fields_in, files_that_differ

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=8,
)


@given(VALUES, VALUES)
@settings(max_examples=200)
def test_a_difference_is_told_where_there_is_one(one: Any, other: Any) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    found = differences(Reports({}, {"a": one}), Reports({}, {"a": other}))
    assert bool(found) != same


def test_where_it_is() -> None:
    one = Reports({"f": {"checks": [{"status": "ok"}], "n": 1}}, {})
    other = Reports({"f": {"checks": [{"status": "mismatch"}]}}, {})
    assert differences(one, other) == [
        "/0/f/checks/0/status: ok and mismatch",
        "/0/f/n: only in one of them",
    ]
    assert fields_in([one.by_flow, one.summary]) == 2


def test_files(tmp_path: Path) -> None:
    for name, content in (("one", b"a"), ("other", b"b")):
        (tmp_path / name / "flows").mkdir(parents=True)
        (tmp_path / name / "same").write_bytes(b"x")
        (tmp_path / name / "flows" / "1").write_bytes(content)
    (tmp_path / "one" / "more").touch()
    compared = files_that_differ(tmp_path / "one", tmp_path / "other")
    assert compared == (3, ["flows/1", "more"])

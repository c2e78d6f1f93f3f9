import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.cos.target import (
    MAX_QUERY,
    is_read_in_part,
    parse_query,
    read_query,
    split_target,
)


@pytest.mark.parametrize(
    ("target", "pairs"),
    [
        ("/a", ()),
        ("/a?", ()),
        ("/?acl", (("acl", ""),)),
        ("/?acl=", (("acl", ""),)),
        ("/?a=1&a=2&&b", (("a", "1"), ("a", "2"), ("b", ""))),
        ("/?a=b=c+d%2B%3D", (("a", "b=c+d+="),)),
        ("/?%61=%FF", (("a", "\ufffd"),)),
        ("/?x=?y", (("x", "?y"),)),
        ("/?imageMogr2/thumbnail/!50p", (("imageMogr2/thumbnail/!50p", ""),)),
    ],
)
def test_parse_query(target: str, pairs: tuple[tuple[str, str], ...]) -> None:
    assert parse_query(target) == pairs


def test_look_up_is_case_sensitive_and_takes_the_first() -> None:
    query = read_query("/?uploadId=1&uploadId=2")
    assert query.get("uploadId") == "1"
    assert query.get("uploadid") is None
    assert "uploadId" in query


@given(st.text(), st.text())
def test_splits_at_the_first_question_mark(path: str, query: str) -> None:
    if "?" not in path:
        assert split_target(f"/{path}?{query}") == (f"/{path}", query)


@given(st.text())
def test_parses_anything(target: str) -> None:
    assert all(isinstance(value, str) for pair in parse_query(target) for value in pair)


@given(st.lists(st.integers(1, MAX_QUERY), max_size=5))
def test_of_a_query_longer_than_any_the_first_whole_parameters_are_read(lengths: list[int]) -> None:
    pieces = [f"p{number}={'x' * length}" for number, length in enumerate(lengths)]
    target = f"/k?{'&'.join(pieces)}"
    read = [f"{name}={value}" for name, value in parse_query(target)]
    assert read == pieces[: len(read)]
    assert is_read_in_part(target) == (len(read) < len(pieces))
    if len(read) < len(pieces):
        assert len("&".join(pieces[: len(read) + 1])) >= MAX_QUERY


def test_a_long_path_is_no_long_query() -> None:
    assert not is_read_in_part(f"/{'a' * 2 * MAX_QUERY}?acl")

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.cos.target import parse_query, read_query, split_target


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

"""A member of a struct is a column: its type, and whether it may be null."""

import msgspec
import pytest

from cos_inspect.dataset.columns import Column, Moment, columns, fields, is_moment


class _Inner(msgspec.Struct):
    a: str
    b: int | None


class _Row(msgspec.Struct):
    text: str
    number: int | None
    share: float
    known: bool
    at: Moment | None
    names: list[str]
    labels: dict[str, str]
    inner: list[_Inner]


class _Odd(msgspec.Struct):
    what: bytes


def test_types_are_told_in_words() -> None:
    assert columns(_Row) == [
        Column("text", "string", nullable=False),
        Column("number", "int64", nullable=True),
        Column("share", "double", nullable=False),
        Column("known", "bool", nullable=False),
        Column("at", "timestamp[us, UTC]", nullable=True),
        Column("names", "list<string>", nullable=False),
        Column("labels", "map<string, string>", nullable=False),
        Column("inner", "list<struct<a: string, b: int64>>", nullable=False),
    ]


def test_a_number_is_no_moment() -> None:
    assert [is_moment(field.type) for field in fields(_Row)].count(True) == 0
    (moment,) = fields(msgspec.defstruct("One", [("at", Moment)]))
    assert is_moment(moment.type)


def test_a_type_that_no_column_can_have_is_refused() -> None:
    with pytest.raises(TypeError):
        columns(_Odd)

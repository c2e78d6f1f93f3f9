"""The columns that a struct stands for, whoever stores them."""

from typing import Annotated

import msgspec
from msgspec import inspect as types

_MOMENT = {"moment": True}
Moment = Annotated[int, msgspec.Meta(extra=_MOMENT)]
"""Microseconds since 1970 in UTC."""


class Column(msgspec.Struct, frozen=True):
    """A column, whoever stores it."""

    name: str
    type: str
    """``string``, ``int64``, ``double``, ``bool``, ``timestamp[us, UTC]``, or made of these."""
    nullable: bool


def columns(row: type[msgspec.Struct]) -> list[Column]:
    """The columns of a table, in order."""
    return [
        Column(field.name, type_name(told), nullable)
        for field in fields(row)
        for told, nullable in [without_null(field.type)]
    ]


def fields(row: type[msgspec.Struct]) -> tuple[types.Field, ...]:
    """The members of a struct as msgspec tells them."""
    info = types.type_info(row)
    assert isinstance(info, types.StructType)
    return info.fields


def without_null(told: types.Type) -> tuple[types.Type, bool]:
    """A type, and whether null is allowed besides it."""
    if isinstance(told, types.UnionType):
        (inner,) = (each for each in told.types if not isinstance(each, types.NoneType))
        return inner, True
    return told, False


def is_moment(told: types.Type) -> bool:
    """Whether it is ``Moment``."""
    return isinstance(told, types.Metadata) and told.extra == _MOMENT


def type_name(told: types.Type) -> str:
    """The type of a column in words."""
    if is_moment(told):
        return "timestamp[us, UTC]"
    match told:
        case types.StrType():
            return "string"
        case types.IntType():
            return "int64"
        case types.FloatType():
            return "double"
        case types.BoolType():
            return "bool"
        case types.ListType():
            return f"list<{type_name(told.item_type)}>"
        case types.DictType():
            return f"map<{type_name(told.key_type)}, {type_name(told.value_type)}>"
        case types.StructType():
            inner = ", ".join(f"{each.name}: {each.type}" for each in columns(told.cls))
            return f"struct<{inner}>"
    raise TypeError(told)

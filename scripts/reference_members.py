"""The members of the JSON that is written, from the structs and the text below each field."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache

import msgspec
from msgspec import inspect as types

from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.summary import Summary

ROOTS: tuple[type[msgspec.Struct], ...] = (FlowReport, Summary)
_MOST_VALUES = 12


def member_rows(root: type[msgspec.Struct]) -> Iterator[tuple[str, str, str]]:
    """Path, JSON type and meaning of each member, in the order of the file. ``a[].b`` is the
    member ``b`` of each entry of the list ``a``, ``a.*`` each value of the object ``a``. What
    has the same members as something above it is not told again."""
    yield from _rows(root, "", {})


def _rows(
    struct: type[msgspec.Struct], before: str, told: dict[type[msgspec.Struct], str]
) -> Iterator[tuple[str, str, str]]:
    info = types.type_info(struct)
    assert isinstance(info, types.StructType)
    for field in info.fields:
        path = f"{before}{field.encode_name}"
        inner, steps = _inner(field.type)
        meaning = meanings(struct).get(field.name, "")
        if not meaning and inner is not None and not inner.__name__.startswith("_"):
            meaning = _summary_of(inner)
        known = told.get(inner) if inner is not None else None
        if known is not None:
            meaning = f"{meaning} Its members are those of `{known}`.".strip()
        yield path, _named(field.type), meaning.replace("``", "`")
        if inner is not None and known is None:
            told[inner] = f"{path}{steps}"
            yield from _rows(inner, f"{path}{steps}.", told)


def _summary_of(struct: type[msgspec.Struct]) -> str:
    """The first sentence on a struct, where it has one of its own."""
    text = struct.__dict__.get("__doc__") or ""
    return " ".join(text.split("\n\n")[0].split())


def _inner(told: types.Type) -> tuple[type[msgspec.Struct] | None, str]:
    """The struct in a type, and how its members are reached."""
    if isinstance(told, types.StructType):
        return told.cls, ""
    if isinstance(told, types.UnionType):
        for each in told.types:
            found, steps = _inner(each)
            if found is not None:
                return found, steps
    if isinstance(told, types.ListType | types.VarTupleType):
        found, steps = _inner(told.item_type)
        return found, f"[]{steps}"
    if isinstance(told, types.DictType):
        found, steps = _inner(told.value_type)
        return found, f".*{steps}"
    return None, ""


def _named(told: types.Type) -> str:
    match told:
        case types.Metadata():
            return _named(told.type)
        case types.UnionType():
            return " or ".join(_named(each) for each in told.types)
        case types.ListType() | types.VarTupleType():
            return f"list of {_named(told.item_type)}"
        case types.LiteralType() | types.EnumType():
            values = (
                [each.value for each in told.cls]
                if isinstance(told, types.EnumType)
                else list(told.values)
            )
            shown = ", ".join(f"`{value}`" for value in values[:_MOST_VALUES])
            return shown if len(values) <= _MOST_VALUES else f"{shown}, …"
    return _NAMES.get(type(told), "object")


_NAMES: dict[type[types.Type], str] = {
    types.StrType: "string",
    types.IntType: "integer",
    types.FloatType: "number",
    types.BoolType: "boolean",
    types.NoneType: "null",
    types.AnyType: "any",
}


@cache
def meanings(struct: type[msgspec.Struct]) -> dict[str, str]:
    """By field, the text that stands below it in the source."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(struct))).body
    assert isinstance(tree, ast.ClassDef)
    found: dict[str, str] = {}
    for field, text in zip(tree.body, tree.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)
        ):
            found[field.target.id] = text.value.value
    return found

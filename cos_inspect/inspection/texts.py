"""Reaches every text inside of a report, by the types of its members.

A member that is added to the model is reached as well. Those that are left out say so in
their type: literals, enumerations, and ``Unmasked``. What is plain data (``Any``) is
reached by its values, and there a text may stand under a name that tells of a secret.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from cos_inspect.cos.secret_names import SECRET_KINDS, canonical, is_documented, kind_of
from cos_inspect.model.flow_report import UNMASKED, HeaderReport

Named = tuple[str, str]
"""A text that plain data holds, behind the name of a secret that it stands under."""


class TextChanges(msgspec.Struct, frozen=True):
    """What becomes of texts, wherever they stand; of others nothing becomes."""

    texts: Mapping[str, str]
    named: Mapping[Named, str]


def collect(struct: msgspec.Struct) -> list[str | None]:
    """All texts of a struct but those that ``collect_named`` gives; an absent one is None."""
    found: list[str | None] = _collector(type(struct), True)(struct)
    return found


def collect_named(struct: msgspec.Struct) -> list[Named]:
    """The texts in plain data that stand under the name of a secret."""
    found: list[Named] = _collector(type(struct), False)(struct)
    return found


def changed[S: msgspec.Struct](struct: S, changes: TextChanges) -> S:
    """The struct with its texts changed; the same one where nothing was."""
    made: S = _change_struct(struct, changes)
    return made


@cache
def _collector(kind: type, is_text: bool) -> Callable[[Any], list[Any]]:
    """A function that gives all texts of a struct in one list. It is made as source, for it is
    called for every flow: one display of a list takes half the time of a walk."""
    names = {"anything": _texts_of_anything if is_text else _named_of_anything}
    source = f"lambda struct: [{', '.join(_items(kind, 'struct', is_text))}]"
    made: Callable[[Any], list[Any]] = eval(source, names)
    return made


def _items(kind: Any, value: str, is_text: bool) -> list[str]:
    """What stands in the display for a value of this type; ``value`` is its expression.
    ``is_text``: texts are wanted, not those in plain data that have a name."""
    shape, arguments = _shape_of(kind)
    if shape == "text":
        return [value] if is_text else []
    if shape == "anything":
        return [f"*anything({value})"]
    if shape == "struct":
        return [
            item
            for name, inner in _members(kind)
            for item in _items(inner, f"{value}.{name}", is_text)
        ]
    if shape == "optional":
        items = _items(arguments[0], value, is_text)
        # An absent text is told from the others by being None.
        return (
            items
            if not items or items == [value]
            else [f"*([{', '.join(items)}] if {value} else ())"]
        )
    if shape == "list":
        each = f"each{value.count('each')}"
        return [
            f"*[one for {each} in {value} for one in {item[1:]}]"
            if item.startswith("*")
            else f"*[{item} for {each} in {value}]"
            for item in _items(arguments[0], each, is_text)
        ]
    return []


@cache
def _members(kind: type[msgspec.Struct]) -> list[tuple[str, Any]]:
    """Names and types of a struct's members that have texts."""
    hints = get_type_hints(kind, include_extras=True)
    return [
        (name, hints[name])
        for name in kind.__struct_fields__
        if _shape_of(hints[name])[0] != "none"
    ]


Shape = Literal["none", "text", "anything", "struct", "optional", "list"]


@cache
def _shape_of(kind: Any) -> tuple[Shape, tuple[Any, ...]]:
    """How the texts inside of a type are reached, and by which other types."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is str:
        return "text", ()
    if kind is Any or origin is dict:
        return "anything", ()
    if origin is Annotated:
        marked = any(getattr(meta, "extra", None) == UNMASKED for meta in arguments[1:])
        return ("none", ()) if marked else _shape_of(arguments[0])
    if origin in (Union, UnionType):
        present = [each for each in arguments if _shape_of(each)[0] != "none"]
        if not present:
            return "none", ()
        return ("optional", tuple(present)) if len(present) == 1 else ("anything", ())
    if origin is list or (origin is tuple and arguments[-1] is ...):
        return ("none", ()) if _shape_of(arguments[0])[0] == "none" else ("list", arguments[:1])
    if origin is tuple:
        # Of different types.
        return (
            "anything" if any(_shape_of(each)[0] != "none" for each in arguments) else "none"
        ), ()
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and _members(kind):
        return "struct", ()
    return "none", ()


def _texts_of_anything(data: Any) -> Iterator[str]:
    match data:
        case str():
            yield data
        case dict():
            for name, held in data.items():
                yield from _texts_of_anything(name)
                if not (isinstance(held, str) and _is_secret(name)):
                    yield from _texts_of_anything(held)
        case list() | tuple():
            for item in data:
                yield from _texts_of_anything(item)
        case msgspec.Struct():
            yield from filter(None, collect(data))


def _named_of_anything(data: Any) -> Iterator[Named]:
    match data:
        case dict():
            for name, held in data.items():
                if isinstance(held, str) and _is_secret(name):
                    yield name, held
                else:
                    yield from _named_of_anything(held)
        case list() | tuple():
            for item in data:
                yield from _named_of_anything(item)
        case msgspec.Struct():
            yield from collect_named(data)


def _is_secret(name: object) -> bool:
    return isinstance(name, str) and kind_of(canonical(name)) in SECRET_KINDS


def _change(data: Any, kind: Any, changes: TextChanges) -> Any:
    shape, arguments = _shape_of(kind)
    if shape == "text":
        return changes.texts.get(data, data)
    if shape == "struct":
        return _change_struct(data, changes)
    if shape == "optional":
        return _change(data, arguments[0], changes) if data else data
    if shape == "list":
        made = [_change(item, arguments[0], changes) for item in data]
        if all(new is old for new, old in zip(made, data, strict=True)):
            return data
        return type(data)(made)
    return _change_anything(data, changes)


def _change_struct(struct: Any, changes: TextChanges) -> Any:
    if changes.texts.keys().isdisjoint(collect(struct)) and not collect_named(struct):
        return struct
    is_header = type(struct) is HeaderReport
    made = {}
    for name, kind in _members(struct.__class__):
        old = getattr(struct, name)
        if not old or (is_header and name == "name" and is_documented(old)):
            continue
        new = _change(old, kind, changes)
        if new is not old:
            made[name] = new
    if is_header and "value" in made:
        made["redacted"] = True
    return msgspec.structs.replace(struct, **made) if made else struct


def _change_anything(data: Any, changes: TextChanges) -> Any:
    match data:
        case str():
            return changes.texts.get(data, data)
        case dict():
            return {
                _change_anything(name, changes): changes.named.get((name, held), held)
                if isinstance(held, str) and _is_secret(name)
                else _change_anything(held, changes)
                for name, held in data.items()
            }
        case list() | tuple():
            return type(data)([_change_anything(item, changes) for item in data])
        case msgspec.Struct():
            return _change_struct(data, changes)
        case _:
            return data

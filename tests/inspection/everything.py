"""Reports in which every member has a value, made from the model's types alone."""

from collections.abc import Iterator
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from cos_inspect.model.flow_report import Unmasked

Path = tuple[str | int, ...]


def filled(kind: Any, text: str) -> Any:
    """A value of a type: every text is ``text``, every list has one item, nothing is absent."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is str:
        return text
    if kind is Any:
        return {"some": [text], "name": text}
    if origin is Annotated:
        return filled(arguments[0], text)
    if origin in (Union, UnionType):
        present = [each for each in arguments if each not in (type(None), msgspec.UnsetType)]
        return filled(present[0], text)
    if origin is Literal:
        return arguments[0]
    if origin is list:
        return [filled(arguments[0], text)]
    if origin is tuple:
        return (filled(arguments[0], text),)
    if origin is dict:
        return {filled(arguments[0], text): filled(arguments[1], text)}
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = get_type_hints(kind, include_extras=True)
        return kind(**{name: filled(hints[name], text) for name in kind.__struct_fields__})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    return kind(1)


def members(kind: Any, path: Path = ()) -> Iterator[tuple[Path, bool]]:
    """The places of all texts in what ``filled`` makes, and whether the model wants them
    masked; the names in a dict are no places."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is str:
        yield path, True
    elif kind is Any:
        yield (*path, "some", 0), True
        yield (*path, "name"), True
    elif kind == Unmasked:
        yield path, False
    elif origin is Annotated:
        yield from members(arguments[0], path)
    elif origin in (Union, UnionType):
        present = [each for each in arguments if each not in (type(None), msgspec.UnsetType)]
        yield from members(present[0], path)
    elif origin in (list, tuple):
        yield from members(arguments[0], (*path, 0))
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = get_type_hints(kind, include_extras=True)
        for name in kind.__struct_fields__:
            yield from members(hints[name], (*path, name))


def at(held: Any, path: Path) -> Any:
    for step in path:
        held = getattr(held, str(step)) if isinstance(held, msgspec.Struct) else held[step]
    return held


def replaced(held: Any, path: Path, value: Any) -> Any:
    """The same with another value in one place."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(held, msgspec.Struct):
        new = replaced(getattr(held, str(step)), rest, value)
        return msgspec.structs.replace(held, **{str(step): new})
    if isinstance(held, dict):
        return {**held, step: replaced(held[step], rest, value)}
    items = list(held)
    items[int(step)] = replaced(items[int(step)], rest, value)
    return type(held)(items)


def name_of(path: Path) -> str:
    return ".".join(str(step) for step in path)

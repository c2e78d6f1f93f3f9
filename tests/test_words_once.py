"""Every closed set of words is declared once, so that it has one name and one place to grow."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import cos_inspect

PACKAGE = Path(cos_inspect.__file__).parent


def literals(source: str) -> Iterator[tuple[int, frozenset[object]]]:
    """The line and the words of each ``Literal`` that is written out in a module."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Subscript):
            continue
        name = node.value.attr if isinstance(node.value, ast.Attribute) else None
        if (node.value.id if isinstance(node.value, ast.Name) else name) != "Literal":
            continue
        words = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        yield node.lineno, frozenset(ast.literal_eval(word) for word in words)


def repeated(modules: dict[str, str]) -> dict[frozenset[object], list[str]]:
    """Sets of two words or more that stand in more than one place, with their places."""
    places = defaultdict(list)
    for module, source in modules.items():
        for line, words in literals(source):
            if len(words) > 1:
                places[words].append(f"{module}:{line}")
    return {words: found for words, found in places.items() if len(found) > 1}


def test_no_set_of_words_is_declared_twice() -> None:
    modules = {
        str(path.relative_to(PACKAGE)): path.read_text("utf-8") for path in PACKAGE.rglob("*.py")
    }
    assert len(modules) > 200
    assert repeated(modules) == {}


@pytest.mark.parametrize(
    "second", ['Side = Literal["b", "a"]', 'def f(x: typing.Literal["a", "b"] | None): pass']
)
def test_a_second_declaration_is_found(second: str) -> None:
    found = repeated({"one": 'Words = Literal["a", "b"]', "other": second})
    assert found == {frozenset({"a", "b"}): ["one:1", "other:1"]}
    assert (
        repeated({"one": 'Words = Literal["a", "b"]', "other": 'Words = Literal["a", "c"]'}) == {}
    )

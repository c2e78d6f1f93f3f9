"""No regular expression of the package, and no syntax of a header, can be made to backtrack.

The expressions are found in the source, so that a new one cannot be forgotten.
"""

import ast
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import cos_inspect
from cos_inspect.cos import client, endpoint
from cos_inspect.cos.header_syntax import CHECKERS
from cos_inspect.settings import execution
from tests.growth import TOO_FAST, TookTooLongError, at_most, cpu_seconds
from tests.pumping import Pump, pieces, pumps

LONGEST = 16_384
"""Characters that are tried; header values are read up to four times as many."""
MEASURABLE = 0.004
"""Seconds."""
LEAST_EXPRESSIONS = 60


class Expression(NamedTuple):
    place: str
    """Module and line."""
    pattern: re.Pattern[Any]
    methods: frozenset[str]
    """How it is used: any of ``match``, ``fullmatch`` and ``search``."""
    longest: int = LONGEST
    """Characters of the texts that it ever meets."""


class _BuiltFrom(NamedTuple):
    """Expressions that a function makes of a table or an option."""

    patterns: Callable[[], list[re.Pattern[str]]]
    method: str
    longest: int


BUILT: dict[tuple[str, str], _BuiltFrom] = {
    ("cos_inspect.cos.client", "_patterns"): _BuiltFrom(
        lambda: [pattern for _, pattern in client._patterns()], "match", client._LONGEST
    ),
    ("cos_inspect.cos.endpoint", "_forms"): _BuiltFrom(
        lambda: [fullmatch.__self__ for _, fullmatch in endpoint._forms()],  # type: ignore[attr-defined]
        "fullmatch",
        endpoint._LONGEST_HOST,
    ),
    ("cos_inspect.cos.endpoint", "_others"): _BuiltFrom(
        lambda: [fullmatch.__self__ for _, fullmatch in endpoint._others()],  # type: ignore[attr-defined]
        "fullmatch",
        endpoint._LONGEST_HOST,
    ),
    # Names of files in the paths of captures.
    ("cos_inspect.settings.execution", "_segment"): _BuiltFrom(
        lambda: [
            execution._segment("{device}-{day}*.mitm", "", set()),
            execution._segment("*", "", set()),
        ],
        "fullmatch",
        execution._LONGEST,
    ),
    # mitmproxy's map_local, asked again as it asks itself: the user's own expressions.
    ("cos_inspect.proxy.actors", "_maps_local"): _BuiltFrom(
        lambda: [re.compile("example.com/static")], "search", LONGEST
    ),
    # Likewise map_remote.
    ("cos_inspect.proxy.changes", "_mapper"): _BuiltFrom(
        lambda: [re.compile("example.com/static")], "search", LONGEST
    ),
    # Likewise ignore_hosts and allow_hosts.
    ("cos_inspect.proxy.unread_connections", "_matches"): _BuiltFrom(
        lambda: [re.compile("example.com")], "search", LONGEST
    ),
    # What a user may give as cos_hosts.
    ("cos_inspect.cos.endpoint", "_pattern"): _BuiltFrom(
        lambda: [endpoint._pattern(("*.a.*.example", "*a*a*a*a*a*.b", "[a-z]*.c?d*"))],
        "fullmatch",
        endpoint._LONGEST_HOST,
    ),
}
_SCANNING = frozenset({"search", "sub", "subn", "split", "findall", "finditer"})
_ANY = frozenset({"match", "fullmatch", "search"})
_HELPERS = {"_pattern": "fullmatch"}
"""What functions do with the expression that they are given."""


def _modules() -> list[str]:
    found = pkgutil.walk_packages(cos_inspect.__path__, "cos_inspect.")
    return sorted({"cos_inspect", *(module.name for module in found)})


def expressions() -> list[Expression]:
    return [expression for name in _modules() for expression in _of_module(name)]


def _of_module(name: str) -> Iterator[Expression]:
    module = importlib.import_module(name)
    path = module.__file__
    assert path is not None
    tree = ast.parse(Path(path).read_text("utf-8"))
    methods = _methods(tree)
    for outer, node in _calls(tree, None):
        function = node.func
        if not (
            isinstance(function, ast.Attribute)
            and isinstance(function.value, ast.Name)
            and function.value.id == "re"
        ):
            continue
        method = function.attr
        if method in {"escape", "purge"} or _is_literal(node.args[0]):
            continue
        place = f"{name}:{node.lineno}"
        try:
            pattern, flags = _arguments(node, vars(module), method)
        except NameError:
            built = BUILT.get((name, outer or ""))
            assert built is not None, f"{place}: name it in BUILT, so that it is tried"
            for made in built.patterns():
                yield Expression(
                    f"{place} {made.pattern[:40]!r}",
                    made,
                    frozenset({built.method}),
                    built.longest,
                )
            continue
        if method == "compile":
            used = methods.get(_target(tree, node) or "", _ANY)
        else:
            used = frozenset({"search" if method in _SCANNING else method})
        yield Expression(place, re.compile(pattern, flags), used)


def _calls(node: ast.AST, outer: str | None) -> Iterator[tuple[str | None, ast.Call]]:
    """Every call with the name of the function around it."""
    for child in ast.iter_child_nodes(node):
        inside = child.name if isinstance(child, ast.FunctionDef) and outer is None else outer
        if isinstance(child, ast.Call):
            yield inside, child
        yield from _calls(child, inside)


def _arguments(node: ast.Call, known: dict[str, Any], method: str) -> tuple[Any, int]:
    """:raises NameError: where the expression is known only at run time."""

    def value(expression: ast.expr) -> Any:
        return eval(compile(ast.Expression(expression), "<source>", "eval"), known)

    given = {keyword.arg: value(keyword.value) for keyword in node.keywords}
    place = {"compile": 1, "sub": 4, "subn": 4, "split": 3}.get(method, 2)
    flags = value(node.args[place]) if len(node.args) > place else given.get("flags", 0)
    return value(node.args[0]), int(flags)


def _is_literal(node: ast.expr) -> bool:
    """``re.escape(…)``: it repeats nothing."""
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "re.escape"


def _target(tree: ast.Module, call: ast.Call) -> str | None:
    """The module's name for an expression."""
    for statement in tree.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is call:
            first = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            return first.id if isinstance(first, ast.Name) else None
    return None


def _methods(tree: ast.Module) -> dict[str, frozenset[str]]:
    """What is done with the names of a module; everything where that cannot be seen."""
    used: dict[ast.AST, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            used[node.value] = "search" if node.attr in _SCANNING else node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in _HELPERS:
            used.update(dict.fromkeys(node.args, _HELPERS[ast.unparse(node.func)]))
    found: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            method = used.get(node)
            found.setdefault(node.id, set()).update({method} if method in _ANY else _ANY)
    return {name: frozenset(methods) for name, methods in found.items()}


def test_the_expressions_are_found() -> None:
    found = expressions()
    places = " ".join(expression.place for expression in found)
    assert len(found) > LEAST_EXPRESSIONS
    for module in ("header_syntax", "redaction", "xml_fields", "client", "endpoint", "har_body"):
        assert module in places


def _uses(expression: Expression) -> Iterator[Callable[[Any], object]]:
    pattern = expression.pattern
    if "fullmatch" in expression.methods:
        yield pattern.fullmatch
    if "match" in expression.methods:
        yield pattern.match
    if "search" in expression.methods:
        yield lambda text: sum(1 for _ in pattern.finditer(text))


def _suspicion(work: Callable[[Any], object], text_of: Callable[[int], Any], most: int) -> str:
    """What is wrong with a piece of work on pumped texts; empty for nothing."""
    text, quarter = text_of(most), text_of(most // 4)
    ratio = 0.0
    try:
        with at_most(1.0):
            if cpu_seconds(lambda: work(text), 1) < MEASURABLE:
                return ""
            for _ in range(4):
                whole = cpu_seconds(lambda: work(text))
                ratio = whole / max(cpu_seconds(lambda: work(quarter)), 1e-9)
                if ratio < TOO_FAST or whole < MEASURABLE:
                    return ""
    except TookTooLongError:
        return f"endless at {len(text)} characters"
    return f"{ratio:.1f} times as long for 4 times the length"


def _as_text(pattern: re.Pattern[Any]) -> str:
    source = pattern.pattern
    return source.decode("latin-1") if isinstance(source, bytes) else source


def suspicion(expression: Expression) -> str:
    """What is wrong with an expression; empty for nothing."""
    pattern = expression.pattern
    is_bytes = isinstance(pattern.pattern, bytes)
    for pump in pumps(_as_text(pattern), pattern.flags):

        def text_of(length: int, pump: Any = pump) -> Any:
            text = pump.text(length)
            return text.encode("latin-1", "replace") if is_bytes else text

        for work in _uses(expression):
            said = _suspicion(work, text_of, expression.longest)
            if said:
                return f"{pump}: {said}"
    return ""


@pytest.mark.parametrize("expression", expressions(), ids=lambda one: str(one.place))
def test_no_expression_backtracks(expression: Expression) -> None:
    assert not suspicion(expression)


@pytest.mark.parametrize(
    "pattern",
    [
        r"[a-z]+(?:[ \t]*,[ \t]*[a-z]*)*",
        r"(?:a+)+b",
        r"(?:a|a)*b",
        r"\s*(?:x\s*)*\s*=",
        r"(?:\w+,?)+;",
    ],
)
def test_an_expression_that_backtracks_is_found(pattern: str) -> None:
    assert suspicion(Expression("planted", re.compile(pattern), frozenset({"fullmatch"})))


@pytest.mark.parametrize("pattern", [r"a[a-z ]*b|c", r"x\d*\d*y", r"\s+$", r"<a.*?>.*?</b>"])
def test_an_expression_that_looks_again_and_again_is_found(pattern: str) -> None:
    assert suspicion(Expression("planted", re.compile(pattern, re.DOTALL), frozenset({"search"})))


def _pieces_of_values() -> list[str]:
    found: set[str] = set('a1 ,;="-/.:%&\t+*W')
    for expression in expressions():
        if "header_syntax" in expression.place:
            found |= pieces(_as_text(expression.pattern), expression.pattern.flags)
    return sorted(found)


PIECES = _pieces_of_values()
HEADS = ("", "a", "bytes=", "bytes ", '"', 'W/"', "a/b", "{", "Thu, 01 Jan 2026 00:00:00 GMT")
TAILS = ("", ";", "\x00", '"')


@pytest.mark.parametrize("syntax", sorted(CHECKERS))
def test_no_syntax_of_a_header_backtracks(syntax: str) -> None:
    for head, piece, tail in product(HEADS, PIECES, TAILS):
        said = _suspicion(CHECKERS[syntax], Pump(head, piece, tail).text, LONGEST)
        assert not said, (head, piece, tail, said)


def test_the_header_that_froze_the_proxy() -> None:
    with at_most(1.0):
        assert CHECKERS["tokens"]("a" + ", " * 40 + ";") == ("not a list of words",)

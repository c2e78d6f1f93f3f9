"""Texts that make a regular expression backtrack where it can: pieces of it, repeated.

Taken from the parsed expression: what leads to each repetition, then what the repetition
repeats, many times and in every variant of its optional parts, then something that does
not fit.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice, product
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple

_MOST_VARIANTS = 12
_REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT)
_ALPHABET = 'a1 ,;="-/.:%<>&\\\t\r\n![]{}x_'
_KILLERS = ("", "\x00", ";", "!", "\n")


class Pump(NamedTuple):
    head: str
    piece: str
    tail: str

    def text(self, length: int) -> str:
        """The piece repeated until there are about so many characters."""
        return self.head + self.piece * max(1, length // len(self.piece)) + self.tail


def pumps(pattern: str, flags: int = 0) -> Iterator[Pump]:
    """What to try on an expression."""
    tree = _parser.parse(pattern, flags & ~re.DEBUG)
    seen: set[tuple[str, str]] = set()
    for head, piece in _from_tree(list(tree), ""):
        if piece and (head, piece) not in seen:
            seen.add((head, piece))
            for tail in _KILLERS:
                yield Pump(head, piece, tail)
    whole = list(islice(_variants(list(tree)), 4))
    # What leads to a repetition is where one that scans begins again and again.
    heads = sorted({head for head, _ in seen})
    for piece in (*heads, *whole, *_ALPHABET, "".join(whole)):
        if piece and ("", piece) not in seen:
            seen.add(("", piece))
            yield Pump("", piece, "\x00")


def pieces(pattern: str, flags: int = 0) -> set[str]:
    """The pieces alone."""
    return {pump.piece for pump in pumps(pattern, flags)}


def _from_tree(nodes: Sequence[Any], head: str) -> Iterator[tuple[str, str]]:
    """Heads and pieces for every repetition inside, and for repetitions side by side."""
    for at, (code, argument) in enumerate(nodes):
        if code in _REPEATS:
            _least, most, body = argument
            if most > 1:
                for piece in islice(_variants(list(body)), _MOST_VARIANTS):
                    yield head, piece
            yield from _from_tree(list(body), head)
        elif code is sre.SUBPATTERN:
            yield from _from_tree(list(argument[-1]), head)
        elif code is sre.ATOMIC_GROUP:
            yield from _from_tree(list(argument), head)
        elif code is sre.BRANCH:
            for branch in argument[1]:
                yield from _from_tree(list(branch), head)
        elif code in (sre.ASSERT, sre.ASSERT_NOT):
            yield from _from_tree(list(argument[1]), head)
        head += next(_variants([nodes[at]]), "")


def _variants(nodes: Sequence[Any]) -> Iterator[str]:
    """Texts that fit, the shortest first; optional parts are there or not."""
    choices = [list(islice(_of_node(node), _MOST_VARIANTS)) or [""] for node in nodes]
    for chosen in islice(product(*choices), 4 * _MOST_VARIANTS):
        yield "".join(chosen)


def _of_node(node: Any) -> Iterator[str]:
    code, argument = node
    if code in _REPEATS:
        least, _most, body = argument
        for count in dict.fromkeys((min(least, 64), min(least, 64) + 1)):
            for text in islice(_variants(list(body)), 4):
                yield text * count
    elif code is sre.SUBPATTERN:
        yield from _variants(list(argument[-1]))
    elif code is sre.ATOMIC_GROUP:
        yield from _variants(list(argument))
    elif code is sre.BRANCH:
        for branch in argument[1]:
            yield from islice(_variants(list(branch)), 4)
    elif code is sre.LITERAL:
        yield chr(argument)
    elif code is sre.IN:
        yield from _of_class(argument)
    elif code is sre.ANY:
        yield from ("a", " ")
    elif code is sre.NOT_LITERAL:
        yield next(sign for sign in _ALPHABET if sign != chr(argument))
    else:
        yield ""


def _of_class(items: Any) -> Iterator[str]:
    """Up to three members of a character class."""
    negated = items[0][0] is sre.NEGATE
    class_pattern = re.compile(_class_text(items), re.DOTALL)
    found = [sign for sign in _ALPHABET if class_pattern.fullmatch(sign)]
    if not found and not negated:
        code, argument = items[0]
        found = [chr(argument[0] if code is sre.RANGE else argument)]
    yield from found[:3]


_CATEGORIES = {
    sre.CATEGORY_DIGIT: r"\d",
    sre.CATEGORY_NOT_DIGIT: r"\D",
    sre.CATEGORY_SPACE: r"\s",
    sre.CATEGORY_NOT_SPACE: r"\S",
    sre.CATEGORY_WORD: r"\w",
    sre.CATEGORY_NOT_WORD: r"\W",
}


def _class_text(items: Any) -> str:
    text = ""
    for code, argument in items:
        if code is sre.NEGATE:
            text = "^"
        elif code is sre.LITERAL:
            text += re.escape(chr(argument))
        elif code is sre.RANGE:
            text += f"{re.escape(chr(argument[0]))}-{re.escape(chr(argument[1]))}"
        else:
            text += _CATEGORIES[argument]
    return f"[{text}]"

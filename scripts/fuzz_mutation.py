"""Mutates inputs and keeps those that reach a new line of the package: for machines where
atheris cannot be installed, and for short runs that are the same every time."""

import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from types import CodeType

import msgspec

import cos_inspect
from scripts.fuzz_judge import LONGEST, Target, what_grows_too_fast, what_is_wrong

_PACKAGE = str(Path(cos_inspect.__file__).parent)
_TOOL = 4
"""A number of ``sys.monitoring`` that no known tool uses."""
_NUMBERS = (0, 1, 2**31, 2**32, 2**63 - 1, 2**64 - 1, 2**64, 10**20, 10**40)
_DIGITS = re.compile(rb"[0-9]+")


class Result(msgspec.Struct, kw_only=True):
    """What came of one parser."""

    name: str
    inputs: int = 0
    seconds: float = 0.0
    kept: int = 0
    """Inputs that reached something new, seeds included."""
    wrong: str | None = None
    input: bytes = b""
    """The first input that something is wrong with."""


def mutated(
    target: Target,
    seeds: Sequence[bytes],
    *,
    seed: int,
    most: int | None = None,
    seconds: float | None = None,
) -> Result:
    """Ends at the first fault, after ``most`` inputs, or when the ``seconds`` are over."""
    begin = time.monotonic()
    chance = Random(f"{seed} {target.name}")
    result = Result(name=target.name)
    corpus: list[bytes] = []

    def is_over() -> bool:
        return result.wrong is not None or (
            result.inputs >= most
            if most is not None
            else time.monotonic() - begin > (seconds or 0.0)
        )

    def try_one(data: bytes, *, keep: bool = False) -> None:
        result.inputs += 1
        reached.clear()
        result.wrong, result.input = what_is_wrong(target, data), data
        is_new = bool(reached) or keep
        if result.wrong is None and is_new:
            corpus.append(data)
        if target.pump_every and result.wrong is None and result.inputs % target.pump_every == 0:
            found = what_grows_too_fast(target, data, chance)
            if found is not None:
                result.wrong, result.input = found

    with _new_lines() as reached:
        for data in seeds or (b"",):
            if not is_over():
                try_one(data, keep=True)
        while not is_over():
            try_one(_mutated(chance, corpus, target.words))
    result.kept = len(corpus)
    result.seconds = time.monotonic() - begin
    return result


@contextmanager
def _new_lines() -> Iterator[set[tuple[CodeType, int]]]:
    """Lines of the package that ran for the first time since the set was emptied."""
    reached: set[tuple[CodeType, int]] = set()
    monitoring = sys.monitoring

    def on_line(code: CodeType, line: int) -> object:
        if code.co_filename.startswith(_PACKAGE):
            reached.add((code, line))
        return monitoring.DISABLE

    monitoring.use_tool_id(_TOOL, "cos_inspect fuzz")
    try:
        monitoring.register_callback(_TOOL, monitoring.events.LINE, on_line)
        monitoring.set_events(_TOOL, monitoring.events.LINE)
        monitoring.restart_events()
        yield reached
    finally:
        monitoring.set_events(_TOOL, 0)
        monitoring.register_callback(_TOOL, monitoring.events.LINE, None)
        monitoring.free_tool_id(_TOOL)


def _mutated(chance: Random, corpus: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    data = bytearray(chance.choice(corpus))
    for _ in range(chance.choice((1, 1, 2, 3, 5))):
        _mutate(chance, data, corpus, words)
    return bytes(data[:LONGEST])


def _mutate(
    chance: Random, data: bytearray, corpus: Sequence[bytes], words: Sequence[bytes]
) -> None:
    begin = chance.randint(0, len(data))
    end = min(len(data), begin + chance.choice((1, 1, 2, 4, 16, 64)))
    match chance.randrange(10):
        case 0:
            data[begin:end] = b""
        case 1:
            data[begin:begin] = data[begin:end] * chance.choice((1, 2, 8))
        case 2:
            data[begin:begin] = bytes([chance.randrange(256)])
        case 3 if data:
            place = min(begin, len(data) - 1)
            data[place] ^= 1 << chance.randrange(8)
        case 4 | 5 if words:
            data[begin : chance.choice((begin, end))] = chance.choice(words)
        case 6:
            _change_number(chance, data)
        case 7:
            other = chance.choice(corpus)
            start = chance.randint(0, len(other))
            data[begin:end] = other[start : start + chance.choice((4, 16, 64, 512))]
        case 8:
            del data[begin:]
        case _:
            data[begin:end] = chance.choice((b"\x00", b"\xff", b"\xc3\xa9", b" ", b"\n", b"\r\n"))


def _change_number(chance: Random, data: bytearray) -> None:
    numbers = list(_DIGITS.finditer(data))
    if not numbers:
        return
    found = chance.choice(numbers)
    old = int(found[0][:30])
    new = chance.choice((old + 1, old - 1, -old, old * 10, *_NUMBERS))
    # As wide as it was: dates have digits in columns.
    data[found.start() : found.end()] = str(new).zfill(len(found[0])).encode()

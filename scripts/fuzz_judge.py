"""One input of a parser, judged: what it raises, how long it takes, how much memory it
wants, and whether what it gives agrees with what a second, independent reading gives."""

import resource
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random

import msgspec

from tests.growth import TookTooLongError, at_most, cpu_seconds

LONGEST = 8192
"""Bytes of an input, before it is pumped."""
_PUMPED = (16_384, 65_536)
_TRIED = 12
_PUMPED_FIRST = 256
"""Pieces that are tried at so many bytes: what grows exponentially needs no more."""
_PIECES = (1, 2, 3, 4, 8, 48)
_TAILS = (b"", b";", b"\x00", b"\n")
"""Without one that does not fit, a text with a repeated piece may be read at once."""
_TOO_FAST = 8.0
"""More than this for four times the length is no linear growth."""
_MEASURABLE = 0.02
_HANGS = 10.0
"""Seconds of CPU after which an input is given up."""
_FIXED, _PER_BYTE = 0.1, 40e-6
"""Seconds of CPU that an input may take, and each byte of it: ten times what any needs."""
_MOST_MEMORY_KIB = 128 * 1024
"""What one input may add to the most that the process ever held."""


class BrokenError(AssertionError):
    """A property does not hold; the message says which."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A parser of what others wrote."""

    name: str
    parses: str
    """In a few words."""
    check: Callable[[bytes], None]
    """Reads an input and holds the result against a second reading. Raises BrokenError where
    they differ; any other exception is one that the parser must not let out."""
    words: tuple[bytes, ...] = ()
    """Pieces that inputs are made of."""
    short: int = 2500
    """Inputs of the short run."""
    pump_every: int = 40
    """Inputs from one whose pieces are repeated to the next one; 0: none."""


def demand(holds: object, what: str) -> None:
    """:raises BrokenError: with ``what``, where something does not hold."""
    if not holds:
        raise BrokenError(what)


def agree(what: str, found: object, wanted: object) -> None:
    """:raises BrokenError: where two readings differ."""
    if found != wanted:
        raise BrokenError(f"{what}: {found!r:.300} is not {wanted!r:.300}")


def what_is_wrong(target: Target, data: bytes) -> str | None:
    """None where nothing is."""
    before = _peak_kib()
    begin = time.thread_time()
    try:
        with at_most(_HANGS):
            target.check(data)
    except TookTooLongError:
        return f"still at work after {_HANGS} s of CPU time"
    except BrokenError as error:
        return str(error)
    except (Exception, RecursionError) as error:
        return f"raised {error!r:.200}{_place_of(error)}"
    allowed = _FIXED + _PER_BYTE * len(data)
    spent = time.thread_time() - begin
    if spent > allowed:
        # Once more, so that a moment's trouble accuses nobody.
        spent = cpu_seconds(lambda: target.check(data))
    if spent > allowed:
        return f"took {spent:.3f} s of CPU time for {len(data)} bytes"
    grown = _peak_kib() - before
    return f"wanted {grown // 1024} MiB of memory" if grown > _MOST_MEMORY_KIB else None


def what_grows_too_fast(target: Target, data: bytes, chance: Random) -> tuple[str, bytes] | None:
    """Repeats pieces of an input many times: what is wrong, and with which input."""
    if not data:
        return None
    begin = end = 0
    tail = b""
    for _ in range(_TRIED):
        begin = chance.randrange(len(data))
        end = min(len(data), begin + chance.choice(_PIECES))
        tail = chance.choice(_TAILS)
        text = _repeated(data, begin, end, _PUMPED_FIRST) + tail
        wrong = what_is_wrong(target, text)
        if wrong is not None:
            return wrong, text
    shorter, longer = (_repeated(data, begin, end, size) + tail for size in _PUMPED)
    begun = time.thread_time()
    for text in (shorter, longer):
        wrong = what_is_wrong(target, text)
        if wrong is not None:
            return wrong, text
    if time.thread_time() - begun < _MEASURABLE:
        return None
    ratio = 0.0
    for _ in range(3):
        whole = cpu_seconds(lambda: target.check(longer))
        quarter = cpu_seconds(lambda: target.check(shorter))
        ratio = whole / max(quarter, 1e-9)
        if ratio < _TOO_FAST or whole < _MEASURABLE:
            return None
    # A short text may be refused at once, and a long one be read: then it grows no further.
    longest = _repeated(data, begin, end, 4 * _PUMPED[1]) + tail
    enough = _TOO_FAST * cpu_seconds(lambda: target.check(longer))
    try:
        with at_most(enough):
            target.check(longest)
        return None
    except TookTooLongError:
        pass
    return f"took {ratio:.1f} times as long for 4 times the length", longer


def _repeated(data: bytes, begin: int, end: int, size: int) -> bytes:
    piece = data[begin:end]
    return data[:begin] + piece * (size // len(piece)) + data[end:]


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _place_of(error: BaseException) -> str:
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if "cos_inspect" in frame.filename:
            return f" at {Path(frame.filename).name}:{frame.lineno}"
    return ""

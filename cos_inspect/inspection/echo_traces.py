"""Secrets that an exchange repeats, and that a saved flow may name no more: a script took the
token away before the request was sent, and the answer has it.

What is left of them on the flow tells where they stand, and nothing else: a salted digest. What
is found again is masked as it was when the flow was met.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from cos_inspect.inspection.escapes import encoded
from cos_inspect.inspection.known_secrets import SHORTEST
from cos_inspect.model.exchange import EchoTrace
from cos_inspect.model.masks import is_mask

_MOST = 32
"""Traces of one flow."""
_MOST_BYTES = 256 * 1024
"""Of texts that are looked through."""
_LONGEST_SALT = 48
_MODULUS = 61
"""A sum tells at most places that a secret does not begin there, and hardly anything of it."""


def traces_of(repeated: Mapping[str, str], flow_id: str) -> tuple[EchoTrace, ...]:
    """``repeated``: pieces of texts as they stand there, and the mask of each. ``flow_id``: so
    that equal ones leave different traces on other flows."""
    found = []
    for number, (piece, mask) in enumerate(list(repeated.items())[:_MOST]):
        data = encoded(piece)
        salt = f"{number}-{flow_id}"[:_LONGEST_SALT]
        found.append(
            EchoTrace(
                size=len(data),
                check=sum(data) % _MODULUS,
                salt=salt,
                digest=_digest(salt, data),
                mask=mask,
            )
        )
    return tuple(found)


def found_by(traces: Iterable[EchoTrace], texts: Iterable[str]) -> Iterator[tuple[bytes, str]]:
    """The pieces of texts that left these traces, and their masks. Time is linear in the texts,
    for each trace."""
    data = encoded("\n".join(dict.fromkeys(texts)))[:_MOST_BYTES]
    sums = list(accumulate(data, initial=0))
    for trace in list(traces)[:_MOST]:
        size = trace.size
        if size < SHORTEST or not is_mask(trace.mask):
            continue
        pairs = zip(sums, sums[size:], strict=False)
        for at, (before, behind) in enumerate(pairs):
            if (behind - before) % _MODULUS == trace.check:
                piece = data[at : at + size]
                if _digest(trace.salt, piece) == trace.digest:
                    yield piece, trace.mask
                    break


def _digest(salt: str, data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8, key=salt.encode()[:64]).hexdigest()

"""In one short form what of a flow was verified, and what was not: the same in the list of the
pages, in comments and on the terminal.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from cos_inspect.model.flow_report import Check, CheckName, CheckStatus, SkipReason

_CONTENT: dict[CheckName, str] = {
    "crc64": "CRC-64",
    "multipart-crc64": "CRC-64",
    "append-crc64": "CRC-64",
    "range-crc64": "CRC-64",
    "etag": "ETag",
    "content-md5": "MD5",
    "append-md5": "MD5",
}
"""Checks of the bytes, the strongest first."""
_OTHERS: dict[CheckName, str] = {
    "multipart-etags": "ETags of parts",
    "content-length": "length",
    "sse-customer-key-md5": "key",
    "signature": "signature",
}
_NOTHING_TO_SAY = frozenset({"no-header", "no-body", "unsupported", "failed-request"})
"""Reasons that are of no interest where another check has verified the same bytes."""


def verified(checks: Sequence[Check]) -> str:
    """``✓ CRC-64 ✓ length``; where no check of the bytes was made, ``– content: no-header``, with
    the reason of the strongest. Empty where there was nothing to check."""
    return _text(tuple([(each.check, each.status, each.reason) for each in checks]))


class _Outcome(NamedTuple):
    check: CheckName
    status: CheckStatus
    reason: SkipReason | None


# Few ways in which the checks of a flow end, and each is met again and again.
@lru_cache(maxsize=512)
def _text(outcomes: tuple[tuple[CheckName, CheckStatus, SkipReason | None], ...]) -> str:
    return " ".join(_parts([_Outcome(*each) for each in outcomes]))


def _is_missed(check: _Outcome) -> bool:
    """A check of the bytes that was not made; whether a client sends Content-MD5 is its own
    affair, and says nothing where COS is to send nothing either."""
    is_own_affair = check.check == "content-md5" and check.reason == "no-header"
    return check.status == "skipped" and check.check in _CONTENT and not is_own_affair


def _parts(checks: Sequence[_Outcome]) -> Iterator[str]:
    names = _CONTENT | _OTHERS
    matched = {names[each.check]: None for each in checks if each.status == "match"}
    failed = {names[each.check]: None for each in checks if each.status == "mismatch"}
    order = list(dict.fromkeys(names.values()))
    yield from (f"✗ {name}" for name in order if name in failed)
    yield from (f"✓ {name}" for name in order if name in matched and name not in failed)
    told = {**matched, **failed}
    skipped = [each for each in checks if _is_missed(each)]
    skipped.sort(key=lambda each: list(_CONTENT).index(each.check))
    if any(name in told for name in _CONTENT.values()):
        left: dict[str, str] = {}
        for each in skipped:
            name = _CONTENT[each.check]
            if name not in told and each.reason not in _NOTHING_TO_SAY:
                left.setdefault(name, str(each.reason))
        yield from (f"– {name}: {reason}" for name, reason in left.items())
    elif skipped:
        best = next((each for each in skipped if each.reason != "no-header"), skipped[0])
        yield f"– content: {best.reason}"

"""Region codes as they stand in hosts: present ones, old ones, and what is none."""

from difflib import get_close_matches
from functools import cache, lru_cache
from typing import Literal
from urllib.parse import unquote

import msgspec

from cos_inspect.cos.tables import rows

RegionKind = Literal["known", "old", "missing", "unknown"]

_UNSET = frozenset(
    ("", "undefined", "null", "none", "nil", "nan", "region", "your-region", "regionname", "false")
)
"""What languages and samples write where a setting was never filled in."""
_OLD_AREAS = ("legacy code", "legacy name")
_PREFIXES = ("", "ap-", "na-", "eu-", "sa-")


class Region(msgspec.Struct, frozen=True):
    """What a text in the place of a region is."""

    kind: RegionKind
    """``missing``: nothing, or a word for a setting that was never filled in."""
    meant: str | None
    """The present code; of a text that is none, the one that is very likely meant."""


def canonical_region(code: str) -> str:
    """The present code of a region, for legacy short codes and names too."""
    return _codes().get(code, code)


@lru_cache(maxsize=1024)
def read_region(text: str) -> Region:
    """What a text, in lower case, is in the place of a region."""
    if text in _known():
        return Region("known", text)
    if text in _codes():
        return Region("old", _codes()[text])
    bare = unquote(text).strip("-_{}$<>[]")
    if bare in _UNSET:
        return Region("missing", None)
    return Region("unknown", _meant(bare.replace("_", "-")))


def _meant(text: str) -> str | None:
    if len(text) > 40:
        return None
    known = _known()
    zone, _, digits = text.rpartition("-")
    if digits.isdigit() and zone in known:
        # An availability zone, as servers have one.
        return zone
    for prefix in _PREFIXES:
        if prefix + text in known:
            return prefix + text
    plain = {code.replace("-", ""): code for code in known}
    if text.replace("-", "") in plain:
        return plain[text.replace("-", "")]
    close = get_close_matches(text, sorted(known), n=1, cutoff=0.85)
    return close[0] if close else None


@cache
def documented_regions() -> frozenset[str]:
    """Those that COS's documents list; SDKs and older documents know some more."""
    return frozenset(
        row["code"]
        for row in rows("regions")
        if row["area"] not in _OLD_AREAS and row["source"] == "COS documents"
    )


def was_never_set(text: str) -> bool:
    """Whether a text in a host is what programs write for a setting without a value."""
    return unquote(text).strip("-_{}$<>[]") in _UNSET


@cache
def _codes() -> dict[str, str]:
    return {row["code"]: row["canonical"] for row in rows("regions")}


@cache
def _known() -> frozenset[str]:
    present = {row["code"] for row in rows("regions") if row["area"] not in _OLD_AREAS}
    return frozenset(present)

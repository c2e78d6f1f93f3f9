"""Which program sent a request, by its User-Agent."""

import re
from functools import cache, lru_cache
from typing import Literal, cast

import msgspec

from cos_inspect.cos.tables import rows

ClientKind = Literal["sdk", "tool", "browser", "s3", "http-library", "other"]

_LONGEST = 512
_LONGEST_PLATFORM = 40


class Client(msgspec.Struct, frozen=True):
    name: str
    """As in the client table; for an unknown program the product it names first."""
    version: str | None
    """Of the SDK as its package is numbered: ``cos-python-sdk-v5.1.9.44`` is 1.9.44."""
    platform: str | None
    """Operating system, where the User-Agent tells."""
    kind: ClientKind
    mobile_or_browser: bool
    """It runs in its user's hands, where a permanent key does not belong."""


def read_client(user_agent: str | None) -> Client | None:
    """None where there is no User-Agent, or one that names nobody."""
    if not user_agent:
        return None
    return _read(user_agent[:_LONGEST])


@lru_cache(maxsize=512)
def _read(user_agent: str) -> Client | None:
    for row, pattern in _patterns():
        found = pattern.match(user_agent)
        if found is None:
            continue
        groups = found.groupdict()
        return Client(
            row["name"] or groups["name"],
            groups.get("version") or None,
            _platform(groups.get("platform")),
            cast("ClientKind", row["kind"]),
            row["device"] == "yes",
        )
    return None


def _platform(token: str | None) -> str | None:
    if not token:
        return None
    return _platforms().get(token.lower(), token[:_LONGEST_PLATFORM])


@cache
def _patterns() -> tuple[tuple[dict[str, str], re.Pattern[str]], ...]:
    return tuple((row, re.compile(row["pattern"])) for row in rows("clients"))


@cache
def _platforms() -> dict[str, str]:
    return {row["token"]: row["platform"] for row in rows("platforms")}

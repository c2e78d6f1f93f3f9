"""Which program sent a request, by its User-Agent, or by a Referer that only one kind has."""

import re
from functools import cache, lru_cache
from typing import Literal, cast

import msgspec

from cos_inspect.cos.tables import rows

ClientKind = Literal["sdk", "tool", "browser", "s3", "http-library", "other"]

_LONGEST = 512
_LONGEST_PLATFORM = 40


class Client(msgspec.Struct, frozen=True):
    """The program that sent a request, by its User-Agent."""

    name: str
    """As in the client table; for an unknown program the product it names first."""
    version: str | None
    """Of the SDK as its package is numbered: ``cos-python-sdk-v5.1.9.44`` is 1.9.44."""
    platform: str | None
    """Operating system, where the User-Agent tells."""
    kind: ClientKind
    mobile_or_browser: bool
    """It runs in its user's hands, where a permanent key does not belong. Desktop tools of
    the account's owner do not count."""
    wrapper: str | None = None
    """The plugin that drives a native SDK and says so: ``FlutterPlugin``."""


def read_client(user_agent: str | None, referer: str | None = None) -> Client | None:
    """None where there is no User-Agent, or one that names nobody, and no telling Referer."""
    client = _read(user_agent[:_LONGEST]) if user_agent else None
    if referer and (row := _by_referer(referer)) is not None:
        named = client is not None and client.name == row["name"]
        return Client(
            row["name"],
            client.version if named and client else None,
            client.platform if client else None,
            cast("ClientKind", row["kind"]),
            row["device"] == "yes",
        )
    return client


def _by_referer(referer: str) -> dict[str, str] | None:
    for row in rows("client_referers"):
        if referer.startswith(row["prefix"]):
            return row
    return None


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
            groups.get("wrapper"),
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

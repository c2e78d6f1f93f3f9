"""The cipher suites of TLS: their names, and how their records are opened."""

from functools import cache

import msgspec

from cos_inspect.cos.tables import rows


class Suite(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``tls_suites.tsv``."""

    number: int
    name: str
    aead: str | None
    """None: its records are not read."""
    key_length: int = 0
    """In bytes."""
    hash: str = "sha256"
    """Of the key schedule, as ``hashlib`` calls it."""


@cache
def _suites() -> dict[int, Suite]:
    return {
        int(row["number"], 16): Suite(
            number=int(row["number"], 16),
            name=row["name"],
            aead=row["aead"],
            key_length=int(row["key"]),
            hash=row["hash"],
        )
        if row["aead"] != "none"
        else Suite(number=int(row["number"], 16), name=row["name"], aead=None)
        for row in rows("tls_suites")
    }


def suite_of(number: int) -> Suite:
    """One that the table does not know is named by its number, and not read."""
    return _suites().get(number) or Suite(number=number, name=f"0x{number:04x}", aead=None)

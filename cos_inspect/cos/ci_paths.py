"""The paths that CI hosts keep for their own services; any other path is an object key."""

from functools import cache

import msgspec

from cos_inspect.cos.tables import rows


class CiPath(msgspec.Struct, frozen=True):
    noun: str
    """What the verb of an operation's name is put before: ``Jobs``."""
    answer: str
    """``xml`` or ``json``."""
    has_item: bool
    """Whether the path goes on behind the service's own segments (an id)."""


def find_ci_path(path: str) -> CiPath | None:
    """``path`` as sent, without its query."""
    first, _, rest = path[1:].partition("/")
    second, _, last = rest.partition("/")
    services = _services()
    found = services.get(f"{first}/{second}")
    if found is not None:
        return found[1 if last else 0]
    found = services.get(first)
    return found[1 if rest else 0] if found is not None else None


@cache
def _services() -> dict[str, tuple[CiPath, CiPath]]:
    """By path: the service itself, and one item of it."""
    return {
        row["path"]: (
            CiPath(row["noun"], row["answer"], False),
            CiPath(row["noun"], row["answer"], True),
        )
        for row in rows("ci_paths")
    }

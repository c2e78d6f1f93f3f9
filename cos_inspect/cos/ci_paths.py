"""The paths that CI hosts keep for their own services.

``tables/ci_paths.tsv`` has those whose operations are named after a noun;
those with names of their own are written out in ``tables/operations.tsv``.
"""

from functools import cache

import msgspec

from cos_inspect.cos.tables import rows


class CiPath(msgspec.Struct, frozen=True):
    """What a path of CI says of the operation: a row of ``ci_paths.tsv``."""

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


def is_ci_path(path: str) -> bool:
    """Whether a path, as sent and without its query, belongs to a service of CI."""
    if find_ci_path(path) is not None:
        return True
    segments = path_segments(path)
    return any(path_fits(wanted, segments) for wanted in _written_out().get(segments[0], ()))


def path_segments(path: str) -> tuple[str, ...]:
    """The segments of a path as sent, percent escapes kept; slashes around it do not count."""
    return tuple(path.strip("/").split("/"))


def path_fits(wanted: tuple[str, ...], segments: tuple[str, ...]) -> bool:
    """``*`` stands for one segment, at the end for one or more."""
    if len(segments) < len(wanted) or (len(segments) > len(wanted) and wanted[-1] != "*"):
        return False
    return all(
        segment and part in ("*", segment) for part, segment in zip(wanted, segments, strict=False)
    )


@cache
def _written_out() -> dict[str, list[tuple[str, ...]]]:
    """By their first segment."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for row in rows("operations"):
        if row["family"] == "ci-path" and "{ci}" not in row["path"]:
            wanted = path_segments(row["path"])
            found.setdefault(wanted[0], []).append(wanted)
    return found


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

"""If-… headers and Range."""

import re
from collections.abc import Callable

from tests.origin.errors import OriginError
from tests.origin.service import parse_date
from tests.origin.store import StoredObject

_RANGE = re.compile(r"^bytes=(\d*)-(\d*)$")


class NotModifiedError(Exception):
    """Ends a GET or HEAD with status 304."""


def _names(header: str, etag: str) -> bool:
    """Whether a list of entity tags names this one; missing quotes are forgiven."""
    return any(word.strip().strip('"') in (etag, "*") for word in header.split(","))


def check(stored: StoredObject, get: Callable[[str], str], prefix: str = "") -> None:
    """Raises ``PreconditionFailed`` or ``NotModifiedError``. ``prefix`` is that of copy sources,
    for which everything that fails is ``PreconditionFailed``."""
    match, none_match = get(prefix + "if-match"), get(prefix + "if-none-match")
    modified = int(stored.modified)
    if match:
        if not _names(match, stored.etag):
            raise OriginError("PreconditionFailed")
    else:
        unmodified_since = parse_date(get(prefix + "if-unmodified-since"))
        if unmodified_since is not None and modified > unmodified_since:
            raise OriginError("PreconditionFailed")
    if none_match:
        unchanged = _names(none_match, stored.etag)
    else:
        modified_since = parse_date(get(prefix + "if-modified-since"))
        unchanged = modified_since is not None and modified <= modified_since
    if unchanged:
        if prefix:
            raise OriginError("PreconditionFailed")
        raise NotModifiedError


def byte_range(header: str, size: int) -> tuple[int, int] | None:
    """Start and stop of a single range; None for no range or one that is ignored."""
    found = _RANGE.match(header.replace(" ", ""))
    if found is None:
        return None
    first, last = found.groups()
    if first:
        start = int(first)
        stop = min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    elif last:
        start, stop = max(0, size - int(last)), size
    else:
        return None
    if start >= size:
        raise OriginError("InvalidRange", headers=[("Content-Range", f"bytes */{size}")])
    return start, stop

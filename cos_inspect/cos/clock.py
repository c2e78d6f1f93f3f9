"""Moments as the messages of COS write them, in seconds since the epoch."""

from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache


# Many answers of one second have one and the same Date.
@lru_cache(maxsize=256)
def http_date(value: str | None) -> float | None:
    """A Date header; None without a zone (asctime form), where the moment is not known."""
    if not value:
        return None
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return _seconds(moment)


def iso_date(value: str | None) -> float | None:
    """ServerTime of an error, expiration of a policy: ISO 8601 with a zone."""
    if not value or len(value) > 40:
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return _seconds(moment)


def _seconds(moment: datetime) -> float | None:
    if moment.tzinfo is None:
        return None
    try:
        return moment.timestamp()
    except (OverflowError, ValueError):
        return None

"""Moments: seconds since the epoch as recorders have them, texts in UTC as reports have them."""

from datetime import UTC, datetime, timedelta

_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LATEST = 253_402_300_799
"""The last second of the year 9999: what comes later cannot be printed."""


def known_moment(value: object) -> float | None:
    """A recorded time in seconds since the epoch; None for what can be none: no number, later
    than the year 9999, or before 1970, as recorders write for "none"."""
    if isinstance(value, bool) or not isinstance(value, float | int):
        return None
    return float(value) if 0 < value < _LATEST else None


def utc_text(seconds: float | None) -> str | None:
    """Seconds since the epoch as ISO 8601 in UTC, to the millisecond; None where they are
    unknown or of no year from 1970 to 9999."""
    seconds = known_moment(seconds)
    if seconds is None:
        return None
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat(timespec='milliseconds')[:-6]}Z"


def earliest[Moment: (int, float)](*moments: Moment | None) -> Moment | None:
    """The first of those that are known; None where none is."""
    return min((each for each in moments if each is not None), default=None)


def latest[Moment: (int, float)](*moments: Moment | None) -> Moment | None:
    """The last of those that are known; None where none is."""
    return max((each for each in moments if each is not None), default=None)


def microseconds_of(text: str | None) -> int | None:
    """A time of a report in microseconds since the epoch; None where it is not known, or is no
    time with a zone."""
    if text is None:
        return None
    try:
        return (datetime.fromisoformat(text) - _BEGIN) // _MICROSECOND
    except (ValueError, TypeError):
        return None


def seconds_of(text: str | None) -> float | None:
    """A time of a report in seconds since the epoch; None as in ``microseconds_of``."""
    found = microseconds_of(text)
    return None if found is None else found / 1_000_000

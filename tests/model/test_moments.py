"""Times of recorders as numbers, times of reports as text."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.model.moments import (
    earliest,
    known_moment,
    latest,
    microseconds_of,
    seconds_of,
    utc_text,
)

NO_MOMENTS = [1e308, -1e308, float("nan"), float("inf"), 10**400, 253_402_300_800, -1e11, 0.0]


@pytest.mark.parametrize("moment", [*NO_MOMENTS, None, True, "1577957984", b"1", [1.0]])
def test_a_time_that_cannot_be_printed_is_unknown(moment: object) -> None:
    assert known_moment(moment) is None
    assert utc_text(moment) is None  # type: ignore[arg-type]


@given(st.floats() | st.integers())
def test_every_known_time_can_be_printed(moment: float) -> None:
    text = utc_text(moment)
    assert (text is None) == (known_moment(moment) is None)
    assert text is None or len(text) == len("2020-01-02T09:39:44.000Z")


def test_a_text_has_milliseconds() -> None:
    assert utc_text(1577957984.1239) == "2020-01-02T09:39:44.123Z"


@given(st.floats(0.001, 253_402_300_798, allow_nan=False))
def test_what_a_report_says_is_read_again(moment: float) -> None:
    text = utc_text(moment)
    microseconds = microseconds_of(text)
    assert microseconds is not None
    assert microseconds % 1000 == 0
    assert 0 <= moment - microseconds / 1_000_000 < 0.0011
    assert seconds_of(text) == microseconds / 1_000_000


@given(st.datetimes(datetime(1970, 1, 2)), st.timedeltas(-timedelta(hours=14), timedelta(hours=14)))  # noqa: DTZ001
def test_other_zones_and_microseconds_are_read_too(moment: datetime, zone: timedelta) -> None:
    wanted = (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)  # noqa: DTZ001
    seconds = zone // timedelta(seconds=1)
    sign, minutes = ("-", -seconds // 60) if seconds < 0 else ("+", seconds // 60)
    text = f"{moment.isoformat()}{sign}{minutes // 60:02d}:{minutes % 60:02d}"
    assert microseconds_of(text) == wanted - (minutes if sign == "+" else -minutes) * 60_000_000
    assert microseconds_of(moment.replace(tzinfo=UTC).isoformat()) == wanted


@pytest.mark.parametrize("text", [None, "", "soon", "2026-11-22T10:00:00", "2026-13-01T00:00:00Z"])
def test_what_is_no_time_with_a_zone_is_not_known(text: str | None) -> None:
    assert microseconds_of(text) is None
    assert seconds_of(text) is None


def test_what_is_not_known_is_neither_first_nor_last() -> None:
    assert earliest(None, 3, 1.5, None) == 1.5
    assert latest(None, 3, 1.5, None) == 3
    assert earliest() is latest(None) is None

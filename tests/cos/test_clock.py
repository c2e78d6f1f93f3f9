from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.cos.clock import http_date, iso_date

MOMENTS = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
).map(lambda moment: moment.replace(microsecond=0))


@given(MOMENTS)
def test_a_date_is_read_as_it_was_written(moment: datetime) -> None:
    assert http_date(format_datetime(moment, usegmt=True)) == moment.timestamp()
    assert iso_date(moment.strftime("%Y-%m-%dT%H:%M:%SZ")) == moment.timestamp()


@given(st.text(max_size=50))
def test_what_is_no_date_is_none(text: str) -> None:
    for read in (http_date, iso_date):
        found = read(text)
        assert found is None or isinstance(found, float)


@pytest.mark.parametrize(
    "text",
    [
        "",
        None,
        "Sun Nov  6 08:49:37 1994",
        "2026-11-22",
        "2026-11-22T10:00:00",
        "2026-13-01T00:00Z",
    ],
)
def test_no_zone_or_no_such_day_tells_no_moment(text: str | None) -> None:
    assert http_date(text) is None
    assert iso_date(text) is None


def test_a_zone_counts() -> None:
    assert iso_date("2026-11-22T18:00:00+08:00") == iso_date("2026-11-22T10:00:00Z")
    assert iso_date("2026-11-22T10:00:00Z" + " " * 40) is None

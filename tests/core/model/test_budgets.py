"""When periods begin and end: against Python's calendar."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.model.budgets import Period, end_of, start_of

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2400, 1, 1), timezones=st.just(UTC)).map(
    datetime.timestamp
)


def stamp(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("period", "at", "start", "end"),
    [
        (Period.DAY, "2026-11-29T23:59:59", "2026-11-29", "2026-11-30"),
        (Period.WEEK, "2026-11-29T12:00", "2026-11-23", "2026-11-30"),
        (Period.WEEK, "2026-11-30T00:00", "2026-11-30", "2026-12-07"),
        (Period.MONTH, "2024-02-29T12:00", "2024-02-01", "2024-03-01"),
        (Period.MONTH, "2026-12-31T12:00", "2026-12-01", "2027-01-01"),
        (Period.MONTH, "2027-01-01T00:00", "2027-01-01", "2027-02-01"),
    ],
)
def test_a_period_begins_and_ends_with_the_calendar(
    period: Period, at: str, start: str, end: str
) -> None:
    assert (start_of(period, stamp(at)), end_of(period, stamp(at))) == (stamp(start), stamp(end))


@given(MOMENTS)
def test_months_are_those_of_the_calendar(at: float) -> None:
    first = datetime.fromtimestamp(start_of(Period.MONTH, at), UTC)
    day = datetime.fromtimestamp(at, UTC)
    assert first == datetime(day.year, day.month, 1, tzinfo=UTC)
    after = datetime.fromtimestamp(end_of(Period.MONTH, at), UTC)
    assert after == (first + timedelta(days=31)).replace(day=1)


@given(st.sampled_from(Period), MOMENTS)
def test_each_moment_is_in_its_period_and_the_next_one_follows_at_once(
    period: Period, at: float
) -> None:
    start, end = start_of(period, at), end_of(period, at)
    assert start <= at < end
    assert start_of(period, end) == end
    assert start_of(period, end - 1) == start

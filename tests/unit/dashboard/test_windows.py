from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.answers.windows import BUCKET, DayWindow, complete_from, date_in, last_days, last_hours

HALF_PAST_ELEVEN_AT_NIGHT = datetime(2026, 11, 18, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "today"),
    [
        ("UTC", date(2026, 11, 18)),
        ("Asia/Tokyo", date(2026, 11, 19)),
        ("Pacific/Kiritimati", date(2026, 11, 19)),
        ("Pacific/Pago_Pago", date(2026, 11, 18)),
        ("Europe/Rome", date(2026, 11, 19)),
    ],
)
def test_the_zone_says_which_day_is_today(zone: str, today: date) -> None:
    assert date_in(ZoneInfo(zone), HALF_PAST_ELEVEN_AT_NIGHT) == today


def test_a_window_of_days_holds_that_many_dates_the_reference_day_included() -> None:
    assert last_days(date(2026, 11, 18), 1) == DayWindow(date(2026, 11, 18), date(2026, 11, 18))
    window = last_days(date(2026, 11, 18), 30)
    assert list(window) == [date(2026, 10, 20) + timedelta(days=n) for n in range(30)]
    assert date(2026, 10, 19) not in window
    assert date(2026, 10, 20) in window
    assert date(2026, 11, 18) in window
    assert date(2026, 11, 19) not in window


def test_a_window_of_days_skips_and_repeats_none_where_clocks_change() -> None:
    window = last_days(date_in(ZoneInfo("America/New_York"), datetime(2026, 11, 2, 12, tzinfo=UTC)), 3)
    assert list(window) == [date(2026, 10, 31), date(2026, 11, 1), date(2026, 11, 2)]


@given(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)), st.integers(1, 720))
def test_a_window_of_hours_is_of_whole_buckets_the_running_one_included(now: datetime, hours: int) -> None:
    window = last_hours(now, hours)
    assert timedelta(0) < window.end - now <= BUCKET
    assert window.end.timestamp() % BUCKET.total_seconds() == 0
    assert timedelta(0) <= (now - timedelta(hours=hours)) - window.start < BUCKET
    assert window.start.timestamp() % BUCKET.total_seconds() == 0


@pytest.mark.parametrize(("hours", "step", "count"), [(1, BUCKET, 13), (24, BUCKET, 289), (25, BUCKET * 12, 26)])
def test_steps_cover_the_window(hours: int, step: timedelta, count: int) -> None:
    window = last_hours(HALF_PAST_ELEVEN_AT_NIGHT, hours)
    steps = list(window.steps())
    assert window.step == step
    assert len(steps) == count
    assert steps[0] == window.start
    assert steps[-1] < window.end <= steps[-1] + step


def test_a_window_that_begins_before_what_is_kept_is_complete_from_there() -> None:
    window = last_hours(HALF_PAST_ELEVEN_AT_NIGHT, 2)
    assert complete_from(window, window.start) is None
    later = window.start + BUCKET
    assert complete_from(window, later) == later

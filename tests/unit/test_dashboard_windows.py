from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.windows import BUCKET, DayWindow, last_days, last_hours

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
    assert last_days(HALF_PAST_ELEVEN_AT_NIGHT, ZoneInfo(zone), 1) == DayWindow(today, today)


def test_a_window_of_days_holds_that_many_dates_today_included() -> None:
    window = last_days(HALF_PAST_ELEVEN_AT_NIGHT, UTC, 30)
    assert list(window) == [date(2026, 10, 20) + timedelta(days=n) for n in range(30)]
    assert date(2026, 10, 19) not in window
    assert date(2026, 10, 20) in window
    assert date(2026, 11, 18) in window
    assert date(2026, 11, 19) not in window


def test_a_window_of_days_skips_and_repeats_none_where_clocks_change() -> None:
    window = last_days(datetime(2026, 11, 2, 12, tzinfo=UTC), ZoneInfo("America/New_York"), 3)
    assert list(window) == [date(2026, 10, 31), date(2026, 11, 1), date(2026, 11, 2)]


@given(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)), st.integers(1, 720))
def test_a_window_of_hours_starts_with_a_whole_bucket(now: datetime, hours: int) -> None:
    window = last_hours(now, hours)
    assert window.end == now
    assert timedelta(0) <= (now - timedelta(hours=hours)) - window.start < BUCKET
    assert window.start.timestamp() % BUCKET.total_seconds() == 0


@pytest.mark.parametrize(("hours", "step", "count"), [(1, BUCKET, 13), (24, BUCKET, 289), (25, BUCKET * 12, 26)])
def test_steps_cover_the_window(hours: int, step: timedelta, count: int) -> None:
    window = last_hours(HALF_PAST_ELEVEN_AT_NIGHT, hours)
    steps = list(window.steps())
    assert window.step == step
    assert len(steps) == count
    assert steps[0] == window.start
    assert steps[-1] <= window.end < steps[-1] + step

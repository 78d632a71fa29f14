from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.answers.streaks import Streaks, streaks

REFERENCE_DAY = date(2026, 3, 2)


def measured(*days_ago: int) -> Streaks:
    return streaks(sorted(REFERENCE_DAY - timedelta(days=days) for days in days_ago), REFERENCE_DAY)


@pytest.mark.parametrize(
    ("days_ago", "current", "longest"),
    [
        ((), 0, 0),
        ((0,), 1, 1),
        ((1,), 1, 1),
        ((2,), 0, 1),
        ((0, 1, 2), 3, 3),
        ((1, 2, 3), 3, 3),
        ((2, 3, 4), 0, 3),
        ((0, 2, 3, 4), 1, 3),
        ((0, 1, 3, 4), 2, 2),
    ],
)
def test_a_streak_is_current_when_it_ends_on_the_reference_day_or_the_day_before(
    days_ago: tuple[int, ...], current: int, longest: int
) -> None:
    assert measured(*days_ago) == Streaks(current, longest)


def test_a_streak_goes_on_over_the_end_of_a_month_and_a_leap_day() -> None:
    days = [date(2028, 2, 28), date(2028, 2, 29), date(2028, 3, 1)]
    assert streaks(days, date(2028, 3, 2)) == Streaks(3, 3)
    assert streaks([date(2027, 2, 28), date(2027, 3, 1)], date(2027, 3, 1)) == Streaks(2, 2)


@given(st.sets(st.integers(0, 60)))
def test_streaks_are_what_counting_day_by_day_gives(active: set[int]) -> None:
    run, runs = 0, {0}
    for days in range(61):
        run = run + 1 if days in active else 0
        runs.add(run)
    start = min(active & {0, 1}, default=None)
    current = 0
    while start is not None and start + current in active:
        current += 1
    assert measured(*active) == Streaks(current, max(runs))

"""Runs of consecutive active days. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Streaks:
    """Lengths in days."""

    current: int
    longest: int


def streaks(active_dates: Iterable[date], reference_day: date) -> Streaks:
    """Return the runs in distinct dates, oldest first, none after the reference day.

    The last run is current if it ends on the reference day or the day before, because the day is not over.
    """
    run = longest = 0
    last: date | None = None
    for day in active_dates:
        run = run + 1 if last is not None and day - last == _DAY else 1
        longest = max(longest, run)
        last = day
    is_current = last is not None and last >= reference_day - _DAY
    return Streaks(current=run if is_current else 0, longest=longest)

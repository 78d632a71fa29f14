"""Time windows of answers. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

BUCKET: Final = timedelta(minutes=5)
"""Width of the buckets of API health, aligned to the epoch."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class DayWindow:
    """Activity dates, both ends included."""

    first: date
    last: date

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last

    def __iter__(self) -> Iterator[date]:
        """Yield every date, oldest first."""
        return map(date.fromordinal, range(self.first.toordinal(), self.last.toordinal() + 1))


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """The time from `start`, included, to `end`, excluded, in equal steps. The last step may exceed the end."""

    start: datetime
    end: datetime
    step: timedelta

    def steps(self) -> Iterator[datetime]:
        """Yield the start of every step, oldest first."""
        moment = self.start
        while moment < self.end:
            yield moment
            moment += self.step


def date_in(zone: tzinfo, now: datetime) -> date:
    """Return the date of `now` in the zone."""
    return now.astimezone(zone).date()


def last_days(reference_day: date, days: int) -> DayWindow:
    """Return the last `days` dates, including the reference day."""
    return DayWindow(reference_day - timedelta(days=days - 1), reference_day)


def last_hours(now: datetime, hours: int) -> TimeWindow:
    """Return the last `hours` hours in whole buckets, including the first and the current one.

    Up to a day, a step is one bucket. Beyond, a step is one hour.
    """
    start, running = _bucket(now - timedelta(hours=hours)), _bucket(now)
    return TimeWindow(start, running + BUCKET, BUCKET if hours <= 24 else timedelta(hours=1))


def complete_from(window: TimeWindow, oldest_kept: datetime) -> datetime | None:
    """Return the time from which the window is complete; None if all of it is."""
    return oldest_kept if window.start < oldest_kept else None


def _bucket(moment: datetime) -> datetime:
    return moment - (moment - _EPOCH) % BUCKET

"""What part of time an answer is about."""

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
        """Return every date, oldest first."""
        return map(date.fromordinal, range(self.first.toordinal(), self.last.toordinal() + 1))


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """Moments from `start` on, before `end`, cut into equal steps; the last step may reach beyond the end."""

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
    """Return the `days` dates up to the reference day, which is included."""
    return DayWindow(reference_day - timedelta(days=days - 1), reference_day)


def last_hours(now: datetime, hours: int) -> TimeWindow:
    """Return the last `hours` hours in whole buckets, the first and the running one included.

    Steps are of a bucket up to a day, of an hour beyond.
    """
    start, running = _bucket(now - timedelta(hours=hours)), _bucket(now)
    return TimeWindow(start, running + BUCKET, BUCKET if hours <= 24 else timedelta(hours=1))


def complete_from(window: TimeWindow, oldest_kept: datetime) -> datetime | None:
    """Return from when on the window is complete, or None when all of it is."""
    return oldest_kept if window.start < oldest_kept else None


def _bucket(moment: datetime) -> datetime:
    return moment - (moment - _EPOCH) % BUCKET

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
    """Moments, both ends included, cut into equal steps from the start; the last step may reach beyond the end."""

    start: datetime
    end: datetime
    step: timedelta

    def steps(self) -> Iterator[datetime]:
        """Yield the start of every step, oldest first."""
        moment = self.start
        while moment <= self.end:
            yield moment
            moment += self.step


def last_days(now: datetime, zone: tzinfo, days: int) -> DayWindow:
    """Return the last `days` dates of the zone, the one of `now` included."""
    today = now.astimezone(zone).date()
    return DayWindow(today - timedelta(days=days - 1), today)


def last_hours(now: datetime, hours: int) -> TimeWindow:
    """Return the last `hours` hours, begun with a whole bucket; steps of a bucket up to a day, of an hour beyond."""
    start = now - timedelta(hours=hours)
    start -= (start - _EPOCH) % BUCKET
    return TimeWindow(start, now, BUCKET if hours <= 24 else timedelta(hours=1))

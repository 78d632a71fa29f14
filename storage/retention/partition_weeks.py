"""The weekly partitions of raw events, and when they expire. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

AHEAD: Final = timedelta(weeks=5)
"""How far in advance partitions are created."""

GRACE: Final = timedelta(weeks=2)
"""How long a partition is kept beyond the raw retention, because an accepted event may wait in the stream."""

WEEK: Final = timedelta(weeks=1)

_PREFIX: Final = "analytics_events_"


def raw_reach(raw_retention: timedelta) -> timedelta:
    """Return the age of the oldest raw events that are kept."""
    return raw_retention + GRACE + WEEK


def partition_week(name: str) -> datetime | None:
    """Return the Monday on which a weekly partition begins; None for any other table."""
    suffix = name.removeprefix(_PREFIX)
    if suffix == name or not suffix.isdecimal() or len(suffix) != len("YYYYMMDD"):
        return None
    return datetime.strptime(suffix, "%Y%m%d").replace(tzinfo=UTC)


def expired_end(name: str, now: datetime, raw_retention: timedelta) -> datetime | None:
    """Return the end of a weekly partition if all its events are past retention and grace at `now`, else None."""
    week = partition_week(name)
    return week + WEEK if week is not None and week + WEEK <= now - raw_retention - GRACE else None

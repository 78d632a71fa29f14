"""Weekly partitions of the raw events: there before they are needed, gone after their retention."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg

from storage.failures import translated_errors

AHEAD: Final = timedelta(weeks=5)
GRACE: Final = timedelta(weeks=2)
"""How much longer than the raw retention a partition stays: an accepted event may wait in the stream."""

_PREFIX: Final = "analytics_events_"
_WEEK: Final = timedelta(weeks=1)


def partition_week(name: str) -> datetime | None:
    """Return the Monday a weekly partition starts at; None for any other table."""
    suffix = name.removeprefix(_PREFIX)
    if suffix == name or not suffix.isdecimal() or len(suffix) != len("YYYYMMDD"):
        return None
    return datetime.strptime(suffix, "%Y%m%d").replace(tzinfo=UTC)


def expired_end(name: str, now: datetime, raw_retention: timedelta) -> datetime | None:
    """Return the end of a weekly partition if every event it can hold is past its retention and grace, else None."""
    week = partition_week(name)
    return week + _WEEK if week is not None and week + _WEEK <= now - raw_retention - GRACE else None


async def ensure_partitions(pool: asyncpg.Pool, now: datetime, raw_retention: timedelta) -> int:
    """Create the missing partitions from the oldest event that may still come to five weeks ahead; return how many."""
    with translated_errors():
        created: int = await pool.fetchval(
            "SELECT analytics_ensure_partitions($1, $2)", now - raw_retention - GRACE, now + AHEAD
        )
    return created


async def weeks_ahead(pool: asyncpg.Pool, now: datetime) -> float:
    """Return for how many weeks from `now` partitions exist."""
    weeks = [week for name in await partition_names(pool) if (week := partition_week(name))]
    return (max(weeks) + _WEEK - now) / _WEEK if weeks else 0.0


async def partition_names(pool: asyncpg.Pool) -> list[str]:
    """Return the names of all partitions of the raw events, those half detached included."""
    with translated_errors():
        rows = await pool.fetch(
            "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid"
            " WHERE inhparent = 'analytics_events'::regclass ORDER BY relname"
        )
    return [row["relname"] for row in rows]

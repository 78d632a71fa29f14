"""Creates and lists the weekly partitions of raw events."""

from __future__ import annotations

from datetime import datetime, timedelta

import asyncpg

from storage.database.failures import translated_errors
from storage.database.pool import Connection
from storage.retention.partition_weeks import AHEAD, GRACE, WEEK, partition_week


async def ensure_partitions(pool: asyncpg.Pool, now: datetime, raw_retention: timedelta) -> int:
    """Create missing partitions, from the oldest event that may still arrive to five weeks ahead; return their number.

    Raises StorageUnavailable.
    """
    with translated_errors():
        created: int = await pool.fetchval(
            "SELECT analytics_ensure_partitions($1, $2)", now - raw_retention - GRACE, now + AHEAD
        )
    return created


async def weeks_ahead(pool: asyncpg.Pool | Connection, now: datetime) -> float:
    """Return the number of weeks from `now` for which partitions exist. Raises StorageUnavailable."""
    weeks = [week for name in await partition_names(pool) if (week := partition_week(name))]
    return (max(weeks) + WEEK - now) / WEEK if weeks else 0.0


async def partition_names(pool: asyncpg.Pool | Connection) -> list[str]:
    """Return the names of all partitions of raw events, including partly detached ones. Raises StorageUnavailable."""
    with translated_errors():
        rows = await pool.fetch(
            "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid"
            " WHERE inhparent = 'analytics_events'::regclass ORDER BY relname"
        )
    return [row["relname"] for row in rows]

"""Freezes the raw events of a week when it is over, once: no later vacuum has to read them again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import asyncpg

from storage.database.failures import translated_errors
from storage.database.pool import Connection
from storage.retention.partition_weeks import WEEK, partition_week

SETTLING_TIME: Final = timedelta(days=1)
"""How long after the end of a week most of its late events have arrived."""

_LONGEST_VACUUM: Final = timedelta(days=1)

# the week of a removal is about to go
_UNFROZEN: Final = """
SELECT relname::text FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = 'analytics_events'::regclass AND NOT inhdetachpending
AND relname::text NOT IN (SELECT partition FROM frozen_weeks UNION ALL SELECT partition FROM week_removals)
ORDER BY 1
"""

# no faster than autovacuum of hot tables, for the sake of workers and readers
_SLOWLY: Final = "SET statement_timeout = 0; SET vacuum_cost_delay = '2ms'; SET vacuum_cost_limit = 2000"

_RECORD: Final = "INSERT INTO frozen_weeks (partition) VALUES ($1) ON CONFLICT DO NOTHING"


async def freeze_closed_weeks(pool: asyncpg.Pool, now: datetime) -> int:
    """Vacuum and freeze each week that is over and was not frozen yet; return their number.

    Reads the events of such a week, and blocks neither workers nor readers. Raises StorageUnavailable.
    """
    frozen = 0
    with translated_errors():
        for name in [row[0] for row in await pool.fetch(_UNFROZEN)]:
            week = partition_week(name)
            if week is not None and week + WEEK + SETTLING_TIME <= now:
                async with pool.acquire() as connection:
                    await _freeze(connection, name)
                frozen += 1
    return frozen


async def _freeze(connection: Connection, name: str) -> None:
    # the pool resets the settings when it takes the connection back
    await connection.execute(_SLOWLY)
    await connection.execute(f'VACUUM (FREEZE) "{name}"', timeout=_LONGEST_VACUUM.total_seconds())
    await connection.execute(_RECORD, name)

"""Retires expired weeks of raw events while workers store.

    move the horizon past the week -> chunk by chunk: rows leave raw, their rollups enter `retired` -> detach -> drop

A removal that was interrupted continues where it ended: each chunk is one transaction, which also records how far the
week is removed. No chunk keeps batches out. Once the horizon has moved, no event of the week is inserted any more, not
even one that was stored before (`storage/batches/staged_batch.py`), so a row that leaves cannot return. A chunk holds
the batch lock in shared mode, as a batch does: erasures and rebuilds, which change `retired` too, wait for one chunk.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import asyncpg

from runtime.failpoints import Failpoint, reach
from storage.database.failures import translated_errors
from storage.database.locks import BATCH_LOCK, REMOVAL_LOCK
from storage.database.pool import Connection
from storage.retention.horizon import raise_horizon, read_horizon
from storage.retention.leaving import LEAVING, keep_contribution, leaving_table
from storage.retention.partition_weeks import WEEK, expired_end

CHUNK: Final = 5_000
"""Events of a chunk."""

_CANDIDATES: Final = """
SELECT relname::text FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = 'analytics_events'::regclass
UNION SELECT partition FROM week_removals
ORDER BY 1
"""

# no row: the table does not exist; NULL: it is detached
_IS_PENDING: Final = """
SELECT inhdetachpending FROM pg_class
LEFT JOIN pg_inherits ON inhrelid = pg_class.oid AND inhparent = 'analytics_events'::regclass
WHERE pg_class.oid = to_regclass($1)
"""

_BEGIN: Final = """
INSERT INTO week_removals (partition, removed_before) VALUES ($1, analytics_uuid_floor($2)) ON CONFLICT DO NOTHING
"""
_NEXT: Final = 'SELECT event_id FROM "{name}" WHERE event_id >= $1 ORDER BY event_id OFFSET {chunk} LIMIT 1'
_TAKE: Final = """
WITH gone AS (DELETE FROM "{name}" WHERE event_id >= $1 AND event_id < $2 RETURNING *),
     kept AS (INSERT INTO {leaving} SELECT * FROM gone RETURNING 1)
SELECT count(*) FROM kept
"""
_PROGRESS: Final = "UPDATE week_removals SET removed_before = $2 WHERE partition = $1"
_FORGET: Final = """
DELETE FROM week_removals
WHERE partition = $1 AND (removed_before = analytics_uuid_floor($2) OR to_regclass($1) IS NULL)
RETURNING true
"""


async def retire_weeks(pool: asyncpg.Pool, now: datetime, raw_retention: timedelta) -> int:
    """Remove every week that is past its retention; return the number of removed rows. Raises StorageUnavailable."""
    gone = 0
    with translated_errors():
        for name in [row[0] for row in await pool.fetch(_CANDIDATES)]:
            if end := expired_end(name, now, raw_retention):
                gone += await _alone(pool, name, end)
    return gone


async def _alone(pool: asyncpg.Pool, name: str, end: datetime) -> int:
    async with pool.acquire() as connection:
        # another process may be removing a week: leave it to that process or to the next run
        if not await connection.fetchval(f"SELECT pg_try_advisory_lock({REMOVAL_LOCK})"):
            return 0
        # the pool unlocks when it takes the connection back
        return await _retire_week(connection, name, end)


async def _retire_week(connection: Connection, name: str, end: datetime) -> int:
    gone = 0
    table = await connection.fetchrow(_IS_PENDING, name)
    if table is not None and table[0] is not None:
        gone = await _empty(connection, name, end)
        reach(Failpoint.AFTER_RETIRE)
        # outside a transaction and on an empty table, so that writers of other weeks never wait
        mode = "FINALIZE" if table[0] else "CONCURRENTLY"
        await connection.execute(f'ALTER TABLE analytics_events DETACH PARTITION "{name}" {mode}')
        reach(Failpoint.AFTER_DETACH)
    async with connection.transaction():
        # only a table that was emptied here: an operator may have detached one to keep it
        if await connection.fetchval(_FORGET, name, end):
            await connection.execute("DELETE FROM frozen_weeks WHERE partition = $1", name)
            await connection.execute(f'DROP TABLE IF EXISTS "{name}"')
    return gone


async def _empty(connection: Connection, name: str, end: datetime) -> int:
    if await read_horizon(connection) < end:
        await raise_horizon(connection, end)
    reach(Failpoint.AFTER_HORIZON)
    await connection.execute(_BEGIN, name, end - WEEK)
    gone, is_empty = 0, False
    while not is_empty:
        async with connection.transaction():
            taken, is_empty = await retire_chunk(connection, name, end)
        gone += taken
        reach(Failpoint.AFTER_CHUNK)
    return gone


async def retire_chunk(connection: Connection, name: str, end: datetime) -> tuple[int, bool]:
    """Retire the next rows of a week in the caller's transaction; return their number, and whether they are the last.

    The horizon must lie behind the week. Raises errors of asyncpg.
    """
    await connection.execute(f"SELECT pg_advisory_xact_lock_shared({BATCH_LOCK})")
    start = await connection.fetchval("SELECT removed_before FROM week_removals WHERE partition = $1", name)
    following = await connection.fetchval(_NEXT.format(name=name, chunk=CHUNK), start)
    stop = following or await connection.fetchval("SELECT analytics_uuid_floor($1)", end)
    await leaving_table(connection)
    taken: int = await connection.fetchval(_TAKE.format(name=name, leaving=LEAVING), start, stop)
    if taken:
        await keep_contribution(connection)
    await connection.execute(_PROGRESS, name, stop)
    return taken, following is None

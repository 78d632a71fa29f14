"""Removes data past its retention and keeps its contribution to the aggregates.

The transaction that removes raw events adds their rollups to `retired` (`storage/retention/leaving.py`) and records
what it removed, so that no event counts twice (`storage/retention/horizon.py`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import asyncpg

from storage.batches.rollups import RETIRED, ROLLUPS
from storage.batches.unscoped_ids import end_search, record_counterparts
from storage.batches.verify import expiry_cutoff
from storage.database.failures import translated_errors
from storage.database.locks import BATCH_LOCK
from storage.retention.horizon import fates_insert, record_mapped_ids
from storage.retention.leaving import LEAVING, keep_contribution, leaving_table
from storage.retention.retirement import retire_weeks
from storage.stale_hours import forget_expired

_CHUNK: Final = 5_000
_RESERVED: Final = "analytics_events_reserved"

# settled before the oldest entry of the stream was appended, so the entry itself is no longer in the stream
_TRIMMED: Final = """settled_at < coalesce((
    SELECT to_timestamp(split_part(first_entry_id, '-', 1)::bigint / 1000.0) FROM stream_positions AS position
    WHERE position.stream_partition = settled_entries.stream_partition
), 'infinity')"""

_DELETE_LETTERS: Final = f"""
WITH leaving AS (
    DELETE FROM dead_letters WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM dead_letters WHERE parked_at < $1 LIMIT {_CHUNK}
    )) RETURNING stream_partition, entry_id
), recorded AS ({fates_insert("leaving", "dropped")})
SELECT count(*) FROM leaving
"""


async def drop_expired(pool: asyncpg.Pool, now: datetime, raw_retention: timedelta) -> int:
    """Drop raw partitions past their retention and prune the reserved one; return the number of removed rows.

    Raises StorageUnavailable.
    """
    gone = await retire_weeks(pool, now, raw_retention)
    while pruned := await _prune_reserved(pool, now - raw_retention):
        gone += pruned
    return gone


async def prune_system_metrics(pool: asyncpg.Pool, now: datetime, retention: timedelta) -> int:
    """Delete API health older than `retention` in small transactions; return the number of rows.

    Raises StorageUnavailable.
    """
    cutoff = expiry_cutoff(now, retention)
    gone = 0
    for rollup in ROLLUPS:
        if rollup.expires is not None:
            for table in (rollup.table, f"{RETIRED}.{rollup.table}"):
                gone += await _delete_older(pool, table, rollup.expires, cutoff)
    await forget_expired(pool, cutoff)
    return gone


async def prune_ledger(pool: asyncpg.Pool, now: datetime, event_retention: timedelta) -> int:
    """Delete settled entries that can no longer be delivered or replayed; return the number of rows.

    Raises StorageUnavailable.
    """
    return await _delete_older(pool, "settled_entries", "settled_at", now - 2 * event_retention, _TRIMMED)


async def prune_dead_letters(pool: asyncpg.Pool, now: datetime, retention: timedelta) -> int:
    """Delete dead letters parked longer than `retention` ago; return the number of rows. Raises StorageUnavailable."""
    gone = 0
    with translated_errors():
        while deleted := await pool.fetchval(_DELETE_LETTERS, now - retention):
            gone += deleted
    return gone


async def prune_audit_log(pool: asyncpg.Pool, now: datetime) -> int:
    """Delete audit entries past their retention; return the number of rows. The database refuses to delete others.

    Raises StorageUnavailable.
    """
    return await _delete_older(pool, "audit_log", "keep_until", now)


async def _prune_reserved(pool: asyncpg.Pool, cutoff: datetime) -> int:
    with translated_errors():
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(f"SELECT pg_advisory_xact_lock({BATCH_LOCK})")
            await leaving_table(connection)
            gone: int = await connection.fetchval(
                f"WITH gone AS (DELETE FROM {_RESERVED} WHERE event_id = ANY (ARRAY("
                f"SELECT event_id FROM {_RESERVED} WHERE received_at < $1 LIMIT {_CHUNK})) RETURNING *),"
                f" kept AS (INSERT INTO {LEAVING} SELECT * FROM gone RETURNING 1) SELECT count(*) FROM kept",
                cutoff,
            )
            if gone:
                await keep_contribution(connection)
                await record_mapped_ids(connection, LEAVING)
                await record_counterparts(connection, LEAVING)
            else:
                await end_search(connection, cutoff)
    return gone


async def _delete_older(pool: asyncpg.Pool, table: str, column: str, cutoff: datetime, condition: str = "true") -> int:
    statement = (
        f"WITH gone AS (DELETE FROM {table} WHERE ctid = ANY (ARRAY("
        f"SELECT ctid FROM {table} WHERE {column} < $1 AND {condition} LIMIT {_CHUNK})) RETURNING 1)"
        " SELECT count(*) FROM gone"
    )
    gone = 0
    with translated_errors():
        while deleted := await pool.fetchval(statement, cutoff):
            gone += deleted
    return gone

"""Removes what is past its retention and keeps what it gave to the aggregates.

Before raw rows go, their rollups are added to the twin tables in schema `retired`, in the same transaction:
an aggregate always equals `retired` merged with a recompute of what raw still holds.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import asyncpg

from runtime.failpoints import Failpoint, reach
from storage.failures import translated_errors
from storage.partitions import is_expired, partition_names
from storage.pool import Connection
from storage.rollups import RETIRED, ROLLUPS
from storage.store_batch import BATCH_LOCK
from storage.verify import expiry_cutoff

_CHUNK: Final = 5_000
_SLOT: Final = 0
_RESERVED: Final = "analytics_events_reserved"


async def drop_expired(pool: asyncpg.Pool, now: datetime, raw_retention: timedelta) -> int:
    """Drop raw partitions past their retention and prune the reserved one; return the number of rows that left."""
    gone = 0
    for name in await partition_names(pool):
        if is_expired(name, now, raw_retention):
            gone += await _drop_partition(pool, name)
    while pruned := await _prune_reserved(pool, now - raw_retention):
        gone += pruned
    return gone


async def prune_system_metrics(pool: asyncpg.Pool, now: datetime, retention: timedelta) -> int:
    """Delete API health older than `retention`, in small transactions; return the number of rows."""
    cutoff = expiry_cutoff(now, retention)
    gone = 0
    for rollup in ROLLUPS:
        if rollup.expires is not None:
            for table in (rollup.table, f"{RETIRED}.{rollup.table}"):
                gone += await _delete_older(pool, table, rollup.expires, cutoff)
    return gone


async def prune_ledger(pool: asyncpg.Pool, now: datetime, event_retention: timedelta) -> int:
    """Forget settled entries that can no longer be redelivered; return the number of rows."""
    return await _delete_older(pool, "settled_entries", "settled_at", now - 2 * event_retention)


async def prune_dead_letters(pool: asyncpg.Pool, now: datetime, retention: timedelta) -> int:
    """Delete letters parked longer ago than raw events are kept; return the number of rows."""
    return await _delete_older(pool, "dead_letters", "parked_at", now - retention)


async def prune_audit_log(pool: asyncpg.Pool, now: datetime) -> int:
    """Delete entries whose time is over; the database refuses to delete any other. Return the number of rows."""
    return await _delete_older(pool, "audit_log", "keep_until", now)


async def _drop_partition(pool: asyncpg.Pool, name: str) -> int:
    with translated_errors():
        async with pool.acquire() as connection:
            async with connection.transaction():
                await connection.execute(f"SELECT pg_advisory_xact_lock({BATCH_LOCK})")
                gone: int = await connection.fetchval(f'SELECT count(*) FROM "{name}"')
                await _retire(connection, f'"{name}"')
                await connection.execute(f'TRUNCATE "{name}"')
            reach(Failpoint.AFTER_RETIRE)
            # Outside a transaction and of an empty table, so that writers of other weeks never wait.
            pending = await connection.fetchval(
                "SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = $1::text::regclass", f'"{name}"'
            )
            mode = "FINALIZE" if pending else "CONCURRENTLY"
            await connection.execute(f'ALTER TABLE analytics_events DETACH PARTITION "{name}" {mode}')
            reach(Failpoint.AFTER_DETACH)
            await connection.execute(f'DROP TABLE "{name}"')
    return gone


async def _prune_reserved(pool: asyncpg.Pool, cutoff: datetime) -> int:
    with translated_errors():
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(f"SELECT pg_advisory_xact_lock({BATCH_LOCK})")
            await connection.execute("CREATE TEMP TABLE leaving (LIKE analytics_events) ON COMMIT DROP")
            gone: int = await connection.fetchval(
                f"WITH gone AS (DELETE FROM {_RESERVED} WHERE event_id = ANY (ARRAY("
                f"SELECT event_id FROM {_RESERVED} WHERE received_at < $1 LIMIT {_CHUNK})) RETURNING *),"
                " kept AS (INSERT INTO leaving SELECT * FROM gone RETURNING 1) SELECT count(*) FROM kept",
                cutoff,
            )
            if gone:
                await _retire(connection, "leaving")
    return gone


async def _retire(connection: Connection, events: str) -> None:
    for rollup in ROLLUPS:
        await connection.fetch(rollup.upsert(events, schema=RETIRED), *([_SLOT] if rollup.slotted else []))


async def _delete_older(pool: asyncpg.Pool, table: str, column: str, cutoff: datetime) -> int:
    statement = (
        f"WITH gone AS (DELETE FROM {table} WHERE ctid = ANY (ARRAY("
        f"SELECT ctid FROM {table} WHERE {column} < $1 LIMIT {_CHUNK})) RETURNING 1) SELECT count(*) FROM gone"
    )
    gone = 0
    with translated_errors():
        while deleted := await pool.fetchval(statement, cutoff):
            gone += deleted
    return gone

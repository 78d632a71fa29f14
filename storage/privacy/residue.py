"""Tracks the bytes that erasures leave in files: noted when rows are removed, purged by rewriting the files.

A removed row stays in its page until the table is rewritten, and in the write-ahead log until a checkpoint has passed
it. Residue in Redis is recorded here too, so that a restart does not lose it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import asyncpg

from schemas.identifiers import RESERVED_FLOOR
from storage.batches.rollups import RETIRED, ROLLUPS
from storage.database.failures import translated_errors
from storage.database.pool import Connection

REDIS: Final = "redis"
"""The files of Redis."""
STREAM: Final = "stream"
"""The streams, in which an entry shares a node with others."""
SUPPRESSED: Final = "suppressed"
"""Suppressed entries that are still in the streams."""
LOG: Final = "wal"
"""The write-ahead log of Postgres."""

PLACES_IN_REDIS: Final = (REDIS, STREAM, SUPPRESSED)

_OF_LEARNERS: Final = tuple(
    f"{schema}.{rollup.table}" for rollup in ROLLUPS if rollup.is_of_learners for schema in ("public", RETIRED)
)
_TABLES: Final = (*_OF_LEARNERS, "public.dead_letters")
"""Purged after every erasure: they also hold old versions of rows that were updated or dropped before it."""

_NOTE: Final = """
INSERT INTO erasure_residue AS t (place, since, latest)
SELECT place, clock_timestamp(), clock_timestamp() FROM unnest($1::text[]) AS place ORDER BY place
ON CONFLICT (place) DO UPDATE SET since = coalesce(t.since, EXCLUDED.since), latest = EXCLUDED.latest
"""

# an attempt to store a parked event was rolled back, and its row stays in its page as a removed row does
_PARTITIONS: Final = f"""
SELECT 'public.' || tableoid::regclass::text FROM analytics_events WHERE user_hash = ANY ($1)
UNION
SELECT 'public.analytics_events_' || CASE
    WHEN event_id >= '{RESERVED_FLOOR}' THEN 'reserved'
    ELSE to_char(date_trunc('week', to_timestamp(milliseconds / 1000.0), 'UTC') AT TIME ZONE 'UTC', 'YYYYMMDD')
END
FROM dead_letters, LATERAL (
    SELECT ('x0000' || left(replace(event_id::text, '-', ''), 12))::bit(64)::bigint AS milliseconds
) AS time_of_id
WHERE event_id IS NOT NULL AND payload LIKE ANY ($2::text[])
"""

# a purge that waits for its checkpoint is not started again
_BEGIN: Final = """
UPDATE erasure_residue SET asked_at = clock_timestamp()
WHERE place = $1 AND since IS NOT NULL AND wal_end IS NULL AND (asked_at IS NULL OR asked_at <= now() - $2::interval)
RETURNING asked_at
"""

_UNDER_WAY: Final = """
SELECT place FROM erasure_residue
WHERE place LIKE '%.%' AND since <= (SELECT asked_at FROM erasure_residue WHERE place = 'wal')
ORDER BY place
"""

_DONE: Final = """
UPDATE erasure_residue SET since = CASE WHEN latest > asked_at THEN latest END, wal_end = NULL WHERE place = $1
"""

# an entry that leaves the stream remains in the files of Redis, where it has been since it was suppressed
_SUPPRESSED_REMOVED: Final = """
WITH late AS (SELECT since FROM erasure_residue WHERE place = 'suppressed' AND since IS NOT NULL),
     carried AS (
         UPDATE erasure_residue AS files SET since = least(files.since, late.since) FROM late
         WHERE files.place = 'redis' AND files.since IS NOT NULL AND $1
     )
UPDATE erasure_residue SET since = NULL WHERE place = 'suppressed' AND NOT $2
"""

_TRIMMED: Final = "UPDATE erasure_residue SET since = NULL WHERE place = 'stream' AND latest < now() - $1::interval"

_TABLE_DONE: Final = """
WITH log AS (SELECT asked_at FROM erasure_residue WHERE place = 'wal'),
     later AS (UPDATE erasure_residue SET since = latest FROM log WHERE place = $1 AND latest > log.asked_at)
DELETE FROM erasure_residue USING log WHERE place = $1 AND latest <= log.asked_at
"""

# a rewrite leaves out removed rows only if no transaction can still see them
_OTHERS: Final = """
SELECT array_agg(virtualtransaction) FROM pg_locks
WHERE locktype = 'virtualxid' AND granted AND pid <> pg_backend_pid()
AND pid NOT IN (SELECT pid FROM pg_stat_activity WHERE datname <> current_database())
AND ($1::text[] IS NULL OR virtualtransaction = ANY ($1))
"""

# a recycled segment keeps its bytes until the log reuses it, which happens within max_wal_size
_LOG_END: Final = """
UPDATE erasure_residue SET wal_end = '0/0'::pg_lsn + segment * (ceil((pg_current_wal_lsn() - '0/0'::pg_lsn) / segment)
    + CASE WHEN current_setting('wal_recycle')::boolean
           THEN ceil(pg_size_bytes(current_setting('max_wal_size')) / segment) ELSE 0 END)
FROM (SELECT pg_size_bytes(current_setting('wal_segment_size'))::numeric AS segment) AS size
WHERE place = 'wal' AND since <= asked_at AND wal_end IS NULL
RETURNING wal_end
"""

_LOG_IS_CLEAN: Final = """
SELECT redo_lsn >= wal_end FROM pg_control_checkpoint(), erasure_residue
WHERE place = 'wal' AND since IS NOT NULL AND wal_end IS NOT NULL
"""


class Residue(NamedTuple):
    """A place where bytes of erased learners may remain, and since when."""

    place: str
    since: datetime


async def record_residue(connection: asyncpg.Pool | Connection, places: Sequence[str]) -> None:
    """Note that bytes may remain in these places from now on. Raises StorageUnavailable."""
    with translated_errors():
        await connection.execute(_NOTE, list(places))


async def places_of(connection: Connection, user_hashes: Sequence[bytes]) -> list[str]:
    """Return the places in Postgres with bytes of these learners: the tables and the log. Raises errors of asyncpg."""
    in_text = [f"%{one.hex()}%" for one in user_hashes]
    partitions = await connection.fetch(_PARTITIONS, list(user_hashes), in_text)
    return [*(row[0] for row in partitions), *_TABLES, LOG]


async def read_residue(pool: asyncpg.Pool | Connection) -> list[Residue]:
    """Return the places that are not purged yet. Raises StorageUnavailable."""
    with translated_errors():
        rows = await pool.fetch("SELECT place, since FROM erasure_residue WHERE since IS NOT NULL ORDER BY place")
    return [Residue(*row) for row in rows]


async def begin_purge(pool: asyncpg.Pool, place: str, every: timedelta) -> bool:
    """Return whether a purge of a place is due; if so, note that it has begun. Raises StorageUnavailable.

    It is due if bytes remain in the place and the last purge began at least `every` ago.
    """
    with translated_errors():
        return await pool.fetchval(_BEGIN, place, every) is not None


async def end_purge(pool: asyncpg.Pool, place: str) -> None:
    """Note that bytes removed before the last `begin_purge` are gone. Raises StorageUnavailable."""
    with translated_errors():
        await pool.execute(_DONE, place)


async def clear_stream_residue(pool: asyncpg.Pool, longest: timedelta) -> None:
    """Note that the streams hold no bytes of entries removed more than `longest` ago. Raises StorageUnavailable."""
    with translated_errors():
        await pool.execute(_TRIMMED, longest)


async def clear_suppressed_residue(pool: asyncpg.Pool, *, removed: bool, waiting: bool) -> None:
    """Note whether suppressed entries were `removed`, and whether others are `waiting`. Raises StorageUnavailable.

    The residue of the removed entries in `REDIS` must be noted before.
    """
    with translated_errors():
        await pool.execute(_SUPPRESSED_REMOVED, removed, waiting)


async def older_transactions(pool: asyncpg.Pool, among: Sequence[str] | None = None) -> list[str]:
    """Return the transactions that run in this database, limited to `among` if given. Raises StorageUnavailable."""
    with translated_errors():
        found: list[str] | None = await pool.fetchval(_OTHERS, None if among is None else list(among))
    return found or []


async def tables_to_purge(pool: asyncpg.Pool) -> list[str]:
    """Return the tables that the current purge has not rewritten yet. Raises StorageUnavailable."""
    with translated_errors():
        return [row["place"] for row in await pool.fetch(_UNDER_WAY)]


async def purge_table(pool: asyncpg.Pool, table: str) -> None:
    """Rewrite a table without its removed rows; the table is locked meanwhile. Raises StorageUnavailable.

    No running transaction may be older than the removal.
    """
    with translated_errors():
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT analytics_rewrite($1)", table)
            # a transaction may have seen rows removed since the purge began: the next purge removes them
            await connection.execute(_TABLE_DONE, table)


async def close_log(pool: asyncpg.Pool) -> None:
    """Begin a new segment of the log and request a checkpoint, if the login may. Raises StorageUnavailable."""
    with translated_errors():
        if await pool.fetchval(_LOG_END) is None:
            return
        for statement in ("SELECT pg_switch_wal()", "CHECKPOINT"):
            try:
                await pool.execute(statement)
            except asyncpg.InsufficientPrivilegeError:
                # the server's own checkpoints do this later
                continue


async def log_is_clean(pool: asyncpg.Pool) -> bool:
    """Return whether the log is free of bytes removed before the purge. Raises StorageUnavailable."""
    with translated_errors():
        return bool(await pool.fetchval(_LOG_IS_CLEAN))

"""Removes a learner from every table and keeps the counts of the platform correct.

From the request on, a tombstone suppresses further events of the learner, in the transaction that would have stored
them. Before the raw events are removed, their contribution to counts of the platform is added to the twin tables in
`retired`, as retention does. The counts stay, and no longer lead to a person.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple
from uuid import UUID

import asyncpg

from storage.batches.rollups import RETIRED, ROLLUPS
from storage.database.failures import translated_errors
from storage.database.locks import BATCH_LOCK
from storage.database.pool import Connection
from storage.privacy.residue import REDIS, STREAM, places_of, record_residue
from storage.privacy.sweeps import Sweep, forget_sweeps, record_sweeps
from storage.stale_hours import forget_learners, keep_from_refreshing

_STREAM: Final = "stream"
_LIVE: Final = "live"

_SLOT: Final = 0

_REQUEST: Final = """
WITH tombstones AS (
    INSERT INTO erased_users (user_hash) SELECT unnest($1::bytea[]) ON CONFLICT DO NOTHING
)
INSERT INTO erasure_jobs (user_hashes, requested_by) VALUES ($1, $2) RETURNING *
"""

_TAKE_RAW: Final = """
WITH gone AS (DELETE FROM analytics_events WHERE user_hash = ANY ($1) RETURNING *),
     kept AS (INSERT INTO leaving SELECT * FROM gone RETURNING 1)
SELECT count(*) FROM kept
"""

# compared as text: a payload may be JSON that jsonb cannot represent
_TAKE_LETTERS: Final = """
WITH gone AS (
    DELETE FROM dead_letters WHERE payload LIKE ANY ($1::text[]) RETURNING stream_partition, entry_id
), settled AS (
    INSERT INTO settled_entries (stream_partition, entry_id, outcome)
    SELECT stream_partition, entry_id, 'suppressed' FROM gone ON CONFLICT DO NOTHING
)
SELECT count(*) FROM gone
"""

# their fates are in the books; a redelivered entry must not get a second one
_SETTLE: Final = """
INSERT INTO settled_entries (stream_partition, entry_id, outcome)
SELECT stream_partition, entry_id, 'suppressed' FROM leaving ORDER BY 1, 2 ON CONFLICT DO NOTHING
"""

_SUPPRESSED: Final = """
SELECT stream_partition, entry_id FROM settled_entries
WHERE outcome = 'suppressed' AND settled_at > $1 ORDER BY stream_partition
"""


@dataclass(frozen=True, slots=True)
class ErasureJob:
    """An erasure, from its request to its receipt."""

    job_id: UUID
    user_hashes: list[bytes]
    requested_by: str
    """Name of the service or person."""
    requested_at: datetime
    state: Literal["requested", "sweeping", "done"]
    """`sweeping`: nothing is left in Postgres; entries of the stream must be settled before they can be removed."""
    removed: dict[str, int]
    """Number of removed rows by table, and of removed entries and live messages."""
    completed_at: datetime | None


class Swept(NamedTuple):
    """Counts of removed data in Redis."""

    entries: int
    left: int
    """Removed entries whose bytes stay in the stream until it is trimmed."""
    messages: int
    """Live messages."""


async def request_erasure(
    pool: asyncpg.Pool | Connection, user_hashes: Sequence[bytes], requested_by: str
) -> ErasureJob:
    """Suppress further events of the learner and return the job that removes the stored data.

    Raises StorageUnavailable.
    """
    with translated_errors():
        row = await pool.fetchrow(_REQUEST, list(user_hashes), requested_by)
    assert row is not None
    return _job(row)


async def read_job(pool: asyncpg.Pool | Connection, job_id: UUID) -> ErasureJob | None:
    """Return the state of an erasure; None for an unknown id. Raises StorageUnavailable."""
    with translated_errors():
        row = await pool.fetchrow("SELECT * FROM erasure_jobs WHERE job_id = $1", job_id)
    return _job(row) if row else None


async def count_tombstones(pool: asyncpg.Pool) -> int:
    """Return the number of tombstones. They are never removed. Raises StorageUnavailable."""
    with translated_errors():
        count: int = await pool.fetchval("SELECT count(*) FROM erased_users")
    return count


async def read_tombstones(pool: asyncpg.Pool, since: datetime | None = None) -> list[bytes]:
    """Return the pseudonyms of learners erased after `since`; all if it is None. Raises StorageUnavailable."""
    with translated_errors():
        rows = await pool.fetch(
            "SELECT user_hash FROM erased_users WHERE $1::timestamptz IS NULL OR erased_at > $1", since
        )
    return [row["user_hash"] for row in rows]


async def open_jobs(pool: asyncpg.Pool) -> list[ErasureJob]:
    """Return all unfinished erasures, oldest first. Raises StorageUnavailable."""
    with translated_errors():
        rows = await pool.fetch("SELECT * FROM erasure_jobs WHERE state <> 'done' ORDER BY requested_at")
    return [_job(row) for row in rows]


async def open_since(pool: asyncpg.Pool | Connection) -> list[datetime]:
    """Return when each unfinished erasure was requested, oldest first. Raises StorageUnavailable."""
    with translated_errors():
        rows = await pool.fetch("SELECT requested_at FROM erasure_jobs WHERE state <> 'done' ORDER BY requested_at")
    return [row["requested_at"] for row in rows]


async def erase_stored(pool: asyncpg.Pool, job: ErasureJob) -> None:
    """Remove the learner from every table in one transaction. Batches wait for it. Raises StorageUnavailable."""
    with translated_errors():
        async with pool.acquire() as connection, connection.transaction():
            await keep_from_refreshing(connection)
            await connection.execute(f"SELECT pg_advisory_xact_lock({BATCH_LOCK})")
            places = await places_of(connection, job.user_hashes)
            await forget_learners(connection, job.user_hashes)
            removed = await _erase(connection, job.user_hashes)
            # last, to take locks in the order of a purge, which locks the table first
            await record_residue(connection, places)
            await connection.execute(
                "UPDATE erasure_jobs SET state = 'sweeping', removed = $2 WHERE job_id = $1",
                job.job_id,
                json.dumps(removed),
            )


async def record_sweep(
    pool: asyncpg.Pool, job: ErasureJob, swept: Swept, sweeps: Sequence[Sweep], *, finished: bool
) -> None:
    """Add the removed entries and live messages to the receipt; close the job if `finished`, else store its searches.

    Raises StorageUnavailable.
    """
    gone = {_STREAM: swept.entries, _LIVE: swept.messages}
    removed = job.removed | {place: job.removed.get(place, 0) + count for place, count in gone.items()}
    with translated_errors():
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "UPDATE erasure_jobs SET removed = $2, state = CASE WHEN $3 THEN 'done' ELSE state END,"
                " completed_at = CASE WHEN $3 THEN now() END WHERE job_id = $1",
                job.job_id,
                json.dumps(removed),
                finished,
            )
            await (forget_sweeps(connection, job.job_id) if finished else record_sweeps(connection, sweeps))
            # an earlier sweep may have removed something before it crashed, so the last one is always noted
            await record_swept_residue(connection, swept, always=finished)


async def record_swept_residue(connection: asyncpg.Pool | Connection, swept: Swept, *, always: bool = False) -> None:
    """Note the places where removed bytes may remain in Redis; with `always` even if nothing was removed.

    Raises StorageUnavailable.
    """
    places = [REDIS] if always or swept.entries or swept.messages else []
    await record_residue(connection, [*places, STREAM] if swept.left else places)


async def count_suppressed(pool: asyncpg.Pool) -> int:
    """Return the number of entries ever suppressed, from the books. It includes every commit and never decreases.

    Raises StorageUnavailable.
    """
    with translated_errors():
        count: int = await pool.fetchval("SELECT coalesce(sum(suppressed), 0)::bigint FROM batch_books")
    return count


async def suppressed_entries(pool: asyncpg.Pool, since: datetime) -> dict[int, list[str]]:
    """Return the entries suppressed after `since`, by partition. Raises StorageUnavailable."""
    with translated_errors():
        rows = await pool.fetch(_SUPPRESSED, since)
    entries: dict[int, list[str]] = {}
    for partition, entry_id in rows:
        entries.setdefault(partition, []).append(entry_id)
    return entries


async def _erase(connection: Connection, user_hashes: list[bytes]) -> dict[str, int]:
    await connection.execute("CREATE TEMP TABLE leaving (LIKE analytics_events) ON COMMIT DROP")
    removed = {"analytics_events": await connection.fetchval(_TAKE_RAW, user_hashes)}
    await connection.execute(_SETTLE)
    for rollup in ROLLUPS:
        if rollup.is_of_learners:
            removed[rollup.table] = await _delete(connection, f"public.{rollup.table}", user_hashes)
            await _delete(connection, f"{RETIRED}.{rollup.table}", user_hashes)
        else:
            await connection.fetch(rollup.upsert("leaving", schema=RETIRED), *([_SLOT] if rollup.slotted else []))
    removed["dead_letters"] = await connection.fetchval(_TAKE_LETTERS, [f"%{one.hex()}%" for one in user_hashes])
    return removed


async def _delete(connection: Connection, table: str, user_hashes: list[bytes]) -> int:
    count: int = await connection.fetchval(
        f"WITH gone AS (DELETE FROM {table} WHERE user_hash = ANY ($1) RETURNING 1) SELECT count(*) FROM gone",
        user_hashes,
    )
    return count


def _job(row: asyncpg.Record) -> ErasureJob:
    facts = dict(row)
    return ErasureJob(**{**facts, "removed": json.loads(facts["removed"])})

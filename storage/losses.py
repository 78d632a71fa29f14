"""Records the positions and losses of streams in Postgres: a Redis that loses entries would lose these records too."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from storage.database.failures import translated_errors
from storage.database.pool import Connection

SETTLING_TIME: Final = timedelta(minutes=10)
"""How long after a loss a worker may still store entries that it had read before."""

_PLACE: Final = """
INSERT INTO stream_positions AS t (stream_partition, appended, last_entry_id, first_entry_id) VALUES ($1, $2, $3, $4)
ON CONFLICT (stream_partition) DO UPDATE
SET appended = EXCLUDED.appended, last_entry_id = EXCLUDED.last_entry_id, first_entry_id = EXCLUDED.first_entry_id,
    observed_at = now()
"""

_RECORD: Final = """
INSERT INTO stream_losses (stream_partition, after_entry_id, before_entry_id, missing, lost) VALUES ($1, $2, $3, $4, $4)
"""

# An entry counts for the earliest loss whose range holds it. Ids consist of two numbers and are compared as such.
_MEASURE: Final = """
WITH fates AS (
    SELECT stream_partition, entry_id FROM analytics_events
    UNION ALL SELECT stream_partition, entry_id FROM settled_entries
    UNION ALL SELECT stream_partition, entry_id FROM dead_letters
), gaps AS (
    SELECT *,
        string_to_array(after_entry_id, '-')::bigint[] AS after_id,
        string_to_array(before_entry_id, '-')::bigint[] AS before_id
    FROM stream_losses
), measured AS (
    SELECT gap.stream_partition, gap.noticed_at, count(fates.entry_id) AS settled
    FROM gaps AS gap LEFT JOIN fates
    ON fates.stream_partition = gap.stream_partition
    AND string_to_array(fates.entry_id, '-')::bigint[] > gap.after_id
    AND string_to_array(fates.entry_id, '-')::bigint[] < gap.before_id
    AND NOT EXISTS (
        SELECT FROM gaps AS earlier
        WHERE earlier.stream_partition = gap.stream_partition AND earlier.noticed_at < gap.noticed_at
        AND string_to_array(fates.entry_id, '-')::bigint[] > earlier.after_id
        AND string_to_array(fates.entry_id, '-')::bigint[] < earlier.before_id
    )
    WHERE gap.noticed_at > $1
    GROUP BY gap.stream_partition, gap.noticed_at
)
UPDATE stream_losses AS t
SET missing = greatest(t.missing, measured.settled), lost = greatest(t.missing - measured.settled, 0)
FROM measured
WHERE (t.stream_partition, t.noticed_at) = (measured.stream_partition, measured.noticed_at)
"""


@dataclass(frozen=True, slots=True)
class StreamLoss:
    """One loss of entries of a stream."""

    partition: int
    noticed_at: datetime
    missing: int
    """Minimum number of entries that the stream had before and lacks now."""
    lost: int
    """Number of the missing entries that were not stored."""


async def last_position(pool: asyncpg.Pool, partition: int) -> tuple[int, str] | None:
    """Return the last known position of the stream: the number of entries ever appended and the id of the last one.

    None if no position is known. Raises StorageUnavailable.
    """
    with translated_errors():
        row = await pool.fetchrow(
            "SELECT appended, last_entry_id FROM stream_positions WHERE stream_partition = $1", partition
        )
    return (row[0], row[1]) if row else None


async def record_position(pool: asyncpg.Pool, partition: int, appended: int, last_id: str, first_id: str) -> None:
    """Store the current position of the stream. Raises StorageUnavailable."""
    with translated_errors():
        await pool.execute(_PLACE, partition, appended, last_id, first_id)


async def record_loss(
    pool: asyncpg.Pool,
    partition: int,
    missing: int,
    *,
    after: str,
    before: str,
    appended: int,
    last_id: str,
    first_id: str,
) -> None:
    """Store the loss of entries between two ids, and the new position of the stream. Raises StorageUnavailable."""
    with translated_errors():
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(_RECORD, partition, after, before, missing)
            await connection.execute(_PLACE, partition, appended, last_id, first_id)


async def measure_losses(pool: asyncpg.Pool, now: datetime) -> int:
    """Count again how many entries recent losses affected; return the number of recent losses.

    Settled entries beyond the last known end of the stream show that more entries are missing than was known. Reads
    every raw event if there are recent losses. Raises StorageUnavailable.
    """
    since = now - SETTLING_TIME
    with translated_errors():
        recent: int = await pool.fetchval("SELECT count(*) FROM stream_losses WHERE noticed_at > $1", since)
        if recent:
            await pool.execute(_MEASURE, since)
    return recent


async def read_losses(connection: Connection | asyncpg.Pool) -> list[StreamLoss]:
    """Return every detected loss, oldest first. Raises StorageUnavailable."""
    with translated_errors():
        rows = await connection.fetch(
            "SELECT stream_partition, noticed_at, missing, lost FROM stream_losses"
            " ORDER BY noticed_at, stream_partition"
        )
    return [StreamLoss(*row) for row in rows]

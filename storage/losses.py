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

_CLOCKS_DIFFER: Final = timedelta(hours=1)
"""At most: the clock of ingest, which says when an event was received, and that of Redis, which is in the id."""

_PLACE: Final = """
INSERT INTO stream_positions AS t (stream_partition, appended, last_entry_id, first_entry_id) VALUES ($1, $2, $3, $4)
ON CONFLICT (stream_partition) DO UPDATE
SET appended = EXCLUDED.appended, last_entry_id = EXCLUDED.last_entry_id, first_entry_id = EXCLUDED.first_entry_id,
    observed_at = now()
"""

_RECORD: Final = """
INSERT INTO stream_losses (stream_partition, after_entry_id, before_entry_id, missing, lost) VALUES ($1, $2, $3, $4, $4)
"""

_LOST_BEFORE: Final = """
SELECT before_entry_id FROM stream_losses WHERE stream_partition = $1
ORDER BY string_to_array(before_entry_id, '-')::bigint[] DESC LIMIT 1
"""

# An entry counts for the earliest loss whose range holds it. Ids consist of two numbers and are compared as such. If
# Redis was emptied, everything that was settled ever lies in the range, but for what came later or lies in an earlier
# range: the books say how much that is, also of rows that were removed.
_MEASURE: Final = """
WITH gaps AS (
    SELECT *,
        string_to_array(after_entry_id, '-')::bigint[] AS after_id,
        string_to_array(before_entry_id, '-')::bigint[] AS before_id,
        after_entry_id = '0-0' AS is_everything
    FROM stream_losses
), recent AS MATERIALIZED (
    SELECT * FROM gaps WHERE noticed_at > $1
), first AS MATERIALIZED (
    SELECT min(to_timestamp((CASE WHEN is_everything THEN before_id ELSE after_id END)[1] / 1000.0))
           - $2::interval AS moment
    FROM recent
), fates AS (
    SELECT stream_partition, string_to_array(entry_id, '-')::bigint[] AS id
    FROM analytics_events WHERE received_at >= (SELECT moment FROM first)
    UNION ALL
    SELECT stream_partition, string_to_array(entry_id, '-')::bigint[]
    FROM settled_entries WHERE settled_at >= (SELECT moment FROM first)
    UNION ALL
    SELECT stream_partition, string_to_array(entry_id, '-')::bigint[]
    FROM dead_letters WHERE parked_at >= (SELECT moment FROM first)
), counted AS (
    SELECT gap.stream_partition, gap.noticed_at, gap.is_everything,
        count(*) FILTER (WHERE fates.id >= gap.before_id) AS later,
        count(*) FILTER (
            WHERE fates.id > gap.after_id AND fates.id < gap.before_id AND NOT EXISTS (
                SELECT FROM gaps AS earlier
                WHERE earlier.stream_partition = gap.stream_partition AND earlier.noticed_at < gap.noticed_at
                AND fates.id > earlier.after_id AND fates.id < earlier.before_id
            )
        ) AS inside
    FROM recent AS gap LEFT JOIN fates USING (stream_partition)
    GROUP BY gap.stream_partition, gap.noticed_at, gap.is_everything
), measured AS (
    SELECT stream_partition, noticed_at, CASE WHEN NOT is_everything THEN inside ELSE
        (SELECT coalesce(sum(stored + duplicate + suppressed + dead_lettered), 0)::bigint FROM batch_books AS books
         WHERE books.stream_partition = counted.stream_partition)
        - (SELECT coalesce(sum(missing - lost), 0)::bigint FROM stream_losses AS earlier
           WHERE earlier.stream_partition = counted.stream_partition AND earlier.noticed_at < counted.noticed_at)
        - later
    END AS settled
    FROM counted
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


async def lost_before(pool: asyncpg.Pool, partition: int) -> str | None:
    """Return an id before which every recorded lost entry of the stream was; None if no loss is recorded.

    Raises StorageUnavailable.
    """
    with translated_errors():
        found: str | None = await pool.fetchval(_LOST_BEFORE, partition)
    return found


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
    the raw events received since an hour before the oldest recent loss. An event from before, which was redriven just
    before the loss, counts as lost. Raises StorageUnavailable.
    """
    since = now - SETTLING_TIME
    with translated_errors():
        recent: int = await pool.fetchval("SELECT count(*) FROM stream_losses WHERE noticed_at > $1", since)
        if recent:
            await pool.execute(_MEASURE, since, _CLOCKS_DIFFER)
    return recent


async def read_losses(connection: Connection | asyncpg.Pool) -> list[StreamLoss]:
    """Return every detected loss, oldest first. Raises StorageUnavailable."""
    with translated_errors():
        rows = await connection.fetch(
            "SELECT stream_partition, noticed_at, missing, lost FROM stream_losses"
            " ORDER BY noticed_at, stream_partition"
        )
    return [StreamLoss(*row) for row in rows]

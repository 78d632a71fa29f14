"""Stores one batch in one transaction: events once each, every aggregate, dead letters, books.

    COPY into a stage -> drop events of erased learners -> insert what is new -> roll up what was inserted
    -> settle duplicates -> dead letters -> books -> COMMIT

Whoever calls acknowledges after `write` returned, never before.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from runtime.failpoints import Failpoint, reach
from schemas.stream_entry import WireEvent
from storage.failures import translated_errors
from storage.pool import Connection
from storage.rollups import ROLLUPS

BATCH_LOCK: Final = 7_205_759_403_792_793_602
"""Advisory lock: shared by every batch, exclusive for whoever recomputes aggregates."""

SLOTS: Final = 8
"""Copies of each hot row."""

_COLUMNS: Final = (*WireEvent._fields, "stream_partition", "entry_id")
_NULL: Final = r"\N"
_COLUMN_LIST: Final = ", ".join(_COLUMNS)

# With defaults, so that a column the next release adds does not stop this one.
_CREATE_STAGE: Final = """
CREATE TEMP TABLE IF NOT EXISTS staged_events (LIKE analytics_events INCLUDING DEFAULTS) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS fresh_events (LIKE analytics_events INCLUDING DEFAULTS) ON COMMIT DELETE ROWS;
"""

_LOCK: Final = f"SELECT pg_advisory_xact_lock_shared({BATCH_LOCK})"

# An entry that stored its event before the learner was erased is booked already.
_SUPPRESS: Final = """
WITH suppressed AS (
    DELETE FROM staged_events USING erased_users
    WHERE staged_events.user_hash = erased_users.user_hash
    RETURNING event_id, stream_partition, entry_id
), settled AS (
    INSERT INTO settled_entries (stream_partition, entry_id, outcome)
    SELECT stream_partition, entry_id, 'suppressed' FROM suppressed
    WHERE NOT EXISTS (
        SELECT FROM analytics_events AS stored
        WHERE (stored.event_id, stored.stream_partition, stored.entry_id)
            = (suppressed.event_id, suppressed.stream_partition, suppressed.entry_id)
    )
    ORDER BY stream_partition, entry_id
    ON CONFLICT DO NOTHING RETURNING 1
)
SELECT (SELECT count(*) FROM suppressed) AS found, (SELECT count(*) FROM settled) AS settled
"""

# Ordered by key, so that two workers with the same redelivered entries cannot deadlock.
_INSERT: Final = f"""
WITH inserted AS (
    INSERT INTO analytics_events ({_COLUMN_LIST})
    SELECT {_COLUMN_LIST} FROM staged_events ORDER BY event_id, entry_id
    ON CONFLICT (event_id) DO NOTHING
    RETURNING {_COLUMN_LIST}
), fresh AS (
    INSERT INTO fresh_events ({_COLUMN_LIST}) SELECT {_COLUMN_LIST} FROM inserted RETURNING 1
)
SELECT count(*) FROM fresh
"""

# An entry that is not fresh repeats another entry's event (a duplicate) or is the entry that stored it (a redelivery).
# Looked up one by one, since a plan made while the table was small would read all of it for ever.
_SETTLE_DUPLICATES: Final = """
WITH settled AS (
    INSERT INTO settled_entries (stream_partition, entry_id, outcome)
    SELECT DISTINCT staged.stream_partition, staged.entry_id, 'duplicate'
    FROM staged_events AS staged
    CROSS JOIN LATERAL (
        SELECT stream_partition, entry_id FROM analytics_events WHERE event_id = staged.event_id LIMIT 1
    ) AS stored
    WHERE NOT EXISTS (SELECT FROM fresh_events AS fresh WHERE fresh.entry_id = staged.entry_id)
      AND (stored.stream_partition, stored.entry_id) <> (staged.stream_partition, staged.entry_id)
    ORDER BY 1, 2
    ON CONFLICT DO NOTHING RETURNING 1
)
SELECT count(*) FROM settled
"""

_PARK: Final = """
WITH parked AS (
    INSERT INTO dead_letters (stream_partition, entry_id, event_id, reason, detail, payload)
    SELECT $1::smallint, entry_id, event_id, reason, detail, payload
    FROM unnest($2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[])
         AS letters (entry_id, event_id, reason, detail, payload)
    ORDER BY entry_id
    ON CONFLICT DO NOTHING RETURNING 1
)
SELECT count(*) FROM parked
"""

_BOOK: Final = """
INSERT INTO batch_books AS t (stream_partition, book_date, slot, batches, stored, duplicate, suppressed,
                              dead_lettered, redelivered)
VALUES ($1, (now() AT TIME ZONE 'UTC')::date, $2, 1, $3, $4, $5, $6, $7)
ON CONFLICT (stream_partition, book_date, slot) DO UPDATE
SET batches = t.batches + 1,
    stored = t.stored + EXCLUDED.stored,
    duplicate = t.duplicate + EXCLUDED.duplicate,
    suppressed = t.suppressed + EXCLUDED.suppressed,
    dead_lettered = t.dead_lettered + EXCLUDED.dead_lettered,
    redelivered = t.redelivered + EXCLUDED.redelivered
"""

_ROLLUPS: Final = tuple((rollup, rollup.upsert("fresh_events")) for rollup in ROLLUPS)


class ReceivedEvent(NamedTuple):
    """An event and the stream entry it came in."""

    entry_id: str
    event: WireEvent


class DeadLetter(NamedTuple):
    """A stream entry that cannot become an event, and why."""

    entry_id: str
    reason: str
    """Stable word."""
    detail: str
    """For people; repeats no value of the entry."""
    payload: str
    """What may be kept of the entry's fields, as ASCII JSON."""
    event_id: UUID | None = None


class BatchCounts(NamedTuple):
    """The fate of a batch's entries; the sum is their number."""

    stored: int
    duplicate: int
    suppressed: int
    dead_lettered: int
    redelivered: int
    """Entries an earlier transaction had settled already."""


class BatchWriter:
    """Writes batches over a pool, one transaction each; `slot` is this writer's copy of the hot rows."""

    def __init__(self, pool: asyncpg.Pool, slot: int) -> None:
        self._pool = pool
        self._slot = slot % SLOTS

    async def write(
        self, partition: int, events: Sequence[ReceivedEvent], dead_letters: Sequence[DeadLetter]
    ) -> BatchCounts:
        """Store the batch, all of it or nothing.

        Raises StorageUnavailable when the same batch may succeed later (after a lost connection it may even have been
        committed: write it again, nothing counts twice) and EventRejected when the database refuses an event's data.
        """
        with translated_errors():
            async with self._pool.acquire() as connection:
                await connection.execute(_CREATE_STAGE)
                async with connection.transaction():
                    return await self._write(connection, partition, events, dead_letters)

    async def rehearse(self, partition: int, events: Sequence[ReceivedEvent]) -> None:
        """Store the events and take it back, to see whether the database accepts them. Raises as `write` does."""
        with translated_errors():
            async with self._pool.acquire() as connection:
                await connection.execute(_CREATE_STAGE)
                transaction = connection.transaction()
                await transaction.start()
                try:
                    await connection.fetchval(_LOCK)
                    await self._store(connection, partition, events)
                finally:
                    await transaction.rollback()

    async def _write(
        self,
        connection: Connection,
        partition: int,
        events: Sequence[ReceivedEvent],
        dead_letters: Sequence[DeadLetter],
    ) -> BatchCounts:
        await connection.fetchval(_LOCK)
        stored, duplicate, suppressed = await self._store(connection, partition, events)
        parked = await self._park(connection, partition, dead_letters)
        settled = stored + duplicate + suppressed + parked
        counts = BatchCounts(stored, duplicate, suppressed, parked, len(events) + len(dead_letters) - settled)
        await connection.fetch(_BOOK, partition, self._slot, *counts)
        reach(Failpoint.BEFORE_COMMIT)
        return counts

    async def _store(
        self,
        connection: Connection,
        partition: int,
        events: Sequence[ReceivedEvent],
    ) -> tuple[int, int, int]:
        if not events:
            return 0, 0, 0
        await connection.copy_to_table("staged_events", source=_rows(partition, events), columns=_COLUMNS)
        reach(Failpoint.AFTER_COPY)
        [erased] = await connection.fetch(_SUPPRESS)
        stored: int = await connection.fetchval(_INSERT)
        reach(Failpoint.AFTER_INSERT)
        if stored:
            await self._roll_up(connection, {event.event_type for _, event in events})
        duplicate = 0
        if stored + erased["found"] < len(events):
            duplicate = await connection.fetchval(_SETTLE_DUPLICATES)
        return stored, duplicate, erased["settled"]

    async def _roll_up(self, connection: Connection, event_types: set[str]) -> None:
        for rollup, statement in _ROLLUPS:
            if rollup.event_types.isdisjoint(event_types):
                continue
            if rollup.slotted:
                await connection.fetch(statement, self._slot)
            else:
                await connection.fetch(statement)
            reach(Failpoint.AFTER_ROLLUP)

    async def _park(
        self,
        connection: Connection,
        partition: int,
        dead_letters: Sequence[DeadLetter],
    ) -> int:
        if not dead_letters:
            return 0
        parked: int = await connection.fetchval(
            _PARK,
            partition,
            [letter.entry_id for letter in dead_letters],
            [letter.event_id for letter in dead_letters],
            [letter.reason for letter in dead_letters],
            [letter.detail for letter in dead_letters],
            [letter.payload for letter in dead_letters],
        )
        reach(Failpoint.AFTER_DEAD_LETTERS)
        return parked


async def _rows(partition: int, events: Sequence[ReceivedEvent]) -> AsyncIterator[bytes]:
    """Give the events in the text format of COPY, all at once: the database reads the stream's own texts."""
    yield "".join([_row(str(partition), *event) for event in events]).encode()


def _row(partition: str, entry_id: str, event: WireEvent) -> str:
    columns = (
        event.event_id,
        event.event_type,
        rf"\\x{event.user_hash}" if event.user_hash else _NULL,
        event.session_id or _NULL,
        event.occurred_at,
        event.received_at,
        event.activity_date,
        event.schema_version,
        _escaped(event.source),
        _escaped(event.properties),
        partition,
        entry_id,
    )
    return "\t".join(columns) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\t", r"\t").replace("\n", r"\n").replace("\r", r"\r")

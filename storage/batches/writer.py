"""Stores one batch in one transaction: each event once, every aggregate, dead letters, books.

    COPY into the stage -> apply the staged batch -> dead letters -> books -> COMMIT

The caller acknowledges the entries only after `write` has returned.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

import asyncpg

from runtime.errors import EventsBeforeHorizon
from runtime.failpoints import Failpoint, reach
from storage.batches.batch import BatchCounts, DeadLetter, ReceivedEvent
from storage.batches.staged_batch import APPLY, COLUMNS, LOCK, Applied, Conflict, parse_conflicts, prepare
from storage.batches.unscoped_ids import counterparts
from storage.database.failures import translated_errors
from storage.database.pool import Connection

SLOTS: Final = 8
"""Number of copies of each hot row."""

_PIECE: Final = 250
"""Rows of one piece of COPY data."""

# an entry has one fate: an entry that is already settled or stored is not parked as well
_PARK: Final = """
WITH parked AS (
    INSERT INTO dead_letters (stream_partition, entry_id, event_id, reason, detail, payload)
    SELECT $1::smallint, entry_id, event_id, reason, detail, payload
    FROM unnest($2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[])
         AS letters (entry_id, event_id, reason, detail, payload)
    WHERE NOT EXISTS (
        SELECT FROM settled_entries AS settled
        WHERE (settled.stream_partition, settled.entry_id) = ($1::smallint, letters.entry_id)
    ) AND NOT EXISTS (
        SELECT FROM analytics_events AS raw
        WHERE raw.event_id = letters.event_id
        AND (raw.stream_partition, raw.entry_id) = ($1::smallint, letters.entry_id)
    )
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


def _ignore(_conflicts: Sequence[Conflict]) -> None:
    pass


class BatchWriter:
    """Writes batches over a pool, in one transaction each. `slot` selects this writer's copy of the hot rows."""

    def __init__(
        self, pool: asyncpg.Pool, slot: int, on_conflicts: Callable[[Sequence[Conflict]], None] = _ignore
    ) -> None:
        """`on_conflicts` is called after a commit, with the duplicates that differ from the stored events."""
        self._pool = pool
        self._slot = slot % SLOTS
        self._on_conflicts = on_conflicts

    async def write(
        self, partition: int, events: Sequence[ReceivedEvent], dead_letters: Sequence[DeadLetter]
    ) -> BatchCounts:
        """Store all of the batch or nothing; return the counts of its entries.

        Raises StorageUnavailable if the same batch may succeed later. After a lost connection it may already be
        committed: write it again, nothing counts twice. Raises EventRejected if the database refuses the data of an
        event, and EventsBeforeHorizon if the batch holds events that retention may have removed before.
        """
        with translated_errors():
            async with self._pool.acquire() as connection, connection.transaction():
                counts, conflicts = await self._write(connection, partition, events, dead_letters)
        if conflicts:
            self._on_conflicts(conflicts)
        return counts

    async def rehearse(self, partition: int, events: Sequence[ReceivedEvent]) -> None:
        """Store the events and roll back, to check whether the database accepts them. Raises as `write` does."""
        with translated_errors():
            async with self._pool.acquire() as connection:
                transaction = connection.transaction()
                await transaction.start()
                try:
                    await self._apply(connection, partition, events)
                finally:
                    await transaction.rollback()

    async def _write(
        self,
        connection: Connection,
        partition: int,
        events: Sequence[ReceivedEvent],
        dead_letters: Sequence[DeadLetter],
    ) -> tuple[BatchCounts, list[Conflict]]:
        stored, duplicate, suppressed, refused, conflicts = await self._apply(connection, partition, events)
        if refused:
            raise EventsBeforeHorizon(refused)
        parked = await self._park(connection, partition, dead_letters)
        settled = stored + duplicate + suppressed + parked
        counts = BatchCounts(stored, duplicate, suppressed, parked, len(events) + len(dead_letters) - settled)
        await connection.fetch(_BOOK, partition, self._slot, *counts)
        reach(Failpoint.BEFORE_COMMIT)
        return counts, parse_conflicts(conflicts)

    async def _apply(self, connection: Connection, partition: int, events: Sequence[ReceivedEvent]) -> Applied:
        [state] = await connection.fetch(LOCK)
        if not state["is_prepared"]:
            await connection.execute(prepare())
        if not events:
            return Applied(0, 0, 0, [], None)
        # once per entry: the database would count both copies of an entry as new
        staged = list({received.entry_id: received for received in events}.values())
        await connection.copy_to_table("staged_events", source=_rows(partition, staged), columns=COLUMNS)
        reach(Failpoint.AFTER_COPY)
        event_types = {received.event_type for received in staged}
        others = counterparts(staged) if state["has_unscoped_ids"] else ([], [])
        [applied] = await connection.fetch(APPLY, self._slot, list(event_types), *others)
        reach(Failpoint.AFTER_STORE)
        return Applied(*applied)

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
    """Yield the events in the text format of COPY, in pieces: the database reads one while the next is encoded."""
    for start in range(0, len(events), _PIECE):
        piece = events[start : start + _PIECE]
        yield "".join([f"{row}\t{partition}\t{entry_id}\n" for entry_id, row in piece]).encode()

"""The check of every test of faults: each accepted event is stored once, no other event is, every number is right."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from runtime.settings import Settings
from storage.batches.verify import Books, read_books, verify_aggregates
from stream.entries.lag import measure
from stream.server.connection import connect
from tests.support.waiting import eventually


async def assert_nothing_lost(
    settings: Settings, accepted: Collection[UUID | str], sent: Collection[UUID | str], *, parked: int | None = None
) -> None:
    """Wait until nothing is pending, then compare. `parked` is the required number of dead letters, if it is known."""
    redis = connect(settings)
    database = await asyncpg.connect(settings.database_dsn)
    try:
        partitions = range(settings.stream_partitions)

        async def nothing_waits() -> bool:
            lags = [await measure(redis, partition) for partition in partitions]
            return all(lag.pending == 0 and lag.oldest_unsettled_at is None for lag in lags)

        await eventually(nothing_waits)
        stored = [row[0] for row in await database.fetch("SELECT event_id FROM analytics_events")]
        letters = [row[0] for row in await database.fetch("SELECT event_id FROM dead_letters")]
        assert len(stored) == len(set(stored))
        assert {UUID(str(one)) for one in accepted} - {*stored, *letters} == set(), "accepted and gone"
        assert set(stored) - {UUID(str(one)) for one in sent} == set(), "stored and never sent"
        assert parked in (None, len(letters))
        drift = await verify_aggregates(database, datetime.now(UTC), settings.system_metrics_retention)
        assert [table for table in drift if not table.is_clean] == []
        books = await read_books(database)
        for partition in partitions:
            appended = (await measure(redis, partition)).appended
            assert books.get(partition, Books(0, 0, 0, 0)).settled == appended, "the books do not balance"
    finally:
        await database.close()
        await redis.aclose()

"""Stores again what the stream still has, for a database that was restored to an earlier moment.

Each entry goes through the same transaction as ever. What the database has already is recognised by the entry's id and
changes nothing; what it lacks is stored, counted and booked. So it may run twice, beside workers, and be interrupted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from processors.store.breaker import Breaker, BreakerPolicy
from processors.store.decode import StorableRange, decode_entries
from processors.store.poison_isolation import PoisonIsolatingWriter
from storage.batches.batch import BatchCounts
from storage.batches.writer import BatchWriter
from stream.entries.history import read_history
from stream.server.connection import Redis

# Whatever was parked once is parked again: no limit is to stop that.
_NO_LIMITS = BreakerPolicy(max_ratio=0, max_consecutive=0, window=1)


@dataclass(frozen=True)
class Span:
    """What to replay of which partition."""

    partition: int
    start: datetime
    end: datetime
    batch_size: int


async def replay(
    redis: Redis, writer: BatchWriter, span: Span, now: datetime, raw_retention: timedelta, stop: asyncio.Event
) -> AsyncIterator[BatchCounts]:
    """Yield what became of each batch. Waits out an outage of the database; once `stop` is set, ends after its batch.

    Raises StreamUnavailable, and StorageUnavailable when told to stop during an outage.
    """
    storable = StorableRange.around(now, raw_retention)
    isolating = PoisonIsolatingWriter(writer, span.partition, stop, Breaker(_NO_LIMITS))
    async for entries in read_history(redis, span.partition, span.start, span.end, span.batch_size):
        events, letters = decode_entries(entries, storable)
        yield await isolating.write(events, letters, {entry.id: entry for entry in entries})
        if stop.is_set():
            return

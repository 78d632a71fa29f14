"""Stores the entries that the stream still has again, for a database that was restored to an earlier time.

Entries are written by the same transaction as in a worker. An entry that the database has is recognised by its id and
changes nothing. Missing entries are stored, counted and booked. A replay may therefore be repeated, run beside workers,
and be interrupted.
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

# without limits: entries that were parked before are parked again
_NO_LIMITS = BreakerPolicy(max_ratio=0, max_consecutive=0, window=1)


@dataclass(frozen=True)
class Span:
    """The entries to replay: those of a partition that were appended from `start` to `end`, both included."""

    partition: int
    start: datetime
    end: datetime
    batch_size: int


async def replay(
    redis: Redis, writer: BatchWriter, span: Span, now: datetime, raw_retention: timedelta, stop: asyncio.Event
) -> AsyncIterator[BatchCounts]:
    """Yield the counts of each batch. Waits out an outage of the database. Once `stop` is set, ends after its batch.

    Raises StreamUnavailable, and StorageUnavailable if `stop` is set during an outage.
    """
    storable = StorableRange.around(now, raw_retention)
    isolating = PoisonIsolatingWriter(writer, span.partition, stop, Breaker(_NO_LIMITS))
    async for entries in read_history(redis, span.partition, span.start, span.end, span.batch_size):
        events, letters = decode_entries(entries, storable)
        yield await isolating.write(events, letters, {entry.id: entry for entry in entries})
        if stop.is_set():
            return

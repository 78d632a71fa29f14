"""Measures the lag of a reader, in seconds and, if it is known, in entries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from redis.asyncio import Redis

from stream.entries.entry import BEGINNING, EntryId, time_of
from stream.entries.groups import read_facts
from stream.entries.readers import find_reader
from stream.keys import STORE_GROUP, stream_key
from stream.server.clock import read_time
from stream.server.failures import translated_errors
from stream.server.health import primary


@dataclass(frozen=True)
class GroupLag:
    """The lag of a reader in a partition."""

    appended: int
    """Number of entries ever appended to the stream."""
    length: int
    """Number of entries in the stream."""
    undelivered: int | None
    """Number of entries not delivered yet; None if Redis does not report it."""
    pending: int
    """Number of entries delivered to a consumer and not settled."""
    oldest_unsettled_at: datetime | None
    """When the oldest unsettled entry was appended; None if all are settled."""
    redis_now: datetime
    oldest_pending_at: datetime | None = None
    """When the oldest pending entry was appended; None if none is pending."""
    consumers: int = 0
    """Number of consumers of the group, including those that have gone."""

    @property
    def seconds(self) -> float:
        """Age of the oldest unsettled entry, in seconds."""
        return self._age(self.oldest_unsettled_at)

    @property
    def pending_seconds(self) -> float:
        """Age of the oldest pending entry, in seconds."""
        return self._age(self.oldest_pending_at)

    def _age(self, appended_at: datetime | None) -> float:
        return 0.0 if appended_at is None else max(0.0, (self.redis_now - appended_at).total_seconds())


async def measure(redis: Redis, partition: int, group: str = STORE_GROUP) -> GroupLag:
    """Return the lag of a group, or of the live workers. Raises StreamUnavailable.

    Reads the clock first, then the deliveries, then the pending entries. Concurrent changes can therefore only make the
    lag appear slightly larger than it is.
    """
    key = stream_key(partition)
    redis_now = await read_time(redis)
    reader = await find_reader(redis, partition, group)
    with translated_errors():
        stream = await read_facts(redis, key)
        undelivered: Any = await redis.xrange(key, min=f"({reader.last_delivered if reader else BEGINNING}", count=1)
    oldest_pending_at = time_of(reader.oldest_pending) if reader and reader.oldest_pending else None
    oldest = [oldest_pending_at] if oldest_pending_at else []
    if undelivered:
        oldest.append(time_of(EntryId.parse(undelivered[0][0])))
    return GroupLag(
        appended=stream.get("entries-added", 0),
        length=stream.get("length", 0),
        undelivered=reader.undelivered if reader else stream.get("length", 0),
        pending=reader.pending if reader else 0,
        oldest_unsettled_at=min(oldest, default=None),
        redis_now=redis_now,
        oldest_pending_at=oldest_pending_at,
        consumers=reader.consumers if reader else 0,
    )


async def consistent_through(redis: Redis, partitions: Iterable[int], group: str = STORE_GROUP) -> datetime:
    """Return the time through which every accepted event of all partitions is settled. Raises StreamUnavailable.

    Call it before reading the database, which then holds every event settled by that time.
    """
    moments = []
    # all on one connection, the role of its server last: a replica may lack entries
    with translated_errors():
        connection = await redis.client().initialize()
    try:
        for partition in partitions:
            lag = await measure(connection, partition, group)
            moments.append(min(lag.redis_now, lag.oldest_unsettled_at or lag.redis_now))
        await primary(connection)
    finally:
        await connection.aclose()
    return min(moments)

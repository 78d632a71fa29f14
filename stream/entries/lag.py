"""Measures the lag of a group, in seconds and, if Redis reports it, in entries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from stream.entries.groups import read_groups
from stream.keys import STORE_GROUP, stream_key
from stream.server.clock import read_time
from stream.server.failures import is_missing_key, translated_errors
from stream.server.health import primary

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST: Final = "0-0"


@dataclass(frozen=True)
class GroupLag:
    """The lag of a group in a partition."""

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
    """Return the lag of a group. Raises StreamUnavailable.

    Reads the clock first, then the deliveries, then the pending entries. Concurrent changes can therefore only make the
    lag appear slightly larger than it is.
    """
    key = stream_key(partition)
    redis_now = await read_time(redis)
    with translated_errors():
        facts = await _group(redis, key, group)
        stream = await _stream(redis, key)
        delivered = _text(facts["last-delivered-id"]) if facts else _FIRST
        oldest_pending_at = None
        pending = 0
        if facts:
            summary = await redis.xpending(key, group)
            pending = summary["pending"]
            if pending:
                oldest_pending_at = _appended_at(_text(summary["min"]))
        undelivered = await redis.xrange(key, min=f"({delivered}", count=1)
        oldest = [oldest_pending_at] if oldest_pending_at else []
        if undelivered:
            oldest.append(_appended_at(_text(undelivered[0][0])))
    return GroupLag(
        appended=stream.get("entries-added", 0),
        length=stream.get("length", 0),
        undelivered=facts["lag"] if facts else stream.get("length", 0),
        pending=pending,
        oldest_unsettled_at=min(oldest, default=None),
        redis_now=redis_now,
        oldest_pending_at=oldest_pending_at,
        consumers=facts["consumers"] if facts else 0,
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


async def _group(redis: Redis, key: str, group: str) -> dict[str, Any] | None:
    return next((facts for facts in await read_groups(redis, key) if facts["name"] == group.encode()), None)


async def _stream(redis: Redis, key: str) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = await redis.xinfo_stream(key)
    except ResponseError as error:
        if is_missing_key(error):
            return {}
        raise
    return facts


def _text(value: Any) -> str:
    text: str = value.decode() if isinstance(value, bytes) else value
    return text


def _appended_at(entry_id: str) -> datetime:
    return _EPOCH + timedelta(milliseconds=int(entry_id.partition("-")[0]))

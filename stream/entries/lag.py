"""How far a group is behind: in entries where Redis knows, in seconds always."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from stream.entries.groups import read_groups
from stream.keys import STORE_GROUP, stream_key
from stream.server.failures import is_missing_key, translated_errors

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST: Final = "0-0"


@dataclass(frozen=True)
class GroupLag:
    """Where a group stands in a partition."""

    appended: int
    """Entries ever appended to the stream."""
    length: int
    """Entries in the stream now."""
    undelivered: int | None
    """Entries no consumer was given yet; None when Redis cannot tell."""
    pending: int
    """Entries given to a consumer and not settled."""
    oldest_unsettled_at: datetime | None
    """When the oldest entry that is not settled was appended; None when all are settled."""
    redis_now: datetime

    @property
    def seconds(self) -> float:
        """Age of the oldest entry that is not settled."""
        if self.oldest_unsettled_at is None:
            return 0.0
        return max(0.0, (self.redis_now - self.oldest_unsettled_at).total_seconds())


async def measure(redis: Redis, partition: int, group: str = STORE_GROUP) -> GroupLag:
    """Measure a group. Raises StreamUnavailable.

    Looks at the clock first, then at what was delivered, then at what is pending: whatever moves meanwhile only makes
    the group look a little further behind than it is.
    """
    key = stream_key(partition)
    with translated_errors():
        seconds, microseconds = await redis.time()
        redis_now = _EPOCH + timedelta(seconds=int(seconds), microseconds=int(microseconds))
        facts = await _group(redis, key, group)
        stream = await _stream(redis, key)
        delivered = _text(facts["last-delivered-id"]) if facts else _FIRST
        oldest = []
        pending = 0
        if facts:
            summary = await redis.xpending(key, group)
            pending = summary["pending"]
            if pending:
                oldest.append(_appended_at(_text(summary["min"])))
        undelivered = await redis.xrange(key, min=f"({delivered}", count=1)
        if undelivered:
            oldest.append(_appended_at(_text(undelivered[0][0])))
    return GroupLag(
        appended=stream.get("entries-added", 0),
        length=stream.get("length", 0),
        undelivered=facts["lag"] if facts else stream.get("length", 0),
        pending=pending,
        oldest_unsettled_at=min(oldest, default=None),
        redis_now=redis_now,
    )


async def consistent_through(redis: Redis, partitions: Iterable[int], group: str = STORE_GROUP) -> datetime:
    """Return the moment up to which every accepted event is settled, of all partitions. Raises StreamUnavailable.

    Ask before reading the database: what was settled then is in it.
    """
    moments = []
    for partition in partitions:
        lag = await measure(redis, partition, group)
        moments.append(min(lag.redis_now, lag.oldest_unsettled_at or lag.redis_now))
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

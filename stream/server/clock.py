"""The clock of Redis, by which entries are dated."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from redis.asyncio import Redis

from stream.server.failures import translated_errors

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


async def read_time(redis: Redis) -> datetime:
    """Return the time of Redis. Raises StreamUnavailable."""
    with translated_errors():
        seconds, microseconds = await redis.time()
    return _EPOCH + timedelta(seconds=int(seconds), microseconds=int(microseconds))

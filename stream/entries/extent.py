"""Measures how much memory a stream takes and how far back it reaches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis

from stream.entries.entry import EntryId, time_of
from stream.keys import stream_key
from stream.server.clock import read_time
from stream.server.failures import translated_errors


@dataclass(frozen=True, slots=True)
class StreamExtent:
    """The size of one partition."""

    size_bytes: int
    """Memory of the stream, estimated by Redis from a sample; 0 without a stream."""
    window: timedelta | None
    """Age of the oldest entry, stored or not; None if the stream is empty."""


async def measure_extent(redis: Redis, partition: int) -> StreamExtent:
    """Return the size of a partition. Raises StreamUnavailable."""
    key = stream_key(partition)
    now = await read_time(redis)
    with translated_errors():
        size = await redis.memory_usage(key)
        oldest: Any = await redis.xrange(key, count=1)
    window = max(now - time_of(EntryId.parse(oldest[0][0])), timedelta(0)) if oldest else None
    return StreamExtent(int(size or 0), window)

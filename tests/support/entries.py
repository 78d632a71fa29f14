"""What is in a stream, as bytes."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

from stream.keys import stream_key


async def stream_entries(redis: Redis, partition: int = 0) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """Return the ids and fields of every entry of a partition, oldest first."""
    entries: Any = await redis.xrange(stream_key(partition))
    return list(entries)

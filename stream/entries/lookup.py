"""Reads single entries by their ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from stream.entries.entry import Entry
from stream.keys import stream_key
from stream.server.failures import translated_errors


async def find_entries(redis: Redis, partition: int, ids: Sequence[str]) -> list[Entry]:
    """Return the entries with these ids that the stream still has. Raises StreamUnavailable."""
    async with redis.pipeline(transaction=False) as pipeline:
        for entry_id in ids:
            pipeline.xrange(stream_key(partition), entry_id, entry_id)
        with translated_errors():
            replies: list[Any] = await pipeline.execute()
    return [Entry(entry_id.decode(), fields) for reply in replies for entry_id, fields in reply]

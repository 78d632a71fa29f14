"""Skips entries that the live workers are too late to publish. The store group stores them all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from redis.asyncio import Redis

from stream.keys import live_cursor_key, live_keys, stream_key
from stream.server.failures import translated_errors

_SKIP: Final = (Path(__file__).parent / "skip_live.lua").read_text(encoding="utf-8")


async def skip_to_the_end(redis: Redis, partition: int, waiting: int = 0, partitions: int = 1) -> int:
    """Move the cursor to the end of the stream; return the number of skipped entries. Raises StreamUnavailable.

    The timeline records the gap for subscribers. The stream must exist. `waiting`: the number to return if the number
    of entries before the cursor is unknown.
    """
    script = redis.register_script(_SKIP)
    keys = [stream_key(partition), live_cursor_key(partition), live_keys(partition, partitions).state]
    with translated_errors():
        skipped: int = await script(keys=keys, args=[waiting])
    return skipped

"""Skips entries that the live group is too late to publish. The store group stores them all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from redis.asyncio import Redis

from stream.keys import LIVE_GROUP, LIVE_STATE, stream_key
from stream.server.failures import translated_errors

_SKIP: Final = (Path(__file__).parent / "skip_live.lua").read_text(encoding="utf-8")


async def skip_to_the_end(redis: Redis, partition: int) -> int:
    """Move the live group to the end of the stream; return the number of skipped entries. Raises StreamUnavailable.

    The timeline records the gap for subscribers. The group must exist.
    """
    script = redis.register_script(_SKIP)
    with translated_errors():
        skipped: int = await script(keys=[stream_key(partition), LIVE_STATE], args=[LIVE_GROUP])
    return skipped

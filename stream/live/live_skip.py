"""Gives up what the live group is too late for: it is stored all the same, and nobody waits for it any more."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from redis.asyncio import Redis

from stream.keys import LIVE_GROUP, LIVE_STATE, stream_key
from stream.server.failures import translated_errors

_SKIP: Final = (Path(__file__).parent / "skip_live.lua").read_text(encoding="utf-8")


async def skip_to_the_end(redis: Redis, partition: int) -> int:
    """Let the live group go on with what comes next; return how many entries it missed. Raises StreamUnavailable.

    Whoever follows the timeline is told that it has a gap. The group must be there.
    """
    script = redis.register_script(_SKIP)
    with translated_errors():
        skipped: int = await script(keys=[stream_key(partition), LIVE_STATE], args=[LIVE_GROUP])
    return skipped
